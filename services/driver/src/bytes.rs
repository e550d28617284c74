//! The driver's reader of broadcasts by itself, for whoever throws bytes at it: `proof`'s fuzzing.

use crate::news;
use domain::requests::{Broadcasts, FreePoint};
use evmesh_proto::network::ChargePointStatus;

/// Broadcasts as they come in, part by part.
#[derive(Debug, Default)]
pub struct Free(Broadcasts<(FreePoint, ChargePointStatus)>);

impl Free {
    /// A message on `network_status`; how many charge points are free, once a broadcast is whole.
    pub fn read(&mut self, payload: &[u8]) -> Option<usize> {
        news::free(payload, &mut self.0).map(|points| points.len())
    }
}
