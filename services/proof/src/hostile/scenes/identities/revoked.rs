//! Who was revoked, and keeps all that it had: its connections, its certificates, its key for telemetry, its way to
//! Kafka.

use super::kept::{Kept, Topic};
use crate::hostile::{network::eventually, secured::Secured};
use anyhow::{Context as _, ensure};
use evmesh_proto::{
    network::{ChargePointStatus, Session, SessionOutcome},
    registry::RevokeIdentityRequest,
};

const REFUSED: &str = "evmesh_server_refused_total";
const LETTERS: &str = "evmesh_central_dead_letters_total";
const UNSEALED: &str = "evmesh_central_messages_unsealed_total";

/// A charge point, at once.
pub(super) async fn revoked_and_holding(network: &Secured) -> anyhow::Result<String> {
    let roles = ["charge-point/KEEP-01/engine", "charge-point/KEEP-01/monitor"];
    let mut kept = Kept::enrolled(network, "KEEP-01", &roles).await?;
    let session = kept.supplies().await?;
    let mut topic = kept.topic(&session).await?;
    for role in roles {
        revoke(network, role, true).await?;
    }
    let ended_ms = kept.is_cut_off().await?;
    driver_is_free(&kept, &session).await?;
    nothing_counts(&mut kept, &mut topic).await?;
    Ok(format!(
        "a charge point was revoked in mid-supply: its stream ended after {ended_ms} ms, its calls, what it put \
         on Kafka, sealed or not, and its renewals were refused, its driver was told why; enrolled again, the key of \
         before counts for nothing"
    ))
}

/// A gateway of two charge points, at one of which it ends what it does first.
pub(super) async fn revoked_gateway(network: &Secured) -> anyhow::Result<String> {
    const ROLE: &str = "gateway/kept";
    const IDLE: &str = "KEEP-03";
    network.serves(ROLE, "KEEP-02").await?;
    network.serves(ROLE, IDLE).await?;
    let mut kept = Kept::enrolled(network, "KEEP-02", &[ROLE]).await?;
    let _idle = kept.beside(IDLE).await?;
    network.is_free(IDLE).await?;
    kept.liar.inside().stops = true;
    let session = kept.supplies().await?;
    let mut topic = kept.topic(&session).await?;
    let before = network.metric(REFUSED, "why=\"revoked\"").await?;
    revoke(network, ROLE, false).await?;
    eventually("its last reading is confirmed", async || {
        let inside = kept.liar.inside();
        (inside.state.current.is_none() && inside.state.unsettled.is_empty()).then_some(())
    })
    .await?;
    let ended_ms = kept.is_cut_off().await?;
    network.counts(REFUSED, "why=\"revoked\"", before + 1).await?;
    let status = network.status(IDLE).await;
    ensure!(status == Some(ChargePointStatus::OutOfOrder), "{IDLE} is shown as {status:?}");
    let ended = driver_is_free(&kept, &session).await?;
    let ticket = ended.ticket.context("it ended what it did, and there is no ticket")?;
    ensure!(!ticket.estimated, "its engine's last word is not what is billed: {ticket:?}");
    nothing_counts(&mut kept, &mut topic).await?;
    let _again = kept.beside(IDLE).await?;
    network.is_free(IDLE).await?;
    network.is_free("KEEP-02").await?;
    kept.supplies().await?;
    Ok(format!(
        "a gateway was revoked in mid-supply, which ended with its engine's reading on the ticket: {ended_ms} ms later \
         its stream ended; its calls, telemetry and renewals were refused; enrolled again, both its charge points are \
         back"
    ))
}

async fn revoke(network: &Secured, role: &str, now: bool) -> anyhow::Result<()> {
    let request = RevokeIdentityRequest { role: role.into(), now };
    network.registry_as_admin().revoke_identity(request).await?;
    Ok(())
}

async fn driver_is_free(kept: &Kept<'_>, session: &str) -> anyhow::Result<Session> {
    let stopped = eventually("its driver is free", async || {
        kept.session(session).await.filter(|found| found.outcome() == SessionOutcome::Stopped)
    })
    .await?;
    let because = "the identity of its charge point was revoked";
    ensure!(stopped.reason.contains(because), "its driver is told: {}", stopped.reason);
    Ok(stopped)
}

/// Its client of Kafka still writes; and nothing counts by the key of before once it has enrolled again.
async fn nothing_counts(kept: &mut Kept<'_>, topic: &mut Topic) -> anyhow::Result<()> {
    let network = kept.network;
    let [dead, unsealed] = [network.metric(LETTERS, "").await?, network.metric(UNSEALED, "").await?];
    let revoked = format!("the identity of {} was revoked", kept.id);
    topic.is_refused(&revoked, &revoked).await?;
    network.counts(LETTERS, "", dead + 2).await?;
    let _still_there = kept.enrols_again().await?;
    topic.is_refused("that does not count", "this is in plain text").await?;
    network.counts(UNSEALED, "", unsealed + 2).await
}
