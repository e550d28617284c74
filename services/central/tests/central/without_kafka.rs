//! The sure way for what engines know: with no Kafka at all, a supply still ends in its one exact ticket.

use crate::running_central::{Central, PATIENCE, no_kafka};
use evmesh_proto::{
    driver::WatchSessionRequest,
    engine,
    network::{self, ChargePointStatus, SessionOutcome, SessionState},
};
use tokio_stream::StreamExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_supply_ends_in_its_one_exact_ticket() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = crate::running_central::options(folder.path(), no_kafka());
    options.changelog = false; // engines would keep their records for it
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let session = central.request("101", "MAD-01").await.unwrap();
    assert_eq!(session.state(), SessionState::Reserved);
    central.status("MAD-01", ChargePointStatus::Reserved).await;
    let asked = engine.inside().authorizations[0].clone();
    assert_eq!((asked.session_id.as_str(), asked.driver_id.as_str()), (session.session_id.as_str(), "101"));
    assert_eq!(asked.price, session.price);

    engine.supply(1_234);
    let id = &session.session_id;
    let supplying = |session: &network::Session| session.state() == SessionState::Supplying;
    let live = central.session_is("101", id, "is supplying", supplying).await;
    assert_eq!((live.energy_wh, live.power_w), (1_234, 7_400));
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    engine.supply(2_345);
    engine.end(engine::SupplyEnd::Completed);

    let ticket = central.ticket("101").await;
    assert_eq!((ticket.energy_wh, ticket.amount.as_ref().unwrap().micros), (2_345, 700_000)); // 0.7035 EUR, to the cent
    assert_eq!((ticket.outcome(), ticket.estimated), (SessionOutcome::Completed, false));
    central.status("MAD-01", ChargePointStatus::Available).await;
    testing::eventually("the engine may forget", PATIENCE, || async {
        engine.inside().unsettled.is_empty().then_some(())
    })
    .await;
    assert_eq!(central.tickets("101").await.len(), 1);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_a_session_to_its_settlement_and_ends() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let session = central.request("101", "MAD-01").await.unwrap();
    let request = WatchSessionRequest { driver_id: "101".into(), session_id: session.session_id.clone() };
    let mut watch = central.drivers.clone().watch_session(request.clone()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap().session.unwrap();
    assert_eq!(first.state(), SessionState::Reserved);
    engine.supply(500);
    engine.end(engine::SupplyEnd::Completed);
    let seen = tokio::time::timeout(PATIENCE, async {
        let mut seen = Vec::new();
        while let Some(answer) = watch.next().await {
            seen.push(answer.unwrap().session.unwrap());
        }
        seen
    });
    let seen = seen.await.expect("the watch ends once the session is settled");
    let last = seen.last().unwrap();
    assert!(last.settled && last.ticket.as_ref().unwrap().energy_wh == 500, "{last:?}");
    assert!(seen.iter().map(|session| session.state).is_sorted(), "never back");
    let mut again = central.drivers.clone().watch_session(request).await.unwrap().into_inner();
    assert!(again.message().await.unwrap().unwrap().session.unwrap().settled);
    assert!(again.message().await.unwrap().is_none(), "a settled session is shown once");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_never_taken_up_expires_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = crate::running_central::options(folder.path(), no_kafka());
    options.rules.reservation = std::time::Duration::from_secs(1);
    options.rules.reservation_margin = std::time::Duration::from_millis(200);
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let session = central.request("101", "MAD-01").await.unwrap();
    let ended = |session: &network::Session| session.state() == SessionState::Ended;
    let session = central.session_is("101", &session.session_id, "expires", ended).await;
    assert_eq!(session.outcome(), SessionOutcome::Expired);
    central.status("MAD-01", ChargePointStatus::Available).await;
    assert!(engine.inside().current.is_none(), "it was revoked at the engine");
    central.request("101", "MAD-01").await.expect("the driver and the charge point are free again");
    assert!(central.tickets("101").await.is_empty());
    central.stop().await;
}
