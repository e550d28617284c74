//! A supply in the words that central and the engines share: how it stands, how it ended, what its engine knows of it.

use crate::{DriverId, Energy, Power, Price, SessionId, Trace, Wall};
use std::{fmt, sync::Arc};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupplyEnd {
    /// The car is full, or left, or was unplugged.
    Completed,
    Stopped,
    EngineFault,
    /// The engine lost its monitor for longer than its grace.
    MonitorLost,
    /// The engine's process died; the supply was closed at its last persisted reading when it came back.
    Interrupted,
}

impl SupplyEnd {
    /// Each of them, for whoever looks one up.
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Stopped, Self::EngineFault, Self::MonitorLost, Self::Interrupted];
}

impl fmt::Display for SupplyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::EngineFault => "the charge point broke",
            Self::MonitorLost => "the charge point lost its monitor",
            Self::Interrupted => "the charge point's power side was interrupted",
        })
    }
}

/// Where a session is, at the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupplyState {
    /// Authorised; the car is not there yet. Never on an engine's disk.
    Authorized,
    Supplying,
    /// It is over: the reading is the final one.
    Ended(SupplyEnd),
}

/// Central's signature over an authorisation, which its engine keeps beside the record and gives back with it: nobody
/// but central reads it. Empty where none came. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Signature(Arc<[u8]>);

/// A signature has at most so many bytes: twice what central's need.
const MAX_SIGNATURE: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has {0} bytes; at most {MAX_SIGNATURE} are allowed")]
pub struct SignatureTooLong(pub usize);

impl Signature {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = SignatureTooLong;

    fn try_from(bytes: &[u8]) -> Result<Self, SignatureTooLong> {
        if bytes.len() > MAX_SIGNATURE { Err(SignatureTooLong(bytes.len())) } else { Ok(Self(bytes.into())) }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What an engine knows of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyRecord {
    pub session: SessionId,
    pub driver: DriverId,
    /// The price it was authorised at.
    pub price: Price,
    /// The number of its authorisation, rising per instance.
    pub authorization: u64,
    pub state: SupplyState,
    /// The number of its newest message: 1 for the start, one more for each reading and for the end. 0: not started.
    pub seq: u64,
    /// Energy so far, as persisted.
    pub energy: Energy,
    pub power: Power,
    /// When the supply started, by the engine's clock.
    pub started_at: Option<Wall>,
    /// When its newest reading was taken, the final one at its end: counted from `started_at` on the engine's monotonic
    /// clock, so that it never lies before it. An engine tells central of the final one's only.
    pub read_at: Option<Wall>,
    /// Where its authorisation stood in a trace; `None`: its trace is made from its session's id. Central isn't told.
    pub trace: Option<Trace>,
    /// As it came with the authorisation. Central has verified it where the rules are given a record, and isn't told.
    pub signature: Signature,
}

impl SupplyRecord {
    /// When the supply ended; `None` before.
    pub fn ended_at(&self) -> Option<Wall> {
        self.read_at.filter(|_| matches!(self.state, SupplyState::Ended(_)))
    }
}
