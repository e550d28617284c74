//! A charge point that is none: an engine that answers whatever it likes, and a monitor that says that it is well.

use super::network::{ELSEWHERE, Network, eventually};
use crate::stand_in::{Inside, Ongoing, Reports, StandIn, points_client};
use evmesh_proto::chargepoint::RegisterChargePointRequest;
use mesh::grpc::Security;
use std::sync::MutexGuard;

/// It ends with this.
#[derive(Debug)]
pub(super) struct Liar(StandIn);

impl Liar {
    /// The engine of this charge point, with a store of this name.
    pub(super) async fn start(charge_point: &str, instance: &str) -> anyhow::Result<Self> {
        Self::start_as(&Security::Loopback, charge_point, instance).await
    }

    /// The same, to callers who ask who it is.
    pub(super) async fn start_as(
        security: &Security,
        charge_point: &str,
        instance: &str,
    ) -> anyhow::Result<Self> {
        StandIn::start(security, charge_point, instance).await.map(Self)
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.inside()
    }

    /// What it registers as, at this price.
    pub(super) fn registration(&self, micros_per_kwh: i64) -> RegisterChargePointRequest {
        self.0.registration(ELSEWHERE, micros_per_kwh)
    }

    /// Its monitor registers, as soon as central lets it, and says each second that all is well.
    pub(super) async fn attend(&self, network: &Network, price: i64) -> anyhow::Result<Ongoing> {
        let registration = self.registration(price);
        let mut points = points_client(Security::Loopback, network.central);
        let epoch = eventually("a registration", async || {
            let registered = points.register_charge_point(registration.clone()).await;
            registered.ok().map(|answer| answer.into_inner().epoch)
        })
        .await?;
        Ok(Reports::begin(&mut points, &registration.charge_point_id, epoch).await?.go_on())
    }
}
