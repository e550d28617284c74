//! What gateways serve, and what is asked of that.

use crate::{Data, Error, storage};
use domain::{
    ChargePointId, Name,
    gateways::{self, Denied, MAX_OF_GATEWAY},
};
use evmesh_proto::registry as proto;
use mesh::{
    convert::{InvalidField, parse},
    grpc::Failure,
    store::{Batch, Store},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::broadcast;
use tonic::Code;

/// So many are named to who reads later what was done; more are counted.
const NAMED: usize = 10;

pub(crate) struct Gateways {
    all: gateways::Gateways,
    /// Higher with each change, in the store and in the file beside it.
    version: u64,
    /// That file is behind.
    is_behind: bool,
    /// Which charge points are served by another than before, once that is on disk: those of one call together.
    pub(crate) changes: broadcast::Sender<Arc<[ChargePointId]>>,
    /// The same, while it is not.
    unwritten: Vec<Arc<[ChargePointId]>>,
}

/// What somebody says of a gateway.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) gateway: Name,
    points: BTreeSet<ChargePointId>,
}

impl Said {
    pub(crate) fn read(gateway: &str, charge_point_ids: &[String]) -> Result<Self, Failure> {
        let gateway = parse("gateway", gateway)?;
        if !(1..=MAX_OF_GATEWAY).contains(&charge_point_ids.len()) {
            let problem = format!("must name 1 to {MAX_OF_GATEWAY} charge points");
            return Err(InvalidField::new("charge_point_ids", problem).into());
        }
        let points = charge_point_ids.iter().map(|id| parse("charge_point_ids", id));
        Ok(Self { gateway, points: points.collect::<Result<_, _>>()? })
    }

    /// For who reads later what was asked for.
    pub(crate) fn parameters(&self) -> String {
        let named: Vec<_> = self.points.iter().take(NAMED).map(ChargePointId::as_str).collect();
        let more = match self.points.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("charge_points={}{more}", named.join(" "))
    }
}

impl Gateways {
    /// Of the store and the file beside it that one counts which has the higher version: a store that does not was
    /// lost, or is an older copy. So many changes wait for whoever follows them.
    ///
    /// # Errors
    ///
    /// If one of the two cannot be read, or is damaged.
    pub(crate) fn open(
        store: &impl Store,
        data: &Data,
        batch: &mut Batch,
        changes: usize,
    ) -> Result<Self, Error> {
        let (stored, version) = storage::load_gateways(store, &data.store())?;
        let (filed, of_file) = data.gateways()?;
        let (all, version) = if of_file > version {
            let points = || stored.after("").chain(filed.after("")).map(|(point, _)| point);
            let changed = points().filter(|point| stored.of(point) != filed.of(point));
            changed.for_each(|point| storage::write_served(batch, point, filed.of(point)));
            storage::write_gateways_version(batch, of_file);
            tracing::warn!(
                version,
                of_file,
                "the store was lost, or is an older copy: what gateways serve is known by the file beside it"
            );
            (filed.clone(), of_file)
        } else if version == 0 && stored != filed {
            storage::write_gateways_version(batch, 1); // an older version wrote none
            (stored, 1)
        } else {
            (stored, version)
        };
        let is_behind = (&filed, of_file) != (&all, version);
        let (changes, unwritten) = (broadcast::Sender::new(changes), Vec::new());
        Ok(Self { all, version, is_behind, changes, unwritten })
    }

    pub(crate) fn all(&self) -> &gateways::Gateways {
        &self.all
    }

    /// How many it did not serve before.
    pub(crate) fn add(&mut self, batch: &mut Batch, Said { gateway, points }: Said) -> Result<i32, Failure> {
        let changed = self.all.add(&gateway, points).map_err(denied)?;
        Ok(self.changed(batch, changed))
    }

    /// How many it served before.
    pub(crate) fn remove(
        &mut self,
        batch: &mut Batch,
        Said { gateway, points }: Said,
    ) -> Result<i32, Failure> {
        let changed = self.all.remove(&gateway, points).map_err(denied)?;
        Ok(self.changed(batch, changed))
    }

    fn changed(&mut self, batch: &mut Batch, changed: Vec<ChargePointId>) -> i32 {
        changed.iter().for_each(|point| storage::write_served(batch, point, self.all.of(point)));
        let count = i32::try_from(changed.len()).unwrap_or(i32::MAX);
        if count > 0 {
            self.version += 1;
            storage::write_gateways_version(batch, self.version);
            self.is_behind = true;
            self.unwritten.push(changed.into());
        }
        count
    }

    /// Writes the file beside the store, if it is behind, once what has changed is on disk in the store.
    pub(crate) fn keep(&mut self, data: &Data) {
        if !std::mem::take(&mut self.is_behind) {
            return;
        }
        if let Err(error) = data.write_gateways(&self.all, self.version) {
            tracing::error!(
                %error,
                "until the next change, or the registry's next start, the store alone has what gateways serve"
            );
        }
    }

    /// What tells those who follow, once it is on disk.
    pub(crate) fn tell(&mut self) -> impl FnOnce() + Send + use<> {
        let (changed, changes) = (std::mem::take(&mut self.unwritten), self.changes.clone());
        move || {
            for points in changed {
                let _ = changes.send(points); // nobody may follow
            }
        }
    }
}

/// Served charge points from the one after this on: so many.
pub(crate) fn page(
    all: &gateways::Gateways,
    size: usize,
    after: &str,
) -> proto::ListGatewayChargePointsResponse {
    let mut later = all.after(after).map(|(point, gateway)| shown(point, Some(gateway)));
    let charge_points: Vec<_> = later.by_ref().take(size).collect();
    let last = charge_points.last().filter(|_| later.next().is_some());
    let next_page_token = last.map(|last| last.charge_point_id.clone()).unwrap_or_default();
    proto::ListGatewayChargePointsResponse { charge_points, next_page_token }
}

/// A charge point and its gateway, as it is told.
pub(crate) fn shown(point: &ChargePointId, gateway: Option<&Name>) -> proto::GatewayChargePoint {
    let gateway = gateway.map(ToString::to_string).unwrap_or_default();
    proto::GatewayChargePoint { charge_point_id: point.to_string(), gateway }
}

fn denied(why: Denied) -> Failure {
    let (code, reason) = match why {
        Denied::Anothers(..) => (Code::AlreadyExists, "GATEWAY_OTHER"),
        Denied::TooManyOfGateway(_) | Denied::TooMany => (Code::ResourceExhausted, "GATEWAY_FULL"),
    };
    Failure::new(code, reason, why.to_string())
}

#[cfg(test)]
mod tests;
