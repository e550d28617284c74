//! Everybody wants the last free one.

use crate::running_central::{Central, no_kafka, options};
use evmesh_proto::network::SessionState;
use mesh::grpc::reason;
use std::{collections::BTreeMap, time::Duration};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_for_the_last_free_charge_point_give_one_session_and_999_clear_denials() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    // The crowd is in this very process: its engine and its monitor have time until they count as silent.
    options.engine_timeout = Duration::from_secs(5);
    options.rules.report_interval = Duration::from_secs(5);
    let central = Central::with(options).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    for charge_point in ["MAD-01", ""] {
        let requests = (0..1000).map(|n| {
            let driver = format!("driver-{n}");
            let central = &central;
            async move { (central.request(&driver, charge_point).await, driver) }
        });
        let answers = futures_util::future::join_all(requests).await;
        let mut denials: BTreeMap<String, usize> = BTreeMap::new();
        let mut granted = Vec::new();
        for (answer, driver) in answers {
            match answer {
                Ok(session) => granted.push((session, driver)),
                Err(status) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
                    assert!(!status.message().is_empty());
                    *denials.entry(reason(&status).expect("ErrorInfo")).or_default() += 1;
                }
            }
        }
        let [(session, driver)] = &granted[..] else { panic!("{} granted", granted.len()) };
        assert_eq!((session.state(), session.driver_id.as_str()), (SessionState::Reserved, driver.as_str()));
        let expected = if charge_point.is_empty() { "NO_CHARGE_POINT_FREE" } else { "CHARGE_POINT_BUSY" };
        assert_eq!(denials, BTreeMap::from([(expected.to_owned(), 999)]));
        // The next round finds it free again.
        let stop =
            evmesh_proto::driver::StopChargeRequest { driver_id: driver.clone(), ..Default::default() };
        central.drivers.clone().stop_charge(stop).await.unwrap();
        central.status("MAD-01", evmesh_proto::network::ChargePointStatus::Available).await;
    }
    central.stop().await;
}
