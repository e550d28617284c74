//! Certificates that are none of the network's, and one that is used for what it is not.

use super::{call, refused};
use crate::{
    hostile::{
        liar::Liar,
        network::{HONEST, MICROS_PER_KWH},
        scenes::STRANGER,
        secured::{NAME, Secured, why},
    },
    stand_in::points_client,
};
use anyhow::{Context as _, ensure};
use domain::Wall;
use evmesh_proto::{
    chargepoint::{
        ReportHealthRequest, RequestManualSupplyRequest,
        charge_point_service_client::ChargePointServiceClient,
    },
    driver::{RequestChargeRequest, driver_service_client::DriverServiceClient},
};
use identity::{Authority, Expected, Kind, LEEWAY};
use mesh::grpc::{CALL_TIMEOUT, Peers};
use std::{collections::BTreeMap, time::Duration};
use testing::{
    of_folder,
    strangers::{Shown, self_signed, signed_by},
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const HANDSHAKES: &str = "evmesh_server_handshakes_refused_total";
const REFUSED: &str = "evmesh_server_refused_total";

fn ago(time: Duration) -> Wall {
    Wall(mesh::now().wall.0 - i64::try_from(time.as_millis()).unwrap_or_default())
}

/// Those that no connection is given for, and those that one is given for, and no call.
pub(super) async fn bad_certificates(network: &Secured) -> anyhow::Result<String> {
    const VIEWER: &str = "viewer/stranger";
    let of = |role: &str| format!("spiffe://{NAME}/{role}");
    let [admin, central, viewer] = ["admin/eve", "central/main", VIEWER].map(of);
    let by = |names: &[&str]| signed_by(&network.authority, names);
    let namesake = Authority::create(&NAME.parse()?, Kind::Network, ago(DAY))?;
    let ahead = |time| mesh::now().wall + time;
    let strangers: [(&str, Shown, &str); 10] = [
        ("expired for longer than it is renewed", network.given_at(VIEWER, ago(DAY * 91))?, "expired"),
        ("not valid yet", network.given_at(VIEWER, ahead(LEEWAY + MINUTE))?, "not_yet_valid"),
        ("self-signed", self_signed(&[&admin]), "unknown_authority"),
        ("of another network of this name", signed_by(&namesake, &[&admin]), "unknown_authority"),
        ("the registry's word for a central", by(&[&central]), "misnamed"),
        ("of another network", by(&["spiffe://paris.example/admin/eve"]), "misnamed"),
        ("with two names", by(&[&viewer, &admin]), "misnamed"),
        ("with a name twice", by(&[&admin, &admin]), "misnamed"),
        ("with a name of the web", by(&["https://madrid.example/admin/eve"]), "misnamed"),
        ("without a name", by(&[]), "misnamed"),
    ];
    let (count, mut rows) = (strangers.len(), BTreeMap::new());
    for (what, shown, reason) in strangers {
        let label = format!("why=\"{reason}\"");
        let before = network.metric(HANDSHAKES, &label).await?;
        // By TLS 1.3 who connects is refused after it believes itself connected.
        let said = match network.shows(Some(shown), Some(STRANGER)).await {
            Ok(channel) => call(channel, None).await.err().map(|status| format!("{status:?}")),
            Err(error) => Some(format!("{error:?}")),
        };
        let said = said.with_context(|| format!("one {what} is let in"))?;
        ensure!(!said.contains(NAME), "a stranger hears of the network: {said}");
        network.counts(HANDSHAKES, &label, before + 1).await.with_context(|| what.to_owned())?;
        network.is_logged(&format!("why=\"{reason}\"")).await?;
        *rows.entry(reason).or_insert(0) += 1;
        network.is_written("", &reason.to_uppercase(), rows[reason]).await?;
    }

    let before = network.metric(REFUSED, "why=\"expired\"").await?;
    let expired = network.shows(Some(network.given_at(VIEWER, ago(DAY))?), Some(STRANGER)).await?;
    let said = refused("an expired one", call(expired, None).await, "CERTIFICATE_EXPIRED")?;
    ensure!(said.contains("renew it, or enrol again"), "it does not say what to do: {said}");
    network.counts(REFUSED, "why=\"expired\"", before + 1).await?;
    network.is_written(VIEWER, "CERTIFICATE_EXPIRED", 1).await?;

    let unshown = network.shows(None, Some(STRANGER)).await?;
    let said = refused("nobody", call(unshown, None).await, "IDENTITY_REQUIRED")?;
    ensure!(said.contains("evmesh enrol TOKEN"), "it does not say what to do: {said}");
    network.is_written("", "IDENTITY_REQUIRED", 1).await?;

    // Whose registry's clock is five minutes ahead of central's, less the moment that this takes.
    let early = network.given_at(VIEWER, ahead(LEEWAY - Duration::from_secs(10)))?;
    let early = network.shows(Some(early), None).await?;
    call(early, None).await.context("a clock that is five minutes ahead is not borne with")?;
    Ok(format!(
        "{count} certificates got no connection, each counted, logged and in the audit with its reason; one had \
         expired, and was told to renew; one of a clock that is {} s ahead was taken",
        LEEWAY.as_secs()
    ))
}

/// Whoever has copied an engine's folder is that engine, and nobody else: no monitor, no driver, nobody else's engine.
pub(super) async fn stolen_engine(network: &Secured) -> anyhow::Result<String> {
    const OTHERS: &str = "LEFT-01";
    let (thief, victim) = (format!("charge-point/{HONEST}/engine"), format!("charge-point/{OTHERS}/monitor"));
    let stolen = of_folder(network.folder.join("identities").join(&thief));
    let peer = Peers::new(stolen.clone()).peer(&network.central.into(), Expected::Central, CALL_TIMEOUT);
    let before = network.metric(REFUSED, "why=\"not_allowed\"").await?;

    let engine = Liar::start_as(&stolen, OTHERS, "store-of-a-thief").await?;
    let mut points = ChargePointServiceClient::new(peer.clone());
    for id in [HONEST, OTHERS] {
        let registration = evmesh_proto::chargepoint::RegisterChargePointRequest {
            charge_point_id: id.into(),
            ..engine.registration(MICROS_PER_KWH)
        };
        let answer = points.register_charge_point(registration).await.map(drop);
        let said = refused("an engine that registers", answer, "NOT_ALLOWED")?;
        ensure!(said.contains("which is for the charge point's monitor"), "it is not said who may: {said}");
    }
    let report = ReportHealthRequest { charge_point_id: HONEST.into(), ..Default::default() };
    let stream = tonic::codegen::tokio_stream::once(report);
    let ended = match points.report_health(stream).await {
        Ok(answers) => answers.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    refused("an engine that reports as a monitor", ended, "NOT_ALLOWED")?;
    let request = RequestChargeRequest { driver_id: "honest".into(), ..Default::default() };
    let asked = DriverServiceClient::new(peer).request_charge(request).await.map(drop);
    refused("an engine that asks as a driver", asked, "NOT_ALLOWED")?;
    network.counts(REFUSED, "why=\"not_allowed\"", before + 4).await?;
    network.is_written(&thief, "NOT_ALLOWED", 4).await?;

    let manual = RequestManualSupplyRequest { charge_point_id: OTHERS.into(), ..Default::default() };
    let asked = points.request_manual_supply(manual).await.map(drop);
    refused("an engine that asks in another's name", asked, "NOT_YOURS")?;
    network.is_written(&thief, "NOT_YOURS", 1).await?;

    // As the engine of another charge point it is not believed, whoever registers it.
    let mut monitor = points_client(of_folder(network.issued(&victim)?), network.central);
    let answer = monitor.register_charge_point(engine.registration(MICROS_PER_KWH)).await;
    let status = answer.err().context("another's engine is believed")?;
    let reason = why(&status);
    ensure!(reason == "ENGINE_SILENT", "refused as {reason}: {status}");
    network.is_logged(&format!("where the engine of {OTHERS} was expected")).await?;
    ensure!(network.status(OTHERS).await.is_none(), "something is left behind");
    Ok("an engine's certificate was refused 4 times as somebody else's, once in another's name, and once as another's \
        engine; each has its row"
        .into())
}
