//! Each ticket: one a session, on the engine's reading, at the price that was fixed (INV-1, INV-4).

use super::{
    super::{truth::Supplied, world::World},
    ms,
};
use domain::network::{Session, Ticket};
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
        let first = *self.truth.tickets.entry(id.clone()).or_insert(ticket);
        let mut bill = ticket;
        bill.late_energy = first.late_energy;
        let same = bill == first;
        let again =
            self.truth.restored && (ticket.estimated() || first.estimated() || ticket.energy == first.energy);
        self.expect("INV-1", same || again, || {
            format!("the ticket of session {id} changes: {first:?}, {ticket:?}")
        });
        let Some(supplied) = self.truth.supplies.get(id).cloned() else {
            return self.broken("INV-1", format!("session {id} has a ticket and no supply"));
        };
        let price = self.truth.fixed.get(id).copied().unwrap_or(supplied.price);
        let amount = reckoned(price, ticket.energy);
        self.expect("INV-4", ticket.amount.micros == amount && session.price == price, || {
            format!(
                "session {id}, authorised at {price}, is billed {} micros for {}: it must be {amount}",
                ticket.amount.micros, ticket.energy
            )
        });
        if ticket.estimated() {
            self.check_estimate(session, ticket, &supplied);
        } else {
            let exact = supplied.ended && supplied.energy == ticket.energy;
            self.expect("INV-4", exact, || {
                format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
            });
        }
        if self.truth.sessions.get(id).is_none_or(|known| known.ticket().is_none()) {
            self.tally.count(if ticket.estimated() { "tickets estimated" } else { "tickets exact" });
        }
    }

    /// Only a lost store, or the settlement deadline, lets a ticket do without the final reading.
    fn check_estimate(&mut self, session: &Session, ticket: Ticket, supplied: &Supplied) {
        let id = &session.id;
        let ended = self.truth.ended.get(id).copied().unwrap_or(self.at);
        let over = self.at >= ended + ms(self.plan.config.settlement).saturating_sub(1_000);
        let jumped = self.truth.jumped.is_some_and(|at| at >= ended);
        let lost = self.truth.lost.contains(&supplied.instance);
        let may = over || jumped || lost || self.truth.restored;
        self.expect("INV-1", may, || format!("session {id} is settled early, on {}", ticket.energy));
        self.expect("INV-4", ticket.energy <= supplied.energy, || {
            format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
        });
    }
}
