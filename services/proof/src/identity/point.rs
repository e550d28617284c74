//! A charge point that costs next to nothing.

use crate::stand_in::{Ongoing, Reports, StandIn, points_client};
use anyhow::Context as _;
use identity::SealingKey;
use mesh::grpc::Security;
use std::net::SocketAddr;
use tonic::Status;

/// What becomes of an authorisation, and of what is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It waits for its car.
    Reserved,
    /// The car is there, and what it takes is told in plain text.
    Open,
    /// The same, sealed.
    Sealed,
}

/// An engine and its monitor. They end with this.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) id: String,
    engine: StandIn,
    reporting: Ongoing,
}

impl Point {
    /// Registers at central, and has been heard of as well when this returns.
    pub(super) async fn start(
        (id, kind): (String, Kind),
        central: SocketAddr,
        [engine, monitor]: [Security; 2],
    ) -> anyhow::Result<Self> {
        let engine = StandIn::start(&engine, &id, &format!("store-of-{id}")).await?;
        {
            let mut inside = engine.inside();
            inside.state.seals_telemetry = Some(kind == Kind::Sealed);
            (inside.supplies, inside.stops) = (kind != Kind::Reserved, true);
        }
        let mut points = points_client(monitor, central);
        let registration = engine.registration("Madrid", 300_000);
        let registered = points.register_charge_point(registration).await.context("a registration")?;
        let reports = Reports::begin(&mut points, &id, registered.into_inner().epoch).await?;
        Ok(Self { id, engine, reporting: reports.go_on() })
    }

    /// With what it seals, once central has given it that.
    pub(super) fn key(&self) -> Option<SealingKey> {
        let inside = self.engine.inside();
        inside.key.clone().filter(|_| inside.state.seals_telemetry == Some(true))
    }

    /// Why its monitor's reports, or its server, have ended; `None`: they go on.
    pub(super) async fn ended(mut self) -> Option<Status> {
        match self.engine.serving.ended().await {
            Some(status) => Some(status),
            None => self.reporting.ended().await,
        }
    }
}
