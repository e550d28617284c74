//! Registrations that are made up, mistyped, or first.

use super::STRANGER;
use crate::hostile::{
    liar::Liar,
    network::{MICROS_PER_KWH, Network, OTHER, eventually},
};
use anyhow::ensure;
use evmesh_proto::chargepoint::{
    RegisterChargePointRequest, charge_point_service_client::ChargePointServiceClient,
};
use std::time::Duration;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tonic::transport::Channel;

/// For so long registrations are made up.
const WHILE: Duration = Duration::from_secs(6);
/// So many at a time: far more than may wait.
const AT_ONCE: usize = 400;
/// What central may grow by (bytes).
const COST: u64 = 48 * 1024 * 1024;

/// Charge points that do not exist by the thousand, at engines that say nothing; the id of one that comes later; and
/// one with the address of another's engine.
pub(super) async fn made_up_registrations(network: &Network) -> anyhow::Result<String> {
    const NEW: &str = "NEW-01";
    let memory = network.memory_of_central().await?;
    let silent = TcpListener::bind("127.0.0.1:0").await?; // it takes connections, and nobody reads them
    let nowhere = silent.local_addr()?.to_string();
    let honest = Liar::start(NEW, "store-of-a-newcomer").await?;
    let made_up = |n: u64| RegisterChargePointRequest {
        charge_point_id: if n == 0 { NEW.into() } else { format!("FAKE-{n}") },
        // By its address, or under a name that nobody has.
        engine_address: if n.is_multiple_of(3) { format!("nowhere-{n}.invalid:1") } else { nowhere.clone() },
        instance_id: format!("store-of-nobody-{n}"),
        monitor_id: format!("monitor-of-nobody-{n}"),
        ..honest.registration(MICROS_PER_KWH)
    };
    let strangers = ChargePointServiceClient::new(network.connect_from(Some(STRANGER)).await?);
    let (until, mut asked, mut taken, mut waited) = (Instant::now() + WHILE, 0, 0_u64, 0_u64);
    let (mut under_way, mut newcomer) = (JoinSet::new(), None);
    while Instant::now() < until {
        while under_way.len() < AT_ONCE {
            let (mut stranger, registration) = (strangers.clone(), made_up(asked));
            under_way.spawn(async move {
                let began = Instant::now();
                (stranger.register_charge_point(registration).await.is_ok(), began.elapsed())
            });
            asked += 1;
        }
        if newcomer.is_none() && asked > 1_000 {
            newcomer = Some(honest.attend(network, MICROS_PER_KWH).await?); // whatever waits, and under whose id
        }
        if let Some(Ok((registered, took))) = under_way.join_next().await {
            taken += u64::from(registered);
            waited += u64::from(took > Duration::from_millis(1_500)); // for its engine, and not refused at once
        }
    }
    under_way.shutdown().await;
    let grown = network.memory_of_central().await?.saturating_sub(memory);
    ensure!(
        asked > 1_000 && waited > 100,
        "only {asked} were made up, and {waited} waited for their engines"
    );
    ensure!(taken == 0, "{taken} charge points that do not exist are registered");
    let known = network.charge_points().await?;
    ensure!(!known.iter().any(|id| id.starts_with("FAKE-")), "something is left behind: {known:?}");
    ensure!(known.iter().any(|id| id == NEW), "the newcomer is kept out: {known:?}");
    ensure!(grown < COST, "central grew by {grown} bytes");

    let confirmed = confirms_them_all(network, &strangers).await?;

    let address = network.engines[1].to_string();
    let mistyped = RegisterChargePointRequest { engine_address: address, ..made_up(asked) };
    let text = eventually("a refusal that names both", async || {
        let refused = strangers.clone().register_charge_point(mistyped.clone()).await.err()?;
        Some(refused.message().to_owned()).filter(|text| text.contains(OTHER)) // first some places have to be free
    })
    .await?;
    ensure!(text.contains(&mistyped.charge_point_id), "the refusal names one: '{text}'");
    network.charges("beside-the-mistyped", OTHER).await?;
    drop((newcomer, honest));
    network.forget(NEW).await?;
    let mib = grown / 1024 / 1024;
    Ok(format!(
        "{asked} charge points that do not exist were registered in {} s, {AT_ONCE} at a time; \
         {waited} had a call to their engine, one newcomer came in between, central grew by {mib} MiB; \
         of those with an engine that says yes to all {confirmed} came in",
        WHILE.as_secs()
    ))
}

/// One process that is the engine of whatever it is asked about: as many come in as one address may have.
async fn confirms_them_all(
    network: &Network,
    strangers: &ChargePointServiceClient<Channel>,
) -> anyhow::Result<usize> {
    const MANY: usize = 300;
    let engine = Liar::start("ANY", "store-of-anyone").await?;
    engine.inside().anyones = true;
    let mut confirmed = Vec::new();
    for n in 0..MANY {
        let id = format!("YES-{n}");
        let registration =
            RegisterChargePointRequest { charge_point_id: id.clone(), ..engine.registration(0) };
        let registered = eventually("it is let in, or refused for good", async || {
            match strangers.clone().register_charge_point(registration.clone()).await {
                Ok(_) => Some(true),
                Err(status) => {
                    let reason = mesh::grpc::reason(&status);
                    (reason.as_deref() == Some("TOO_MANY_AT_ADDRESS")).then_some(false)
                }
            }
        });
        if registered.await? {
            confirmed.push(id);
        }
    }
    ensure!(confirmed.len() == 100, "{} of one address are registered", confirmed.len());
    for id in &confirmed {
        network.forget(id).await?;
    }
    Ok(confirmed.len())
}
