//! A charge point that keeps what it was given: what it is, who charges there, and its way to Kafka.

use super::refused;
use crate::{
    hostile::{
        liar::Liar,
        network::{MICROS_PER_KWH, eventually},
        secured::{Secured, why},
    },
    process,
    stand_in::{Ongoing, Points, Reports, points_client},
};
use anyhow::{Context as _, ensure};
use evmesh_proto::{
    driver::{GetSessionRequest, RequestChargeRequest, driver_service_client::DriverServiceClient},
    network::{ChargePointStatus, Session},
    registry::RenewRequest,
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

const CALLS: &str = "evmesh_server_calls_total";
/// What is promised, from the registry's answer on.
const WITHIN: Duration = Duration::from_secs(2);
/// A message is through Kafka and central within this.
const WAITS: Duration = Duration::from_secs(10);

/// The charge point, and who charges there.
pub(super) struct Kept<'a> {
    pub(super) network: &'a Secured,
    pub(super) id: &'static str,
    /// Its engine's and its monitor's role, or the one of both, with their identities.
    folders: Vec<(&'static str, PathBuf)>,
    pub(super) liar: Liar,
    points: Points,
    reports: Ongoing,
    driver: DriverServiceClient<Channel>,
}

impl<'a> Kept<'a> {
    /// Registered, and reporting.
    pub(super) async fn enrolled(
        network: &'a Secured,
        id: &'static str,
        roles: &[&'static str],
    ) -> anyhow::Result<Self> {
        let folders = enrolled(network, roles, "kept").await?;
        let shown = network.given_at("driver/held", mesh::now().wall)?;
        let driver = DriverServiceClient::new(network.shows(Some(shown), None).await?);
        let (liar, points, reports) = registered(network, id, &folders).await?;
        Ok(Self { network, id, folders, liar, points, reports, driver })
    }

    /// Another charge point under the same identity, registered and reporting.
    pub(super) async fn beside(&self, id: &'static str) -> anyhow::Result<Self> {
        let (liar, points, reports) = registered(self.network, id, &self.folders).await?;
        let (network, folders, driver) = (self.network, self.folders.clone(), self.driver.clone());
        Ok(Self { network, id, folders, liar, points, reports, driver })
    }

    /// Somebody charges there.
    pub(super) async fn supplies(&mut self) -> anyhow::Result<String> {
        let request = RequestChargeRequest {
            driver_id: "held".into(),
            charge_point_id: self.id.into(),
            ..Default::default()
        };
        let granted = eventually("it is granted", async || {
            self.driver.request_charge(request.clone()).await.ok()?.into_inner().session
        });
        Ok(granted.await?.session_id)
    }

    pub(super) async fn session(&self, id: &str) -> Option<Session> {
        let get = GetSessionRequest { driver_id: "held".into(), session_id: id.into() };
        self.driver.clone().get_session(get).await.ok()?.into_inner().session
    }

    /// Its way to Kafka, by which a first reading is believed.
    pub(super) async fn topic(&self, session: &str) -> anyhow::Result<Topic> {
        let mut topic = Topic::open(self, session).await?;
        let reading = topic.sealed()?;
        topic.producer.send_lossy(CP_TELEMETRY, self.id, &reading);
        eventually("its reading is believed", async || {
            (self.session(session).await?.energy_wh >= 1).then_some(())
        })
        .await?;
        ensure!(topic.letters.try_recv().is_err(), "what it sealed while it was good is a dead letter");
        Ok(topic)
    }

    /// As soon as is promised, with the reason, on its stream and on its connection: after so many milliseconds.
    pub(super) async fn is_cut_off(&mut self) -> anyhow::Result<u128> {
        let answered = Instant::now();
        let ends = async || self.reports.ended().await;
        let status = process::eventually("its stream ends", (WITHIN, Duration::from_millis(1)), ends).await?;
        let ended_ms = answered.elapsed().as_millis();
        let said = refused("its stream", Err(status), "IDENTITY_REVOKED")?;
        ensure!(said.contains("enrol again, into an empty folder"), "it does not say what to do: {said}");
        let again = self.points.register_charge_point(self.liar.registration(MICROS_PER_KWH)).await;
        refused("a call on its connection", again.map(drop), "IDENTITY_REVOKED")?;
        let (monitor, _) = self.folders.last().context("it has an identity")?;
        self.network.is_written(monitor, "IDENTITY_REVOKED", 2).await?;
        let status = self.network.status(self.id).await;
        ensure!(status == Some(ChargePointStatus::OutOfOrder), "it is shown as {status:?}");
        Ok(ended_ms)
    }

    /// With new keys, for those of before are not renewed; and it is what it was. An engine still answers under the old
    /// ones.
    pub(super) async fn enrols_again(&mut self) -> anyhow::Result<Liar> {
        for (role, folder) in &self.folders {
            renew(self.network, role, folder).await?;
        }
        let roles: Vec<_> = self.folders.iter().map(|(role, _)| *role).collect();
        self.folders = enrolled(self.network, &roles, "again").await?;
        eventually("it is enrolled again", async || {
            (self.network.status(self.id).await != Some(ChargePointStatus::OutOfOrder)).then_some(())
        })
        .await?;
        let (liar, points, reports) = registered(self.network, self.id, &self.folders).await?;
        (self.points, self.reports) = (points, reports);
        Ok(std::mem::replace(&mut self.liar, liar))
    }
}

/// Each role's folder, which nothing of what is enrolled later gets into.
async fn enrolled(
    network: &Secured,
    roles: &[&'static str],
    kept_as: &str,
) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let mut folders = Vec::new();
    for &role in roles {
        let (folder, own) = (network.enrolled(role).await?, network.folder.join(kept_as).join(role));
        std::fs::create_dir_all(own.parent().context("it is in a folder")?)?;
        std::fs::rename(folder, &own)?;
        folders.push((role, own));
    }
    Ok(folders)
}

/// It stands there, as its folders say, and says each second that all is well.
async fn registered(
    network: &Secured,
    id: &str,
    folders: &[(&str, PathBuf)],
) -> anyhow::Result<(Liar, Points, Ongoing)> {
    let ([(_, engine), ..], Some((_, monitor))) = (folders, folders.last()) else {
        anyhow::bail!("{id} has no identity");
    };
    let liar = Liar::start_as(&of_folder(engine.clone()), id, &format!("store-of-{id}")).await?;
    liar.inside().supplies = true;
    let mut points = points_client(of_folder(monitor.clone()), network.central);
    let registration = liar.registration(MICROS_PER_KWH);
    let registered = eventually("it is registered", async || {
        points.register_charge_point(registration.clone()).await.ok()
    })
    .await?;
    let reports = Reports::begin(&mut points, id, registered.into_inner().epoch).await?.go_on();
    Ok((liar, points, reports))
}

/// Its way to Kafka.
pub(super) struct Topic {
    id: &'static str,
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
    async fn open(kept: &Kept<'_>, session: &str) -> anyhow::Result<Self> {
        let (dead, letters) = mpsc::channel(100);
        let (reads, kafka) = (Arc::new(Notify::new()), &kept.network.kafka);
        let reader = Reader::spawn(kafka, CP_TELEMETRY_DLQ, "proof", Origin::Latest, {
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
        let key = eventually("it has a key", async || kept.liar.inside().key.clone()).await?;
        let producer = Producer::new(kafka, "revoked")?;
        let session = session.to_owned();
        Ok(Self { id: kept.id, producer, key, session, seq: 1, letters, _reader: reader })
    }

    /// Another reading.
    fn open_text(&mut self) -> Vec<u8> {
        self.seq += 1;
        let (seq, timestamp) = (self.seq, mesh::now().wall.0 as f64 / 1000.0);
        let event = format!("kept-{seq}");
        json!({ "type": "CONSUMO", "cp_id": self.id, "user_id": "held", "session_id": self.session, "seq": seq,
                "kwh": 0.001, "kw": 1.0, "event_id": event, "timestamp": timestamp })
        .to_string()
        .into_bytes()
    }

    fn sealed(&mut self) -> anyhow::Result<Vec<u8>> {
        let text = self.open_text();
        self.key.seal(&text).context("it is sealed")
    }

    /// What it seals, and what it does not, are dead letters for these reasons.
    pub(super) async fn is_refused(&mut self, sealed: &str, open: &str) -> anyhow::Result<()> {
        for (message, reason) in [(self.sealed()?, sealed), (self.open_text(), open)] {
            self.producer.send_lossy(CP_TELEMETRY, self.id, &message);
            let letter = timeout(WAITS, self.letters.recv()).await;
            let (key, found) = letter.context("what it tells is believed")?.context("the reader ended")?;
            ensure!(key == self.id.as_bytes() && found.contains(reason), "the dead letter says: {found}");
        }
        Ok(())
    }
}

/// Whoever has its certificate and its key gets no newer one, which is counted, and a row of the registry's audit.
async fn renew(network: &Secured, role: &str, folder: &Path) -> anyhow::Result<()> {
    let failed = "Renew\",code=\"FAILED_PRECONDITION\"";
    let before = network.registry_metric(CALLS, failed).await?;
    let certificate_request = Applicant::again(folder)?.csr_pem().to_owned();
    let request = RenewRequest { certificate_request };
    let status = network.registry_as(folder).renew(request).await.err().context("it is renewed")?;
    ensure!(why(&status) == "IDENTITY_REVOKED", "its renewal is refused otherwise: {status}");
    let counted = network.registry_metric(CALLS, failed).await?;
    ensure!(counted == before + 1, "{} refused renewals are counted, and not one", counted - before);
    let rows = network.rows_at_registry(role, "Renew", "IDENTITY_REVOKED").await?;
    ensure!(rows == 1, "{rows} rows of {role}'s refused renewal in the registry's audit");
    Ok(())
}
