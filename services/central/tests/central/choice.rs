//! Engines that do not answer, and callers that do not wait: who else is denied for it? Nobody.

use crate::{
    engine::Mood,
    running_central::{Central, PATIENCE, no_kafka, options},
};
use evmesh_proto::{driver, network::ChargePointStatus};
use std::time::Duration;

/// With the times of production.
async fn patient(folder: &std::path::Path) -> Central {
    let mut options = options(folder, no_kafka());
    options.engine_timeout = Duration::from_millis(2_500);
    options.rules.authorize_timeout = Duration::from_secs(5);
    Central::with(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_free_and_silent_charge_points_deny_no_open_request() {
    let folder = tempfile::tempdir().unwrap();
    let central = patient(folder.path()).await;
    let mut silent = Vec::new();
    for id in ["A-01", "A-02", "A-03"] {
        let (engine, monitor) = central.charge_point(id).await;
        engine.set(Mood::SilentWhenAsked);
        silent.push((engine, monitor));
    }
    let (_engine, _monitor) = central.charge_point("Z-WELL").await;
    let session =
        central.request("101", "").await.expect("the fourth answers, within the time of one request");
    assert_eq!(session.charge_point_id, "Z-WELL");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_a_hurry_puts_no_charge_point_out_of_action() {
    let folder = tempfile::tempdir().unwrap();
    let central = patient(folder.path()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    engine.set(Mood::SilentWhenAsked);
    let mut hurried = tonic::Request::new(driver::RequestChargeRequest {
        driver_id: "101".into(),
        charge_point_id: "MAD-01".into(),
        ..Default::default()
    });
    hurried.set_timeout(Duration::from_millis(200));
    central.drivers.clone().request_charge(hurried).await.unwrap_err();
    let told = testing::eventually("central gives the charge up", PATIENCE, || async {
        let all = driver::ListChargePointsRequest::default();
        let all = central.drivers.clone().list_charge_points(all).await.unwrap().into_inner();
        let status = all.charge_points[0].status();
        (status != ChargePointStatus::Reserved).then_some(status)
    });
    assert_eq!(told.await, ChargePointStatus::Available, "200 ms say nothing of it");
    // Its call's whole time does.
    engine.set(Mood::Silent);
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    central.stop().await;
}
