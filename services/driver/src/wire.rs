//! From central's answers, and from Kafka, to the rules. What makes no sense is refused here, and goes no further.

use domain::{
    Energy, Power,
    requests::{FreePoint, News, Notification, Outcome, Session, State, Ticket},
};
use evmesh_proto::{
    network::{self as proto, SessionOutcome, SessionState},
    topics::{self, NotificationType},
};
use mesh::{
    convert,
    grpc::{Failure, parse},
};
use tonic::Status;

/// Why an answer of central makes no sense.
#[derive(Debug)]
pub struct Nonsense(String);

impl std::fmt::Display for Nonsense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Failure> for Nonsense {
    fn from(failure: Failure) -> Self {
        Self(format!("its answer makes no sense: {failure}"))
    }
}

/// As good as no answer.
impl From<Nonsense> for Status {
    fn from(nonsense: Nonsense) -> Self {
        Self::unknown(nonsense.0)
    }
}

/// A session as the rules take it.
pub fn session(session: Option<proto::Session>) -> Result<Session, Nonsense> {
    let session = session.ok_or_else(|| Failure::invalid("session", "must be given"))?;
    let state = match session.state() {
        SessionState::Unspecified => return Err(Failure::invalid("session.state", "must be given").into()),
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
        power: Power::from_w(session.power_w),
        settled: session.settled,
        ticket: session.ticket.map(ticket).transpose()?,
        reason: printable(&session.reason),
        trouble: printable(&session.trouble),
    })
}

/// A ticket as the rules take it.
pub fn ticket(ticket: proto::Ticket) -> Result<Ticket, Nonsense> {
    Ok(Ticket {
        session: parse("ticket.session_id", &ticket.session_id)?,
        charge_point: parse("ticket.charge_point_id", &ticket.charge_point_id)?,
        energy: convert::energy("ticket.energy_wh", ticket.energy_wh)?,
        amount: convert::money("ticket.amount", ticket.amount.as_ref())?,
        outcome: outcome("ticket.outcome", ticket.outcome())?,
        estimated: ticket.estimated,
    })
}

fn outcome(field: &str, outcome: SessionOutcome) -> Result<Outcome, Nonsense> {
    match outcome {
        SessionOutcome::Unspecified => Err(Failure::invalid(field, "must be given").into()),
        SessionOutcome::Completed => Ok(Outcome::Completed),
        SessionOutcome::Stopped => Ok(Outcome::Stopped),
        SessionOutcome::Faulted => Ok(Outcome::Faulted),
        SessionOutcome::Expired => Ok(Outcome::Expired),
        SessionOutcome::Rejected => Ok(Outcome::Rejected),
    }
}

/// A message on `driver_notifications`; `None` if it has no sensible reading where it needs one.
pub(crate) fn notification(message: topics::Notification) -> Option<Notification> {
    let energy = |kwh: Option<f64>| Energy::from_kwh(kwh?);
    let news = match message.kind {
        NotificationType::Authorized => News::Authorized,
        NotificationType::Denied => News::Denied,
        NotificationType::ConsumptionUpdate => {
            News::Consumption { energy: energy(message.kwh)?, power: message.kw.and_then(power) }
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

/// Power in kilowatts, up to what no charge point has: 100 MW.
fn power(kw: f64) -> Option<Power> {
    // The cast is exact within the range, and NaN is not in it.
    (0.0..=100_000.0).contains(&kw).then(|| Power::from_w((kw * 1000.0).round() as u64))
}

/// A charge point that is free.
pub(crate) fn free_point(point: proto::ChargePoint) -> FreePoint {
    FreePoint {
        price: convert::price("price", point.price.as_ref()).ok(),
        id: printable(&point.charge_point_id),
        location: printable(&point.location),
    }
}

/// A text from elsewhere, fit for a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}
