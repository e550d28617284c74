//! Reservations that come to nothing by their driver's own doing keep charge points from everybody else, for nothing:
//! whoever makes many of them has to wait.
//!
//! In memory only: nobody who has to wait can bring about a restart, and what one forgives is a few minutes' worth.

use super::config::Config;
use crate::{ChargePointId, DriverId, Mono, SessionId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    fmt,
    time::Duration,
};

/// So many unused reservations are remembered, the newest of all: some megabytes at most.
const REMEMBERED: usize = 20_000;

/// A driver is let down by one charge point, or by all of one owner's: only where so many places are concerned it waits
/// everywhere.
const PLACES: usize = 3;
/// One host has so many times a driver's unused reservations: there may be many drivers behind it.
const A_HOST: usize = 10;

/// Who has to answer for a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) who: Who,
    /// The host that asked, or who that is; `None` where it is not known, or stands for many.
    pub(super) host: Option<String>,
}

/// Whose unused reservations count together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// A driver, from where it asks, or by whom: whoever uses its name elsewhere does not make it wait.
    Driver { driver: DriverId, address: String },
    /// A guest has no name; there is one charge point that it can ask for, whose engine asks for it.
    Guest { charge_point: ChargePointId, address: String },
    /// Whatever names its drivers have: names are free.
    Host(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver { driver, .. } => write!(f, "driver {driver}"),
            Self::Guest { charge_point, .. } => write!(f, "a guest at {charge_point}"),
            Self::Host(host) => write!(f, "{host}"),
        }
    }
}

/// The reservations that went unused a while ago at most.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    /// Oldest first.
    unused: VecDeque<(Mono, Who)>,
    /// Each one's, oldest first.
    askers: BTreeMap<Who, VecDeque<Unused>>,
}

#[derive(Debug)]
struct Unused {
    at: Mono,
    charge_point: ChargePointId,
    /// The host of that charge point, where one is known.
    host: Option<String>,
}

impl Cooling {
    pub(super) fn add(&mut self, at: Mono, who: Who, charge_point: ChargePointId, host: Option<String>) {
        self.askers.entry(who.clone()).or_default().push_back(Unused { at, charge_point, host });
        self.unused.push_back((at, who));
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

    /// How long it has to wait for a reservation at this charge point, or (`None`) at any, and for how many; `None`:
    /// not at all.
    pub(super) fn wait(
        &self,
        now: Mono,
        who: &Who,
        at: Option<&ChargePointId>,
        config: &Config,
    ) -> Option<(usize, Duration)> {
        let theirs = self.askers.get(who).filter(|_| config.unused_most > 0)?;
        let place = |unused: &Unused| {
            (unused.host.clone(), unused.host.is_none().then(|| unused.charge_point.clone()))
        };
        let different = || theirs.iter().map(place).collect::<BTreeSet<_>>().len();
        let everywhere = !matches!(who, Who::Driver { .. }) || different() >= PLACES;
        let counted = theirs.iter().filter(|unused| everywhere || Some(&unused.charge_point) == at);
        let counted: Vec<Mono> = counted.map(|unused| unused.at).collect();
        let most = config.unused_most * if matches!(who, Who::Host(_)) { A_HOST } else { 1 };
        let counts = counted.len().checked_sub(most)?;
        let left = (*counted.get(counts)? + config.unused_within).since(now);
        (!left.is_zero()).then_some((most, left))
    }
}

/// The reservations that wait for their cars, and the requests that wait for an engine, by the hosts that asked.
#[derive(Debug, Default)]
pub(super) struct Reserving {
    hosts: BTreeMap<SessionId, String>,
    counts: BTreeMap<String, usize>,
}

impl Reserving {
    pub(super) fn begins(&mut self, session: SessionId, host: String) {
        *self.counts.entry(host.clone()).or_default() += 1;
        self.hosts.insert(session, host);
    }

    /// Its supply has started, or it is over.
    pub(super) fn ends(&mut self, session: &SessionId) {
        let Some(host) = self.hosts.remove(session) else { return };
        if let Entry::Occupied(mut count) = self.counts.entry(host) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn count(&self, host: &str) -> usize {
        self.counts.get(host).copied().unwrap_or_default()
    }
}
