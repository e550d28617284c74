//! A site behind a gateway, and who has no part in it: its charge point's own certificates of before, its gateway's
//! where that serves nothing, and another gateway's.

use super::refused;
use crate::{
    hostile::{
        liar::Liar,
        network::{HONEST, MICROS_PER_KWH},
        secured::{GATEWAY, SITE, Secured, why},
    },
    stand_in::points_client,
};
use anyhow::{Context as _, bail, ensure};
use evmesh_proto::{
    chargepoint::{
        ReportHealthRequest, RequestManualSupplyRequest,
        charge_point_service_client::ChargePointServiceClient,
    },
    driver::{RequestChargeRequest, driver_service_client::DriverServiceClient},
    engine::{
        ConfirmSettledRequest, StopSupplyRequest, UnplugRequest,
        engine_panel_service_client::EnginePanelServiceClient, engine_service_client::EngineServiceClient,
    },
    network::ChargePointStatus,
    operations::{
        StopChargePointsRequest, WatchNetworkRequest, operator_service_client::OperatorServiceClient,
    },
    registry::{
        AddGatewayChargePointsRequest, RevokeIdentityRequest, registry_service_client::RegistryServiceClient,
    },
};
use identity::Expected;
use mesh::grpc::{CALL_TIMEOUT, Peer, Peers, Security};
use std::{convert::Infallible, net::SocketAddr};
use testing::of_folder;
use tonic::{Code, Status, codegen::tokio_stream::once};

const REFUSED: &str = "evmesh_server_refused_total";
/// What is at the site, as it called itself before.
const ENGINE: &str = "charge-point/MAD-02/engine";
const MONITOR: &str = "charge-point/MAD-02/monitor";
/// And elsewhere: another gateway, which serves this.
const OTHER_GATEWAY: &str = "gateway/site-8";
const OTHERS: &str = "PAR-01";

pub(super) async fn stolen_gateway(network: &Secured) -> anyhow::Result<String> {
    network.serves(OTHER_GATEWAY, OTHERS).await?;
    tokio::select! {
        seen = is_always_there(network) => seen.map(|never| match never {}),
        did = attack(network) => did,
    }
}

/// As an operator sees it, the site is free, or somebody charges there.
async fn is_always_there(network: &Secured) -> anyhow::Result<Infallible> {
    let mut watch = network.operators().await?.watch_network(WatchNetworkRequest {}).await?.into_inner();
    while let Some(seen) = watch.message().await? {
        let all = seen.charge_points.into_iter().filter_map(|detail| detail.charge_point);
        for point in all.filter(|point| point.charge_point_id == SITE) {
            let there =
                [ChargePointStatus::Available, ChargePointStatus::Reserved, ChargePointStatus::Supplying];
            ensure!(there.contains(&point.status()), "{SITE} is shown as {:?}", point.status());
        }
    }
    bail!("an operator sees no more of the network")
}

async fn attack(network: &Secured) -> anyhow::Result<String> {
    let [served, yours, allowed] = ["SERVED_BY_GATEWAY", "NOT_YOURS", "NOT_ALLOWED"];
    let counted = ["why=\"not_yours\"", "why=\"not_allowed\""];
    let before = [network.metric(REFUSED, counted[0]).await?, network.metric(REFUSED, counted[1]).await?];
    let (monitor, engine) = (Thief::with(network, MONITOR)?, Thief::with(network, ENGINE)?);
    let (site, other) = (Thief::with(network, GATEWAY)?, Thief::with(network, OTHER_GATEWAY)?);
    let said = monitor.acts_for(SITE, [served, served, allowed]).await?;
    let says = format!("'evmesh registry gateway remove site-7 {SITE}'");
    ensure!(said.contains(&says), "it does not say what to do: {said}");
    engine.acts_for(SITE, [allowed, allowed, served]).await?;
    site.acts_for(HONEST, [yours; 3]).await?;
    other.acts_for(SITE, [yours; 3]).await?;
    site.is_somebody_else(allowed).await?;
    engine.unplugs(served).await?;
    other.unplugs(yours).await?;
    network.counts(REFUSED, counted[0], before[0] + 9).await?;
    network.counts(REFUSED, counted[1], before[1] + 5).await?;
    for (thief, reason, rows) in [
        (&monitor, served, 2),
        (&monitor, allowed, 1),
        (&engine, served, 1),
        (&engine, allowed, 2),
        (&site, yours, 3),
        (&site, allowed, 2),
        (&other, yours, 3),
    ] {
        network.is_written(thief.role, reason, rows).await?;
    }

    // As an engine nobody is believed but who is expected there, whoever registers it.
    let own = format!("charge-point/{OTHERS}/engine");
    is_no_engine(&Thief::with(network, &own)?, OTHER_GATEWAY, OTHERS, "gateway/site-8 was expected").await?;
    let [by, at] = ["charge-point/LEFT-02/monitor", "LEFT-02"];
    is_no_engine(&site, by, at, "the engine of LEFT-02 was expected").await?;

    // What becomes of the certificates of before changes nothing of the site.
    for role in [MONITOR, ENGINE] {
        let revoke = RevokeIdentityRequest { role: role.into(), now: true };
        network.registry_as_admin().revoke_identity(revoke).await?;
    }
    network.is_logged(&format!("{ENGINE} is revoked")).await?;
    network.is_free(SITE).await?;
    Ok("a site's own certificates of before, its gateway's elsewhere and another gateway's were refused 19 times, 14 \
        of them at central, each with its row, and twice as an engine; an operator saw of the site what it did itself"
        .into())
}

/// Whoever has somebody's folder.
struct Thief<'a> {
    network: &'a Secured,
    role: &'a str,
    folder: Security,
}

impl<'a> Thief<'a> {
    fn with(network: &'a Secured, role: &'a str) -> anyhow::Result<Self> {
        Ok(Self { network, role, folder: of_folder(network.issued(role)?) })
    }

    fn calls(&self, server: SocketAddr, expected: Expected) -> Peer {
        Peers::new(self.folder.clone()).peer(&server.into(), expected, CALL_TIMEOUT)
    }

    fn at_central(&self) -> Peer {
        self.calls(self.network.central, Expected::Central)
    }

    /// The engine of the site, which knows no gateway but its own.
    fn at_the_site(&self) -> Peer {
        self.calls(self.network.site_engine, Expected::Gateway("site-7".parse().expect("a name")))
    }

    /// It registers, reports and asks for a supply: refused for these reasons, and what it is told first.
    async fn acts_for(&self, id: &str, reasons: [&str; 3]) -> anyhow::Result<String> {
        let mut points = ChargePointServiceClient::new(self.at_central());
        let engine = Liar::start_as(&self.folder, id, "store-of-a-thief").await?;
        let registered = points.register_charge_point(engine.registration(MICROS_PER_KWH)).await;
        let said = self.denied(registered, reasons[0])?;
        let report = ReportHealthRequest { charge_point_id: id.into(), ..Default::default() };
        let reported = match points.report_health(once(report)).await {
            Ok(answers) => answers.into_inner().message().await,
            Err(status) => Err(status),
        };
        self.denied(reported, reasons[1])?;
        let manual = RequestManualSupplyRequest { charge_point_id: id.into(), ..Default::default() };
        self.denied(points.request_manual_supply(manual).await, reasons[2])?;
        Ok(said)
    }

    /// An operator, a driver, central, and an admin.
    async fn is_somebody_else(&self, reason: &str) -> anyhow::Result<()> {
        let stop = StopChargePointsRequest { all: true, ..Default::default() };
        let mut operators = OperatorServiceClient::new(self.at_central());
        self.denied(operators.stop_charge_points(stop).await, reason)?;
        let charge = RequestChargeRequest { driver_id: "honest".into(), ..Default::default() };
        let mut drivers = DriverServiceClient::new(self.at_central());
        self.denied(drivers.request_charge(charge).await, reason)?;
        let mut engines = EngineServiceClient::new(self.at_the_site());
        self.denied(engines.stop_supply(StopSupplyRequest::default()).await, reason)?;
        self.denied(engines.confirm_settled(ConfirmSettledRequest::default()).await, reason)?;
        let add =
            AddGatewayChargePointsRequest { gateway: "site-7".into(), charge_point_ids: vec![HONEST.into()] };
        let mut registry = RegistryServiceClient::new(self.calls(self.network.registry, Expected::Registry));
        self.denied(registry.add_gateway_charge_points(add).await, reason)?;
        Ok(())
    }

    /// From the car that charges there.
    async fn unplugs(&self, reason: &str) -> anyhow::Result<()> {
        let unplugged = EnginePanelServiceClient::new(self.at_the_site()).unplug(UnplugRequest {}).await;
        self.denied(unplugged, reason).map(drop)
    }

    /// It may not: what it is told.
    fn denied<T>(&self, answer: Result<T, Status>, reason: &str) -> anyhow::Result<String> {
        let code = answer.as_ref().err().map(Status::code);
        let said = refused(self.role, answer.map(drop), reason)?;
        ensure!(code == Some(Code::PermissionDenied), "{} is refused with {code:?}: {said}", self.role);
        Ok(said)
    }
}

/// Whom this monitor registers as the engine of a charge point.
async fn is_no_engine(thief: &Thief<'_>, monitor: &str, id: &str, logged: &str) -> anyhow::Result<()> {
    let network = thief.network;
    let engine = Liar::start_as(&thief.folder, id, "store-of-a-thief").await?;
    let mut points = points_client(of_folder(network.issued(monitor)?), network.central);
    let answer = points.register_charge_point(engine.registration(MICROS_PER_KWH)).await;
    let status = answer.err().with_context(|| format!("{} is believed to be {id}", thief.role))?;
    let reason = why(&status);
    ensure!(reason == "ENGINE_SILENT", "refused as {reason}: {status}");
    network.is_logged(logged).await?;
    ensure!(network.status(id).await.is_none(), "something is left behind");
    Ok(())
}
