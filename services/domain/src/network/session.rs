//! A session: one driver's use of one charge point, from the request to the ticket.

use super::request::Repeatable;
use crate::{
    ChargePointId, DriverId, Energy, InstanceId, Mono, Now, Power, Price, SessionId, SupplyEnd, Trace, Wall,
};
use std::{fmt, time::Duration};

/// Where a session is in its life. It only moves forward, in the order of the variants, over skipped ones too.
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

/// The bill of a session whose supply started. It never changes, but for what is noted beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// What is billed.
    pub energy: Energy,
    /// The amount, in millionths of the price's currency.
    pub amount_micros: u64,
    /// The final reading could not be had.
    pub estimated: bool,
    /// When it was issued.
    pub issued: Wall,
    /// A higher reading that came later: recorded, not billed. Zero if there is none.
    pub late_energy: Energy,
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
    pub(super) fn restored(self, now: Now, full: Duration) -> Self {
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

/// One session, as central knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where.
    pub charge_point: ChargePointId,
    /// The engine's store that it belongs to.
    pub instance: InstanceId,
    /// Whose.
    pub driver: DriverId,
    /// The price, fixed when it was authorised.
    pub price: Price,
    /// The number of its authorisation.
    pub authorization: u64,
    /// Where it is in its life.
    pub state: State,
    /// Why it ended as it did, in one plain sentence; empty when the outcome says it all.
    pub reason: String,
    /// Why the engine ended it.
    pub end: Option<SupplyEnd>,
    /// The highest reading that the engine told of as persisted.
    pub energy: Energy,
    /// The number of the newest message that was applied; 0: none.
    pub seq: u64,
    /// When it was asked for.
    pub created: Wall,
    /// When its supply started.
    pub started_at: Option<Wall>,
    /// When it ended.
    pub ended_at: Option<Wall>,
    /// Its supply started: it gets a ticket (INV-1).
    pub started: bool,
    /// `energy` is the final reading.
    pub final_reading: bool,
    /// Its end was ordered.
    pub stop: Option<Stop>,
    /// The engine's word on its authorisation is still wanted: revoked, supplying, or ended.
    pub revoke: bool,
    /// The engine's store is lost: only Kafka may still tell of it.
    pub store_lost: bool,
    /// The driver was told of a fault.
    pub error_told: bool,
    /// What the driver was told is wrong while it is not over; its end says it in `reason`.
    pub trouble: String,
    /// Its ticket.
    pub ticket: Option<Ticket>,
    /// Nothing is left to do for it, at the engine either: it leaves the memory for the archive.
    pub closed: bool,
    /// When its state has lasted long enough: none while supplying, where silence is measured.
    pub deadline: Option<Deadline>,
    /// The repeatable request that waits for it, with its digest, while it is being authorised.
    pub request: Option<Repeatable>,
    /// The trace of the order that it came from; `None`: its own, see [`Session::trace`].
    pub trace: Option<Trace>,
    /// What only lives in memory.
    pub live: Live,
}

/// What of a session only lives in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// Power now.
    pub power: Power,
    /// The newest reading of a bare message: shown, never billed.
    pub bare: Option<Energy>,
    /// When the newest reading, or answer with this session in it, came.
    pub last_sign: Mono,
    /// When its engine's store was found lost.
    pub lost_since: Mono,
    /// The reading in memory is ahead of the saved one.
    pub unsaved: bool,
    /// The oldest message in each partition that the saved reading does not cover.
    pub held: Vec<Source>,
    /// It was there before central started: its deadlines wait until Kafka is read and the engine asked.
    pub restored: bool,
    /// How often its authorisation was given a higher number.
    pub renumbered: u32,
    /// A copy of it as it is now is kept outside the store.
    pub copied: bool,
}

impl Session {
    /// Energy to show: a bare message's reading where it is ahead of what the engine answered.
    pub fn shown_energy(&self) -> Energy {
        match (self.ticket, self.live.bare) {
            (Some(ticket), _) => ticket.energy,
            (None, Some(bare)) if !self.final_reading => bare.max(self.energy),
            (None, _) => self.energy,
        }
    }

    /// The trace of all that is done and told for this session: its caller's, or one of its own.
    pub fn trace(&self) -> Trace {
        self.trace.unwrap_or_else(|| Trace::of(self.id.as_str()))
    }

    /// Its ticket is issued, or none is due and nothing can start it any more.
    pub fn settled(&self) -> bool {
        match self.state {
            State::Ended(_) => self.ticket.is_some() || (!self.started && self.closed),
            State::Authorizing | State::Reserved | State::Supplying => false,
        }
    }
}
