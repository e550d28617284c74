//! Central where a gateway acts for charge points: for its own alone, and nobody else for them.

use crate::identities::{Central, NEVER, Named, report, why};
use domain::gateways::News;
use evmesh_proto::Method;
use identity::permissions::{Subject, row};
use prost::Message as _;
use std::time::Duration;
use testing::{known, refusal};
use tokio::time::timeout;
use tonic::Code;

const SITE: &str = "gateway/site-7";
/// What a stream ends in, whatever its interval.
const AT_ONCE: Duration = Duration::from_secs(2);

impl Central {
    /// The registry says so: charge points, each with its gateway; `""`: none serves it.
    async fn serves(&self, told: &[(&str, &str)]) {
        let one = |(point, gateway): &(&str, &str)| (point.parse().unwrap(), gateway.parse().ok());
        let news = News { told: told.iter().map(one).collect(), ..News::default() };
        self.handle.gateways_told(news).await.unwrap();
    }

    /// Why this one may not name this charge point in this call; empty: it may.
    async fn refused(&self, actor: &str, method: Method, point: &str) -> (Option<Code>, String, String) {
        let message = Named { id: point.into() }.encode_to_vec();
        let refused = refusal(&self.stack, &known(actor), method.path(), &message).await;
        let said = refused.as_ref().map(|status| (status.code(), status.message().to_owned()));
        let (code, text) = said.unzip();
        (code, why(refused), text.unwrap_or_default())
    }
}

#[tokio::test]
async fn a_gateway_names_its_own_charge_points_and_nobody_else_of_those_that_stand_there_does() {
    let central = Central::start(NEVER);
    central.serves(&[("MAD-01", "site-7"), ("MAD-02", "site-8")]).await;
    let own = |method: Method| row(method).subject == Subject::OwnChargePoint;
    let central_s = |method: &&Method| !method.path().starts_with("/evmesh.engine.");
    let methods: Vec<_> = Method::ALL.iter().filter(central_s).filter(|method| own(**method)).collect();
    assert_eq!(methods.len(), 3);
    for &method in methods {
        for other in ["MAD-02", "MAD-03"] {
            let (code, reason, text) = central.refused(SITE, method, other).await;
            assert_eq!(
                (code, reason.as_str()),
                (Some(Code::PermissionDenied), "NOT_YOURS"),
                "{method:?} {other}"
            );
            assert_eq!(text, "gateway/site-7 does not act for another charge point");
        }
        let (_, reason, _) = central.refused(SITE, method, "MAD-01").await;
        assert!(
            !["NOT_YOURS", "NOT_ALLOWED", "SERVED_BY_GATEWAY"].contains(&reason.as_str()),
            "{method:?}: {reason}"
        );
        for own in ["engine", "monitor"] {
            let actor = format!("charge-point/MAD-01/{own}");
            if row(method).callers.include(&actor.parse().unwrap()) {
                let (code, reason, text) = central.refused(&actor, method, "MAD-01").await;
                assert_eq!((code, reason.as_str()), (Some(Code::PermissionDenied), "SERVED_BY_GATEWAY"));
                assert!(text.contains("'evmesh registry gateway remove site-7 MAD-01'"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_of_reports_ends_once_its_charge_point_is_taken_from_the_gateway_and_another_goes_on() {
    let central = Central::start(Duration::from_secs(30)); // nobody reports in this test's time
    central.serves(&[("MAD-01", "site-7"), ("MAD-02", "site-7")]).await;
    let mut taken = central.charge_point_of(SITE, "MAD-01").await;
    let mut stays = central.charge_point_of(SITE, "MAD-02").await;
    central.serves(&[("MAD-01", "site-8")]).await;
    let end = timeout(AT_ONCE, taken.answers.message()).await.expect("it ends").unwrap_err();
    assert_eq!((end.code(), why(Some(end)).as_str()), (Code::PermissionDenied, "NOT_YOURS"));
    for method in [Method::ChargePointRegisterChargePoint, Method::ChargePointRequestManualSupply] {
        assert_eq!(central.refused(SITE, method, "MAD-01").await.1, "NOT_YOURS", "{method:?}");
    }
    stays.reports.send(report("MAD-02", stays.epoch)).await.unwrap();
    timeout(NEVER, stays.answers.message()).await.expect("it goes on").unwrap().unwrap();
}

#[tokio::test]
async fn a_charge_points_own_stream_of_reports_ends_once_a_gateway_serves_it() {
    let central = Central::start(Duration::from_secs(30));
    let mut own = central.charge_point("MAD-01").await;
    central.serves(&[("MAD-02", "site-7"), ("MAD-01", "site-7")]).await;
    let end = timeout(AT_ONCE, own.answers.message()).await.expect("it ends").unwrap_err();
    assert_eq!(why(Some(end)), "SERVED_BY_GATEWAY");
    central.serves(&[("MAD-01", "")]).await;
    central.charge_point("MAD-01").await; // it is its own again
}

#[tokio::test]
async fn each_report_of_a_gateways_stream_is_of_the_one_charge_point() {
    let central = Central::start(Duration::from_millis(300));
    central.serves(&[("MAD-01", "site-7"), ("MAD-02", "site-7")]).await;
    for (other, refused) in [("MAD-02", "INVALID_FIELD"), ("MAD-03", "NOT_YOURS")] {
        let mut monitor = central.charge_point_of(SITE, "MAD-01").await;
        monitor.reports.send(report(other, monitor.epoch)).await.unwrap();
        assert_eq!(why(monitor.answers.message().await.err()), refused);
    }
}
