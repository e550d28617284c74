//! What the network's messages look like to people and to scripts: one struct a thing, with its JSON and its row.

mod live;
mod rows;
mod words;

pub(crate) use live::Network;
pub(crate) use rows::{charge_point_line, charge_points, panel, sessions, tickets};

use evmesh_proto::{
    engine,
    network::{self, ChargePointStatus},
};
use serde::Serialize;
use words::{outcome_word, short};

/// An amount of money, as in the protos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Money {
    currency_code: String,
    micros: i64,
}

/// A price, as in the protos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Price {
    currency_code: String,
    micros_per_kwh: i64,
}

/// A charge point and what runs there.
#[derive(Debug, Serialize)]
pub(crate) struct ChargePoint {
    charge_point_id: String,
    location: String,
    price: Option<Price>,
    status: ChargePointStatus,
    status_reason: String,
    engine_address: String,
    epoch: u64,
    live: Option<Live>,
}

#[derive(Debug, Serialize)]
struct Live {
    session_id: String,
    driver_id: String,
    power_w: u64,
    energy_wh: u64,
    amount: Option<Money>,
}

/// A session.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    session_id: String,
    charge_point_id: String,
    driver_id: String,
    state: &'static str,
    outcome: Option<&'static str>,
    reason: String,
    price: Option<Price>,
    energy_wh: u64,
    amount: Option<Money>,
    power_w: u64,
    create_time: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    settled: bool,
    ticket: Option<Ticket>,
    trouble: String,
}

/// A ticket.
#[derive(Debug, Serialize)]
pub(crate) struct Ticket {
    session_id: String,
    charge_point_id: String,
    driver_id: String,
    energy_wh: u64,
    price: Option<Price>,
    amount: Option<Money>,
    outcome: Option<&'static str>,
    estimated: bool,
    start_time: Option<String>,
    end_time: Option<String>,
    issue_time: Option<String>,
    late_energy_wh: u64,
}

/// The panel of a charge point.
#[derive(Debug, Serialize)]
pub(crate) struct Panel {
    charge_point_id: String,
    plugged_in: bool,
    attended: bool,
    fault: String,
    current: Option<Supply>,
    last: Option<Supply>,
}

/// A supply, as its engine knows it.
#[derive(Debug, Serialize)]
pub(crate) struct Supply {
    session_id: String,
    driver_id: String,
    state: &'static str,
    end: Option<&'static str>,
    price: Option<Price>,
    energy_wh: u64,
    power_w: u64,
    seq: u64,
    start_time: Option<String>,
    end_time: Option<String>,
}

impl From<network::Money> for Money {
    fn from(money: network::Money) -> Self {
        let network::Money { currency_code, micros } = money;
        Self { currency_code, micros }
    }
}

impl From<network::Price> for Price {
    fn from(price: network::Price) -> Self {
        let network::Price { currency_code, micros_per_kwh } = price;
        Self { currency_code, micros_per_kwh }
    }
}

impl From<network::ChargePointDetail> for ChargePoint {
    fn from(detail: network::ChargePointDetail) -> Self {
        let what = detail.charge_point.unwrap_or_default();
        Self {
            status: what.status(),
            charge_point_id: what.charge_point_id,
            location: what.location,
            price: what.price.map(Into::into),
            status_reason: detail.status_reason,
            engine_address: detail.engine_address,
            epoch: detail.epoch,
            live: detail.live.map(|live| Live {
                session_id: live.session_id,
                driver_id: live.driver_id,
                power_w: live.power_w,
                energy_wh: live.energy_wh,
                amount: live.amount.map(Into::into),
            }),
        }
    }
}

impl From<network::Session> for Session {
    fn from(session: network::Session) -> Self {
        let (state, outcome) = (session.state(), session.outcome());
        Self {
            session_id: session.session_id,
            charge_point_id: session.charge_point_id,
            driver_id: session.driver_id,
            state: short(state.as_str_name(), "SESSION_STATE_"),
            outcome: outcome_word(outcome),
            reason: session.reason,
            price: session.price.map(Into::into),
            energy_wh: session.energy_wh,
            amount: session.amount.map(Into::into),
            power_w: session.power_w,
            create_time: session.create_time.map(|at| at.to_string()),
            start_time: session.start_time.map(|at| at.to_string()),
            end_time: session.end_time.map(|at| at.to_string()),
            settled: session.settled,
            ticket: session.ticket.map(Into::into),
            trouble: session.trouble,
        }
    }
}

impl From<network::Ticket> for Ticket {
    fn from(ticket: network::Ticket) -> Self {
        let outcome = ticket.outcome();
        Self {
            session_id: ticket.session_id,
            charge_point_id: ticket.charge_point_id,
            driver_id: ticket.driver_id,
            energy_wh: ticket.energy_wh,
            price: ticket.price.map(Into::into),
            amount: ticket.amount.map(Into::into),
            outcome: outcome_word(outcome),
            estimated: ticket.estimated,
            start_time: ticket.start_time.map(|at| at.to_string()),
            end_time: ticket.end_time.map(|at| at.to_string()),
            issue_time: ticket.issue_time.map(|at| at.to_string()),
            late_energy_wh: ticket.late_energy_wh,
        }
    }
}

impl From<engine::Panel> for Panel {
    fn from(panel: engine::Panel) -> Self {
        Self {
            charge_point_id: panel.charge_point_id,
            plugged_in: panel.plugged_in,
            attended: panel.attended,
            fault: panel.fault,
            current: panel.current.map(Into::into),
            last: panel.last.map(Into::into),
        }
    }
}

impl From<engine::SupplyRecord> for Supply {
    fn from(record: engine::SupplyRecord) -> Self {
        let (state, end) = (record.state(), record.end());
        Self {
            session_id: record.session_id,
            driver_id: record.driver_id,
            state: short(state.as_str_name(), "SUPPLY_STATE_"),
            end: match end {
                engine::SupplyEnd::Unspecified => None,
                end => Some(short(end.as_str_name(), "SUPPLY_END_")),
            },
            price: record.price.map(Into::into),
            energy_wh: record.energy_wh,
            power_w: record.power_w,
            seq: record.seq,
            start_time: record.start_time.map(|at| at.to_string()),
            end_time: record.end_time.map(|at| at.to_string()),
        }
    }
}
