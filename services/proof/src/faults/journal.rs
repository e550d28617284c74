//! What the run knows: what was answered, what was seen, what was done to whom, and what was found wrong.

use crate::process::Kind;
use evmesh_proto::network::{Price, Session, SessionState, Ticket};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The state of a session that a fault concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Moment {
    /// There was no session with anything left to do.
    None,
    Authorizing,
    Reserved,
    Supplying,
    /// Ended, and not settled.
    Unsettled,
}

impl Moment {
    pub(super) const ALL: [Self; 5] =
        [Self::None, Self::Authorizing, Self::Reserved, Self::Supplying, Self::Unsettled];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Authorizing => "authorizing",
            Self::Reserved => "reserved",
            Self::Supplying => "supplying",
            Self::Unsettled => "ended-unsettled",
        }
    }

    /// `None` for a session that is settled.
    pub(super) fn of(session: &Session) -> Option<Self> {
        match session.state() {
            SessionState::Authorizing => Some(Self::Authorizing),
            SessionState::Reserved => Some(Self::Reserved),
            SessionState::Supplying => Some(Self::Supplying),
            SessionState::Ended if !session.settled => Some(Self::Unsettled),
            SessionState::Ended | SessionState::Unspecified => None,
        }
    }
}

/// A charge that was granted.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) at: i64,
    pub(super) driver: String,
    /// The one that was asked for; empty if central chose.
    pub(super) charge_point: String,
    pub(super) session_id: String,
    /// As the answer had it; a manual supply's answer names the session alone.
    pub(super) session: Option<Session>,
}

/// A price that an acknowledged order set, in force for sure from `from` to `until` (ms).
#[derive(Debug, Clone)]
pub(super) struct Priced {
    pub(super) charge_point: String,
    pub(super) price: Price,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// A promise that was broken, or an error of the run itself.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) promise: &'static str,
    pub(super) session: Option<String>,
    pub(super) at: i64,
    pub(super) text: String,
}

/// Everything that is known. One lock: what holds it never waits.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) granted: Vec<Granted>,
    /// Sessions whose stop was acknowledged, and whether the answer showed them open.
    pub(super) stops: Vec<(String, bool)>,
    pub(super) prices: Vec<Priced>,
    /// Each kill: of what, and in which states.
    pub(super) kills: BTreeMap<(Kind, Moment), u64>,
    pub(super) killed: BTreeMap<Kind, u64>,
    /// Freezes, the same way.
    pub(super) pauses: BTreeMap<(Kind, Moment), u64>,
    pub(super) paused: BTreeMap<Kind, u64>,
    /// Disturbed links: by kind and state, and by kind and mode.
    pub(super) links: BTreeMap<(String, Moment), u64>,
    pub(super) link_modes: BTreeMap<(String, &'static str), u64>,
    pub(super) skipped: u64,
    /// As central last showed them.
    pub(super) sessions: BTreeMap<String, Session>,
    /// When each was shown first and last, by the monotonic clock (ms).
    pub(super) shown_ms: BTreeMap<String, (u64, u64)>,
    pub(super) tickets: BTreeMap<String, Ticket>,
    /// What is known of each session, in order.
    pub(super) history: BTreeMap<String, Vec<(i64, String)>>,
    /// What was done to each charge point, the drivers, central and Kafka, in order.
    pub(super) deeds: Vec<(i64, String)>,
    pub(super) violations: Vec<Violation>,
    said: BTreeSet<String>,
    /// Counters of central over all its lives.
    pub(super) metrics: BTreeMap<String, f64>,
    /// By kind of process: from each start to the first answer (ms).
    pub(super) ready_ms: BTreeMap<Kind, Vec<u64>>,
    /// What harness-driven clients did: by name, how often.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

/// The shared [`Facts`].
#[derive(Debug, Default)]
pub(super) struct Journal {
    facts: Mutex<Facts>,
}

/// What is printed of more violations than this is their number: one cause shows itself often.
const MOST_VIOLATIONS: usize = 200;

impl Journal {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, name: &'static str) {
        *self.facts().counts.entry(name).or_default() += 1;
    }

    pub(super) fn deed(&self, text: impl Into<String>) {
        self.facts().deeds.push((mesh::now().wall.0, text.into()));
    }

    /// A line of a session's history.
    pub(super) fn note(&self, session: &str, text: impl Into<String>) {
        self.facts().note(session, mesh::now().wall.0, text);
    }

    pub(super) fn violated(&self, promise: &'static str, session: Option<&str>, text: impl Into<String>) {
        self.facts().violated(promise, session, text);
    }
}

impl Facts {
    pub(super) fn note(&mut self, session: &str, at: i64, text: impl Into<String>) {
        self.history.entry(session.to_owned()).or_default().push((at, text.into()));
    }

    /// Once for the same promise and words; said at once, so that a long run can be looked at while it runs.
    pub(super) fn violated(&mut self, promise: &'static str, session: Option<&str>, text: impl Into<String>) {
        let text = text.into();
        let key = format!("{promise} {session:?} {text}");
        if self.violations.len() >= MOST_VIOLATIONS || !self.said.insert(key) {
            return;
        }
        let at = mesh::now().wall.0;
        println!("{} VIOLATED {promise}: {text}", crate::process::clock(at));
        self.violations.push(Violation { promise, session: session.map(str::to_owned), at, text });
    }

    /// The states of the sessions that a fault concerns now.
    pub(super) fn moments(&self, concerns: impl Fn(&Session) -> bool) -> BTreeSet<Moment> {
        let of = self.sessions.values().filter(|session| concerns(session)).filter_map(Moment::of);
        let found: BTreeSet<Moment> = of.collect();
        if found.is_empty() { [Moment::None].into() } else { found }
    }
}
