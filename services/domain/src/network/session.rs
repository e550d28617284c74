//! A session: one driver's use of one charge point, from the request to the ticket.
//!
//! What it is never changes: its [`Facts`]. Where it is in its life is one value, [`Life`], that holds what belongs
//! to that moment and nothing else, so that no field contradicts another. It moves in [`lifecycle`], [`reading`] and
//! [`review`], and nowhere else; the ticket is made in [`ticket`]. What it says is read off it.

pub(super) mod life;
pub(super) mod lifecycle;
pub(super) mod reading;
mod review;
pub(super) mod ticket;
pub(super) mod told;

use super::{cooling::Asker, gauges::Gauges, plausible::Age, request::Method};
use crate::{
    CardId, ChargePointId, DriverId, Energy, InstanceId, Mono, Price, RequestId, SessionId, Trace, Wall,
};
use life::{Deadline, Delivered, Disputed, Ending, Held, Life, Settled, Settlement, State, Stop, Told};
use std::ops::Deref;
use ticket::Ticket;

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
    /// The card that was shown for it at the charge point.
    pub card: Option<CardId>,
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
    told: Option<Told>,
    pub(super) live: Live,
}

/// What of a session only lives in memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Live {
    /// What is shown of it beside its energy.
    pub(super) gauges: Gauges,
    /// The highest reading of telemetry that was shown.
    pub(super) shown: Energy,
    /// When what is shown last moved.
    pub(super) shown_at: Mono,
    /// Up to when the readings that its driver was told of are paid for.
    pub(super) echoes_paid: Mono,
    /// An engine's answer had less than what telemetry told.
    pub(super) doubted: bool,
    /// Its engine has not answered for it since central started: nobody knows when what is saved was so.
    pub(super) unheard: bool,
    /// A reading that its engine answered was not believed.
    pub(super) disbelieved: bool,
    /// How long ago it was asked for.
    pub(super) age: Age,
    /// When its engine's newest answer with this session in it came. Telemetry is no sign of life: anyone can write it.
    pub(super) last_sign: Mono,
    /// When its engine's store was found lost.
    pub(super) lost_since: Mono,
    /// When its end was ordered, or central started since; once it is over, when its engine heard so.
    pub(super) stopped_at: Option<Mono>,
    /// The reading in memory is ahead of the saved one.
    pub(super) unsaved: bool,
    /// The oldest message in each partition that the saved reading does not cover.
    pub(super) held: Vec<Source>,
    /// Its engine was asked to authorise it.
    pub(super) asked: bool,
    /// It was there before central started: its deadlines wait until Kafka is read and the engine asked.
    pub(super) restored: bool,
    /// Who has to answer for it, should it go unused; `None`: nobody, as far as is known.
    pub(super) asker: Option<Asker>,
    /// A car was plugged in, and its engine did not start it.
    pub(super) plugged_in: bool,
    /// How often its authorisation was given a higher number.
    pub(super) renumbered: u32,
    /// A copy of it as it is now is kept outside the store.
    pub(super) copied: bool,
    /// It was written since it is in memory, and with it what leads to it.
    pub(super) written: bool,
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
        Self { facts, life, told: None, live: Live::default() }
    }

    /// Its life, for whoever stores it, or reads off it what is not here.
    pub fn life(&self) -> &Life {
        &self.life
    }
}

/// What is read off a session's life.
impl Session {
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

    /// While it is being authorised: the request of whoever asked for it as its engine; `None`: a driver's own.
    pub(super) fn manual(&self) -> Option<&RequestId> {
        let Life::Authorizing { request: Some((key, _)), .. } = &self.life else { return None };
        (key.method == Method::RequestManualSupply).then_some(&key.id)
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

    /// The highest reading that the engine answered with, as persisted; zero before its supply started.
    pub fn energy(&self) -> Energy {
        self.delivered().map_or(Energy::ZERO, |delivered| delivered.energy)
    }

    /// The number of the newest message that its engine answered for; 0: none.
    pub fn seq(&self) -> u64 {
        self.delivered().map_or(0, |delivered| delivered.seq)
    }

    /// Why it ended as it did, in one plain sentence; empty when the outcome says it all, or while it is not over.
    pub fn reason(&self) -> &str {
        self.ended().map_or("", |(ending, _)| &ending.reason)
    }

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

    pub fn ticket(&self) -> Option<Ticket> {
        if let Settlement::Billed { ticket, .. } = self.settlement()? { Some(*ticket) } else { None }
    }

    /// What its engine reports of it and central does not believe, as long as nobody has decided.
    pub fn review(&self) -> Option<&Disputed> {
        if let Settlement::Review { reported, .. } = self.settlement()? { Some(reported) } else { None }
    }

    /// It is under review, and telemetry alone reports what is.
    pub(super) fn reported_by_telemetry(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Review { by_telemetry: true, .. }))
    }

    /// The same, and its engine had said that it started: its final reading still makes the ticket.
    pub(super) fn awaits_its_engine(&self) -> bool {
        self.reported_by_telemetry() && !self.declined()
    }

    /// What a person decided that its ticket bills.
    pub fn settled_by(&self) -> Option<&Settled> {
        if let Settlement::Billed { settled, .. } = self.settlement()? { settled.as_deref() } else { None }
    }

    /// It came to nothing by its engine's word, or with its engine's store: no word starts it.
    pub(super) fn declined(&self) -> bool {
        self.ended().is_some_and(|(ending, _)| ending.declined)
    }

    /// Since when it has come to nothing, by its engine's word or with its engine's store: nobody honest will tell of
    /// it, and its row may go. One that its deadline closed stays: its engine, should it come back, may have supplied
    /// it.
    pub fn came_to_nothing(&self) -> Option<Wall> {
        match self.settlement() {
            Some(Settlement::Void { since }) if self.declined() && *since < Wall::MAX => Some(*since),
            _ => None,
        }
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
                Settlement::Billed { held, .. } | Settlement::Review { held, .. } => {
                    held.is_some_and(|held| held.revoke)
                }
                Settlement::Void { .. } | Settlement::Lost { .. } => false,
            },
        }
    }

    /// Its ticket is issued, and its engine has a final record of it to forget.
    pub fn may_be_forgotten(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Billed { held: Some(Held { over: true, .. }), .. }))
    }

    /// Its ticket is issued, and its engine was still at it when it last told of it.
    pub(super) fn goes_on_unbilled(&self) -> bool {
        let engine_has = Held { over: false, revoke: false };
        matches!(self.settlement(), Some(Settlement::Billed { held: Some(held), .. }) if *held == engine_has)
    }

    /// Its ticket is issued, or none is due and nothing can start it any more.
    pub fn settled(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Void { .. } | Settlement::Billed { .. }))
    }

    /// Nothing is left to do for it, at the engine either: it leaves the memory for the archive.
    pub fn closed(&self) -> bool {
        matches!(self.settlement(), Some(Settlement::Void { .. } | Settlement::Billed { held: None, .. }))
    }

    /// Is all that leads to it written as it is now? Only its ticket and its close change that.
    pub fn is_listed(&self) -> bool {
        self.live.written && self.ticket().is_none() && !self.closed()
    }
}
