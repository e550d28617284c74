//! Charge points come and go: registrations, reports, streams that end.

use crate::{
    engine::{Engine, Mood},
    running_central::{Central, Monitor, PATIENCE, no_kafka, options, registration},
};
use evmesh_proto::{
    chargepoint::{EngineHealth, ReportHealthRequest, charge_point_service_client::ChargePointServiceClient},
    network::ChargePointStatus,
    operations::{GetNetworkStatusRequest, WatchNetworkRequest},
};
use mesh::grpc::{reason, retry_after};
use std::{net::IpAddr, time::Duration};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, transport::Channel};

fn report(id: &str, epoch: u64) -> ReportHealthRequest {
    let health = EngineHealth::Ok.into();
    ReportHealthRequest { charge_point_id: id.into(), epoch, health, reason: String::new() }
}

/// A stream with this one report, if any, and then silence, from 127.0.0.2: how it ends.
async fn silent_after(central: &Central, first: Option<ReportHealthRequest>) -> Status {
    let endpoint = Channel::from_shared(format!("http://{}", central.address)).unwrap();
    let elsewhere = endpoint.local_address(Some(IpAddr::from([127, 0, 0, 2])));
    let mut points = ChargePointServiceClient::new(elsewhere.connect_lazy());
    let reports = tokio_stream::iter(first).chain(tokio_stream::pending());
    let mut answers = match points.report_health(reports).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status,
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok("ended"),
            Err(status) => return status,
        }
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_engine_is_refused_with_both_ids_and_the_first_is_undisturbed() {
    let central = Central::start(no_kafka()).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    engine.inside().charge_point = "MAD-01".into();
    central.request("101", "MAD-01").await.unwrap();
    engine.supply(1_000);
    central.status("MAD-01", ChargePointStatus::Supplying).await;
    let mut points = central.points.clone();
    let refused = points.register_charge_point(registration("MAD-02", &engine)).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::FailedPrecondition, Some("CHARGE_POINT_MISMATCH"))
    );
    assert!(refused.message().contains("is of MAD-01, not of MAD-02"), "{refused:?}");
    let all = GetNetworkStatusRequest::default();
    let all = central.operators.clone().get_network_status(all).await.unwrap().into_inner();
    assert_eq!(all.charge_points.len(), 1);
    engine.end(evmesh_proto::engine::SupplyEnd::Completed);
    let ticket = central.ticket("101").await;
    assert_eq!((ticket.charge_point_id.as_str(), ticket.energy_wh), ("MAD-01", 1_000));
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_without_its_engine_is_refused_at_once_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let central = Central::with(options(folder.path(), no_kafka())).await;
    let engine = Engine::start("store").await;
    let mut made_up = registration("MAD-01", &engine);
    made_up.engine_address = testing::free_address().to_string(); // nobody listens there
    made_up.monitor_id = "stranger".into();
    let refused = central.points.clone().register_charge_point(made_up).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::FailedPrecondition, Some("ENGINE_SILENT"))
    );
    engine.set(Mood::AnotherInstance);
    let stale = central.points.clone().register_charge_point(registration("MAD-01", &engine)).await;
    assert_eq!(reason(&stale.unwrap_err()).as_deref(), Some("INSTANCE_STALE"));
    engine.set(Mood::Willing);
    let monitor = Monitor::connect(&central, "MAD-01", &engine).await;
    central.status("MAD-01", ChargePointStatus::Available).await;
    // Who is stored is known: central's restart asks for no engine's word, which may be away just then.
    drop(monitor);
    central.stop().await;
    engine.set(Mood::Silent);
    let central = Central::with(options(folder.path(), no_kafka())).await;
    let _monitor = Monitor::connect(&central, "MAD-01", &engine).await;
    central.status("MAD-01", ChargePointStatus::Faulted).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_reports_ends_in_five_seconds_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.server.max_streams = 20;
    let central = Central::with(options).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    let started = Instant::now();
    let idle = futures_util::future::join_all((0..20).map(|_| silent_after(&central, None)));
    // Meanwhile a watcher has its place, and so has a charge point that comes.
    let honest = async {
        central.operators.clone().watch_network(WatchNetworkRequest {}).await.unwrap();
        let (_engine, _monitor) = central.charge_point("MAD-02").await;
    };
    let (idle, ()) = tokio::join!(idle, honest);
    let mut reasons: Vec<_> = idle.iter().filter_map(reason).collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons, ["OVERLOADED", "REPORTS_MISSING"], "an address has its share of two: {idle:?}");
    let missing = idle.iter().filter(|status| reason(status).as_deref() == Some("REPORTS_MISSING"));
    assert_eq!(missing.count(), 2);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());

    // The same where the first report came: nothing comes after it.
    drop(monitor);
    let answer = central.points.clone().register_charge_point(registration("MAD-01", &engine)).await;
    let epoch = answer.unwrap().into_inner().epoch;
    let ended = silent_after(&central, Some(report("MAD-01", epoch))).await;
    assert_eq!((ended.code(), reason(&ended).as_deref()), (Code::Aborted, Some("REPORTS_MISSING")));
    assert_eq!(ended.message(), "no report came for 5 s; register again");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_of_a_registration_is_refused_and_ends_nothing() {
    let central = Central::start(no_kafka()).await;
    let (_engine, monitor) = central.charge_point("MAD-01").await;
    for _ in 0..3 {
        let refused = silent_after(&central, Some(report("MAD-01", monitor.epoch))).await;
        assert_eq!(reason(&refused).as_deref(), Some("MONITOR_ALREADY_CONNECTED"), "{refused:?}");
    }
    // None of a registration that is not there either.
    for (id, epoch, why) in [("MAD-02", 1, "CHARGE_POINT_UNKNOWN"), ("MAD-01", 1, "EPOCH_STALE")] {
        let refused = silent_after(&central, Some(report(id, epoch))).await;
        assert_eq!(reason(&refused).as_deref(), Some(why), "{refused:?}");
    }
    assert!(monitor.ended.borrow().is_none());
    central.status("MAD-01", ChargePointStatus::Available).await;
    central.request("101", "MAD-01").await.expect("it was connected all the while");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_two_reports_an_interval_and_is_answered_at_once_where_it_says_the_same() {
    let central = Central::start(no_kafka()).await;
    let (engine, monitor) = central.charge_point("MAD-01").await;
    drop(monitor);
    let answer = central.points.clone().register_charge_point(registration("MAD-01", &engine)).await;
    let registered = answer.unwrap().into_inner();
    let interval: Duration = registered.report_interval.unwrap().try_into().unwrap();
    let started = Instant::now();
    let report = move |n: usize| {
        let health = if (n / 100).is_multiple_of(2) { EngineHealth::Ok } else { EngineHealth::Faulted };
        ReportHealthRequest { health: health.into(), ..report("MAD-01", registered.epoch) }
    };
    let reports = tokio_stream::iter((0..1_200).map(report)).chain(tokio_stream::pending());
    let mut answers = central.points.clone().report_health(reports).await.unwrap().into_inner();
    for _ in 0..1_200 {
        answers.message().await.unwrap().expect("none is refused");
    }
    let took = started.elapsed(); // twelve changes, each of which a hundred reports tell
    assert!(took >= interval * 5 && took < interval * 30, "{took:?}");
    central.stop().await;
}
