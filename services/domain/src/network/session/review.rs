//! A session under review: what its engine reports is not believed, and a person says what is billed.
//!
//! It holds nobody, and its engine keeps the record. The first word on it counts: a person's, or at the settlement
//! deadline what is believed.

use super::{
    Session,
    life::{Deadline, Delivered, Disputed, Held, Life, Settled, Settlement},
    reading::{Read, Reading},
    ticket::Ticket,
};
use crate::network::gauges::Gauges;
use crate::{Energy, Now, Wall};

/// Until its end is told, what is reported is news once it is more by one part in so many: each is a row on disk.
const NEWS: u64 = 8;

impl Session {
    /// Its engine's word is not believed: of it, `delivered` is, and up to `most`.
    pub(super) fn doubt(
        &mut self,
        delivered: Delivered,
        reading: &Reading,
        most: Energy,
        now: Now,
        settle_by: Deadline,
    ) -> Read {
        let doubt = match self.ended() {
            Some((ending, _)) if ending.declined => {
                "its charge point had refused it or given it back, it had come to nothing, or central never \
                 authorised it"
                    .into()
            }
            Some((ending, _)) if ending.most.is_some_and(|limit| limit <= most) => {
                format!("{most} is the most that it had delivered when it ended; it went on after that")
            }
            Some(_) | None => format!("{most} is the most that is believed of its charge point in that time"),
        };
        self.live.gauges = Gauges::default();
        let deadline = self.deadline().filter(|_| !self.is_open()).unwrap_or(settle_by);
        let held = (!self.store_lost()).then_some(Held { over: reading.end.is_some(), revoke: false });
        let energy = reading.energy.max(delivered.energy);
        let reported = Disputed { energy, end: reading.end, doubt };
        let owed = Settlement::Review { delivered, reported, deadline, held, by_telemetry: false };
        let ended = match reading.end {
            Some(end) => self.ends_as(end, reading.ended_at.unwrap_or(now.wall), owed),
            None => {
                *self.settlement_mut() = owed; // declined, hence over
                None
            }
        };
        Read::Doubted { ended }
    }

    /// Only telemetry, which anyone can write, says that it started: its engine never did, and nothing is billed
    /// without a person's word.
    pub(super) fn only_told(&mut self, told: Delivered, deadline: Deadline) {
        let Life::Ended { ending, settlement } = &mut self.life else { return };
        ending.declined = true;
        let doubt = "only telemetry says that it started; its engine never did".into();
        let reported = Disputed { energy: told.energy, end: None, doubt };
        let delivered = Delivered { energy: Energy::ZERO, ..told };
        *settlement = Settlement::Review { delivered, reported, deadline, held: None, by_telemetry: true };
    }

    /// Only telemetry says that it had more than it can have had when it ended. Its engine may have supplied on, cut
    /// off: its final reading, should it come, makes the ticket as always.
    pub(super) fn told_too_much(
        &mut self,
        delivered: Delivered,
        told: Energy,
        most: Energy,
        deadline: Deadline,
    ) {
        let Life::Ended { ending, settlement } = &mut self.life else { return };
        ending.most_told = Some(most);
        let doubt =
            format!("only telemetry tells of it; {most} is the most that it can have had when it ended");
        let reported = Disputed { energy: told, end: None, doubt };
        *settlement = Settlement::Review { delivered, reported, deadline, held: None, by_telemetry: true };
    }

    /// Its engine says more of what is not believed. Its own word takes the place of what telemetry alone had told, and
    /// is kept there until the ticket is issued.
    pub(super) fn reported_again(&mut self, reading: &Reading) -> Read {
        let Settlement::Review { reported, held, by_telemetry, .. } = self.settlement_mut() else {
            return Read::Repeat;
        };
        let over = reading.end.is_some() && reported.end.is_none();
        if std::mem::take(by_telemetry) {
            reported.energy = reading.energy;
            reported.doubt = "its charge point tells of it only now, after it had come to nothing".into();
        } else if !over && reading.energy.wh() <= reported.energy.wh() + reported.energy.wh() / NEWS {
            return Read::Repeat;
        }
        reported.energy = reported.energy.max(reading.energy);
        reported.end = reported.end.or(reading.end);
        let before = held.unwrap_or(Held { over: false, revoke: false });
        *held = Some(Held { over: before.over || over, ..before });
        Read::Over
    }

    /// A person says what is billed: so much, which is not above what was reported. The ticket is issued.
    pub(in crate::network) fn settle_by_word(
        &mut self,
        energy: Energy,
        by: String,
        reason: String,
        now: Wall,
    ) {
        let price = self.price;
        let settlement = self.settlement_mut();
        let Settlement::Review { delivered, reported, held, .. } = settlement else {
            unreachable!("it is not under review: {settlement:?}"); // a ticket never changes (INV-1)
        };
        assert!(energy <= reported.energy, "{reported:?}"); // INV-4
        let ticket = Ticket::issue(price, energy, reported.end, now);
        let settled = Some(Box::new(Settled { by, reason, reported: reported.energy }));
        let Delivered { started, seq, .. } = *delivered;
        *settlement = Settlement::Billed { started, seq, ticket, held: *held, settled };
    }

    /// The record that its engine kept while it was under review, and may forget with its ticket.
    pub(super) fn kept_for_review(&self) -> Option<Held> {
        if let Settlement::Review { held, .. } = self.settlement()? { *held } else { None }
    }
}
