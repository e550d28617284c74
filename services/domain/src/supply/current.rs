//! What the charge point is taken by.

use super::{input::Authorization, metered::Register};
use crate::{Energy, Mono, Power, SupplyRecord, SupplyState};

/// What the charge point is taken by.
#[derive(Debug, Clone)]
pub(super) enum Current {
    Nothing,
    Held(Held),
    Running(Running),
}

/// An authorisation that was not taken up yet. It lives in memory only: a restart drops it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) order: Authorization,
    /// Its end: it starts nothing from here on.
    pub(super) until: Mono,
}

impl Held {
    pub(super) fn record(&self) -> SupplyRecord {
        SupplyRecord {
            session: self.order.session.clone(),
            driver: self.order.driver.clone(),
            price: self.order.price,
            authorization: self.order.number,
            state: SupplyState::Authorized,
            seq: 0,
            energy: Energy::ZERO,
            power: Power::ZERO,
            started_at: None,
            read_at: None,
            trace: self.order.trace,
            signature: self.order.signature.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) record: SupplyRecord,
    /// Where the meter stood when it started.
    pub(super) from: Register,
    pub(super) since: Mono,
    pub(super) next_reading: Mono,
}
