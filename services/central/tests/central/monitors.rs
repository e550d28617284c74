//! Charge points come and go: registrations, reports, streams that end.

use crate::{
    engine::Engine,
    running_central::{Central, Monitor, PATIENCE, no_kafka, options, registration},
};
use evmesh_proto::{chargepoint::EngineHealth, network::ChargePointStatus};
use mesh::grpc::{reason, retry_after};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn the_status_follows_the_monitors_word() {
    let central = Central::start(no_kafka()).await;
    let (_engine, monitor) = central.charge_point("MAD-01").await;
    monitor.health.send_replace(EngineHealth::Faulted);
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    monitor.health.send_replace(EngineHealth::Unreachable);
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    monitor.health.send_replace(EngineHealth::Ok);
    central.status("MAD-01", ChargePointStatus::Available).await;
    drop(monitor);
    central.status("MAD-01", ChargePointStatus::Disconnected).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_registration_ends_the_older_stream_and_is_untouched_by_it() {
    let central = Central::start(no_kafka()).await;
    let (engine, old) = central.charge_point("MAD-01").await;
    let new = Monitor::connect(&central, "MAD-01", &engine).await;
    assert!(new.epoch > old.epoch);
    let mut ended = old.ended.clone();
    let status = tokio::time::timeout(PATIENCE, ended.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap()
        .clone()
        .unwrap();
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::Aborted, Some("EPOCH_STALE")),
        "{status:?}"
    );
    drop(old);
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.request("101", "MAD-01").await.expect("the newer stream holds the charge point");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_monitor_or_store_is_refused_and_told_when_to_retry() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let mut monitor = registration("MAD-01", &engine);
    monitor.monitor_id = "another".into();
    let refused = central.points.clone().register_charge_point(monitor).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::Aborted, Some("MONITOR_ALREADY_CONNECTED"))
    );
    assert!(retry_after(&refused).is_some());
    let other = Engine::start("another-store").await;
    let refused =
        central.points.clone().register_charge_point(registration("MAD-01", &other)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::Aborted, Some("INSTANCE_ALREADY_CONNECTED"))
    );
    assert!(retry_after(&refused).is_some());
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_network_takes_only_the_charge_points_that_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.rules.registration = central::Registration::Known;
    options.rules.known_charge_points = vec!["MAD-01".into()];
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let mut points = central.points.clone();
    let refused = points.register_charge_point(registration("MAD-02", &engine)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::PermissionDenied, Some("REGISTRATION_CLOSED"))
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn place_and_price_are_taken_the_first_time_and_epochs_rise() {
    let central = Central::start(no_kafka()).await;
    let engine = Engine::start("store").await;
    let mut points = central.points.clone();
    let first = points.register_charge_point(registration("MAD-01", &engine)).await.unwrap().into_inner();
    let mut again = registration("MAD-01", &engine);
    again.location = "Elsewhere".into();
    again.price.as_mut().unwrap().micros_per_kwh = 1;
    let second = points.register_charge_point(again).await.unwrap().into_inner();
    assert!(second.epoch > first.epoch);
    assert_eq!((second.location, second.price), (first.location, first.price));
    assert_eq!(first.report_interval.unwrap().nanos, 300_000_000);
    central.stop().await;
}
