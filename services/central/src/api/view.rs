//! The domain as the contracts show it.

use crate::gauges;
use domain::network::{Detail, LiveDetail, Outcome, Session, State, Status};
use evmesh_proto::network;
use mesh::convert::{money_proto, price_proto, timestamp};

/// A session, as anyone who may see it sees it.
pub fn session(session: &Session) -> network::Session {
    let energy = session.shown_energy();
    let (state, outcome) = state(session.state());
    network::Session {
        session_id: session.id.to_string(),
        charge_point_id: session.charge_point.to_string(),
        driver_id: session.driver.to_string(),
        state: state.into(),
        outcome: outcome.into(),
        reason: session.reason().to_owned(),
        price: Some(price_proto(session.price)),
        energy_wh: energy.wh(),
        amount: Some(money_proto(
            session.ticket().map_or(session.price.cost(energy), |ticket| ticket.amount),
        )),
        power_w: session.shown_power().w(),
        create_time: Some(timestamp(session.created)),
        start_time: session.delivered().map(|delivered| timestamp(delivered.started)),
        end_time: session.ended_at().map(timestamp),
        settled: session.settled(),
        ticket: ticket(session),
        trouble: session.trouble().to_owned(),
        review: session.review().map(|reported| reported.doubt.clone()).unwrap_or_default(),
        card_id: session.card.as_ref().map(ToString::to_string).unwrap_or_default(),
        reported_energy_wh: session.review().map_or(0, |reported| reported.energy.wh()),
    }
}

fn state(state: State) -> (network::SessionState, network::SessionOutcome) {
    use network::{SessionOutcome, SessionState};
    let outcome = match state {
        State::Authorizing => return (SessionState::Authorizing, SessionOutcome::Unspecified),
        State::Reserved => return (SessionState::Reserved, SessionOutcome::Unspecified),
        State::Supplying => return (SessionState::Supplying, SessionOutcome::Unspecified),
        State::Ended(Outcome::Completed) => SessionOutcome::Completed,
        State::Ended(Outcome::Stopped) => SessionOutcome::Stopped,
        State::Ended(Outcome::Faulted) => SessionOutcome::Faulted,
        State::Ended(Outcome::Expired) => SessionOutcome::Expired,
        State::Ended(Outcome::Rejected) => SessionOutcome::Rejected,
    };
    (SessionState::Ended, outcome)
}

/// A session's ticket, if it has one.
pub(crate) fn ticket(session: &Session) -> Option<network::Ticket> {
    let (settled_by, settle_reason) = match session.settled_by() {
        Some(settled) => (settled.by.clone(), settled.reason.clone()),
        None => Default::default(),
    };
    session.ticket().map(|ticket| network::Ticket {
        session_id: session.id.to_string(),
        charge_point_id: session.charge_point.to_string(),
        driver_id: session.driver.to_string(),
        energy_wh: ticket.energy.wh(),
        price: Some(price_proto(session.price)),
        amount: Some(money_proto(ticket.amount)),
        outcome: state(session.state()).1.into(),
        estimated: ticket.estimated(),
        start_time: session.delivered().map(|delivered| timestamp(delivered.started)),
        end_time: session.ended_at().map(timestamp),
        issue_time: Some(timestamp(ticket.issued)),
        late_energy_wh: ticket.late_energy.wh(),
        settled_by,
        settle_reason,
    })
}

/// A charge point, as anyone may see it.
pub(crate) fn charge_point(detail: &Detail) -> network::ChargePoint {
    network::ChargePoint {
        charge_point_id: detail.id.to_string(),
        location: detail.location.to_string(),
        price: Some(price_proto(detail.price)),
        status: status(detail.status).into(),
    }
}

/// A charge point, as its operator sees it.
pub(crate) fn detail(detail: &Detail) -> network::ChargePointDetail {
    network::ChargePointDetail {
        charge_point: Some(charge_point(detail)),
        live: detail.live.as_ref().map(live),
        status_reason: detail.status_reason.clone(),
        engine_address: detail.engine_address.clone(),
        epoch: detail.epoch,
    }
}

/// What runs at a charge point, as its operator sees it.
pub(crate) fn live(live: &LiveDetail) -> network::LiveSupply {
    network::LiveSupply {
        session_id: live.session.to_string(),
        driver_id: live.driver.to_string(),
        energy_wh: live.energy.wh(),
        amount: Some(money_proto(live.amount)),
        ..gauges::shown(live.gauges)
    }
}

/// A status as the contracts have it: the one translation.
pub(crate) fn status(status: Status) -> network::ChargePointStatus {
    match status {
        Status::Disconnected => network::ChargePointStatus::Disconnected,
        Status::Faulted => network::ChargePointStatus::Faulted,
        Status::Supplying => network::ChargePointStatus::Supplying,
        Status::OutOfOrder => network::ChargePointStatus::OutOfOrder,
        Status::Reserved => network::ChargePointStatus::Reserved,
        Status::Available => network::ChargePointStatus::Available,
    }
}
