//! Every move of a session's life but those that its engine's readings make, which are in [`reading`](super::reading),
//! and a person's word on them, in [`review`](super::review): what happened goes in, what follows comes out. Forward,
//! never back.
//!
//! Deliberately absent: who is told, what is called and which index changes; that is carried out by the rules that
//! ask for a move.

use super::{
    Facts, Live, Session,
    life::{Deadline, Delivered, Ending, Held, Life, Outcome, Settlement, Stop},
    ticket::Ticket,
};
use crate::network::{Config, gauges::Gauges, plausible::Age, request::Repeatable};
use crate::{Energy, Mono, Now, Wall};
use std::time::Duration;

/// A session has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Ended {
    /// Its driver was told before of what is wrong.
    pub(in crate::network) told: bool,
}

/// What the engine has said of the authorisation of a session that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Word {
    /// It refused, or gave it back.
    Given,
    /// Nothing yet, and its word is wanted.
    Wanted,
    /// Its store is lost: it never will.
    Lost,
}

impl Session {
    /// A request for which a charge point was chosen: its engine is asked.
    pub(in crate::network) fn requested(
        facts: Facts,
        request: Option<Repeatable>,
        deadline: Deadline,
        now: Mono,
    ) -> Self {
        let age = Age::new(now, Some(Duration::ZERO));
        let live = Live { last_sign: now, age, ..Live::default() };
        Self { facts, life: Life::Authorizing { deadline, request }, told: None, live }
    }

    /// A session that only its engine knew. The record that told of it moves it on: a running supply from a
    /// reservation, all others (`ended`) from an end for which the engine's word is wanted.
    pub(in crate::network) fn adopted(
        facts: Facts,
        ended: Option<Outcome>,
        deadline: Deadline,
        (age, now): (Age, Now),
    ) -> Self {
        let life = match ended {
            None => Life::Reserved { deadline },
            Some(outcome) => {
                let reason = "found at the charge point, unknown to central".into();
                let ending =
                    Ending { outcome, reason, at: now.wall, declined: false, most: None, most_told: None };
                Life::Ended { ending, settlement: Settlement::Unanswered { deadline } }
            }
        };
        Self { facts, life, told: None, live: Live { last_sign: now.mono, age, ..Live::default() } }
    }

    /// Found at its engine, and never authorised: a person wants to see what it says.
    pub(in crate::network) fn is_nobodys(&mut self) {
        if let Life::Ended { ending, .. } = &mut self.life {
            ending.declined = true;
        }
    }

    /// The engine has seen higher numbers: it is asked again, with this one.
    pub(in crate::network) fn renumber(&mut self, number: u64) {
        self.live.renumbered += 1;
        self.facts.authorization = number;
    }

    /// The engine agreed.
    pub(in crate::network) fn grant(&mut self, deadline: Deadline) {
        assert!(matches!(self.life, Life::Authorizing { .. }), "{self:?}");
        self.life = Life::Reserved { deadline };
    }

    /// A reservation is given up: the engine is to give it back. False: it is no reservation, or is given up already.
    pub(in crate::network) fn revoke(&mut self, deadline: Deadline) -> bool {
        let reserved = matches!(self.life, Life::Reserved { .. });
        if reserved {
            self.life = Life::Revoking { deadline, stop: None };
        }
        reserved
    }

    /// Its end was ordered: the first order counts. What the engine has not agreed to is given up like a reservation.
    pub(in crate::network) fn order_stop(&mut self, by: Stop, deadline: Deadline, now: Mono) {
        self.live.stopped_at.get_or_insert(now);
        match &mut self.life {
            Life::Authorizing { .. } | Life::Reserved { .. } => {
                self.life = Life::Revoking { deadline, stop: Some(by) };
            }
            Life::Revoking { stop, .. } | Life::Supplying { stop, .. } => {
                stop.get_or_insert(by);
            }
            Life::Ended { .. } => {}
        }
    }

    /// Something is wrong with a supply that is not over: what flows is not known. False: its driver was told before.
    pub(in crate::network) fn is_in_trouble(&mut self, what: &str) -> bool {
        match &mut self.life {
            Life::Supplying { trouble, .. } => {
                self.live.gauges = Gauges::default();
                let first = trouble.is_none();
                trouble.get_or_insert_with(|| what.to_owned());
                first
            }
            Life::Authorizing { .. } | Life::Reserved { .. } | Life::Revoking { .. } | Life::Ended { .. } => {
                false
            }
        }
    }

    /// An open session ends without a final reading. Its ticket, if one is due, has to wait.
    pub(in crate::network) fn end(
        &mut self,
        outcome: Outcome,
        reason: String,
        at: Wall,
        word: Word,
        deadline: Deadline,
    ) -> Ended {
        assert!(self.is_open(), "{self:?}"); // else a ticket would be lost (INV-1)
        let told = !self.trouble().is_empty();
        let settlement = match (self.delivered(), word) {
            (delivered, Word::Lost) => Settlement::Lost { delivered, deadline },
            (Some(delivered), word) => {
                Settlement::Unread { delivered, deadline, revoke: word == Word::Wanted }
            }
            (None, Word::Wanted) => Settlement::Unanswered { deadline },
            (None, Word::Given) => Settlement::Void { since: at },
        };
        let declined = matches!(settlement, Settlement::Void { .. });
        self.live.stopped_at = None; // the order to stop goes out again
        self.life = Life::Ended {
            ending: Ending { outcome, reason, at, declined, most: None, most_told: None },
            settlement,
        };
        Ended { told }
    }

    /// Nothing above that is believed of a session that is over, whenever it is told. False: it was not before.
    pub(in crate::network) fn had_at_most(&mut self, energy: Energy) -> bool {
        let Life::Ended { ending, .. } = &mut self.life else { return false };
        let news = ending.most.is_none_or(|known| energy < known);
        if news {
            ending.most = Some(energy);
        }
        news
    }

    /// The engine's store is lost with what only it knew of a session that is over.
    pub(in crate::network) fn lose_store(&mut self) {
        let delivered = self.delivered();
        let settlement = self.settlement_mut();
        match settlement {
            Settlement::Unanswered { deadline } | Settlement::Unread { deadline, .. } => {
                *settlement = Settlement::Lost { delivered, deadline: *deadline };
            }
            // Nobody is left to forget its record; what is under review stays so.
            Settlement::Billed { held, .. } | Settlement::Review { held, .. } => *held = None,
            Settlement::Void { .. } | Settlement::Lost { .. } => {}
        }
    }

    /// The engine holds an authorisation for a session that is over: it must start nothing.
    pub(in crate::network) fn is_still_authorized(&mut self, until: Deadline) {
        let settlement = self.settlement_mut();
        match settlement {
            Settlement::Void { .. } => *settlement = Settlement::Unanswered { deadline: until },
            Settlement::Unread { revoke, .. } => *revoke = true,
            Settlement::Review { held, .. } => {
                *held = held.map(|held| Held { revoke: true, ..held });
            }
            Settlement::Billed { ticket, held, .. } => {
                let over = held.map_or(!ticket.estimated(), |held| held.over);
                *held = Some(Held { over, revoke: true });
            }
            Settlement::Unanswered { .. } | Settlement::Lost { .. } => {}
        }
    }

    /// The engine has given its word on the authorisation of a session that is over, or whose supply runs.
    pub(in crate::network) fn word_given(&mut self, now: Wall) {
        let Life::Ended { ending, settlement } = &mut self.life else { return };
        match settlement {
            Settlement::Unanswered { .. } => {
                *settlement = Settlement::Void { since: now };
                ending.declined = true;
            }
            Settlement::Unread { revoke, .. } => *revoke = false,
            Settlement::Billed { held: Some(held), .. } | Settlement::Review { held: Some(held), .. } => {
                held.revoke = false;
            }
            Settlement::Billed { held: None, .. }
            | Settlement::Review { held: None, .. }
            | Settlement::Void { .. }
            | Settlement::Lost { .. } => {}
        }
    }

    /// The final reading will not come. The ticket is issued, on the highest one that came, by telemetry too, or none
    /// is due. Where telemetry alone says that it started, or that it had more than `most_told`, a person is asked:
    /// whoever takes a charge point over can make its store lost, and whoever cuts it off can make it silent.
    pub(in crate::network) fn settle(&mut self, now: Wall, review_by: Deadline, most_told: Energy) {
        assert!(!self.settled(), "{self:?}"); // a ticket never changes (INV-1)
        let price = self.facts.price;
        let delivered = self.delivered_by_all_accounts(most_told).filter(|_| !self.declined());
        let unconfirmed = matches!(
            self.settlement(),
            Some(Settlement::Unanswered { .. } | Settlement::Lost { delivered: None, .. })
        );
        if let (Some(known), Some(told), None) =
            (self.delivered(), self.told_beyond(most_told), self.review())
        {
            return self.told_too_much(known, told, most_told, review_by);
        }
        let held = self.kept_for_review(); // else no engine is known to keep a record of it
        let owed = match delivered {
            Some(told) if unconfirmed => return self.only_told(told, review_by),
            Some(Delivered { started, energy, seq }) => {
                let ticket = Ticket::issue(price, energy, None, now);
                Settlement::Billed { started, seq, ticket, held, settled: None }
            }
            // Its engine, should it come back, may have supplied it.
            None if self.reported_by_telemetry() => Settlement::Void { since: Wall::MAX },
            None => Settlement::Void { since: now },
        };
        let Life::Ended { ending, settlement } = &mut self.life else { return };
        let lost = matches!(settlement, Settlement::Lost { .. });
        ending.declined |= lost && matches!(owed, Settlement::Void { .. });
        *settlement = owed;
    }

    /// The engine has forgotten a session that has its ticket.
    pub(in crate::network) fn forgotten(&mut self) {
        match self.settlement_mut() {
            Settlement::Billed { held, .. } => *held = None,
            owed => unreachable!("forgotten before its ticket: {owed:?}"), // it would be lost (INV-1)
        }
    }

    /// A closed session of which its engine tells more: until the engine has forgotten it too. One that came to nothing
    /// is started by no word, in a row of before `declined` was kept either.
    pub(in crate::network) fn revive(&mut self, deadline: Deadline, age: Age, now: Mono) {
        self.live = Live { last_sign: now, age, ..Live::default() };
        match &mut self.life {
            Life::Ended { ending, settlement: void @ Settlement::Void { .. } } => {
                ending.declined = true;
                *void = Settlement::Unanswered { deadline };
            }
            Life::Ended { settlement: Settlement::Billed { ticket, held, .. }, .. } => {
                *held = Some(Held { over: !ticket.estimated(), revoke: false });
            }
            other => unreachable!("it is not closed: {other:?}"),
        }
    }

    /// What is owed for a session that is over: whoever asks knows that it is.
    pub(super) fn settlement_mut(&mut self) -> &mut Settlement {
        match &mut self.life {
            Life::Ended { settlement, .. } => settlement,
            open => unreachable!("it is open: {open:?}"),
        }
    }

    /// After a start of central: what is left of its deadline, and nothing that only lived in memory.
    pub(in crate::network) fn restore(&mut self, config: &Config, now: Now, age: Option<Duration>) {
        let copied = self.live.copied;
        let (last_sign, lost_since) = (now.mono, now.mono);
        let stopped_at = self.stop().map(|_| now.mono); // it has its full time again
        let age = Age::new(now.mono, age);
        self.live = Live {
            last_sign,
            lost_since,
            stopped_at,
            restored: true,
            unheard: true,
            copied,
            age,
            ..Live::default()
        };
        let restore = |deadline: &mut Deadline, full| *deadline = deadline.restored(now, full);
        match &mut self.life {
            Life::Authorizing { deadline, .. } => restore(deadline, config.authorize_timeout),
            Life::Reserved { deadline } | Life::Revoking { deadline, .. } => {
                restore(deadline, config.reservation + config.reservation_margin);
            }
            Life::Supplying { .. } => {}
            Life::Ended { settlement, .. } => match settlement {
                Settlement::Unanswered { deadline }
                | Settlement::Lost { deadline, .. }
                | Settlement::Unread { deadline, .. }
                | Settlement::Review { deadline, .. } => restore(deadline, config.settlement),
                Settlement::Void { .. } | Settlement::Billed { .. } => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mono, SupplyEnd};

    fn at(ms: u64) -> Now {
        Now { mono: Mono(ms), wall: Wall(ms.cast_signed()) }
    }

    fn billed() -> Session {
        let facts = Facts {
            id: "s1".parse().unwrap(),
            charge_point: "A".parse().unwrap(),
            instance: "store-1".parse().unwrap(),
            driver: "101".parse().unwrap(),
            card: None,
            price: "0.30 EUR".parse().unwrap(),
            authorization: 1,
            created: Wall(0),
            trace: None,
        };
        let end = Some(SupplyEnd::Completed);
        let ticket = Ticket::issue(facts.price, Energy::from_wh(100), end, Wall(3));
        let settlement = Settlement::Billed { started: Wall(1), seq: 2, ticket, held: None, settled: None };
        let ending = Ending {
            outcome: Outcome::Completed,
            reason: String::new(),
            at: Wall(2),
            declined: false,
            most: None,
            most_told: None,
        };
        Session::stored(facts, Life::Ended { ending, settlement })
    }

    #[test]
    #[should_panic = "Billed"]
    fn a_ticket_is_never_issued_again() {
        billed().settle(Wall(9), Deadline::after(at(5), std::time::Duration::from_secs(1)), Energy::MAX);
    }

    #[test]
    #[should_panic = "Billed"]
    fn what_is_over_does_not_end_again() {
        let deadline = Deadline::after(at(5), std::time::Duration::from_secs(1));
        billed().end(Outcome::Faulted, String::new(), Wall(5), Word::Given, deadline);
    }
}
