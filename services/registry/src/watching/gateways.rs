//! Who follows what gateways serve: all of it at first, before anything else is told, and then each that changes.

use super::news;
use crate::{gateways::shown, owner::Office};
use domain::ChargePointId;
use evmesh_proto::registry::WatchIdentitiesResponse;
use mesh::grpc::Failure;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;

/// So many share a message, each of some 130 bytes at most: gRPC takes 4 MiB.
const A_PAGE: usize = 5_000;

/// One who follows: central.
pub(crate) struct WatchingGateways {
    office: Office,
    changes: Receiver<Arc<[ChargePointId]>>,
    /// Those behind this one have not been sent for the first time; `None`: all have.
    after: Option<String>,
}

impl WatchingGateways {
    /// From now on: what changes from here on waits in `changes`.
    pub(crate) async fn begin(office: Office) -> Result<Self, Failure> {
        let changes = office.decide(|rules, _, _| Ok(rules.gateways.changes.subscribe())).await?;
        Ok(Self { office, changes, after: Some(String::new()) })
    }

    /// The next message of those that tell all there is; `None`: all is told.
    pub(crate) async fn first(&mut self) -> Result<Option<WatchIdentitiesResponse>, Failure> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let page = self.office.decide(move |rules, _, _| {
            let later = rules.gateways.all().after(&after).take(A_PAGE);
            Ok(later.map(|(point, gateway)| shown(point, Some(gateway))).collect::<Vec<_>>())
        });
        let gateway_charge_points = page.await?;
        let gateway_charge_points_complete = gateway_charge_points.len() < A_PAGE;
        let last = gateway_charge_points.last().map(|served| served.charge_point_id.clone());
        self.after = last.filter(|_| !gateway_charge_points_complete);
        let rest = WatchIdentitiesResponse::default();
        Ok(Some(WatchIdentitiesResponse { gateway_charge_points, gateway_charge_points_complete, ..rest }))
    }

    /// The next message of a change. Nothing follows an error.
    pub(crate) async fn next(&mut self) -> Result<WatchIdentitiesResponse, Failure> {
        let points = news(&mut self.changes, |points| points.to_vec()).await?;
        let read = self.office.decide(move |rules, _, _| {
            Ok(points.iter().map(|point| shown(point, rules.gateways.all().of(point))).collect())
        });
        Ok(WatchIdentitiesResponse { gateway_charge_points: read.await?, ..Default::default() })
    }
}
