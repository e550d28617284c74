//! The store is lost: what the changelog has comes back as it was, and what is younger comes from the engines.

use crate::{
    engine::Engine,
    running_central::{self, Central, Monitor, PATIENCE, no_kafka},
    topics::Topic,
};
use central::{Error, Options, Service};
use evmesh_proto::{
    engine::SupplyEnd,
    network::{ChargePointStatus, Price, Session, SessionOutcome, SessionState, Ticket},
    operations as operator, topics,
};
use mesh::{grpc::reason, kafka::KafkaOptions};
use std::{path::Path, time::Duration};
use testing::Proxy;

/// All that is in the folder is gone, and the folder too.
pub(crate) fn lose(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}

/// With a Kafka that may take its time.
pub(crate) fn options(folder: &Path, kafka: KafkaOptions) -> Options {
    Options { changelog_wait: PATIENCE, ..running_central::options(folder, kafka) }
}

pub(crate) fn to_rebuild(folder: &Path, kafka: KafkaOptions) -> Options {
    Options { rebuild: true, ..options(folder, kafka) }
}

/// A whole charge, from the request to the ticket.
pub(crate) async fn charge(central: &Central, engine: &Engine, driver: &str, point: &str, wh: u64) -> Ticket {
    central.status(point, ChargePointStatus::Available).await;
    central.request(driver, point).await.unwrap();
    engine.supply(wh);
    engine.end(SupplyEnd::Completed);
    let ticket = central.ticket(driver).await;
    assert_eq!(ticket.energy_wh, wh);
    ticket
}

/// What must be the same after a loss: when it is issued, and by which way the end came, may differ.
fn billed(ticket: &Ticket) -> (String, String, String, u64, Option<Price>, i64, SessionOutcome, bool) {
    let amount = ticket.amount.as_ref().unwrap();
    (
        ticket.session_id.clone(),
        ticket.driver_id.clone(),
        ticket.charge_point_id.clone(),
        ticket.energy_wh,
        ticket.price.clone(),
        amount.micros,
        ticket.outcome(),
        ticket.estimated,
    )
}

pub(crate) async fn forgotten(engine: &Engine) {
    testing::eventually("the engine may forget", PATIENCE, || async {
        engine.inside().unsettled.is_empty().then_some(())
    })
    .await;
}

async fn every_session(central: &Central) -> Vec<Session> {
    let all = operator::ListSessionsRequest { page_size: 500, ..Default::default() };
    central.operators.clone().list_sessions(all).await.unwrap().into_inner().sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_store_comes_back_as_it_was() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let central = Central::with(options(&folder, broker.options())).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let (one, first) = central.charge_point("MAD-01").await;
    let (two, second) = central.charge_point("MAD-02").await;
    let (_three, third) = central.charge_point("MAD-03").await;
    let price = Some(Price { currency_code: "EUR".into(), micros_per_kwh: 450_000 });
    let raised = operator::SetPriceRequest {
        charge_point_id: "MAD-01".into(),
        price: price.clone(),
        request_id: "raise".into(),
    };
    central.operators.clone().set_price(raised.clone()).await.unwrap();
    let order = operator::StopChargePointsRequest {
        charge_point_ids: vec!["MAD-03".into()],
        all: false,
        request_id: "stop".into(),
    };
    central.operators.clone().stop_charge_points(order.clone()).await.unwrap();
    let granted = central.request_again("101", "MAD-01", "once").await.unwrap();
    let refused = central.request_again("102", "MAD-01", "once").await.unwrap_err();
    one.supply(800);
    one.end(SupplyEnd::Stopped);
    let ticket = central.ticket("101").await;
    charge(&central, &one, "103", "MAD-01", 1_500).await;
    central.request("104", "MAD-02").await.unwrap();
    two.supply(300);
    let running = central.request("104", "MAD-01").await.unwrap_err();
    assert_eq!(reason(&running).as_deref(), Some("DRIVER_BUSY"));
    central.status("MAD-02", ChargePointStatus::Supplying).await;
    forgotten(&one).await;
    central.copied().await;
    let before = every_session(&central).await;
    assert_eq!(before.len(), 3);
    drop((first, second, third));
    central.stop().await;
    lose(&folder);

    let central = Central::with(options(&folder, broker.options())).await;
    let after = every_session(&central).await;
    assert_eq!(after.len(), 3);
    for (before, after) in before.iter().zip(&after) {
        let live = before.state() == SessionState::Supplying;
        let shown = |session: &Session| match live {
            // its newest reading is the engine's
            true => Session { power_w: 0, energy_wh: 0, amount: None, ..session.clone() },
            false => session.clone(),
        };
        assert_eq!(shown(after), shown(before));
    }
    assert_eq!(central.ticket("101").await, ticket);
    let again = central.request_again("101", "MAD-01", "once").await.unwrap();
    assert_eq!(again.session_id, granted.session_id, "a repeat is answered as before");
    let again = central.request_again("102", "MAD-01", "once").await.unwrap_err();
    assert_eq!((again.code(), again.message()), (refused.code(), refused.message()));
    let set = central.operators.clone().set_price(raised).await.unwrap().into_inner();
    assert_eq!(set.charge_point.unwrap().price, price);
    central.operators.clone().stop_charge_points(order).await.unwrap();

    let _first = Monitor::connect(&central, "MAD-01", &one).await;
    let _second = Monitor::connect(&central, "MAD-02", &two).await;
    let _third = Monitor::connect(&central, "MAD-03", &_three).await;
    central.status("MAD-03", ChargePointStatus::OutOfOrder).await;
    central.status("MAD-02", ChargePointStatus::Supplying).await;
    two.supply(900);
    two.end(SupplyEnd::Completed);
    assert_eq!(central.ticket("104").await.energy_wh, 900);
    let next = charge(&central, &one, "105", "MAD-01", 700).await;
    assert_eq!(next.price, price, "authorised above the numbers of before, at the price of before");
    central.copied().await;
    notifications.first("its ticket", |told| told["event_id"] == format!("{}-ticket", next.session_id)).await;
    central.stop().await;
    assert_eq!(notifications.count("TICKET"), 4, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_with_kafka_away_comes_from_the_engines() {
    let broker = testing::embedded_broker();
    let embedded = broker.embedded().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let central = Central::with(options(&folder, broker.options())).await;
    let (one, first) = central.charge_point("MAD-01").await;
    let (two, second) = central.charge_point("MAD-02").await;
    let (three, third) = central.charge_point("MAD-03").await;
    let mut tickets = vec![charge(&central, &one, "101", "MAD-01", 1_111).await];
    // Known to the changelog, and over while Kafka is away.
    central.request("102", "MAD-01").await.unwrap();
    one.supply(100);
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    let left = central.request("103", "MAD-02").await.unwrap();
    central.copied().await;

    embedded.down().unwrap();
    one.supply(2_222);
    one.end(SupplyEnd::Completed);
    tickets.push(central.ticket("102").await);
    // Never heard of by the changelog.
    tickets.push(charge(&central, &one, "104", "MAD-01", 3_333).await);
    tickets.push(charge(&central, &three, "105", "MAD-03", 4_444).await);
    // The driver gives a reservation up, which the changelog has, and charges elsewhere.
    let stop = evmesh_proto::driver::StopChargeRequest {
        driver_id: "103".into(),
        session_id: left.session_id.clone(),
        request_id: String::new(),
    };
    central.drivers.clone().stop_charge(stop).await.unwrap();
    let ended = |session: &Session| session.state() == SessionState::Ended;
    central.session_is("103", &left.session_id, "is given up", ended).await;
    central.status("MAD-03", ChargePointStatus::Available).await;
    let running = central.request("103", "MAD-03").await.unwrap();
    three.supply(50);
    central.status("MAD-03", ChargePointStatus::Supplying).await;
    assert_eq!(one.inside().unsettled.len(), 2, "what the changelog lacks stays with the engine");
    let (rows, seconds) = central.lag();
    assert!(rows >= 6 && seconds > 0.0, "{rows} rows, {seconds} s");
    testing::eventually("its oldest row grows older", PATIENCE, || async {
        (central.lag().1 > seconds).then_some(())
    })
    .await;
    drop((first, second, third));
    central.stop().await;
    lose(&folder);

    embedded.up().unwrap();
    let mut options = to_rebuild(&folder, broker.options());
    options.rules.reservation = Duration::from_secs(600); // no deadline helps
    let central = Central::with(options).await;
    // The engine with the running supply comes first, and is not believed against the reservation before that one's
    // engine is heard.
    let _third = Monitor::connect(&central, "MAD-03", &three).await;
    let _second = Monitor::connect(&central, "MAD-02", &two).await;
    let _first = Monitor::connect(&central, "MAD-01", &one).await;
    for ticket in &tickets {
        assert_eq!(billed(&central.ticket(&ticket.driver_id).await), billed(ticket));
    }
    let supplying = |session: &Session| session.state() == SessionState::Supplying;
    central.says(&format!("session {}", running.session_id)).await;
    central.session_is("103", &running.session_id, "goes on", supplying).await;
    assert!(three.supplies(), "and was never stopped");
    central.session_is("103", &left.session_id, "is over", ended).await;
    three.supply(5_555);
    three.end(SupplyEnd::Completed);
    assert_eq!(central.ticket("103").await.energy_wh, 5_555);
    for engine in [&one, &two, &three] {
        forgotten(engine).await;
    }
    central.copied().await;
    assert_eq!(every_session(&central).await.len(), 6, "none twice");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_networks_changelog_is_never_written() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let central = Central::with(options(&theirs, broker.options())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let ticket = charge(&central, &engine, "101", "MAD-01", 900).await;
    central.copied().await;
    drop(monitor);
    central.stop().await;
    let log = Topic::read(&broker.options(), topics::CENTRAL_CHANGELOG);
    let has = |id: &str| log.all().iter().any(|(key, _)| key.contains(id));
    testing::eventually("the changelog has the session", PATIENCE, || async {
        has(&ticket.session_id).then_some(())
    })
    .await;

    // A new store that found no Kafka when it began.
    let door = testing::free_address();
    let mut kafka = KafkaOptions::at(door.to_string());
    kafka.kafka_topic_prefix = broker.options().kafka_topic_prefix;
    let central = Central::with(running_central::options(&ours, kafka)).await;
    let (other, monitor) = central.charge_point("BCN-01").await;
    charge(&central, &other, "201", "BCN-01", 100).await;
    let _door = Proxy::start_at(door, broker.options().kafka.parse().unwrap()).await;
    central.says("another store's").await;
    assert!(central.lag().0 > 0 && !other.inside().unsettled.is_empty());
    charge(&central, &other, "202", "BCN-01", 200).await;
    let keys = central.signing_keys().await;
    drop(monitor);
    central.stop().await;
    assert!(has("MAD-01") && !has("BCN-01"), "nothing was written");

    let refused = Service::bind(to_rebuild(&ours, broker.options())).await.unwrap_err();
    assert!(matches!(refused, Error::NotEmpty(_)), "{refused}");
    lose(&ours);
    let central = Central::with(to_rebuild(&ours, broker.options())).await;
    assert_eq!(central.ticket("101").await, ticket);
    // The new network's own charge point comes, and its engine has kept everything: signed with a key that was lost
    // with the store, and that the operator has kept.
    let _monitor = Monitor::connect(&central, "BCN-01", &other).await;
    central.says("its engine claims 2 sessions that central never authorised").await;
    assert!(central.tickets("201").await.is_empty() && other.inside().unsettled.len() == 2);
    central.trust(keys).await;
    assert_eq!(central.ticket("201").await.energy_wh, 100);
    assert_eq!(central.ticket("202").await.energy_wh, 200);
    central.copied().await;
    testing::eventually("it is this store's now", PATIENCE, || async { has("BCN-01").then_some(()) }).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_without_a_changelog_says_so_and_with_kafka_away_waits() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let service = Service::bind(to_rebuild(folder.path(), broker.options())).await.unwrap();
    let refused = service.run(mesh::Shutdown::new()).await.unwrap_err();
    assert!(matches!(refused, Error::NoChangelog { .. }), "{refused}");

    let service = Service::bind(to_rebuild(folder.path(), no_kafka())).await.unwrap();
    let stop = mesh::Shutdown::new();
    let mut running = tokio::spawn(service.run(stop.clone()));
    let served = tokio::time::timeout(Duration::from_secs(1), &mut running);
    assert!(served.await.is_err(), "it waits");
    stop.start();
    running.await.unwrap().unwrap();
    let central = Central::with(options(folder.path(), broker.options())).await;
    assert!(every_session(&central).await.is_empty(), "an order to stop was heard, and the folder is free");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_before_the_changelog_is_copied_row_by_row() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let mut without = options(&folder, broker.options());
    without.changelog = false;
    let central = Central::with(without).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let ticket = charge(&central, &engine, "101", "MAD-01", 900).await;
    forgotten(&engine).await;
    drop(monitor);
    central.stop().await;

    let central = Central::with(options(&folder, broker.options())).await;
    central.status("MAD-01", ChargePointStatus::Disconnected).await;
    central.copied().await;
    central.stop().await;
    lose(&folder);
    let central = Central::with(options(&folder, broker.options())).await;
    assert_eq!(central.ticket("101").await, ticket);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_charge_point_does_not_come_back_with_the_store() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let central = Central::with(options(&folder, broker.options())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let (_there, _stays) = central.charge_point("MAD-02").await;
    let ticket = charge(&central, &engine, "101", "MAD-01", 700).await;
    forgotten(&engine).await;
    central.copied().await; // the log has the charge point, and then its deletion
    drop(monitor);
    let forget = || async {
        let request =
            operator::ForgetChargePointRequest { charge_point_id: "MAD-01".into(), ..Default::default() };
        central.operators.clone().forget_charge_point(request).await.ok()
    };
    testing::eventually("it is forgotten", PATIENCE, forget).await;
    central.copied().await;
    central.stop().await;
    lose(&folder);

    let central = Central::with(options(&folder, broker.options())).await;
    let all = operator::GetNetworkStatusRequest::default();
    let all = central.operators.clone().get_network_status(all).await.unwrap().into_inner();
    let ids = all.charge_points.into_iter().filter_map(|one| Some(one.charge_point?.charge_point_id));
    assert_eq!(ids.collect::<Vec<_>>(), ["MAD-02"]);
    assert_eq!(billed(&central.ticket("101").await), billed(&ticket), "its tickets stay");
    central.stop().await;
}
