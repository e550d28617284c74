//! Reservations that come to nothing by their driver's own doing keep charge points from everybody else, for nothing:
//! whoever makes many of them has to wait.
//!
//! In memory only: nobody who has to wait can bring about a restart, and what one forgives is a few minutes' worth.

use super::config::Config;
use crate::{ChargePointId, DriverId, Mono};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

/// So many unused reservations are remembered, the newest of all: some megabytes at most.
const REMEMBERED: usize = 20_000;

/// Who reserves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asker {
    /// A driver, from where it asks: whoever uses its name elsewhere does not make it wait.
    Driver { driver: DriverId, address: String },
    /// A guest has no name; there is one charge point that it can ask for.
    Guest(ChargePointId),
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver { driver, .. } => write!(f, "driver {driver}"),
            Self::Guest(charge_point) => write!(f, "a guest at {charge_point}"),
        }
    }
}

/// The reservations that went unused a while ago at most.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    /// Oldest first.
    unused: VecDeque<(Mono, Asker)>,
    /// When each one's were, oldest first.
    askers: BTreeMap<Asker, VecDeque<Mono>>,
}

impl Cooling {
    pub(super) fn add(&mut self, now: Mono, asker: Asker) {
        self.askers.entry(asker.clone()).or_default().push_back(now);
        self.unused.push_back((now, asker));
        if self.unused.len() > REMEMBERED {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, asker)) = self.unused.pop_front() else { return };
        if let Some(theirs) = self.askers.get_mut(&asker) {
            theirs.pop_front();
            if theirs.is_empty() {
                self.askers.remove(&asker);
            }
        }
    }

    pub(super) fn forget_old(&mut self, now: Mono, config: &Config) {
        while self.unused.front().is_some_and(|(at, _)| now.since(*at) >= config.unused_within) {
            self.forget_oldest();
        }
    }

    /// How long it has to wait; `None`: not at all.
    pub(super) fn wait(&self, now: Mono, asker: &Asker, config: &Config) -> Option<Duration> {
        let theirs = self.askers.get(asker).filter(|_| config.unused_most > 0)?;
        let counts = theirs.len().checked_sub(config.unused_most)?;
        let left = (*theirs.get(counts)? + config.unused_within).since(now);
        (!left.is_zero()).then_some(left)
    }
}
