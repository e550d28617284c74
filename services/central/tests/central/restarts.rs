//! Central dies and comes back, and so do brokers.

use crate::{
    running_central::{Central, Monitor, options},
    topics::{Topic, publish},
};
use evmesh_proto::{
    engine::SupplyEnd,
    network::{self, ChargePointStatus, SessionState},
    topics,
};
use mesh::kafka::Producer;
use serde_json::json;

fn numbered(kind: &str, session: &str, seq: u64, kwh: f64) -> serde_json::Value {
    json!({
        "type": kind, "cp_id": "MAD-01", "user_id": "101", "kwh": kwh, "importe": 0, "session_id": session, "seq": seq
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_mid_supply_loses_nothing() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let central = Central::with(options(folder.path(), broker.options())).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let producer = Producer::new(&broker.options(), "test").unwrap();
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let id = central.request_again("101", "MAD-01", "once").await.unwrap().session_id;
    engine.supply(100);
    publish(&producer, "MAD-01", numbered("SESSION_STARTED", &id, 1, 0.1)).await;
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    drop(monitor);
    central.stop().await;

    // While it is away the supply goes on, and ends.
    engine.supply(700);
    publish(&producer, "MAD-01", numbered("CONSUMO", &id, 2, 0.7)).await;
    engine.end(SupplyEnd::Completed);
    publish(&producer, "MAD-01", numbered("SUPPLY_END", &id, 3, 0.7)).await;

    let central = Central::with(options(folder.path(), broker.options())).await;
    let ticket = central.ticket("101").await; // its engine is asked, though its monitor is not back yet
    assert_eq!((ticket.energy_wh, ticket.amount.unwrap().micros, ticket.estimated), (700, 210_000, false));
    central.status("MAD-01", ChargePointStatus::Disconnected).await;
    let _monitor = Monitor::connect(&central, "MAD-01", &engine).await;
    central.status("MAD-01", ChargePointStatus::Available).await;
    let again = central.request_again("101", "MAD-01", "once").await.unwrap();
    assert_eq!(again.session_id, id, "the answer to a repeat outlives the restart");
    let (_, told) = notifications.of_type("TICKET").await;
    assert_eq!(
        (&told["energy_wh"], &told["amount_micros"], &told["currency"]),
        (&json!(700), &json!(210_000), &json!("EUR")),
        "the same ticket"
    );
    central.stop().await;
    assert_eq!(notifications.count("TICKET"), 1);
    assert_eq!(notifications.count("AUTH_OK"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_telemetry_message_thrown_away_the_ticket_is_exact() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let central = Central::with(options(folder.path(), broker.options())).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    central.request("101", "MAD-01").await.unwrap();
    for wh in [10, 250, 999] {
        engine.supply(wh);
    }
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    engine.supply(1_001);
    engine.end(SupplyEnd::Completed);
    assert_eq!(central.ticket("101").await.energy_wh, 1_001);
    let (_, told) = notifications.of_type("TICKET").await;
    assert_eq!(told["kwh"], json!(1.001));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_broker_under_the_same_store_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let first = testing::embedded_broker();
    let central = Central::with(options(folder.path(), first.options())).await;
    let producer = Producer::new(&first.options(), "test").unwrap();
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let id = central.request("101", "MAD-01").await.unwrap().session_id;
    engine.supply(100);
    publish(&producer, "MAD-01", numbered("SESSION_STARTED", &id, 1, 0.1)).await;
    for seq in 2..20 {
        publish(&producer, "MAD-01", numbered("CONSUMO", &id, seq, 0.1)).await;
    }
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    drop(monitor);
    central.stop().await;

    let second = testing::embedded_broker();
    let producer = Producer::new(&second.options(), "test").unwrap();
    let central = Central::with(options(folder.path(), second.options())).await;
    central.says("kafka is another cluster").await;
    // The new broker is read from its beginning, though the old one's offsets were above.
    publish(&producer, "MAD-01", numbered("CONSUMO", &id, 40, 0.5)).await;
    let read =
        |session: &network::Session| session.state() == SessionState::Supplying && session.energy_wh == 500;
    central.session_is("101", &id, "is told of by the new broker", read).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_so_in_one_plain_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = crate::running_central::no_kafka();
    let central = Central::with(options(folder.path(), kafka.clone())).await;
    let error = central::Service::bind(options(folder.path(), kafka.clone())).await.unwrap_err().to_string();
    assert!(error.starts_with("the store in ") && error.contains("in use by another process"), "{error}");
    let other = tempfile::tempdir().unwrap();
    let mut taken = options(other.path(), kafka);
    taken.listen = central.address.into();
    let error = central::Service::bind(taken).await.unwrap_err().to_string();
    assert!(error.starts_with("central cannot listen on 127.0.0.1:"), "{error}");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_calls_come_to_their_end_and_keeps_their_answers() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = crate::running_central::no_kafka();
    let central = Central::with(options(folder.path(), kafka.clone())).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    engine.set(crate::engine::Mood::SilentWhenAsked);
    let (mut drivers, calls) = (central.drivers.clone(), engine.inside().calls);
    let request = evmesh_proto::driver::RequestChargeRequest {
        driver_id: "101".into(),
        charge_point_id: "MAD-01".into(),
        request_id: "once".into(),
        ..Default::default()
    };
    let asked = request.clone();
    let waiting = tokio::spawn(async move { drivers.request_charge(asked).await });
    testing::eventually("the engine is asked", crate::running_central::PATIENCE, || async {
        (engine.inside().calls > calls).then_some(())
    })
    .await;
    central.stop().await;
    let status = waiting.await.unwrap().unwrap_err();
    assert_eq!(mesh::grpc::reason(&status).as_deref(), Some("ENGINE_SILENT"), "{status:?}");
    let central = Central::with(options(folder.path(), kafka)).await;
    let status = central.drivers.clone().request_charge(request).await.unwrap_err();
    assert_eq!(mesh::grpc::reason(&status).as_deref(), Some("ENGINE_SILENT"), "{status:?}");
    central.stop().await;
}
