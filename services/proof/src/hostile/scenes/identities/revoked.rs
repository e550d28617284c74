//! A charge point that was revoked, and keeps all that it had: its connections, its certificates, its key for telemetry,
//! its way to Kafka.

use super::refused;
use crate::hostile::{
    honest::Attacked as _,
    liar::Liar,
    network::{MICROS_PER_KWH, eventually},
    secured::{Secured, why},
};
use anyhow::{Context as _, bail, ensure};
use evmesh_proto::{
    chargepoint::{EngineHealth, ReportHealthRequest, charge_point_service_client::ChargePointServiceClient},
    driver::{GetSessionRequest, RequestChargeRequest, driver_service_client::DriverServiceClient},
    network::{ChargePointStatus, SessionOutcome},
    registry::{RenewRequest, RevokeIdentityRequest},
    topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ},
};
use identity::{Expected, SealingKey};
use mesh::{
    grpc::{CALL_TIMEOUT, Peers},
    kafka::{Origin, Producer, Reader, ReaderEvent},
};
use registry::Applicant;
use serde_json::json;
use std::{path::Path, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

const ID: &str = "KEEP-01";
/// What is promised, from the registry's answer on.
const WITHIN: Duration = Duration::from_secs(2);
const LETTERS: &str = "evmesh_central_dead_letters_total";
const UNSEALED: &str = "evmesh_central_messages_unsealed_total";

pub(super) async fn revoked_and_holding(network: &Secured) -> anyhow::Result<String> {
    let [engine_role, monitor_role] = ["engine", "monitor"].map(|role| format!("charge-point/{ID}/{role}"));
    let (engine, monitor) = (network.enrolled(&engine_role).await?, network.enrolled(&monitor_role).await?);
    let (dead, mut letters) = mpsc::channel(100);
    let _reader = Reader::spawn(&network.kafka, CP_TELEMETRY_DLQ, "proof", Origin::Latest, move |event| {
        if let ReaderEvent::Message(message) = event {
            let letter = (message.key.clone(), message.header("reason").unwrap_or_default().to_owned());
            let _ = dead.try_send(letter); // more than there can be
        }
        true
    })?;
    let liar = Liar::start_as(&Secured::security(&engine)?, ID, "store-that-is-kept").await?;
    liar.inside().supplies = true;

    // While it is good: its stream, a supply, and what it seals.
    let peers = Peers::new(Secured::security(&monitor)?);
    let peer = peers.peer(&network.central.into(), Expected::Central, CALL_TIMEOUT);
    let mut points = ChargePointServiceClient::new(peer);
    let registration = liar.registration(MICROS_PER_KWH);
    let epoch = points.register_charge_point(registration.clone()).await?.into_inner().epoch;
    let (reports, stream) = mpsc::channel(1);
    let report = || ReportHealthRequest {
        charge_point_id: ID.into(),
        epoch,
        health: EngineHealth::Ok.into(),
        reason: String::new(),
    };
    reports.send(report()).await?;
    let mut answers = points.report_health(ReceiverStream::new(stream)).await?.into_inner();
    answers.message().await?.context("a report is answered")?;
    let mut driver = DriverServiceClient::new(
        network.shows(Some(network.given_at("driver/held", mesh::now().wall)?), None).await?,
    );
    let request =
        RequestChargeRequest { driver_id: "held".into(), charge_point_id: ID.into(), ..Default::default() };
    let session = eventually("it is granted", async || {
        reports.send(report()).await.ok()?;
        answers.message().await.ok()??;
        driver.request_charge(request.clone()).await.ok()?.into_inner().session
    })
    .await?;
    let key = eventually("it has a key", async || liar.inside().telemetry_key.clone()).await?;
    let key = SealingKey::given(key.name.parse()?, &key.key).context("a key of 32 bytes")?;
    let producer = Producer::new(&network.kafka, "revoked")?;
    let mut seq = 1;
    let mut reading = || {
        seq += 1;
        let (session, event) = (&session.session_id, format!("kept-{seq}"));
        json!({ "type": "CONSUMO", "cp_id": ID, "user_id": "held", "session_id": session, "seq": seq, "kwh": 0.001,
                "kw": 1.0, "event_id": event, "timestamp": mesh::now().wall.0 as f64 / 1000.0 })
        .to_string()
        .into_bytes()
    };
    let sealed = |plain: &[u8]| key.seal(plain).context("it is sealed");
    producer.send_lossy(CP_TELEMETRY, ID, &sealed(&reading())?);
    eventually("its reading is believed", async || {
        let get = GetSessionRequest { driver_id: "held".into(), session_id: session.session_id.clone() };
        let found = driver.get_session(get).await.ok()?.into_inner().session?;
        (found.energy_wh >= 1).then_some(())
    })
    .await?;
    ensure!(letters.try_recv().is_err(), "what it sealed while it was good is a dead letter");

    let mut registry = network.registry_as_admin()?;
    for role in [&engine_role, &monitor_role] {
        registry.revoke_identity(RevokeIdentityRequest { role: role.clone(), now: true }).await?;
    }
    let answered = Instant::now();
    let status = loop {
        match timeout(WITHIN, answers.message()).await.context("its stream goes on")? {
            Ok(Some(_)) => ensure!(answered.elapsed() < WITHIN, "its stream goes on"),
            Ok(None) => bail!("its stream ends without a word"),
            Err(status) => break status,
        }
    };
    let ended_ms = answered.elapsed().as_millis();
    let said = refused("its stream", Err(status), "IDENTITY_REVOKED")?;
    ensure!(said.contains("enrol again, into an empty folder"), "it does not say what to do: {said}");
    let again = points.register_charge_point(registration).await.map(drop);
    refused("a call on its connection", again, "IDENTITY_REVOKED")?;
    network.is_written(&monitor_role, "IDENTITY_REVOKED", 2).await?;
    let status = network.status(ID).await;
    ensure!(status == Some(ChargePointStatus::OutOfOrder), "it is shown as {status:?}");
    let stopped = eventually("its driver is free", async || {
        let get = GetSessionRequest { driver_id: "held".into(), session_id: session.session_id.clone() };
        let found = driver.get_session(get).await.ok()?.into_inner().session?;
        (found.outcome() == SessionOutcome::Stopped).then_some(found)
    })
    .await?;
    let because = "the identity of its charge point was revoked";
    ensure!(stopped.reason.contains(because), "its driver is told: {}", stopped.reason);

    // Its client of Kafka still writes; and nothing counts by the key of before once it has enrolled again.
    let [dead, unsealed] = [network.metric(LETTERS, "").await?, network.metric(UNSEALED, "").await?];
    let mut becomes = async |message: &[u8], reason: &str| {
        producer.send_lossy(CP_TELEMETRY, ID, message);
        let letter = timeout(Duration::from_secs(10), letters.recv()).await;
        let (key, found) = letter.context("what it tells is believed")?.context("the reader ended")?;
        ensure!(key == ID.as_bytes() && found.contains(reason), "the dead letter says: {found}");
        Ok(())
    };
    let revoked = format!("the identity of {ID} was revoked");
    becomes(&sealed(&reading())?, &revoked).await?;
    becomes(&reading(), &revoked).await?;
    network.counts(LETTERS, "", dead + 2).await?;
    for folder in [&engine, &monitor] {
        renew(network, folder).await?;
    }
    for (role, folder) in [(&engine_role, &engine), (&monitor_role, &monitor)] {
        std::fs::rename(folder, folder.with_extension("old"))?;
        network.enrolled(role).await?;
    }
    eventually("it is enrolled again", async || {
        (network.status(ID).await != Some(ChargePointStatus::OutOfOrder)).then_some(())
    })
    .await?;
    becomes(&sealed(&reading())?, "that does not count").await?;
    becomes(&reading(), "this is in plain text").await?;
    network.counts(UNSEALED, "", unsealed + 2).await?;
    ensure!(driver_is_served(network).await, "nobody else is served");
    drop((reports, liar));
    Ok(format!(
        "a charge point was revoked in mid-supply: its stream ended after {ended_ms} ms, its calls, what it put \
         on Kafka, sealed or not, and its renewals were refused, its driver was told why; enrolled again, the key of \
         before counts for nothing"
    ))
}

/// Whoever has its certificate and its key gets no newer one.
async fn renew(network: &Secured, folder: &Path) -> anyhow::Result<()> {
    let certificate_request = Applicant::again(folder)?.csr_pem().to_owned();
    let request = RenewRequest { certificate_request };
    let status = network.registry_as(folder)?.renew(request).await.err().context("it is renewed")?;
    ensure!(why(&status) == "IDENTITY_REVOKED", "its renewal is refused otherwise: {status}");
    Ok(())
}

async fn driver_is_served(network: &Secured) -> bool {
    let Ok(channel) = network.driver().await else { return false };
    super::call(channel, None).await.is_ok()
}
