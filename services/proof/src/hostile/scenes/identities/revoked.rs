//! A charge point that was revoked, and keeps all that it had: its connections, its certificates, its key for
//! telemetry, its way to Kafka.

use super::refused;
use crate::{
    hostile::{
        liar::Liar,
        network::{MICROS_PER_KWH, eventually},
        secured::{Secured, why},
    },
    stand_in::{Points, Reports, points_client},
};
use anyhow::{Context as _, bail, ensure};
use evmesh_proto::{
    driver::{GetSessionRequest, RequestChargeRequest, driver_service_client::DriverServiceClient},
    network::{ChargePointStatus, Session, SessionOutcome},
    registry::{RenewRequest, RevokeIdentityRequest},
    topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ},
};
use identity::SealingKey;
use mesh::kafka::{Origin, Producer, Reader, ReaderEvent};
use registry::Applicant;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use testing::of_folder;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};
use tonic::transport::Channel;

const ID: &str = "KEEP-01";
/// What is promised, from the registry's answer on.
const WITHIN: Duration = Duration::from_secs(2);
/// A message is through Kafka and central within this.
const WAITS: Duration = Duration::from_secs(10);
const LETTERS: &str = "evmesh_central_dead_letters_total";
const UNSEALED: &str = "evmesh_central_messages_unsealed_total";

pub(super) async fn revoked_and_holding(network: &Secured) -> anyhow::Result<String> {
    let mut kept = Kept::enrolled(network).await?;
    let session = kept.supplies().await?;
    let mut topic = Topic::open(network, &kept.liar, &session).await?;
    let reading = topic.sealed()?;
    topic.producer.send_lossy(CP_TELEMETRY, ID, &reading);
    eventually("its reading is believed", async || {
        (kept.session(&session).await?.energy_wh >= 1).then_some(())
    })
    .await?;
    ensure!(topic.letters.try_recv().is_err(), "what it sealed while it was good is a dead letter");

    let mut registry = network.registry_as_admin();
    for (role, _) in &kept.folders {
        registry.revoke_identity(RevokeIdentityRequest { role: role.clone(), now: true }).await?;
    }
    let ended_ms = kept.is_cut_off().await?;
    let stopped = eventually("its driver is free", async || {
        kept.session(&session).await.filter(|found| found.outcome() == SessionOutcome::Stopped)
    })
    .await?;
    let because = "the identity of its charge point was revoked";
    ensure!(stopped.reason.contains(because), "its driver is told: {}", stopped.reason);

    // Its client of Kafka still writes; and nothing counts by the key of before once it has enrolled again.
    let [dead, unsealed] = [network.metric(LETTERS, "").await?, network.metric(UNSEALED, "").await?];
    let revoked = format!("the identity of {ID} was revoked");
    topic.is_refused(&revoked, &revoked).await?;
    network.counts(LETTERS, "", dead + 2).await?;
    for (role, folder) in &kept.folders {
        renew(network, folder).await?;
        std::fs::rename(folder, folder.with_extension("old"))?;
        network.enrolled(role).await?;
    }
    eventually("it is enrolled again", async || {
        (network.status(ID).await != Some(ChargePointStatus::OutOfOrder)).then_some(())
    })
    .await?;
    topic.is_refused("that does not count", "this is in plain text").await?;
    network.counts(UNSEALED, "", unsealed + 2).await?;
    Ok(format!(
        "a charge point was revoked in mid-supply: its stream ended after {ended_ms} ms, its calls, what it put \
         on Kafka, sealed or not, and its renewals were refused, its driver was told why; enrolled again, the key of \
         before counts for nothing"
    ))
}

/// The charge point, and who charges there.
struct Kept<'a> {
    network: &'a Secured,
    /// Its engine's and its monitor's role, with their identities.
    folders: [(String, PathBuf); 2],
    liar: Liar,
    points: Points,
    reports: Reports,
    driver: DriverServiceClient<Channel>,
}

impl<'a> Kept<'a> {
    /// Registered, and reporting.
    async fn enrolled(network: &'a Secured) -> anyhow::Result<Self> {
        let [engine, monitor] = ["engine", "monitor"].map(|role| format!("charge-point/{ID}/{role}"));
        let folders = [network.enrolled(&engine).await?, network.enrolled(&monitor).await?];
        let liar = Liar::start_as(&of_folder(folders[0].clone()), ID, "store-that-is-kept").await?;
        liar.inside().supplies = true;
        let mut points = points_client(of_folder(folders[1].clone()), network.central);
        let registered = points.register_charge_point(liar.registration(MICROS_PER_KWH)).await?;
        let reports = Reports::begin(&mut points, ID, registered.into_inner().epoch).await?;
        let shown = network.given_at("driver/held", mesh::now().wall)?;
        let driver = DriverServiceClient::new(network.shows(Some(shown), None).await?);
        let [of_engine, of_monitor] = folders;
        let folders = [(engine, of_engine), (monitor, of_monitor)];
        Ok(Self { network, folders, liar, points, reports, driver })
    }

    /// Somebody charges there.
    async fn supplies(&mut self) -> anyhow::Result<String> {
        let request = RequestChargeRequest {
            driver_id: "held".into(),
            charge_point_id: ID.into(),
            ..Default::default()
        };
        let granted = eventually("it is granted", async || {
            self.reports.again().await?;
            self.driver.request_charge(request.clone()).await.ok()?.into_inner().session
        });
        Ok(granted.await?.session_id)
    }

    async fn session(&self, id: &str) -> Option<Session> {
        let get = GetSessionRequest { driver_id: "held".into(), session_id: id.into() };
        self.driver.clone().get_session(get).await.ok()?.into_inner().session
    }

    /// As soon as is promised, with the reason, on its stream and on its connection: after so many milliseconds.
    async fn is_cut_off(&mut self) -> anyhow::Result<u128> {
        let answered = Instant::now();
        let status = loop {
            match timeout(WITHIN, self.reports.answers.message()).await.context("its stream goes on")? {
                Ok(Some(_)) => ensure!(answered.elapsed() < WITHIN, "its stream goes on"),
                Ok(None) => bail!("its stream ends without a word"),
                Err(status) => break status,
            }
        };
        let ended_ms = answered.elapsed().as_millis();
        let said = refused("its stream", Err(status), "IDENTITY_REVOKED")?;
        ensure!(said.contains("enrol again, into an empty folder"), "it does not say what to do: {said}");
        let again = self.points.register_charge_point(self.liar.registration(MICROS_PER_KWH)).await;
        refused("a call on its connection", again.map(drop), "IDENTITY_REVOKED")?;
        let (monitor, _) = &self.folders[1];
        self.network.is_written(monitor, "IDENTITY_REVOKED", 2).await?;
        let status = self.network.status(ID).await;
        ensure!(status == Some(ChargePointStatus::OutOfOrder), "it is shown as {status:?}");
        Ok(ended_ms)
    }
}

/// Its way to Kafka.
struct Topic {
    producer: Producer,
    key: SealingKey,
    session: String,
    seq: u64,
    /// Dead letters: each one's key, and the reason.
    letters: mpsc::Receiver<(Vec<u8>, String)>,
    _reader: Reader,
}

impl Topic {
    /// With the key that central has given the engine by now.
    async fn open(network: &Secured, liar: &Liar, session: &str) -> anyhow::Result<Self> {
        let (dead, letters) = mpsc::channel(100);
        let reads = Arc::new(Notify::new());
        let reader = Reader::spawn(&network.kafka, CP_TELEMETRY_DLQ, "proof", Origin::Latest, {
            let reads = reads.clone();
            move |event| {
                match event {
                    ReaderEvent::Message(message) => {
                        let reason = message.header("reason").unwrap_or_default().to_owned();
                        let _ = dead.try_send((message.key, reason)); // more than there can be
                    }
                    ReaderEvent::ReadToEnd { .. } => reads.notify_one(),
                    _ => {}
                }
                true
            }
        })?;
        timeout(WAITS, reads.notified()).await.context("dead letters are not read")?;
        let key = eventually("it has a key", async || liar.inside().key.clone()).await?;
        let producer = Producer::new(&network.kafka, "revoked")?;
        Ok(Self { producer, key, session: session.to_owned(), seq: 1, letters, _reader: reader })
    }

    /// Another reading.
    fn open_text(&mut self) -> Vec<u8> {
        self.seq += 1;
        let (seq, timestamp) = (self.seq, mesh::now().wall.0 as f64 / 1000.0);
        let event = format!("kept-{seq}");
        json!({ "type": "CONSUMO", "cp_id": ID, "user_id": "held", "session_id": self.session, "seq": seq,
                "kwh": 0.001, "kw": 1.0, "event_id": event, "timestamp": timestamp })
        .to_string()
        .into_bytes()
    }

    fn sealed(&mut self) -> anyhow::Result<Vec<u8>> {
        let text = self.open_text();
        self.key.seal(&text).context("it is sealed")
    }

    /// What it seals, and what it does not, are dead letters for these reasons.
    async fn is_refused(&mut self, sealed: &str, open: &str) -> anyhow::Result<()> {
        for (message, reason) in [(self.sealed()?, sealed), (self.open_text(), open)] {
            self.producer.send_lossy(CP_TELEMETRY, ID, &message);
            let letter = timeout(WAITS, self.letters.recv()).await;
            let (key, found) = letter.context("what it tells is believed")?.context("the reader ended")?;
            ensure!(key == ID.as_bytes() && found.contains(reason), "the dead letter says: {found}");
        }
        Ok(())
    }
}

/// Whoever has its certificate and its key gets no newer one.
async fn renew(network: &Secured, folder: &Path) -> anyhow::Result<()> {
    let certificate_request = Applicant::again(folder)?.csr_pem().to_owned();
    let request = RenewRequest { certificate_request };
    let status = network.registry_as(folder).renew(request).await.err().context("it is renewed")?;
    ensure!(why(&status) == "IDENTITY_REVOKED", "its renewal is refused otherwise: {status}");
    Ok(())
}
