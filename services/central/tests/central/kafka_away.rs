//! The fault of the old system, made impossible: whatever starts before Kafka works once it appears, and Kafka lost in
//! mid-supply loses nothing.

use crate::{
    changelog::{self, charge, lose, to_rebuild},
    engine::Mood,
    running_central::{Central, options},
    topics::{Topic, publish},
};
use evmesh_proto::{
    engine::{CallResult, SupplyEnd},
    network::ChargePointStatus,
    topics,
};
use mesh::{
    grpc::reason,
    kafka::{KafkaOptions, Producer},
};
use serde_json::json;
use testing::Proxy;

fn addresses(kafka: &KafkaOptions) -> std::net::SocketAddr {
    kafka.kafka.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn central_and_its_charge_points_work_before_kafka_and_with_it_once_it_appears() {
    let broker = testing::broker();
    let (mut kafka, door) = (broker.options(), testing::free_address());
    kafka.kafka = door.to_string();
    let central = Central::start(kafka).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let id = central.request("101", "MAD-01").await.expect("a request needs no Kafka").session_id;
    engine.supply(100);
    central.status("MAD-01", ChargePointStatus::Supplying).await;

    let _door = Proxy::start_at(door, addresses(&broker.options())).await; // Kafka appears
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let (_, told) = notifications.of_type("AUTH_OK").await;
    assert_eq!(told["session_id"], json!(id), "what could not be told is told now");
    let producer = Producer::new(&broker.options(), "test").unwrap();
    engine.supply(700);
    engine.end(SupplyEnd::Completed);
    publish(
        &producer,
        "MAD-01",
        json!({"type": "SUPPLY_END", "cp_id": "MAD-01", "user_id": "101", "kwh": 0.7, "session_id": id, "seq": 3}),
    )
    .await;
    let (_, ticket) = notifications.of_type("TICKET").await;
    assert_eq!(ticket["kwh"], json!(0.7));
    assert_eq!(central.ticket("101").await.energy_wh, 700);
    central.stop().await;
    assert_eq!((notifications.count("AUTH_OK"), notifications.count("TICKET")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_lost_and_returned_in_mid_supply_loses_nothing() {
    let broker = testing::embedded_broker();
    let embedded = broker.embedded().unwrap();
    let central = Central::start(broker.options()).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    central.request("101", "MAD-01").await.unwrap();
    notifications.of_type("AUTH_OK").await;
    engine.supply(100);
    central.status("MAD-01", ChargePointStatus::Supplying).await;

    embedded.down().unwrap();
    engine.supply(900);
    engine.end(SupplyEnd::Completed);
    assert_eq!(central.ticket("101").await.energy_wh, 900, "supplies end with Kafka away");
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.request("102", "MAD-01").await.expect("and new ones begin");
    embedded.up().unwrap();

    let (_, ticket) = notifications.of_type("TICKET").await;
    assert_eq!((&ticket["user_id"], &ticket["kwh"]), (&json!("101"), &json!(0.9)));
    notifications.first("the second driver is told", |value| value["user_id"] == "102").await;
    central.stop().await;
    assert_eq!((notifications.count("AUTH_OK"), notifications.count("TICKET")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_has_not_taken_outlives_a_restart_word_for_word() {
    let broker = testing::broker();
    let folder = tempfile::tempdir().unwrap();
    let mut away = broker.options();
    away.kafka = testing::free_address().to_string();
    let central = Central::with(options(folder.path(), away)).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    let id = central.request_again("101", "MAD-01", "r-1").await.unwrap().session_id;
    let (engine, _other) = central.charge_point("MAD-02").await;
    engine.set(Mood::Refuses(CallResult::Faulted)); // a session was made for it
    let denied = central.request_again("102", "MAD-02", "r-2").await.unwrap_err();
    central.stop().await;

    let central = Central::with(options(folder.path(), broker.options())).await;
    let notifications = Topic::read(&broker.options(), topics::DRIVER_NOTIFICATIONS);
    let (_, told) = notifications.of_type("AUTH_OK").await;
    assert_eq!((&told["session_id"], &told["request_id"]), (&json!(id), &json!("r-1")));
    let (_, told) = notifications.of_type("AUTH_DENIED").await;
    let expected = (json!(reason(&denied)), json!(denied.message()), json!("r-2"));
    assert_eq!((told["code"].clone(), told["reason"].clone(), told["request_id"].clone()), expected);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_takes_nothing_holds_up_no_charge_and_has_the_changelog_once_it_does() {
    let broker = testing::embedded_broker();
    let embedded = broker.embedded().unwrap();
    embedded.refuse_writes(10_000).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("central");
    let central = Central::with(changelog::options(&folder, broker.options())).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    central.says("does not take what is for the changelog").await;
    let tickets = [
        charge(&central, &engine, "101", "MAD-01", 900).await,
        charge(&central, &engine, "102", "MAD-01", 700).await,
    ];
    assert!(central.lag().0 > 0 && engine.inside().unsettled.len() == 2, "the engine keeps what it lacks");
    embedded.refuse_writes(0).unwrap();
    central.copied().await;
    drop(monitor);
    central.stop().await;
    lose(&folder);
    let central = Central::with(to_rebuild(&folder, broker.options())).await;
    assert_eq!([central.ticket("101").await, central.ticket("102").await], tickets);
    central.stop().await;
}
