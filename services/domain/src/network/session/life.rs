//! Where a session can be in its life, and what belongs to each moment of it.

use super::ticket::Ticket;
use crate::network::request::Repeatable;
use crate::{Energy, Mono, Now, SupplyEnd, Wall};
use std::{fmt, time::Duration};

/// Where a session is in its life, as everybody sees it. It only moves forward, in the order of the variants, over
/// skipped ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Central is asking the engine.
    Authorizing,
    /// The engine agreed; the charge point waits for the car.
    Reserved,
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
    Driver,
    /// The operator of the network.
    Operator,
    /// Whoever took back the identity of its charge point.
    Revocation,
    /// Whoever gave its charge point to another gateway, or took it from one.
    Move,
}

impl Stop {
    pub const ALL: [Self; 4] = [Self::Driver, Self::Operator, Self::Revocation, Self::Move];
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Driver => "stopped by the driver",
            Self::Operator => "stopped by the operator",
            Self::Revocation => "stopped: the identity of its charge point was revoked",
            Self::Move => "stopped: another is to act for its charge point",
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
    pub(in crate::network) fn after(now: Now, duration: Duration) -> Self {
        Self { mono: now.mono + duration, wall: now.wall + duration }
    }

    /// As a store kept it: what is left of it, never more than its full length, whatever the wall clock says now.
    pub(in crate::network) fn restored(self, now: Now, full: Duration) -> Self {
        let left = u64::try_from(self.wall.0.saturating_sub(now.wall.0)).unwrap_or(0);
        Self::after(now, Duration::from_millis(left).min(full))
    }

    pub(in crate::network) fn passed(self, now: Now) -> bool {
        now.mono >= self.mono
    }
}

/// What an engine told of as delivered: only a session whose supply started has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub started: Wall,
    /// The highest reading that the engine told of as persisted.
    pub energy: Energy,
    /// The number of the newest message that was applied.
    pub seq: u64,
}

/// What telemetry told of a supply, as far as its engine has not answered for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The highest plausible reading.
    pub energy: Energy,
    /// When the first word of it came, by central's clock.
    pub since: Wall,
}

/// A session's life, with what belongs to each moment of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Life {
    /// Central is asking the engine.
    Authorizing {
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
    Ended {
        ending: Ending,
        /// What is still owed.
        settlement: Settlement,
    },
}

/// How and when a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    pub outcome: Outcome,
    /// Why, in one plain sentence; empty when the outcome says it all.
    pub reason: String,
    /// By the engine's clock where it told, else by central's.
    pub at: Wall,
    /// Its engine refused it, or gave it back, before it had started, or it was never authorised: no word of its
    /// engine starts it.
    pub declined: bool,
    /// No more than this is believed of it, whenever it is told: its engine, which was in reach, had not delivered
    /// more, or its driver was denied it. `None`: the engine was out of reach since, and its word is judged as it
    /// comes.
    pub most: Option<Energy>,
    /// The most that it can have had when it ended, after its engine's last answer: what telemetry tells beyond that is
    /// billed by a person's word only. `None`: that answer is not known, and the time from its request to its end says.
    pub most_told: Option<Energy>,
}

/// What is still owed for a session that is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// It never started, and the engine's word on its authorisation is still wanted.
    Unanswered {
        /// When nobody waits for that word any more.
        deadline: Deadline,
    },
    /// It never started, and nothing can start it any more: closed. `since` is [`Wall::MAX`] where telemetry told
    /// otherwise and its engine never spoke.
    Void { since: Wall },
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
    /// What its engine reports is not believed: a person settles it, or its deadline does.
    Review {
        /// What is believed of it.
        delivered: Delivered,
        /// What is not.
        reported: Disputed,
        /// When it is settled on what is believed.
        deadline: Deadline,
        /// What its engine keeps of it until then; `None`: nothing that is known of.
        held: Option<Held>,
        /// Telemetry alone reports it.
        by_telemetry: bool,
    },
    /// It has its ticket.
    Billed {
        started: Wall,
        /// The number of the newest message that was applied.
        seq: u64,
        /// What was delivered, at its price.
        ticket: Ticket,
        /// What its engine has to forget; `None`: nothing that is known of, so it is closed.
        held: Option<Held>,
        /// The person's word that it bills; `None`: the engine's own.
        settled: Option<Box<Settled>>,
    },
}

/// What an engine reports of a session, and central does not believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disputed {
    /// The highest reading.
    pub energy: Energy,
    /// Why its supply ended; `None`: it goes on, as far as is known.
    pub end: Option<SupplyEnd>,
    /// Why it is not believed, in one plain sentence.
    pub doubt: String,
}

/// What a person decided of a session under review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Who, as far as central knows.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// What the engine had reported.
    pub reported: Energy,
}

impl Settlement {
    pub(super) fn delivered(&self) -> Option<Delivered> {
        match self {
            Self::Unanswered { .. } | Self::Void { .. } => None,
            Self::Lost { delivered, .. } => *delivered,
            Self::Unread { delivered, .. } | Self::Review { delivered, .. } => Some(*delivered),
            Self::Billed { started, seq, ticket, .. } => {
                Some(Delivered { started: *started, energy: ticket.energy, seq: *seq })
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Unanswered { deadline }
            | Self::Lost { deadline, .. }
            | Self::Unread { deadline, .. }
            | Self::Review { deadline, .. } => Some(*deadline),
            Self::Void { .. } | Self::Billed { .. } => None,
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
