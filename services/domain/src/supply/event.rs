//! What ended a supply, and the lifecycle events that the engine tells of.

use crate::{SupplyEnd, SupplyRecord, Wall};
use std::fmt;

/// What ended a supply: finer than [`SupplyEnd`]. Its text is the reason that its message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The car took all it can.
    Full,
    /// The car stayed as long as it wanted to.
    TimeOver,
    Unplugged,
    Stopped,
    /// The engine broke; why, in words.
    EngineFault(String),
    MonitorLost,
    /// The process died in mid-supply.
    Interrupted,
}

impl Cause {
    pub fn end(&self) -> SupplyEnd {
        match self {
            Self::Full | Self::TimeOver | Self::Unplugged => SupplyEnd::Completed,
            Self::Stopped => SupplyEnd::Stopped,
            Self::EngineFault(_) => SupplyEnd::EngineFault,
            Self::MonitorLost => SupplyEnd::MonitorLost,
            Self::Interrupted => SupplyEnd::Interrupted,
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

/// A lifecycle event: a row of the outbox, which leaves strictly in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the outbox, rising.
    pub id: u64,
    pub at: Wall,
    pub kind: EventKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A supply started: its record, with the number 1.
    Started(SupplyRecord),
    /// A supply ended: its final record, and why.
    Ended(SupplyRecord, Cause),
    /// The charge point broke while no supply ran; why, in words.
    Broke(String),
    /// The monitor was lost while no supply ran.
    MonitorLost,
}

impl EventKind {
    /// The supply that it tells of.
    pub fn record(&self) -> Option<&SupplyRecord> {
        match self {
            Self::Started(record) | Self::Ended(record, _) => Some(record),
            Self::Broke(_) | Self::MonitorLost => None,
        }
    }
}
