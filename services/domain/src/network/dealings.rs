//! What central and a charge point have had to do with each other since central started. Most of a large network have
//! had nothing: they take no room for it.

use super::{
    cooling::Who,
    engine::{CallId, EngineRequest},
};
use crate::{InstanceId, Mono, Price, SessionId, SupplyRecord};
use std::{
    collections::{BTreeSet, VecDeque},
    ops::{Deref, DerefMut},
    time::Duration,
};

/// Where a free charge point stands in the choice: whether its last try failed, then its price.
pub(super) type Rank = (bool, Price);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct InFlight {
    pub(super) id: CallId,
    pub(super) instance: InstanceId,
    /// [`Dealt::connection`] when it was made.
    pub(super) connection: u64,
    pub(super) request: EngineRequest,
}

/// What there was is on the heap from the first change on; before, it is [`NOTHING`].
#[derive(Debug, Default)]
pub(super) struct Dealings(Option<Box<Dealt>>);

impl Deref for Dealings {
    type Target = Dealt;
    fn deref(&self) -> &Dealt {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Dealings {
    fn deref_mut(&mut self) -> &mut Dealt {
        self.0.get_or_insert_with(|| Box::new(Dealt::NOTHING))
    }
}

static NOTHING: Dealt = Dealt::NOTHING;

/// What of a charge point only lives in memory, and begins when something happens there.
#[derive(Debug)]
pub(super) struct Dealt {
    /// How often its monitor was told to report; it only rises until it registers again. Zero: it was not told since
    /// central started.
    pub(super) report_interval: Duration,
    /// Rises each time the monitor comes back.
    pub(super) connection: u64,
    /// The host that it registered from; empty: it has not since central started.
    pub(super) from: String,
    /// As what it is listed among those that are free, if it is.
    pub(super) free_at: Option<Rank>,
    /// Since when it is its engine's turn to be told whom to refuse, or only then.
    pub(super) turn_at: Option<Mono>,
    /// The last request that tried it was refused by its engine, or had no answer in the time that it had, or its car
    /// was not started; or so many reservations were granted, and came to nothing. Until it has supplied.
    pub(super) try_failed: bool,
    /// So many tries failed a while after each other, the last one then.
    pub(super) failed: (u32, Mono),
    /// Whose reservations lapsed there since it supplied.
    pub(super) lapses: BTreeSet<Who>,
    /// Up to when the requests that came to nothing at its engine are paid for.
    pub(super) refusals: Mono,
    /// The highest authorisation number that its engine says it has seen, as far as that counts.
    pub(super) seen_authorization: u64,
    /// It said more than counts.
    pub(super) seen_too_much: bool,
    /// A date that its engine told was not taken, the last time that it told one.
    pub(super) clock_is_off: bool,
    /// Why its monitor says that it is not well.
    pub(super) health_reason: String,
    /// [`Detail::telemetry_refused`](super::Detail::telemetry_refused).
    pub(super) telemetry_refused: String,
    pub(super) open: Option<SessionId>,
    /// Ended sessions for which something is left to do.
    pub(super) ended: BTreeSet<SessionId>,
    /// The session that the engine is known to supply.
    pub(super) supplies: Option<SessionId>,
    /// What it claims and central never signed.
    pub(super) unattested: Unattested,
    /// Those of them that the operator refused, until the engine has forgotten them. In memory only: one that a restart
    /// loses is refused again.
    pub(super) refused: BTreeSet<SessionId>,
    /// Those of them that the operator wants to be taken over, until the engine has told of them. In memory only, too.
    pub(super) wanted: BTreeSet<SessionId>,
    /// Closed sessions with their tickets that it tells of again: it is to forget them.
    pub(super) closed: BTreeSet<SessionId>,
    pub(super) call: Option<InFlight>,
    /// The calls that were answered a moment ago, and when: the same again has to wait.
    pub(super) recent_calls: Vec<(EngineRequest, Mono)>,
    /// Calls that were not answered, in a row.
    pub(super) failures: u32,
    /// No call before this.
    pub(super) not_before: Mono,
    /// Telemetry told something that only the engine can confirm.
    pub(super) told: bool,
    /// Up to when the questions that telemetry caused are paid for, each with a second.
    pub(super) paid: Mono,
    /// Up to when its calls are paid for, authorisations apart.
    pub(super) paced: Mono,
    /// When its state was last asked for.
    pub(super) last_asked: Mono,
}

impl Dealt {
    const NOTHING: Self = Self {
        report_interval: Duration::ZERO,
        connection: 0,
        from: String::new(),
        free_at: None,
        turn_at: None,
        try_failed: false,
        failed: (0, Mono(0)),
        lapses: BTreeSet::new(),
        refusals: Mono(0),
        seen_authorization: 0,
        seen_too_much: false,
        clock_is_off: false,
        health_reason: String::new(),
        telemetry_refused: String::new(),
        open: None,
        ended: BTreeSet::new(),
        supplies: None,
        unattested: Unattested { count: 0, last: VecDeque::new(), current: None },
        refused: BTreeSet::new(),
        wanted: BTreeSet::new(),
        closed: BTreeSet::new(),
        call: None,
        recent_calls: Vec::new(),
        failures: 0,
        not_before: Mono(0),
        told: false,
        paid: Mono(0),
        paced: Mono(0),
        last_asked: Mono(0),
    };
}

/// So many unattested sessions are named: enough to know what they are.
const NAMED: usize = 4;

/// What an engine's newest answer claims of sessions that central neither knows nor signed. In memory only, and
/// bounded: a liar has as many as it likes.
#[derive(Debug, Default)]
pub(super) struct Unattested {
    pub(super) count: usize,
    /// The last few of them.
    last: VecDeque<SessionId>,
    /// The one that the engine has in hand, which is to be stopped.
    pub(super) current: Option<SessionId>,
}

impl Unattested {
    pub(super) fn add(&mut self, record: &SupplyRecord) {
        self.count += 1;
        self.last.truncate(NAMED - 1);
        self.last.push_front(record.session.clone());
    }

    /// For the operator; empty where there are none.
    pub(super) fn words(&self) -> String {
        let named: Vec<&str> = self.last.iter().map(SessionId::as_str).collect();
        let (named, count) = (named.join(", "), self.count);
        match count {
            0 => String::new(),
            1 => format!("its engine claims a session that central never authorised: {named}"),
            _ => format!("its engine claims {count} sessions that central never authorised: {named}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::charge_point::Point, *};

    #[test]
    fn one_that_had_nothing_to_do_with_central_takes_no_room_for_it() {
        let mut dealings = Dealings::default();
        assert!(!dealings.told && dealings.open.is_none());
        assert!(dealings.0.is_none(), "a look changes nothing");
        dealings.told = true;
        assert!(dealings.told && dealings.0.is_some());
        let (away, dealt) = (size_of::<Point>(), size_of::<Dealt>());
        assert!(away <= 288 && dealt > away, "{away} and {dealt} bytes");
    }
}
