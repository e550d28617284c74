//! A session: one driver's use of one charge point, from the request to the ticket.
//!
//! What it is never changes: its [`Facts`]. Where it is in its life is one value, [`Life`], that holds what belongs to that
//! moment and nothing else, so that no field contradicts another. It moves in [`lifecycle`] and nowhere else; the ticket
//! is made in [`ticket`]. Others ask by the methods here.

pub(super) mod lifecycle;
pub(super) mod ticket;

use super::request::Repeatable;
use crate::{
    ChargePointId, DriverId, Energy, InstanceId, Mono, Now, Power, Price, SessionId, SupplyEnd, Trace, Wall,
};
use std::{fmt, ops::Deref, time::Duration};
use ticket::Ticket;

/// Where a session is in its life, as everybody sees it. It only moves forward, in the order of the variants, over skipped
/// ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Central is asking the engine.
    Authorizing,
    /// The engine agreed; the charge point waits for the car.
    Reserved,
    /// Energy flows.
    Supplying,
    /// It is over. Ended is not settled: the ticket waits for the final reading.
    Ended(Outcome),
}

impl State {
    /// Authorising, reserved or supplying: what INV-2 allows once.
    pub fn is_open(self) -> bool {
        match self {
            Self::Authorizing | Self::Reserved | Self::Supplying => true,
            Self::Ended(_) => false,
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The car was full, or was unplugged.
    Completed,
    /// The driver or the operator stopped it.
    Stopped,
    /// The charge point broke, lost its monitor, or fell silent.
    Faulted,
    /// Nobody plugged in before the reservation's end.
    Expired,
    /// The engine refused, or did not answer in time.
    Rejected,
}

impl Outcome {
    /// Each of them, for whoever looks one up.
    pub const ALL: [Self; 5] = [Self::Completed, Self::Stopped, Self::Faulted, Self::Expired, Self::Rejected];
}

impl From<SupplyEnd> for Outcome {
    fn from(end: SupplyEnd) -> Self {
        match end {
            SupplyEnd::Completed => Self::Completed,
            SupplyEnd::Stopped => Self::Stopped,
            SupplyEnd::EngineFault | SupplyEnd::MonitorLost | SupplyEnd::Interrupted => Self::Faulted,
        }
    }
}

/// Who ordered a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Its driver.
    Driver,
    /// The operator of the network.
    Operator,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Driver => "stopped by the driver",
            Self::Operator => "stopped by the operator",
        })
    }
}

/// A moment at which a state has lasted long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// For judging, while this process lives.
    pub mono: Mono,
    /// For the store.
    pub wall: Wall,
}

impl Deadline {
    /// So much from now.
    pub(super) fn after(now: Now, duration: Duration) -> Self {
        Self { mono: now.mono + duration, wall: now.wall + duration }
    }

    /// As a store kept it: what is left of it, never more than its full length, whatever the wall clock says now.
    fn restored(self, now: Now, full: Duration) -> Self {
        let left = u64::try_from(self.wall.0.saturating_sub(now.wall.0)).unwrap_or(0);
        Self::after(now, Duration::from_millis(left).min(full))
    }

    pub(super) fn passed(self, now: Now) -> bool {
        now.mono >= self.mono
    }
}

/// Where a message stood in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The partition of `cp_telemetry`.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// What is fixed when a session begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its id: ids sort by the time of their creation.
    pub id: SessionId,
    /// The charge point that it reserves and charges at.
    pub charge_point: ChargePointId,
    /// The engine's store that it belongs to.
    pub instance: InstanceId,
    /// Whose it is, and who is billed.
    pub driver: DriverId,
    /// The price, fixed when it was authorised.
    pub price: Price,
    /// The number of its authorisation; it rises while the engine is still being asked.
    pub authorization: u64,
    /// When it was asked for.
    pub created: Wall,
    /// The trace of the order that it came from; `None`: its own, see [`Facts::trace`].
    pub trace: Option<Trace>,
}

impl Facts {
    /// The trace of all that is done and told for this session: its caller's, or one of its own.
    pub fn trace(&self) -> Trace {
        self.trace.unwrap_or_else(|| Trace::of(self.id.as_str()))
    }
}

/// What an engine told of as delivered: only a session whose supply started has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// When the supply started.
    pub started: Wall,
    /// The highest reading that the engine told of as persisted.
    pub energy: Energy,
    /// The number of the newest message that was applied.
    pub seq: u64,
}

/// A session's life, with what belongs to each moment of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Life {
    /// Central is asking the engine.
    Authorizing {
        /// The call's.
        deadline: Deadline,
        /// The repeatable request that waits for it, with its digest.
        request: Option<Repeatable>,
    },
    /// The engine agreed; the charge point waits for the car.
    Reserved {
        /// The reservation's end, by which the engine is asked to give it back.
        deadline: Deadline,
    },
    /// The engine is asked to give the reservation back; the car may still be faster.
    Revoking {
        /// When it ends without the engine's word.
        deadline: Deadline,
        /// Who ordered it; `None`: its time was over.
        stop: Option<Stop>,
    },
    /// Energy flows. Silence is measured, so there is no deadline.
    Supplying {
        /// What the engine told of so far.
        delivered: Delivered,
        /// Its end was ordered: the engine is asked to stop.
        stop: Option<Stop>,
        /// What the driver was told is wrong, once at most.
        trouble: Option<String>,
    },
    /// It is over.
    Ended {
        /// How.
        ending: Ending,
        /// What is still owed.
        settlement: Settlement,
    },
}

/// How and when a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Why, in one plain sentence; empty when the outcome says it all.
    pub reason: String,
    /// By the engine's clock where it told, else by central's.
    pub at: Wall,
}

/// What is still owed for a session that is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It never started, and the engine's word on its authorisation is still wanted.
    Unanswered {
        /// When nobody waits for that word any more.
        deadline: Deadline,
    },
    /// It never started, and nothing can start it any more: closed.
    Void,
    /// The engine's store is lost: only Kafka may still tell of it.
    Lost {
        /// What was told so far, if it started.
        delivered: Option<Delivered>,
        /// When it is settled on that, however Kafka is.
        deadline: Deadline,
    },
    /// It started, and its final reading is waited for.
    Unread {
        /// What was told so far.
        delivered: Delivered,
        /// When it is settled on that.
        deadline: Deadline,
        /// The engine's word on its authorisation is wanted too.
        revoke: bool,
    },
    /// It has its ticket.
    Billed {
        /// What was told, the billed reading included.
        delivered: Delivered,
        /// The ticket.
        ticket: Ticket,
        /// What its engine has to forget; `None`: nothing that is known of, so it is closed.
        held: Option<Held>,
    },
}

impl Settlement {
    fn delivered(&self) -> Option<Delivered> {
        match self {
            Self::Unanswered { .. } | Self::Void => None,
            Self::Lost { delivered, .. } => *delivered,
            Self::Unread { delivered, .. } | Self::Billed { delivered, .. } => Some(*delivered),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Unanswered { deadline } | Self::Lost { deadline, .. } | Self::Unread { deadline, .. } => {
                Some(*deadline)
            }
            Self::Void | Self::Billed { .. } => None,
        }
    }
}

/// What an engine still has of a session that has its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its final record, so that it may forget it; else the engine still has it in hand.
    pub over: bool,
    /// The engine's word on its authorisation is wanted.
    pub revoke: bool,
}

/// One session, as central knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    facts: Facts,
    life: Life,
    pub(super) live: Live,
}

/// What of a session only lives in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Live {
    /// Power now.
    pub(super) power: Power,
    /// The newest reading of a bare message: shown, never billed.
    pub(super) bare: Option<Energy>,
    /// When the newest reading, or answer with this session in it, came.
    pub(super) last_sign: Mono,
    /// When its engine's store was found lost.
    pub(super) lost_since: Mono,
    /// The reading in memory is ahead of the saved one.
    pub(super) unsaved: bool,
    /// The oldest message in each partition that the saved reading does not cover.
    pub(super) held: Vec<Source>,
    /// It was there before central started: its deadlines wait until Kafka is read and the engine asked.
    pub(super) restored: bool,
    /// How often its authorisation was given a higher number.
    pub(super) renumbered: u32,
    /// A copy of it as it is now is kept outside the store.
    pub(super) copied: bool,
}

impl Deref for Session {
    type Target = Facts;
    /// What never changes is read like a field, and cannot be written like one.
    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Session {
    /// A session out of a store. Its deadline has only its date, until [`Network::restore`](super::Network::restore) gives it
    /// a place on this process's clock.
    pub fn stored(facts: Facts, life: Life) -> Self {
        Self { facts, life, live: Live::default() }
    }

    /// Its life, for whoever stores it.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Where it is, as everybody sees it.
    pub fn state(&self) -> State {
        match &self.life {
            Life::Authorizing { .. } => State::Authorizing,
            Life::Reserved { .. } | Life::Revoking { .. } => State::Reserved,
            Life::Supplying { .. } => State::Supplying,
            Life::Ended { ending, .. } => State::Ended(ending.outcome),
        }
    }

    /// Authorising, reserved or supplying: what INV-2 allows once.
    pub fn is_open(&self) -> bool {
        !matches!(self.life, Life::Ended { .. })
    }

    fn ended(&self) -> Option<(&Ending, &Settlement)> {
        if let Life::Ended { ending, settlement } = &self.life { Some((ending, settlement)) } else { None }
    }

    fn settlement(&self) -> Option<&Settlement> {
        self.ended().map(|(_, settlement)| settlement)
    }

    /// What its engine told of; `None`: as far as is known its supply never started.
    pub fn delivered(&self) -> Option<Delivered> {
        match &self.life {
            Life::Authorizing { .. } | Life::Reserved { .. } | Life::Revoking { .. } => None,
            Life::Supplying { delivered, .. } => Some(*delivered),
            Life::Ended { settlement, .. } => settlement.delivered(),
        }
    }

    /// Its supply started: it gets a ticket (INV-1).
    pub fn started(&self) -> bool {
        self.delivered().is_some()
    }

    /// The highest reading that the engine told of as persisted; zero before its supply started.
    pub fn energy(&self) -> Energy {
        self.delivered().map_or(Energy::ZERO, |delivered| delivered.energy)
    }

    /// The number of the newest message that was applied; 0: none.
    pub fn seq(&self) -> u64 {
        self.delivered().map_or(0, |delivered| delivered.seq)
    }

    /// Why it ended as it did, in one plain sentence; empty when the outcome says it all, or while it is not over.
    pub fn reason(&self) -> &str {
        self.ended().map_or("", |(ending, _)| &ending.reason)
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Wall> {
        self.ended().map(|(ending, _)| ending.at)
    }

    /// What its driver was told is wrong while it is not over; its end says it in [`Session::reason`].
    pub fn trouble(&self) -> &str {
        if let Life::Supplying { trouble: Some(trouble), .. } = &self.life { trouble } else { "" }
    }

    /// Who ordered its end, while that is under way.
    pub fn stop(&self) -> Option<Stop> {
        match &self.life {
            Life::Revoking { stop, .. } | Life::Supplying { stop, .. } => *stop,
            Life::Authorizing { .. } | Life::Reserved { .. } | Life::Ended { .. } => None,
        }
    }

    /// Its ticket.
    pub fn ticket(&self) -> Option<Ticket> {
        if let Settlement::Billed { ticket, .. } = self.settlement()? { Some(*ticket) } else { None }
    }

    /// The repeatable request that waits for it, with its digest, while it is being authorised.
    pub fn request(&self) -> Option<&Repeatable> {
        if let Life::Authorizing { request, .. } = &self.life { request.as_ref() } else { None }
    }

    /// When this moment of its life has lasted long enough: none while supplying, where silence is measured.
    pub fn deadline(&self) -> Option<Deadline> {
        match &self.life {
            Life::Authorizing { deadline, .. }
            | Life::Reserved { deadline }
            | Life::Revoking { deadline, .. } => Some(*deadline),
            Life::Supplying { .. } => None,
            Life::Ended { settlement, .. } => settlement.deadline(),
        }
    }

    /// Its engine's store is lost, and only Kafka may still tell of it.
    pub fn store_lost(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Lost { .. }))
    }

    /// The engine's word on its authorisation is wanted: revoked, supplying, or ended.
    pub fn needs_revocation(&self) -> bool {
        match &self.life {
            Life::Authorizing { .. } | Life::Reserved { .. } | Life::Supplying { .. } => false,
            Life::Revoking { .. } => true,
            Life::Ended { settlement, .. } => match settlement {
                Settlement::Unanswered { .. } => true,
                Settlement::Unread { revoke, .. } => *revoke,
                Settlement::Billed { held, .. } => held.is_some_and(|held| held.revoke),
                Settlement::Void | Settlement::Lost { .. } => false,
            },
        }
    }

    /// Its ticket is issued, and its engine has a final record of it to forget.
    pub fn may_be_forgotten(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. }))
    }

    /// Its ticket is issued, or none is due and nothing can start it any more.
    pub fn settled(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Void | Settlement::Billed { .. }))
    }

    /// Nothing is left to do for it, at the engine either: it leaves the memory for the archive.
    pub fn closed(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Void | Settlement::Billed { held: None, .. }))
    }

    /// Energy to show: a bare message's reading where it is ahead of what the engine answered.
    pub fn shown_energy(&self) -> Energy {
        let bare = self.live.bare.filter(|_| self.ticket().is_none());
        bare.map_or(self.energy(), |bare| bare.max(self.energy()))
    }

    /// Power to show now; zero unless it is supplying.
    pub fn shown_power(&self) -> Power {
        if self.state() == State::Supplying { self.live.power } else { Power::ZERO }
    }

    /// It was there before central started: its deadlines wait until Kafka is read and the engine asked.
    pub fn restored(&self) -> bool {
        self.live.restored
    }
}
