//! A charge point: what is stored of it, and what only lives in memory. Its status is in [`status`](super::status()).

use super::{
    config::Config,
    cooling::Who,
    dealings::{Dealings, Dealt},
    standing::{Revoked, Standing},
    untold::Untold,
};
use crate::{ChargePointId, InstanceId, Location, MonitorId, Mono, Power, Price, SessionId};
use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
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
    pub revoked: Option<Box<Revoked>>,
}

impl ChargePoint {
    /// How its identity stands, as far as central has heard.
    pub fn standing(&self) -> Standing {
        self.revoked().into()
    }

    pub(super) fn revoked(&self) -> Option<Revoked> {
        self.revoked.as_deref().copied()
    }
}

/// A charge point in memory. One that is away, and that nothing happens at, is little more than what is stored of it.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) stored: ChargePoint,
    pub(super) link: Link,
    /// When a tick is to look at it, by time alone; `None`: not before something happens there.
    pub(super) look_at: Option<Mono>,
    /// When the monitor last reported this instance well.
    pub(super) last_ok: Mono,
    pub(super) answering: Answering,
    /// The engine's state is wanted.
    pub(super) ask: bool,
    /// Neither the engine is revoked, nor its gateway: one that is does not hear whom to refuse.
    pub(super) engine_stands: bool,
    /// The engine was asked, or found away, since central started: its deadlines may be judged.
    pub(super) judged: bool,
    /// It is to be told which certificates it is to refuse; `None`: it has heard, as far as is known.
    pub(super) untold: Option<Box<Untold>>,
    pub(super) dealings: Dealings,
}

impl Deref for Point {
    type Target = Dealt;
    fn deref(&self) -> &Dealt {
        &self.dealings
    }
}

impl DerefMut for Point {
    fn deref_mut(&mut self) -> &mut Dealt {
        &mut self.dealings
    }
}

impl Point {
    pub(super) fn new(stored: ChargePoint, now: Mono, judged: bool) -> Self {
        Self {
            stored,
            link: Link::Lost { since: now },
            look_at: None,
            last_ok: now,
            answering: Answering::Unknown,
            ask: false,
            engine_stands: true,
            judged,
            untold: None,
            dealings: Dealings::default(),
        }
    }

    /// Where it registered from, and where its engine is: what is one host's counts together. Where from is known once
    /// it has registered since central started.
    pub(super) fn hosts(&self, config: &Config) -> BTreeSet<&str> {
        config.hosts(&self.from, &self.stored.engine_address)
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
        match self.stored.revoked() {
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
