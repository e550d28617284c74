//! Reserve and cancel, again and again: at the cost of who does it.

use crate::running_central::{Central, no_kafka, options};
use evmesh_proto::{
    driver::{StopChargeRequest, driver_service_client::DriverServiceClient},
    network::ChargePointStatus,
};
use mesh::grpc::{reason, retry_after};
use std::{net::IpAddr, time::Duration};
use tonic::{Code, transport::Channel};

/// The drivers of another host.
fn from(host: [u8; 4], central: &Central) -> DriverServiceClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{}", central.address)).unwrap();
    DriverServiceClient::new(endpoint.local_address(Some(IpAddr::from(host))).connect_lazy())
}

async fn reserves_and_cancels(central: &Central, times: usize) {
    for round in 0..times {
        central.request("101", "MAD-01").await.unwrap_or_else(|denied| panic!("{round}: {denied}"));
        let stop = StopChargeRequest { driver_id: "101".into(), ..Default::default() };
        central.drivers.clone().stop_charge(stop).await.unwrap();
        central.status("MAD-01", ChargePointStatus::Available).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_car_is_there_and_is_not_started_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.rules.unused_reservations = 2;
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    engine.inside().plugged_in = true;
    reserves_and_cancels(&central, 4).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reserves_and_cancels_waits_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.rules.unused_reservations = 5;
    let mut central = Central::with(options).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    reserves_and_cancels(&central, 5).await;
    for _ in 0..2 {
        let denied = central.request_again("101", "MAD-01", "again").await.unwrap_err();
        assert_eq!(denied.code(), Code::FailedPrecondition);
        assert_eq!(reason(&denied).as_deref(), Some("DRIVER_COOLING_DOWN"));
        let wait = retry_after(&denied).expect("RetryInfo");
        assert!((Duration::from_secs(500)..=Duration::from_secs(600)).contains(&wait), "{wait:?}");
        assert!(denied.message().ends_with("go unused; ask again in 10 minutes"), "{}", denied.message());
    }
    // Whoever uses its name elsewhere has not made it wait, and has not waited for it.
    central.drivers = from([127, 0, 0, 2], &central);
    central.request("101", "MAD-01").await.unwrap();
    central.stop().await;
}
