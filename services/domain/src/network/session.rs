//! A session: one driver's use of one charge point, from the request to the ticket.
//!
//! What it is never changes: its [`Facts`]. Where it is in its life is one value, [`Life`], that holds what belongs
//! to that moment and nothing else, so that no field contradicts another. It moves in [`lifecycle`] and nowhere else;
//! the ticket is made in [`ticket`]. What it says is read off it in [`life`].

pub(super) mod life;
pub(super) mod lifecycle;
pub(super) mod ticket;

use super::gauges::Gauges;
use crate::{ChargePointId, DriverId, Energy, InstanceId, Mono, Power, Price, SessionId, Trace, Wall};
use life::{Life, State};
use std::ops::Deref;

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
    /// What is shown of it beside its energy.
    pub(super) gauges: Gauges,
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
    /// A session out of a store. Its deadline has only its date, until [`Network::restore`](super::Network::restore)
    /// gives it a place on this process's clock.
    pub fn stored(facts: Facts, life: Life) -> Self {
        Self { facts, life, live: Live::default() }
    }

    /// Its life, for whoever stores it.
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Energy to show: a bare message's reading where it is ahead of what the engine answered.
    pub fn shown_energy(&self) -> Energy {
        let bare = self.live.bare.filter(|_| self.ticket().is_none());
        bare.map_or(self.energy(), |bare| bare.max(self.energy()))
    }

    /// Power to show now; zero unless it is supplying.
    pub fn shown_power(&self) -> Power {
        self.live.gauges.power.filter(|_| self.state() == State::Supplying).unwrap_or_default()
    }

    /// It was there before central started: its deadlines wait until Kafka is read and the engine asked.
    pub fn restored(&self) -> bool {
        self.live.restored
    }
}
