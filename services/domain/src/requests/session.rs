//! A session and its ticket, as central shows them to their driver.

use super::{Outcome, State};
use crate::{ChargePointId, Energy, Money, Power, Price, SessionId};

/// A session, as central shows it to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub charge_point: ChargePointId,
    /// Where it is in its life.
    pub state: State,
    /// Why it ended as it did; empty when the outcome says it all.
    pub reason: String,
    pub price: Price,
    pub energy: Energy,
    pub power: Power,
    /// Nothing about it can change any more: it has its ticket, or none is due.
    pub settled: bool,
    pub ticket: Option<Ticket>,
    /// What is wrong with it while it is not over; empty: nothing that is known.
    pub trouble: String,
}

/// A ticket, as central shows it to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub session: SessionId,
    pub charge_point: ChargePointId,
    pub energy: Energy,
    pub amount: Money,
    pub outcome: Outcome,
    /// The final reading could not be had.
    pub estimated: bool,
}
