//! A request whose session is being authorised: who waits for it, and what was tried.

use super::{
    cooling::Asker,
    request::{Repeatable, Token},
    session::{Session, life::Life},
};
use crate::{CardId, ChargePointId, DriverId, Location, Mono, Price, SessionId, Trace};
use std::collections::BTreeSet;

/// A request whose session is being authorised.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) tokens: Vec<Token<Box<Session>>>,
    pub(super) request: Option<Repeatable>,
    /// Its caller's; `None`: the first attempt's session has one of its own.
    pub(super) trace: Option<Trace>,
    pub(super) driver: DriverId,
    /// The card by which it is that driver's.
    pub(super) card: Option<CardId>,
    /// `None` after a start of central.
    pub(super) asker: Option<Asker>,
    /// Central chooses: among the places that start with this.
    pub(super) choice: Option<Location>,
    /// What a kWh may cost its driver at most.
    pub(super) max_price: Option<Price>,
    /// The first attempt's session: later attempts' ids are made from it.
    pub(super) base: SessionId,
    pub(super) tried: BTreeSet<ChargePointId>,
    pub(super) until: Mono,
    /// Its caller waits no longer than that; `false`: it is all the time that a request has.
    pub(super) hurried: bool,
    /// Of the try under way.
    pub(super) against: Against,
}

/// Against whom it counts that a try had no answer when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// Its engine, which had all the time that was there.
    Engine,
    /// Its charge point's place in the choice: others are free, so it did not have that time.
    Place,
    /// Its caller, who did not wait for it: that says nothing of the engine.
    Caller,
    /// Nobody: earlier tries, or a restart of central, left it too little time.
    Nobody,
}

impl Pending {
    /// After a start of central nobody waits any more but for a repeat of the request.
    pub(super) fn restored(session: &Session) -> Option<Self> {
        let Life::Authorizing { deadline, request } = session.life() else { return None };
        Some(Self {
            tokens: Vec::new(),
            request: request.clone(),
            trace: session.trace,
            driver: session.driver.clone(),
            card: session.card.clone(),
            asker: None,
            choice: None,
            max_price: None,
            base: session.id.clone(),
            tried: BTreeSet::from([session.charge_point.clone()]),
            until: deadline.mono,
            hurried: false,
            against: Against::Nobody,
        })
    }

    /// The trace that a session of this request keeps: its caller's, or else the first attempt's. The first attempt's
    /// own is made from its id, and is not kept.
    pub(super) fn trace_of(&self, session: &SessionId) -> Option<Trace> {
        let of_first = || (*session != self.base).then(|| Trace::of(self.base.as_str()));
        self.trace.or_else(of_first)
    }
}
