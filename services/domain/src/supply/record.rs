//! What the engine knows of one session, and the lifecycle events it tells of.

use crate::{DriverId, Energy, Power, Price, SessionId, Wall};
use std::fmt;

/// Where a session is, at the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Authorised; the car is not there yet. Never on disk.
    Authorized,
    /// Energy flows.
    Supplying,
    /// It is over: the reading is the final one.
    Ended(End),
}

/// How a supply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The car is full, or left.
    Completed,
    /// Central asked for it.
    Stopped,
    /// The engine broke.
    EngineFault,
    /// The engine lost its monitor for its grace.
    MonitorLost,
    /// The engine's process died; the supply was closed at its last persisted reading when it came back.
    Interrupted,
}

/// What ended a supply: finer than [`End`]. Its text is the reason that its message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The car took all it can.
    Full,
    /// The car stayed as long as it wanted to.
    TimeOver,
    /// The cable was pulled.
    Unplugged,
    /// Central asked for it.
    Stopped,
    /// The engine broke; why, in words.
    EngineFault(String),
    /// No monitor attends the engine.
    MonitorLost,
    /// The process died in mid-supply.
    Interrupted,
}

impl Cause {
    /// What it counts as.
    pub fn end(&self) -> End {
        match self {
            Self::Full | Self::TimeOver | Self::Unplugged => End::Completed,
            Self::Stopped => End::Stopped,
            Self::EngineFault(_) => End::EngineFault,
            Self::MonitorLost => End::MonitorLost,
            Self::Interrupted => End::Interrupted,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the car is full",
            Self::TimeOver => "the car left",
            Self::Unplugged => "unplugged",
            Self::Stopped => "stopped",
            Self::EngineFault(reason) => reason,
            Self::MonitorLost => "monitor lost",
            Self::Interrupted => "interrupted",
        })
    }
}

/// What the engine knows of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The session.
    pub session: SessionId,
    /// Its driver.
    pub driver: DriverId,
    /// The price it was authorised at.
    pub price: Price,
    /// The number of its authorisation.
    pub number: u64,
    /// Where it is.
    pub state: State,
    /// The number of its newest message: 1 for the start, one more for each reading and for the end. 0: not started.
    pub seq: u64,
    /// Energy so far.
    pub energy: Energy,
    /// Power now.
    pub power: Power,
    /// When the supply started.
    pub started: Option<Wall>,
    /// When its newest reading was taken; once it has ended, that is its end. Counted from `started` on the monotonic
    /// clock, so that it never lies before it.
    pub read_at: Option<Wall>,
}

/// A lifecycle event: a row of the outbox, which leaves strictly in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the outbox, rising.
    pub id: u64,
    /// When.
    pub at: Wall,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A supply started: its record, with the number 1.
    Started(Record),
    /// A supply ended: its final record, and why.
    Ended(Record, Cause),
    /// The charge point broke while no supply ran; why, in words.
    Broke(String),
    /// The monitor was lost while no supply ran.
    MonitorLost,
}
