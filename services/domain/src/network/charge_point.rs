//! A charge point: what is stored of it, and what only lives in memory. Its status is in [`status`](super::status()).

use super::{
    config::Config,
    cooling::Who,
    engine::{CallId, EngineRequest},
    standing::{Revoked, Standing},
    untold::Untold,
};
use crate::{ChargePointId, InstanceId, Location, MonitorId, Mono, Power, Price, SessionId, SupplyRecord};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

/// Failed tries within this time of each other are of one kind.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// A second failed try puts it behind the others for so long at least, each further one for twice as long, up to
/// [`REMEMBERED`].
const BEHIND_FIRST: Duration = Duration::from_secs(60);
/// Reservations of so many that lapse are no accident. Each counts once: a stranger can let any number lapse.
const LAPSES: usize = 3;

/// How an engine is, as its monitor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    Ok,
    /// It says that it is broken.
    Faulted,
    /// It does not answer its monitor.
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Not connected, since then.
    Lost {
        since: Mono,
    },
    Up {
        last_report: Mono,
        health: Health,
    },
}

/// Does the engine answer central?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answering {
    /// It was not asked since its monitor came back.
    Unknown,
    /// The last call was answered.
    Yes,
    /// The last call was not.
    No,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct InFlight {
    pub(super) id: CallId,
    pub(super) instance: InstanceId,
    /// [`Point::connection`] when it was made.
    pub(super) connection: u64,
    pub(super) request: EngineRequest,
}

/// One charge point, as central knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargePoint {
    pub id: ChargePointId,
    pub location: Location,
    /// The price of new sessions.
    pub price: Price,
    pub engine_address: String,
    /// The engine's store that holds the id.
    pub instance: InstanceId,
    /// The monitor that holds the id.
    pub monitor: MonitorId,
    /// The epoch of its registration.
    pub epoch: u64,
    /// The highest authorisation number used with this instance: another's begin anew.
    pub highest_authorization: u64,
    /// Out of service by the operator's order.
    pub out_of_order: bool,
    /// Nobody has charged there yet.
    pub never_supplied: bool,
    /// The most that it delivers, as this store's engine said at most; `None`: it has not.
    pub rated: Option<Power>,
    /// It seals what it tells on `cp_telemetry`: by keys that were given in this epoch or later. `None`: it does not.
    pub seals_from: Option<u64>,
    /// Its identity does not count any more, or not for long; `None`: it does, or it has none.
    pub revoked: Option<Revoked>,
}

impl ChargePoint {
    /// How its identity stands, as far as central has heard.
    pub fn standing(&self) -> Standing {
        self.revoked.into()
    }
}

/// Where a free charge point stands in the choice: whether its last try failed, then its price.
pub(super) type Rank = (bool, Price);

/// What of a charge point only lives in memory.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) stored: ChargePoint,
    pub(super) link: Link,
    /// How often its monitor was told to report; it only rises until it registers again. Zero: it was not told since
    /// central started.
    pub(super) report_interval: Duration,
    /// Rises each time the monitor comes back.
    pub(super) connection: u64,
    /// As what it is listed among those that are free, if it is.
    pub(super) free_at: Option<Rank>,
    /// When a tick is to look at it, by time alone; `None`: not before something happens there.
    pub(super) look_at: Option<Mono>,
    /// Since when it is its engine's turn to be told whom to refuse, or only then.
    pub(super) turn_at: Option<Mono>,
    /// Where it registered from, and where its engine is: what is one host's counts together.
    pub(super) hosts: BTreeSet<String>,
    /// The last request that tried it was refused by its engine, or had no answer in the time that it had, or its car
    /// was not started; or those of [`LAPSES`] were granted, and came to nothing. Until it has supplied.
    pub(super) try_failed: bool,
    /// So many tries failed within [`REMEMBERED`] of each other, the last one then.
    pub(super) failed: (u32, Mono),
    /// Whose reservations lapsed there since it supplied; [`LAPSES`] at most.
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
    pub(super) answering: Answering,
    /// When the monitor last reported this instance well.
    pub(super) last_ok: Mono,
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
    /// The engine's state is wanted.
    pub(super) ask: bool,
    /// Neither the engine is revoked, nor its gateway: one that is does not hear whom to refuse.
    pub(super) engine_stands: bool,
    /// It is to be told which certificates it is to refuse; `None`: it has heard, as far as is known.
    pub(super) untold: Option<Untold>,
    /// Telemetry told something that only the engine can confirm.
    pub(super) told: bool,
    /// Up to when the questions that telemetry caused are paid for, each with a second.
    pub(super) paid: Mono,
    /// Up to when its calls are paid for, authorisations apart.
    pub(super) paced: Mono,
    /// When its state was last asked for.
    pub(super) last_asked: Mono,
    /// The engine was asked, or found away, since central started: its deadlines may be judged.
    pub(super) judged: bool,
}

impl Point {
    pub(super) fn new(stored: ChargePoint, now: Mono, judged: bool) -> Self {
        Self {
            stored,
            link: Link::Lost { since: now },
            report_interval: Duration::ZERO,
            connection: 0,
            free_at: None,
            look_at: None,
            turn_at: None,
            hosts: BTreeSet::new(),
            try_failed: false,
            failed: (0, now),
            lapses: BTreeSet::new(),
            refusals: now,
            seen_authorization: 0,
            seen_too_much: false,
            clock_is_off: false,
            health_reason: String::new(),
            telemetry_refused: String::new(),
            answering: Answering::Unknown,
            last_ok: now,
            open: None,
            ended: BTreeSet::new(),
            supplies: None,
            unattested: Unattested::default(),
            refused: BTreeSet::new(),
            wanted: BTreeSet::new(),
            closed: BTreeSet::new(),
            call: None,
            recent_calls: Vec::new(),
            failures: 0,
            not_before: now,
            ask: false,
            engine_stands: true,
            untold: None,
            told: false,
            paid: now,
            paced: now,
            last_asked: now,
            judged,
        }
    }

    /// The most that it delivers: what its engine says, up to a bound; without its word, that bound.
    pub(super) fn rated(&self, config: &Config) -> Power {
        let most = config.charge_point_power_max;
        self.stored.rated.map_or(most, |rated| rated.min(most))
    }

    /// Its engine says that it has seen this number: central, whose store may have been restored, goes on above it. It
    /// counts up to `most`, or what it was given. True: it said more, and had not before.
    pub(super) fn has_seen(&mut self, claim: u64, most: u64) -> bool {
        let most = self.stored.highest_authorization.max(most);
        self.seen_authorization = self.seen_authorization.max(claim.min(most));
        claim > most && !std::mem::replace(&mut self.seen_too_much, true)
    }

    /// A request that tried it came to nothing by its doing: it comes after the others.
    pub(super) fn fails(&mut self, now: Mono) {
        let (times, last) = self.failed;
        self.failed = (if now.since(last) < REMEMBERED { times.saturating_add(1) } else { 1 }, now);
        self.try_failed = true;
    }

    /// A reservation there was not taken up. Where that is so of several, it is not the drivers.
    pub(super) fn has_lapsed(&mut self, whose: Who, now: Mono) {
        if self.lapses.len() < LAPSES && self.lapses.insert(whose) && self.lapses.len() == LAPSES {
            self.fails(now);
        }
    }

    /// It supplies. That is proof of little, since anybody may be its driver: the more often it has failed, the longer
    /// it stays behind all the same.
    pub(super) fn serves(&mut self, now: Mono) {
        let (times, last) = self.failed;
        let behind = times.checked_sub(2).map(|more| BEHIND_FIRST.saturating_mul(1 << more.min(10)));
        self.try_failed &= behind.is_some_and(|behind| now.since(last) < behind.min(REMEMBERED));
        self.lapses.clear();
        self.refusals = Mono::default();
    }

    /// The number of its next authorisation. An engine that claims to have seen the last one there is gets one that it
    /// refuses: that is its own charge point's loss, for as long as it has this store.
    pub(super) fn next_number(&self) -> u64 {
        self.stored.highest_authorization.max(self.seen_authorization).saturating_add(1)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.stored.standing() == Standing::Cut
    }

    /// Why it is out of order.
    pub(super) fn out_of_order_because(&self) -> &'static str {
        match self.stored.revoked {
            None => "the operator took it out of service",
            Some(Revoked::Draining { moves: false, .. }) => {
                "its identity was revoked: it ends what it does first, and then has to be enrolled again"
            }
            Some(Revoked::Draining { moves: true, .. }) => {
                "another is to act for it, as the registry says: it ends what it does first"
            }
            Some(Revoked::Cut) => "its identity was revoked; it has to be enrolled again",
        }
    }

    /// Its engine answers, and says that it supplies this session.
    pub(super) fn goes_on_with(&self, session: &SessionId) -> bool {
        self.answering == Answering::Yes && self.supplies.as_ref() == Some(session)
    }

    /// Another store has none of the numbers of the one before, nor its power.
    pub(super) fn numbers_begin_anew(&mut self) {
        (self.stored.highest_authorization, self.stored.rated) = (0, None);
        (self.seen_authorization, self.seen_too_much) = (0, false);
    }

    /// An engine that does not answer is not called for what it claimed.
    pub(super) fn forget_stray(&mut self) {
        if let Some(stray) = self.unattested.current.take() {
            self.supplies.take_if(|supplied| *supplied == stray);
        }
    }
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
