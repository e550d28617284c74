//! One session as it is seen, held against all that was seen of it before.

use super::journal::Facts;
use evmesh_proto::network::{Price, Session, SessionOutcome, SessionState, Ticket};

impl Facts {
    /// A session that central showed to a question that was asked then. What was shown before that stays true: it
    /// only moves forward, its identity and its price never change, and neither does its ticket.
    pub(super) fn observe(&mut self, session: &Session, asked: domain::Mono) {
        let id = session.session_id.clone();
        let now = mesh::now();
        let shown = self.shown_ms.entry(id.clone()).or_insert((now.mono.0, 0));
        // Answers overtake each other, on a slow link by seconds: one that was asked for before another one came may
        // be older.
        let overtaken = asked.0 <= shown.1;
        if let Some(before) = self.sessions.get(&id).cloned() {
            let back = order(session.state()) < order(before.state()) || ticket_lost(&before, session);
            if overtaken && back {
                return;
            }
            if before != *session {
                self.compare(&before, session);
            }
        }
        self.shown_ms.entry(id.clone()).and_modify(|shown| shown.1 = now.mono.0);
        let before = self.sessions.insert(id.clone(), session.clone());
        let shape = |session: &Session| (session.state(), session.outcome(), session.settled);
        if before.as_ref().map(shape) != Some(shape(session)) {
            self.note(&id, now.wall.0, format!("central shows {}", describe(session)));
        }
        if let Some(ticket) = &session.ticket {
            self.observe_ticket(ticket);
        }
    }

    fn compare(&mut self, before: &Session, after: &Session) {
        let id = Some(after.session_id.as_str());
        let identity = |session: &Session| {
            (session.charge_point_id.clone(), session.driver_id.clone(), session.price.clone())
        };
        if identity(before) != identity(after) {
            let text =
                format!("session {} was {:?}, is {:?}", after.session_id, identity(before), identity(after));
            self.violated("INV-6", id, text);
        }
        let back = order(after.state()) < order(before.state());
        let other_end = before.state() == SessionState::Ended && before.outcome() != after.outcome();
        let unsettled = before.settled && !after.settled && before.ticket.is_some();
        if back || other_end || unsettled {
            let text = format!(
                "session {} went back from {} to {}",
                after.session_id,
                describe(before),
                describe(after)
            );
            self.violated("INV-6", id, text);
        }
        if ticket_lost(before, after) {
            let text = format!("session {} had a ticket and has none", after.session_id);
            self.violated("INV-1", id, text);
        }
    }

    /// A ticket, from wherever it was shown.
    pub(super) fn observe_ticket(&mut self, ticket: &Ticket) {
        let id = ticket.session_id.clone();
        match self.tickets.get(&id) {
            Some(before) if without_late(before) != without_late(ticket) => {
                let text = format!("the ticket of session {id} changed from {before:?} to {ticket:?}");
                self.violated("INV-1", Some(&id), text);
            }
            Some(_) => {}
            None => {
                let text = format!("ticket: {} Wh, {:?}", ticket.energy_wh, ticket.amount);
                self.note(&id, mesh::now().wall.0, text);
            }
        }
        self.tickets.insert(id, ticket.clone());
    }
}

fn ticket_lost(before: &Session, after: &Session) -> bool {
    before.ticket.is_some() && after.ticket.is_none()
}

fn without_late(ticket: &Ticket) -> Ticket {
    Ticket { late_energy_wh: 0, ..ticket.clone() }
}

fn order(state: SessionState) -> u8 {
    match state {
        SessionState::Unspecified => 0,
        SessionState::Authorizing => 1,
        SessionState::Reserved => 2,
        SessionState::Supplying => 3,
        SessionState::Ended => 4,
    }
}

/// A session in one line.
pub(super) fn describe(session: &Session) -> String {
    let state = session.state().as_str_name().trim_start_matches("SESSION_STATE_");
    let end = match session.outcome() {
        SessionOutcome::Unspecified => String::new(),
        outcome => format!(" {}", outcome.as_str_name().trim_start_matches("SESSION_OUTCOME_")),
    };
    let settled = if session.settled { ", settled" } else { "" };
    let ticket = session.ticket.as_ref().map_or_else(String::new, |ticket| {
        format!(
            ", ticket {} Wh {} micros",
            ticket.energy_wh,
            ticket.amount.as_ref().map_or(0, |money| money.micros)
        )
    });
    format!(
        "{state}{end}{settled} at {} for {}, {} Wh{ticket}; {}{}",
        session.charge_point_id, session.driver_id, session.energy_wh, session.reason, session.trouble
    )
}

/// What so much energy at this price comes to: energy × price, rounded half to even to the currency's minor unit,
/// once. It is written anew here: the product's own arithmetic is what it is held against.
pub(super) fn amount_micros(energy_wh: u64, price: &Price) -> i128 {
    let unit: i128 = match price.currency_code.as_str() {
        "JPY" => 1_000_000,
        "KWD" => 1_000,
        _ => 10_000, // of those that this run uses
    };
    let exact = i128::from(energy_wh) * i128::from(price.micros_per_kwh); // thousandths of a micro
    let (whole, rest) = (exact / (unit * 1000), exact % (unit * 1000));
    let up = match (rest * 2).cmp(&(unit * 1000)) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole % 2,
        std::cmp::Ordering::Greater => 1,
    };
    (whole + up) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_half_to_even() {
        let price = |code: &str, micros_per_kwh| Price { currency_code: code.into(), micros_per_kwh };
        assert_eq!(amount_micros(40_000, &price("EUR", 350_000)), 14_000_000);
        assert_eq!(amount_micros(500, &price("EUR", 10_000)), 0); // half a cent: to even
        assert_eq!(amount_micros(1_500, &price("EUR", 10_000)), 20_000);
        assert_eq!(amount_micros(2_500, &price("EUR", 10_000)), 20_000);
        assert_eq!(amount_micros(2_501, &price("EUR", 10_000)), 30_000);
        assert_eq!(amount_micros(7_777, &price("JPY", 38_550_000)), 300_000_000);
        assert_eq!(amount_micros(100, &price("KWD", 45_678)), 5_000);
    }
}
