//! From central's answers, and from Kafka, to the rules. What makes no sense is refused here, and goes no further.

use domain::{
    Energy, Power,
    ids::MAX_NUMBER,
    requests::{FreePoint, News, Notification, Outcome, Session, State, Ticket},
    text::printable,
};
use evmesh_proto::{
    network::{self as proto, SessionOutcome, SessionState},
    topics::{self, NotificationType},
};
use mesh::convert::{self, InvalidField, given, parse};

/// A session as the rules take it.
pub fn session(session: Option<proto::Session>) -> Result<Session, InvalidField> {
    let session = given("session", session)?;
    let state = match session.state() {
        SessionState::Unspecified => return given("session.state", None),
        SessionState::Authorizing => State::Authorizing,
        SessionState::Reserved => State::Reserved,
        SessionState::Supplying => State::Supplying,
        SessionState::Ended => State::Ended(outcome("session.outcome", session.outcome())?),
    };
    Ok(Session {
        id: parse("session.session_id", &session.session_id)?,
        charge_point: parse("session.charge_point_id", &session.charge_point_id)?,
        state,
        price: convert::price("session.price", session.price.as_ref())?,
        energy: convert::energy("session.energy_wh", session.energy_wh)?,
        power: convert::power("session.power_w", session.power_w)?,
        settled: session.settled,
        ticket: session.ticket.map(ticket).transpose()?,
        reason: printable(&session.reason),
        trouble: printable(&session.trouble),
    })
}

/// A ticket as the rules take it.
pub fn ticket(ticket: proto::Ticket) -> Result<Ticket, InvalidField> {
    Ok(Ticket {
        session: parse("ticket.session_id", &ticket.session_id)?,
        charge_point: parse("ticket.charge_point_id", &ticket.charge_point_id)?,
        energy: convert::energy("ticket.energy_wh", ticket.energy_wh)?,
        amount: convert::money("ticket.amount", ticket.amount.as_ref())?,
        outcome: outcome("ticket.outcome", ticket.outcome())?,
        estimated: ticket.estimated,
    })
}

fn outcome(field: &str, outcome: SessionOutcome) -> Result<Outcome, InvalidField> {
    match outcome {
        SessionOutcome::Unspecified => given(field, None),
        SessionOutcome::Completed => Ok(Outcome::Completed),
        SessionOutcome::Stopped => Ok(Outcome::Stopped),
        SessionOutcome::Faulted => Ok(Outcome::Faulted),
        SessionOutcome::Expired => Ok(Outcome::Expired),
        SessionOutcome::Rejected => Ok(Outcome::Rejected),
    }
}

/// A message on `driver_notifications`; `None` if it has no sensible reading where it needs one, or a number that no
/// message comes to.
pub(crate) fn notification(message: topics::Notification) -> Option<Notification> {
    if message.seq.is_some_and(|seq| seq > MAX_NUMBER) {
        return None; // whatever came after it would count as known
    }
    let energy = |kwh: Option<f64>| Energy::from_kwh(kwh?);
    let news = match message.kind {
        NotificationType::Authorized => News::Authorized,
        NotificationType::Denied => News::Denied,
        NotificationType::ConsumptionUpdate => {
            News::Consumption { energy: energy(message.kwh)?, power: message.kw.and_then(Power::from_kw) }
        }
        NotificationType::Ticket => News::Ticket,
        NotificationType::SupplyError => News::SupplyError {
            reason: printable(message.reason.as_deref().unwrap_or_default()),
            energy: energy(message.kwh_partial).unwrap_or_default(),
        },
    };
    let session = match message.session_id {
        Some(id) => Some(id.parse().ok()?),
        None => None,
    };
    Some(Notification {
        driver: message.user_id,
        charge_point: message.cp_id,
        session,
        seq: message.seq,
        event_id: message.event_id,
        news,
    })
}

/// A charge point that is free.
pub(crate) fn free_point(point: proto::ChargePoint) -> FreePoint {
    FreePoint {
        price: convert::price("price", point.price.as_ref()).ok(),
        id: printable(&point.charge_point_id),
        location: printable(&point.location),
    }
}
