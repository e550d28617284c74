//! Each ticket: one a session, on the engine's reading, at the price that was fixed (INV-1, INV-4).

use super::{
    super::{truth::Supplied, world::World},
    ms,
};
use domain::network::{Life, Outcome, Session, Settled, Settlement, Ticket};
use domain::{Energy, Price};

/// What a bill must be, reckoned apart from the product's own way: half to even, once, to the minor unit.
fn reckoned(price: Price, energy: Energy) -> u64 {
    let exact = u128::from(energy.wh()) * u128::from(price.micros_per_kwh());
    let unit = 1000 * 10_u128.pow(6 - price.currency().decimals());
    let mut units = exact / unit;
    let twice = 2 * (exact - units * unit);
    if twice > unit || (twice == unit && units % 2 == 1) {
        units += 1;
    }
    u64::try_from(units * unit / 1000).unwrap_or(u64::MAX)
}

impl World {
    pub(in crate::simulate) fn check_ticket(&mut self, session: &Session, ticket: Ticket) {
        let id = &session.id;
        let authorized = self.truth.authorized.get(id).is_some_and(|(charge_point, driver)| {
            *charge_point == session.charge_point && *driver == session.driver
        });
        // Of a word that its engine had taken back nothing is billed but by a person.
        let settled = session.settled_by().cloned();
        let lied = self.truth.lied.contains(id) && (ticket.energy == Energy::ZERO || settled.is_some());
        self.expect("INV-10", authorized || lied, || {
            format!(
                "session {id} of {} at {} has a ticket, and central never authorised it",
                session.driver, session.charge_point
            )
        });
        let first = *self.truth.tickets.entry(id.clone()).or_insert(ticket);
        let mut bill = ticket;
        bill.late_energy = first.late_energy;
        let same = bill == first;
        let told_again = ticket.estimated() || first.estimated() || ticket.energy == first.energy;
        let again = self.truth.restored && (told_again || self.truth.lied.contains(id));
        self.expect("INV-1", same || again, || {
            format!("the ticket of session {id} changes: {first:?}, {ticket:?}")
        });
        let supplied = self.truth.supplies.get(id).cloned();
        let forged = ticket.estimated() && self.truth.forged.contains_key(id);
        if supplied.is_none() && !forged && !lied {
            return self.broken("INV-1", format!("session {id} has a ticket and no supply"));
        }
        let known = supplied.as_ref().map_or(session.price, |supplied| supplied.price);
        let price = self.truth.fixed.get(id).copied().unwrap_or(known);
        let amount = reckoned(price, ticket.energy);
        self.expect("INV-4", ticket.amount.micros == amount && session.price == price, || {
            format!(
                "session {id}, authorised at {price}, is billed {} micros for {}: it must be {amount}",
                ticket.amount.micros, ticket.energy
            )
        });
        if let Some(Settled { reported, .. }) = settled {
            self.tally.count("tickets settled by a person");
            self.expect("INV-4", ticket.energy <= reported, || {
                format!("session {id} is settled on {}, and {reported} was reported", ticket.energy)
            });
        } else if ticket.estimated() {
            self.check_estimate(session, ticket, supplied.as_ref());
        } else {
            let of_it = |supplied: &Supplied| supplied.ended && supplied.energy == ticket.energy;
            let exact = supplied.as_ref().is_some_and(of_it);
            self.expect("INV-4", exact, || {
                format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
            });
        }
        if self.truth.sessions.get(id).is_none_or(|known| known.ticket().is_none()) {
            self.tally.count(if ticket.estimated() { "tickets estimated" } else { "tickets exact" });
        }
    }

    /// Only a lost store, or the settlement deadline, lets a ticket do without the final reading; and only then does it
    /// count what a stranger wrote.
    fn check_estimate(&mut self, session: &Session, ticket: Ticket, supplied: Option<&Supplied>) {
        let id = &session.id;
        let ended = self.truth.ended.get(id).copied().unwrap_or(self.at);
        let lost = self.truth.lost.contains(&session.instance);
        let may = self.deadline_passed(ended) || lost || self.truth.restored;
        self.expect("INV-1", may, || format!("session {id} is settled early, on {}", ticket.energy));
        let forged = self.truth.forged.get(id).copied().unwrap_or_default();
        let most = supplied.map_or(Energy::ZERO, |supplied| supplied.energy).max(forged);
        self.expect("INV-4", ticket.energy <= most, || {
            format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
        });
    }

    /// Nobody honest waits for a person. Where central's clock was set back, or its store was, less is known of the
    /// time than it takes to tell.
    pub(in crate::simulate) fn check_review(&mut self, session: &Session) {
        let Some(reported) = session.review() else { return };
        let id = &session.id;
        if self.truth.sessions.get(id).is_none_or(|before| before.review().is_none()) {
            self.truth.reviewed.insert(id.clone(), self.at);
            self.tally.count("sessions under review");
        }
        let unsure = self.truth.jumped.is_some() || self.truth.restored;
        let lied = self.truth.lied.contains(id);
        let Life::Ended { ending, settlement } = session.life() else { return };
        // Its engine was in reach, and may not have heard of the stop; or its driver was denied it, and the answer was
        // lost; or it had come to nothing when central gave it up: what flowed then is a person's to judge.
        let cut = ending.most.is_some() && matches!(ending.outcome, Outcome::Stopped | Outcome::Rejected);
        let ended = self.truth.ended.get(id).copied().unwrap_or(self.at);
        let late = self.truth.given_up.contains(id) || self.deadline_passed(ended);
        // Whoever writes telemetry and takes a charge point over could say as much.
        let by_telemetry = matches!(settlement, Settlement::Review { by_telemetry: true, .. });
        let told_alone = self.truth.lost.contains(&session.instance) && by_telemetry;
        self.expect("INV-10", lied || unsure || cut || late || told_alone, || {
            format!("session {id} is under review, and its engine is honest: {reported:?}")
        });
    }

    /// So much time has passed since a session ended, or a jump of the clock may have made it so.
    pub(in crate::simulate) fn deadline_passed(&self, ended: u64) -> bool {
        let over = self.at >= ended + ms(self.plan.config.settlement).saturating_sub(1_000);
        over || self.truth.jumped.is_some_and(|at| at >= ended)
    }

    /// What central has on disk of a supply came from its engine: nothing that a stranger wrote starts one, ends one,
    /// or raises its number (INV-10).
    pub(in crate::simulate) fn check_evidence(&mut self, session: &Session) {
        let estimated = session.ticket().is_some_and(|ticket| ticket.estimated());
        if !session.started() || estimated || session.settled_by().is_some() {
            return;
        }
        let id = &session.id;
        let nothing_of_it = session.review().is_some() && session.energy() == Energy::ZERO;
        if nothing_of_it && (self.truth.lied.contains(id) || self.truth.forged.contains_key(id)) {
            return;
        }
        let supplied = self.truth.supplies.get(id).cloned();
        let known = supplied
            .as_ref()
            .is_some_and(|supplied| session.seq() <= supplied.seq && session.energy() <= supplied.energy);
        self.expect("INV-10", known, || {
            format!(
                "session {id} is {:?} with {}, number {}, and its engine has {supplied:?}",
                session.state(),
                session.energy(),
                session.seq()
            )
        });
    }
}
