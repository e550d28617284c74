//! A driver's calls: repeats, refusals, isolation.

use crate::{
    engine::{Engine, Mood},
    running_central::{Central, Monitor, PATIENCE, no_kafka, options, registration},
};
use evmesh_proto::{
    chargepoint, driver,
    engine::CallResult,
    network::{ChargePointStatus, Price, SessionState},
};
use futures_util::FutureExt as _;
use mesh::grpc::reason;
use std::time::Duration;
use testing::{Miser, Proxy};
use tonic::{Code, Status};

fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), reason(&status).expect("every error has its ErrorInfo"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_and_another_payload_is_refused() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let same = || central.request_again("101", "MAD-01", "once");
    let (first, joined) = tokio::join!(same(), same());
    let first = first.unwrap();
    assert_eq!(joined.unwrap().session_id, first.session_id, "a repeat joins the undecided one");
    assert_eq!(same().await.unwrap().session_id, first.session_id);
    assert_eq!(engine.inside().authorizations.len(), 1);
    let other = central.request_again("101", "MAD-02", "once").await;
    assert_eq!(refusal(other), (Code::InvalidArgument, "REQUEST_ID_REUSED".into()));
    let another_driver = central.request_again("102", "MAD-01", "once").await;
    assert_eq!(refusal(another_driver), (Code::FailedPrecondition, "CHARGE_POINT_BUSY".into()));
    // A denial is definitive as well.
    let stop = driver::StopChargeRequest { driver_id: "101".into(), ..Default::default() };
    central.drivers.clone().stop_charge(stop).await.unwrap();
    central.status("MAD-01", ChargePointStatus::Available).await;
    // A grant is the first one's too, and its session is shown as it is by now.
    let stopped = same().await.unwrap();
    assert_eq!(stopped.session_id, first.session_id);
    assert_eq!((first.state(), stopped.state()), (SessionState::Reserved, SessionState::Ended));
    let again = central.request_again("102", "MAD-01", "once").await;
    assert_eq!(refusal(again), (Code::FailedPrecondition, "CHARGE_POINT_BUSY".into()));
    central.request("102", "MAD-01").await.expect("without the id it is a new request");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_agree_leaves_nothing_reserved_and_the_driver_free() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let (_willing, _other) = central.charge_point("MAD-02").await;
    let cases = [
        (Mood::Refuses(CallResult::Busy), "ENGINE_REFUSED"),
        (Mood::Refuses(CallResult::Faulted), "ENGINE_REFUSED"),
        (Mood::Refuses(CallResult::Unattended), "ENGINE_REFUSED"),
        (Mood::SilentWhenAsked, "ENGINE_SILENT"),
        (Mood::Malformed, "ENGINE_SILENT"),
        (Mood::AnotherInstance, "ENGINE_SILENT"),
    ];
    for (mood, expected) in cases {
        engine.set(mood);
        let denied = central.request("101", "MAD-01").await;
        assert_eq!(refusal(denied), (Code::FailedPrecondition, expected.into()), "{mood:?}");
        let elsewhere = central.request("101", "MAD-02").await.expect("the driver is free to go elsewhere");
        assert_eq!(elsewhere.state(), SessionState::Reserved);
        let stop = driver::StopChargeRequest { driver_id: "101".into(), ..Default::default() };
        central.drivers.clone().stop_charge(stop).await.unwrap();
        engine.set(Mood::Willing);
        central.status("MAD-01", ChargePointStatus::Available).await;
        central.status("MAD-02", ChargePointStatus::Available).await;
    }
    assert!(central.tickets("101").await.is_empty());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_asks_for_in_an_engines_name_reserves_and_bills_nobody() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let manual = |driver: &str, id: &str| chargepoint::RequestManualSupplyRequest {
        charge_point_id: "MAD-01".into(),
        instance_id: engine.inside().instance.clone(),
        driver_id: driver.into(),
        request_id: id.into(),
        card: String::new(),
    };
    let asked = async |request| central.points.clone().request_manual_supply(request).await;
    engine.inside().asking.push(("its-own".into(), "102".into()));
    for (driver, id) in [("101", ""), ("101", "guessed"), ("", "guessed-too"), ("101", "its-own")] {
        let refused = asked(manual(driver, id)).await;
        assert_eq!(refusal(refused), (Code::FailedPrecondition, "ENGINE_REFUSED".into()), "{driver} {id}");
        let told = engine.inside().authorizations.last().unwrap().manual_request_id.clone();
        assert!(told.as_ref().is_some_and(|told| if id.is_empty() { !told.is_empty() } else { told == id }));
        central.status("MAD-01", ChargePointStatus::Available).await;
    }
    let own = central.request("101", "MAD-01").await.expect("the driver is free, and so is the charge point");
    assert_eq!(engine.inside().authorizations.last().unwrap().manual_request_id, None);
    let stop = driver::StopChargeRequest { driver_id: "101".into(), ..Default::default() };
    central.drivers.clone().stop_charge(stop).await.unwrap();
    central.status("MAD-01", ChargePointStatus::Available).await;
    // Of what was refused nothing is kept: its engine may ask for that very supply.
    engine.inside().asking.push(("guessed".into(), "101".into()));
    let granted = asked(manual("101", "guessed")).await.unwrap().into_inner().session.unwrap();
    assert_eq!((granted.state(), granted.driver_id.as_str()), (SessionState::Reserved, "101"));
    assert_ne!(granted.session_id, own.session_id);
    assert!(central.tickets("101").await.is_empty());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_engine_delays_nobody_else() {
    let central = Central::start(no_kafka()).await;
    let (silent, _monitor) = central.charge_point("MAD-01").await;
    let (_engine, _other) = central.charge_point("MAD-02").await;
    silent.set(Mood::Silent);
    let (slow, quick) = tokio::join!(central.request("101", "MAD-01"), async {
        let started = tokio::time::Instant::now();
        let answer = central.request("102", "MAD-02").await;
        (answer, started.elapsed())
    });
    assert_eq!(refusal(slow).1, "ENGINE_SILENT");
    quick.0.unwrap();
    assert!(quick.1 < std::time::Duration::from_secs(1), "{:?}", quick.1);
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    silent.set(Mood::Willing);
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_silent_engines_hold_up_nobody() {
    const COUNT: usize = 200;
    // So long is each of them waited for: who waits for one of them waits for longer than a slow machine takes.
    const SILENCE: Duration = Duration::from_secs(8);
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    (options.engine_timeout, options.rules.authorize_timeout) = (SILENCE, SILENCE + Duration::from_secs(1));
    // No monitor is lost meanwhile, on a machine that has other work.
    options.rules.report_interval = Duration::from_secs(5);
    let central = Central::with(options).await;
    let silent = Engine::start("store").await;
    let mut monitors = Vec::new();
    for n in 0..COUNT {
        let mut one = registration("MAD-01", &silent);
        one.charge_point_id = format!("CP-{n:03}");
        monitors.push(Monitor::register(&central, one).await);
    }
    testing::eventually("all are free", PATIENCE, || async {
        let page = driver::ListChargePointsRequest { page_size: 500, ..Default::default() };
        let points =
            central.drivers.clone().list_charge_points(page).await.unwrap().into_inner().charge_points;
        let free = points.iter().filter(|point| point.status() == ChargePointStatus::Available);
        (free.count() == COUNT).then_some(())
    })
    .await;
    let (_engine, _monitor) = central.charge_point("WELL").await;
    silent.set(Mood::SilentWhenAsked);
    let requests = (0..COUNT).map(|n| {
        let (central, driver, point) = (&central, format!("driver-{n}"), format!("CP-{n:03}"));
        async move { central.request(&driver, &point).await }
    });
    let (denied, well) = tokio::join!(futures_util::future::join_all(requests), async {
        testing::eventually("all are asked", PATIENCE, || async {
            (silent.inside().calls >= 3 * COUNT).then_some(()) // each was asked for its state twice before
        })
        .await;
        let started = tokio::time::Instant::now();
        (central.request("101", "WELL").await, started.elapsed())
    });
    well.0.unwrap();
    assert!(well.1 < SILENCE / 2, "{:?}", well.1);
    for answer in denied {
        assert_eq!(refusal(answer), (Code::FailedPrecondition, "ENGINE_SILENT".into()));
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_never_sees_another_ones_session() {
    let central = Central::start(no_kafka()).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    let session_id = central.request("101", "MAD-01").await.unwrap().session_id;
    let unknown = (Code::NotFound, "SESSION_UNKNOWN".to_owned());
    let (mut drivers, driver_id) = (central.drivers.clone(), "102".to_owned());
    assert_eq!(refusal(central.session("102", &session_id).await), unknown);
    let request = driver::GetTicketRequest { driver_id: driver_id.clone(), session_id: session_id.clone() };
    assert_eq!(refusal(drivers.get_ticket(request).await), unknown);
    let request =
        driver::WatchSessionRequest { driver_id: driver_id.clone(), session_id: session_id.clone() };
    assert_eq!(refusal(drivers.watch_session(request).await), unknown);
    let request = driver::StopChargeRequest {
        driver_id: driver_id.clone(),
        session_id: session_id.clone(),
        ..Default::default()
    };
    assert_eq!(refusal(drivers.stop_charge(request).await), unknown);
    let request = driver::ListSessionsRequest { driver_id, ..Default::default() };
    assert!(drivers.list_sessions(request).await.unwrap().into_inner().sessions.is_empty());
    let request = driver::GetTicketRequest { driver_id: "101".into(), session_id };
    assert_eq!(refusal(drivers.get_ticket(request).await), (Code::NotFound, "TICKET_UNKNOWN".into()));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_say_what_is_wrong() {
    let central = Central::start(no_kafka()).await;
    assert_eq!(refusal(central.request("101", "").await).1, "NO_CHARGE_POINT_FREE");
    assert_eq!(
        refusal(central.request("101", "MAD-99").await),
        (Code::NotFound, "CHARGE_POINT_UNKNOWN".into())
    );
    let (_engine, monitor) = central.charge_point("MAD-01").await;
    let (_engine, _monitor) = central.charge_point("MAD-02").await;
    central.request("101", "MAD-01").await.unwrap();
    assert_eq!(refusal(central.request("101", "MAD-02").await).1, "DRIVER_BUSY");
    assert_eq!(refusal(central.request("102", "MAD-01").await).1, "CHARGE_POINT_BUSY");
    drop(monitor);
    central.status("MAD-01", ChargePointStatus::Disconnected).await;
    assert_eq!(refusal(central.request("102", "MAD-01").await).1, "CHARGE_POINT_DISCONNECTED");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_more_than_its_driver_allows_is_refused_to_nobody_else() {
    let central = Central::start(no_kafka()).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    for charge_point in ["MAD-01", ""] {
        let request = driver::RequestChargeRequest {
            driver_id: "101".into(),
            charge_point_id: charge_point.into(),
            max_price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 299_999 }),
            ..Default::default()
        };
        let asked = central.drivers.clone().request_charge(request).await;
        assert_eq!(refusal(asked), (Code::FailedPrecondition, "PRICE_ABOVE_MAX".into()));
        let other = central.request("102", charge_point).await;
        let request = driver::StopChargeRequest {
            driver_id: "102".into(),
            session_id: other.unwrap().session_id,
            ..Default::default()
        };
        central.drivers.clone().stop_charge(request).await.unwrap();
        central.status("MAD-01", ChargePointStatus::Available).await;
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_request_never_comes_ends_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.server.request_timeout = Duration::from_millis(900);
    let central = Central::with(options).await;
    let miser = Miser::connect(central.address, 65_535).await.unwrap();
    let mut half_sent = Vec::new();
    for method in ["operations.v1.OperatorService/WatchNetwork", "driver.v1.DriverService/WatchSession"] {
        for _ in 0..20 {
            half_sent.push(miser.begin(&format!("/evmesh.{method}"), "identity").await.unwrap());
        }
    }
    let (mut answers, mut bodies) = (Vec::new(), Vec::new()); // the bodies stay open
    half_sent.into_iter().for_each(|(answer, body)| {
        answers.push(answer);
        bodies.push(body);
    });
    let ended = tokio::time::timeout(PATIENCE, futures_util::future::join_all(answers));
    tokio::pin!(ended);
    let answers = loop {
        let list = driver::ListChargePointsRequest::default();
        let mut drivers = central.drivers.clone();
        let listed = tokio::time::timeout(Duration::from_secs(1), drivers.list_charge_points(list)).await;
        listed.expect("within a second").expect("it is served");
        if let Some(answers) = ended.as_mut().now_or_never() {
            break answers.expect("they are ended");
        }
    };
    for answer in answers {
        let status = Status::from_header_map(answer.unwrap().headers()).expect("it is all that comes");
        assert_eq!(reason(&status).as_deref(), Some("DEADLINE_EXCEEDED"), "{status:?}");
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_half_open_or_dies_is_found_and_found_again() {
    let central = Central::start(no_kafka()).await;
    let engine = Engine::start("store").await;
    let proxy = Proxy::start(engine.address).await;
    let mut behind = registration("MAD-01", &engine);
    behind.engine_address = proxy.address().to_string();
    let _monitor = Monitor::register(&central, behind).await;
    central.status("MAD-01", ChargePointStatus::Available).await;

    proxy.set_silent(true); // the connection stands, and nothing passes
    let half_open = central.request("101", "MAD-01").await;
    assert_eq!(refusal(half_open), (Code::FailedPrecondition, "ENGINE_SILENT".into()));
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    assert_eq!(refusal(central.request("101", "MAD-01").await).1, "CHARGE_POINT_FAULTED");
    proxy.set_silent(false);
    central.status("MAD-01", ChargePointStatus::Available).await;

    let address = proxy.address();
    drop(proxy); // as if the process had died: connections break, and new ones are refused
    testing::eventually("it is dead", PATIENCE, || async {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    let (code, why) = refusal(central.request("101", "MAD-01").await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(why == "ENGINE_SILENT" || why == "CHARGE_POINT_FAULTED", "{why}"); // it may have been found already
    let _back = Proxy::start_at(address, engine.address).await;
    central.status("MAD-01", ChargePointStatus::Available).await;
    let session = central.request("101", "MAD-01").await;
    assert!(session.is_ok(), "nothing was left reserved: {session:?}");
    central.stop().await;
}
