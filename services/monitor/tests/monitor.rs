//! The monitor between an engine and a central that die, return, refuse and fall silent.

#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use common::*;
use domain::watchdog::{CentralStatus, Health, Trouble};
use evmesh_proto::chargepoint::EngineHealth;
use mesh::grpc::Failure;
use monitor::Service;
use std::time::Duration;
use testing::{Proxy, free_address};
use tokio::time::Instant;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn connected(view: &monitor::View) -> bool {
    matches!(view.status.central, CentralStatus::Connected { .. })
}

#[tokio::test]
async fn it_registers_and_reports_each_change_at_once() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (e, c) = (engine.start(anywhere()).await, central.start(anywhere()).await);
    let mut options = options(e.address, c.address);
    options.engine_advertised = Some("engine.example:50061".parse().unwrap());
    let monitor = Monitor::start(options).await;

    let registration = central.registrations(1).await.remove(0);
    assert_eq!(registration.charge_point_id, "MAD-01");
    assert_eq!(registration.location, "Madrid, Atocha");
    assert_eq!(registration.price.unwrap().micros_per_kwh, 350_000);
    assert_eq!(registration.engine_address, "engine.example:50061");
    assert_eq!(registration.instance_id, "store-a");
    assert!(!registration.monitor_id.is_empty());
    central.reported(EngineHealth::Ok).await;
    engine.pinged("a ping with the epoch", |ping| ping.epoch == 1 && ping.central_reachable).await;

    let changed = Instant::now();
    engine.set_fault("the cable is cut");
    assert_eq!(central.reported(EngineHealth::Faulted).await, "the cable is cut");
    engine.set_fault("");
    central.reported(EngineHealth::Ok).await;
    assert!(changed.elapsed() < Duration::from_secs(3), "{:?}", changed.elapsed());

    *central.out_of_order.lock().unwrap() = true;
    monitor
        .shows("the operator's order", |view| {
            matches!(view.status.central, CentralStatus::Connected { out_of_order: true, .. })
        })
        .await;
    assert_eq!(central.registered().len(), 1);

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", monitor.address)).unwrap();
    let mut health = HealthClient::new(channel.connect_lazy());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    monitor.stop().await;
}

#[tokio::test]
async fn an_engine_may_come_late_die_and_return() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (at, c) = (free_address(), central.start(anywhere()).await);
    let monitor = Monitor::start(options(at, c.address)).await;
    let view =
        monitor.shows("no engine", |view| matches!(view.status.engine, Some(Health::Unreachable(_)))).await;
    assert_eq!(view.status.central, CentralStatus::WaitingForEngine);
    assert_eq!(central.registered(), []);

    let e = engine.start(at).await;
    let appeared = Instant::now();
    central.reported(EngineHealth::Ok).await;
    assert!(appeared.elapsed() < Duration::from_secs(4), "{:?}", appeared.elapsed());

    e.stop().await;
    assert_ne!(central.reported(EngineHealth::Unreachable).await, "");
    let e = engine.start(at).await;
    central.reported(EngineHealth::Ok).await;
    assert_eq!(central.registered().len(), 1, "the same store needs no new registration");

    // Another store: central refuses it for a while.
    e.stop().await;
    central.reported(EngineHealth::Unreachable).await;
    *central.refusal.lock().unwrap() = Some(Failure::aborted(
        "INSTANCE_ALREADY_CONNECTED",
        "another engine store holds MAD-01",
        Duration::from_millis(300),
    ));
    engine.set_instance("store-b");
    let _e = engine.start(at).await;
    let view = monitor
        .shows("the refusal", |view| {
            matches!(view.status.central, CentralStatus::Registering(Some(Trouble::Refused { .. })))
        })
        .await;
    let CentralStatus::Registering(Some(Trouble::Refused { reason, why, .. })) = view.status.central else {
        panic!("{view:?}");
    };
    assert_eq!(
        (reason.as_str(), why.as_str()),
        ("INSTANCE_ALREADY_CONNECTED", "another engine store holds MAD-01")
    );
    let refused_at = Instant::now();
    let refused = central.registered().len();
    central.registrations(refused + 1).await;
    assert!(refused_at.elapsed() > Duration::from_millis(150), "it came before it was asked to");
    *central.refusal.lock().unwrap() = None;
    monitor.shows("the registration", connected).await;
    assert_eq!(central.registered().last().unwrap().instance_id, "store-b");
    monitor.stop().await;
}

#[tokio::test]
async fn central_may_come_late_die_and_return() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (e, at) = (engine.start(anywhere()).await, free_address());
    let monitor = Monitor::start(options(e.address, at)).await;
    monitor
        .shows("no central", |view| {
            matches!(view.status.central, CentralStatus::Registering(Some(Trouble::Unreachable { .. })))
        })
        .await;
    engine.pinged("pings go on", |ping| !ping.central_reachable).await;

    for epoch in 1..=2 {
        let c = central.start(at).await;
        let appeared = Instant::now();
        engine.pinged("central is there", |ping| ping.epoch == epoch && ping.central_reachable).await;
        assert!(appeared.elapsed() < Duration::from_secs(4), "{:?}", appeared.elapsed());
        monitor.shows("connected", connected).await;
        c.stop().await;
        engine.pinged("central is away", |ping| ping.epoch == epoch && !ping.central_reachable).await;
    }
    let ids: std::collections::HashSet<_> =
        central.registered().into_iter().map(|registration| registration.monitor_id).collect();
    assert_eq!(ids.len(), 1, "one process, one id");
    monitor.stop().await;
}

#[tokio::test]
async fn a_central_that_falls_silent_is_lost_after_three_intervals() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (e, c) = (engine.start(anywhere()).await, central.start(anywhere()).await);
    let proxy = Proxy::start(c.address).await;
    let monitor = Monitor::start(options(e.address, proxy.address())).await;
    monitor.shows("connected", connected).await;
    proxy.set_silent(true);
    let silent = Instant::now();
    engine.pinged("central is away", |ping| !ping.central_reachable).await;
    assert!(silent.elapsed() < Duration::from_secs(2), "{:?}", silent.elapsed());
    proxy.set_silent(false);
    monitor.shows("connected again", connected).await;
    monitor.stop().await;
}

#[tokio::test]
async fn an_engine_that_falls_silent_is_cut_after_three_pings() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (e, c) = (engine.start(anywhere()).await, central.start(anywhere()).await);
    let proxy = Proxy::start(e.address).await;
    let monitor = Monitor::start(options(proxy.address(), c.address)).await;
    central.reported(EngineHealth::Ok).await;
    proxy.set_silent(true);
    let silent = Instant::now();
    assert_eq!(central.reported(EngineHealth::Unreachable).await, "no answer for 300ms");
    assert!(silent.elapsed() < Duration::from_secs(2), "{:?}", silent.elapsed());
    proxy.set_silent(false);
    central.reported(EngineHealth::Ok).await;
    assert_eq!(central.registered().len(), 1);
    monitor.stop().await;
}

#[tokio::test]
async fn a_stale_epoch_on_either_side_brings_a_new_registration() {
    let (engine, central) = (Engine::new("store-a"), Central::default());
    let (e, c) = (engine.start(anywhere()).await, central.start(anywhere()).await);
    let monitor = Monitor::start(options(e.address, c.address)).await;
    monitor.shows("connected", connected).await;

    *central.epoch.lock().unwrap() = 5; // another monitor registered
    central.registrations(2).await;
    // At least: a slow machine's monitor may have registered once more.
    engine.pinged("the newer epoch", |ping| ping.epoch >= 6 && ping.central_reachable).await;

    // The engine has seen an epoch that central, one by one, would not reach for years.
    *engine.stale_below.lock().unwrap() = 1 << 50;
    engine.pinged("an epoch that the engine takes", |ping| ping.epoch >= 1 << 50).await;
    monitor.shows("connected", connected).await;
    monitor.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_one_plain_sentence() {
    let (e, c) = (free_address(), free_address());
    let monitor = Monitor::start(options(e, c)).await;
    let mut second = options(e, c);
    second.listen = monitor.address.into();
    let error = Service::bind(second).await.unwrap_err().to_string();
    assert!(error.starts_with("the monitor cannot listen on ") && !error.contains('\n'), "{error}");
    monitor.stop().await;
}
