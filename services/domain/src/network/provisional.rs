//! What registers, and what waits for its engine's word.

use super::{reply::Registered, request::Token};
use crate::{ChargePointId, InstanceId, Location, MonitorId, Mono, Price};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub charge_point: ChargePointId,
    /// Its place; taken the first time, and from another store until somebody has charged there.
    pub location: Location,
    /// Its price; taken as its place is.
    pub price: Price,
    pub engine_address: String,
    pub instance: InstanceId,
    pub monitor: MonitorId,
    /// The newest epoch that the engine has refused an older one for; 0 if none.
    pub newest_epoch: u64,
}

/// A registration whose engine has not been heard yet.
#[derive(Debug)]
pub(super) struct Provisional {
    pub(super) token: Token<Registered>,
    /// The host that it came from, or who that is.
    pub(super) host: String,
    pub(super) registration: Registration,
    /// What it will have: its engine is told already.
    pub(super) epoch: u64,
    /// It is the engine of before that is asked, at its own address: is it still there?
    pub(super) of_before: bool,
    pub(super) until: Mono,
}
