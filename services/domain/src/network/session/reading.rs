//! What a session's engine answers of its meter, and where that moves the session.

use super::{
    Session,
    life::{Deadline, Delivered, Ending, Held, Life, Outcome, Settlement},
    lifecycle::Ended,
    ticket::Ticket,
};
use crate::network::gauges::Gauges;
use crate::{Energy, Now, SupplyEnd, Wall};

/// A reading of one session's meter.
pub(in crate::network) struct Reading {
    pub(in crate::network) seq: u64,
    pub(in crate::network) energy: Energy,
    pub(in crate::network) gauges: Gauges,
    /// Why the supply ended: then this is the final reading.
    pub(in crate::network) end: Option<SupplyEnd>,
    pub(in crate::network) started_at: Option<Wall>,
    pub(in crate::network) ended_at: Option<Wall>,
}

/// What a reading did to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Read {
    /// Nothing: it was known.
    Repeat,
    /// It was known, but for this: its engine has the final record, which is to be forgotten.
    Over,
    /// Nothing: the meter went backwards, or told more than is believed.
    Absurd,
    /// It is recorded beside the ticket.
    Late,
    Started,
    GoesOn,
    /// A session that is over is still being supplied.
    AfterEnd {
        /// Nobody knew that it had started: it will have a ticket after all.
        first: bool,
    },
    /// It is not believed, and a person has to say what is billed.
    Doubted {
        /// The session was open until then.
        ended: Option<Ended>,
    },
    /// It is the final one, and the ticket is issued.
    Final {
        /// The session was open until then.
        ended: Option<Ended>,
    },
}

impl Session {
    /// What its engine answered, of which so much is believed. A session that is being authorised is granted first.
    pub(in crate::network) fn read(
        &mut self,
        reading: &Reading,
        most: Energy,
        now: Now,
        settle_by: Deadline,
    ) -> Read {
        debug_assert!(!matches!(self.life, Life::Authorizing { .. }), "{self:?}");
        if let Life::Ended { settlement: Settlement::Billed { ticket, held, .. }, .. } = &mut self.life {
            let over = reading.end.is_some() && held.is_some_and(|held| !held.over);
            if over {
                *held = Some(Held { over, revoke: false }); // estimated: now the engine has a record to be forgotten
            }
            // Noted at first and at its end, and not each time that an engine has more: each is a row on disk.
            let noted = (over || ticket.late_energy == Energy::ZERO) && ticket.note(reading.energy);
            return match (noted, over) {
                (true, _) => Read::Late,
                (false, true) => Read::Over,
                (false, false) => Read::Repeat,
            };
        }
        if self.review().is_some() && !self.awaits_its_engine() {
            return self.reported_again(reading);
        }
        let before = self.delivered();
        if let (Some(before), None) = (before, reading.end) {
            if reading.seq <= before.seq {
                return Read::Repeat;
            }
            if reading.energy < before.energy {
                return Read::Absurd;
            }
        }
        let believed = reading.energy <= most;
        if !believed && before.is_some() && reading.end.is_none() {
            return Read::Absurd;
        }
        let declined = self.declined();
        let counts = believed && !declined; // else its start is believed all the same, and no energy
        let energy = if counts { reading.energy } else { Energy::ZERO };
        let delivered = Delivered {
            started: before.map_or(reading.started_at.unwrap_or(now.wall), |before| before.started),
            energy: before.map_or(energy, |before| before.energy.max(energy)),
            seq: before.map_or(reading.seq, |before| before.seq.max(reading.seq)),
        };
        if declined || !believed && reading.end.is_some() {
            return self.doubt(delivered, reading, most, now, settle_by);
        }
        self.live.last_sign = now.mono;
        self.live.shown_at = now.mono;
        self.live.unsaved = true;
        self.live.gauges.update(reading.gauges);
        match reading.end {
            None => self.supplies(delivered, settle_by),
            Some(end) => self.finish(delivered, end, reading.ended_at, now.wall),
        }
    }

    fn supplies(&mut self, delivered: Delivered, settle_by: Deadline) -> Read {
        let stop = self.stop();
        match &mut self.life {
            Life::Authorizing { .. } | Life::Reserved { .. } | Life::Revoking { .. } => {
                self.life = Life::Supplying { delivered, stop, trouble: None };
                Read::Started
            }
            Life::Supplying { delivered: known, .. } => {
                *known = delivered;
                Read::GoesOn
            }
            Life::Ended { settlement, .. } => {
                let first = settlement.delivered().is_none();
                match settlement {
                    Settlement::Lost { delivered: known, .. } => *known = Some(delivered),
                    Settlement::Review { delivered: known, .. } => *known = delivered, // a person is asked once
                    Settlement::Unanswered { .. }
                    | Settlement::Unread { .. }
                    | Settlement::Void { .. }
                    | Settlement::Billed { .. } => {
                        let deadline = settlement.deadline().unwrap_or(settle_by);
                        *settlement = Settlement::Unread { delivered, deadline, revoke: false };
                    }
                }
                Read::AfterEnd { first }
            }
        }
    }

    fn finish(&mut self, delivered: Delivered, end: SupplyEnd, at: Option<Wall>, now: Wall) -> Read {
        self.live.gauges = Gauges::default();
        let held = (!self.store_lost()).then_some(Held { over: true, revoke: false });
        let ticket = Ticket::issue(self.facts.price, delivered.energy, Some(end), now);
        let Delivered { started, seq, .. } = delivered;
        let bill = Settlement::Billed { started, seq, ticket, held, settled: None };
        Read::Final { ended: self.ends_as(end, at.unwrap_or(now), bill) }
    }

    /// It is over by its engine's word, if it was not before; and so much is owed for it.
    pub(super) fn ends_as(&mut self, end: SupplyEnd, at: Wall, owed: Settlement) -> Option<Ended> {
        let (stop, told) = (self.stop(), !self.trouble().is_empty());
        if let Life::Ended { settlement, .. } = &mut self.life {
            *settlement = owed;
            return None;
        }
        let outcome = Outcome::from(end);
        let reason = match outcome {
            Outcome::Stopped => stop.map(|stop| stop.to_string()).unwrap_or_default(),
            Outcome::Faulted => end.to_string(),
            Outcome::Completed | Outcome::Expired | Outcome::Rejected => String::new(),
        };
        let ending = Ending { outcome, reason, at, declined: false, most: None, most_told: None };
        self.life = Life::Ended { ending, settlement: owed };
        Some(Ended { told })
    }
}
