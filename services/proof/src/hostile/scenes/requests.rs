//! Requests that lead to nothing, and charge points that are no use to anybody.

use super::STRANGER;
use crate::hostile::{
    liar::Liar,
    network::{ELSEWHERE, MICROS_PER_KWH, Network, OTHER, eventually},
};
use anyhow::{Context as _, bail, ensure};
use evmesh_proto::{
    chargepoint::{RequestManualSupplyRequest, charge_point_service_client::ChargePointServiceClient},
    driver::{RequestChargeRequest, StopChargeRequest, driver_service_client::DriverServiceClient},
    engine::{
        GetEngineStateRequest, StartManualSupplyRequest,
        engine_panel_service_client::EnginePanelServiceClient, engine_service_client::EngineServiceClient,
    },
    network::{ChargePointStatus, Session},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::Status;

/// A driver's nonsense by the thousand, each under a request id of its own; then the repeat of what it was granted.
pub(super) async fn denied_requests(network: &Network) -> anyhow::Result<String> {
    const WHILE: Duration = Duration::from_secs(5);
    const AT_ONCE: usize = 100;
    let drivers = network.drivers().await?;
    let ask = |charge_point: &str, id: &str| RequestChargeRequest {
        driver_id: "forgetful".into(),
        charge_point_id: charge_point.into(),
        request_id: id.into(),
        ..Default::default()
    };
    let granted = drivers.clone().request_charge(ask(OTHER, "the-first")).await?.into_inner().session;
    let granted = granted.context("a session was promised")?;
    eventually("its ticket", async || network.tickets("forgetful", "").await.ok()?.pop()).await?;
    let (until, mut asked, mut under_way) = (Instant::now() + WHILE, 0_u64, JoinSet::new());
    while Instant::now() < until {
        while under_way.len() < AT_ONCE {
            let (mut drivers, request) = (drivers.clone(), ask("NOWHERE", &format!("nonsense-{asked}")));
            under_way.spawn(async move { drivers.request_charge(request).await.is_ok() });
            asked += 1;
        }
        ensure!(!matches!(under_way.join_next().await, Some(Ok(true))), "a charge nowhere is granted");
    }
    under_way.shutdown().await;
    ensure!(asked > 1_000, "only {asked} requests were denied");
    let again = drivers.clone().request_charge(ask(OTHER, "the-first")).await?.into_inner().session;
    let again = again.context("a session was promised")?.session_id;
    ensure!(again == granted.session_id, "its repeat has opened another session, {again}");
    Ok(format!("{asked} requests of one driver were denied, and its first one was still known"))
}

/// A driver who reserves, and cancels, and reserves: it has to wait, and nobody else.
pub(super) async fn reserve_and_cancel(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "CALM-01";
    const TRIES: usize = 20;
    let engine = Liar::start(ID, "store-of-a-calm-one").await?; // it grants, and no car comes
    let attended = engine.attend(network, MICROS_PER_KWH).await?;
    let (mut granted, mut waits) = (0, 0);
    for _ in 0..TRIES {
        network.is_free(ID).await?;
        match network.request("fickle", ID).await {
            Ok(_) => granted += 1,
            Err(status) => {
                let reason = mesh::grpc::reason(&status);
                ensure!(reason.as_deref() == Some("DRIVER_COOLING_DOWN"), "denied otherwise: {status}");
                waits += 1;
                continue;
            }
        }
        let stop = StopChargeRequest { driver_id: "fickle".into(), ..Default::default() };
        network.drivers().await?.stop_charge(stop).await?;
    }
    ensure!(granted == 5 && waits == TRIES - 5, "granted {granted} times, and {waits} times told to wait");
    network.request("steady", ID).await.context("another driver has to wait for it")?;
    let stop = StopChargeRequest { driver_id: "steady".into(), ..Default::default() };
    network.drivers().await?.stop_charge(stop).await?;
    let names = under_other_names(network, ID).await?;
    drop((attended, engine));
    network.forget(ID).await?;
    Ok(format!(
        "a driver reserved {granted} times and cancelled; then it was told {waits} times to wait; under another name \
         each time its address did so {names} times"
    ))
}

/// The same from a stranger's address, as another driver each time: until the address waits, and nobody else.
async fn under_other_names(network: &Network, id: &str) -> anyhow::Result<usize> {
    let mut strangers = DriverServiceClient::new(network.connect_from(Some(STRANGER)).await?);
    for granted in 0..=50 {
        network.is_free(id).await?;
        let driver = format!("name-{granted}");
        let request = RequestChargeRequest {
            driver_id: driver.clone(),
            charge_point_id: id.into(),
            ..Default::default()
        };
        if let Err(status) = strangers.request_charge(request).await {
            ensure!(status.message().starts_with("127.0.0.2 has let 50 reservations"), "denied: {status}");
            network.request("steady", id).await.context("another address has to wait for it")?;
            let stop = StopChargeRequest { driver_id: "steady".into(), ..Default::default() };
            network.drivers().await?.stop_charge(stop).await?;
            network.is_free(id).await?; // its engine has heard
            return Ok(granted);
        }
        let stop = StopChargeRequest { driver_id: driver, ..Default::default() };
        strangers.stop_charge(stop).await?;
    }
    bail!("an address reserves under other names without end");
}

pub(super) async fn anywhere(network: &Network, driver: &str) -> Result<(Session, Duration), Status> {
    let request = RequestChargeRequest {
        driver_id: driver.into(),
        location_prefix: ELSEWHERE.into(),
        ..Default::default()
    };
    let mut drivers = network.drivers().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let began = Instant::now();
    let session = drivers.request_charge(request).await?.into_inner().session;
    Ok((session.unwrap_or_default(), began.elapsed()))
}

/// Three charge points that cost nothing and authorise nobody, among which requests for any charge point find the one
/// that does.
pub(super) async fn cheap_and_silent(network: &Network) -> anyhow::Result<String> {
    const IDS: [&str; 3] = ["AAA-01", "AAA-02", "AAA-03"];
    const REQUESTS: usize = 4;
    let mut silent = Vec::new();
    for id in IDS {
        let liar = Liar::start(id, &format!("store-of-{id}")).await?;
        liar.inside().authorizes_after = None;
        let attended = liar.attend(network, 0).await?;
        silent.push((liar, attended));
    }
    network.is_free(IDS[2]).await?;
    let (mut first, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for n in 0..REQUESTS {
        let (session, took) = anywhere(network, &format!("anywhere-{n}")).await.context("it is denied")?;
        ensure!(session.charge_point_id == OTHER, "not at the one that authorises: {session:?}");
        match n {
            0 => first = took,
            _ => slowest = slowest.max(took),
        }
        let driver = session.driver_id;
        eventually("its ticket", async || network.tickets(&driver, OTHER).await.ok()?.pop()).await?;
        network.is_free(OTHER).await?;
    }
    let tries: usize = silent.iter().map(|(liar, _)| liar.inside().authorizations.len()).sum();
    ensure!(tries >= IDS.len(), "only {tries} of them were tried");
    ensure!(slowest < Duration::from_secs(1), "a later request took {slowest:?}");
    drop(silent);
    for id in IDS {
        network.forget(id).await?;
    }
    let (first, slowest) = (first.as_secs_f64(), slowest.as_millis());
    Ok(format!(
        "3 charge points at price 0 left {tries} authorisations unanswered; of {REQUESTS} requests for any, the first was \
         granted after {first:.1} s, the slowest other after {slowest} ms"
    ))
}

/// Callers who wait for 200 ms, at an engine that takes twice as long: it stays in service for whoever waits.
pub(super) async fn hurried_callers(network: &Network) -> anyhow::Result<String> {
    const ID: &str = "SLOW-01";
    const CALLERS: usize = 10;
    let slow = Liar::start(ID, "store-of-a-slow-one").await?;
    slow.inside().authorizes_after = Some(Duration::from_millis(400));
    let attended = slow.attend(network, MICROS_PER_KWH).await?;
    network.is_free(ID).await?;
    let mut hurried = 0;
    for n in 0..CALLERS {
        let mut request = tonic::Request::new(RequestChargeRequest {
            driver_id: format!("hurried-{n}"),
            charge_point_id: ID.into(),
            ..Default::default()
        });
        request.set_timeout(Duration::from_millis(200));
        hurried += usize::from(network.drivers().await?.request_charge(request).await.is_err());
        let status = network.status(ID).await;
        ensure!(status != Some(ChargePointStatus::Faulted), "a caller in a hurry has marked it as broken");
        sleep(Duration::from_millis(100)).await;
    }
    ensure!(hurried == CALLERS, "only {hurried} callers were in a hurry");
    eventually("who waits is granted", async || network.request("patient", ID).await.ok()).await?;
    let stop = StopChargeRequest { driver_id: "patient".into(), ..Default::default() };
    network.drivers().await?.stop_charge(stop).await?;
    drop(attended);
    network.forget(ID).await?; // once its engine, which is there until then, has heard
    drop(slow);
    Ok(format!("{hurried} callers gave an engine 200 ms of the 400 that it takes, and it stayed in service"))
}

/// Supplies asked for in an engine's name, for somebody who wants none, at a charge point where every car plugs itself
/// in.
pub(super) async fn in_an_engines_name(network: &Network) -> anyhow::Result<String> {
    /// One from which nothing else comes.
    const IMPOSTOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
    const TRIES: usize = 60;
    const VICTIM: &str = "named-by-strangers";
    let engine = format!("http://{}", network.engines[1]);
    // Whoever reaches an engine is told its store: it answers who asks for another one.
    let another = GetEngineStateRequest { instance_id: "another".into(), ..Default::default() };
    let state = EngineServiceClient::connect(engine.clone()).await?.get_engine_state(another).await?;
    let instance = state.into_inner().state.unwrap_or_default().instance_id;
    let mut impostor = ChargePointServiceClient::new(network.connect_from(Some(IMPOSTOR)).await?);
    let (mut refused, mut waits) = (0, 0);
    for n in 0..TRIES {
        let request = RequestManualSupplyRequest {
            charge_point_id: OTHER.into(),
            instance_id: instance.clone(),
            driver_id: VICTIM.into(),
            request_id: if n % 2 == 0 { String::new() } else { format!("guess-{n}") },
            card: String::new(),
        };
        match impostor.request_manual_supply(request).await.err().as_ref().map(mesh::grpc::reason) {
            Some(Some(reason)) if reason == "ENGINE_REFUSED" => refused += 1,
            Some(Some(reason)) if reason == "DRIVER_COOLING_DOWN" => waits += 1,
            other => bail!("try {n} came to {other:?}"),
        }
    }
    ensure!((refused, waits) == (50, TRIES - 50), "refused {refused} times, and {waits} times told to wait");
    let began = Instant::now();
    let own = network.request(VICTIM, OTHER).await.context("its own request is denied")?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(1), "its own request took {took:?}");
    eventually("its ticket", async || network.tickets(VICTIM, "").await.ok()?.pop()).await?;
    network.is_free(OTHER).await?;
    let walk_in = StartManualSupplyRequest { driver_id: "walk-in".into(), ..Default::default() };
    let walked_in = EnginePanelServiceClient::connect(engine).await?.start_manual_supply(walk_in).await;
    let walked_in = walked_in.context("what the engine asks for is denied")?.into_inner().session_id;
    eventually("its ticket", async || network.tickets("walk-in", "").await.ok()?.pop()).await?;
    for (driver, session) in [(VICTIM, &own.session_id), ("walk-in", &walked_in)] {
        let billed = network.tickets(driver, "").await?;
        let one = matches!(&billed[..], [ticket] if ticket.session_id == *session);
        ensure!(one, "{driver} is billed for more than {session}: {billed:?}");
    }
    Ok(format!(
        "{refused} supplies asked for in an engine's name were refused, then {waits} times told to wait; the driver's own \
         was granted after {} ms, the engine's own too, and nothing else billed",
        took.as_millis()
    ))
}
