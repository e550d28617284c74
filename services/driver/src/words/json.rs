//! Events and results for scripts.

use super::terms::{outcome_word, place};
use crate::DriverEvent;
use domain::requests::{Conclusion, Event, Row, Target, Ticket};
use serde_json::{Value, json};

/// An event for scripts: one object, whose `event` says which.
pub(super) fn event(event: &DriverEvent, central: &str) -> Value {
    match event {
        Event::Reached => json!({"event": "reached", "central": central}),
        Event::Unreachable { why } => {
            json!({"event": "unreachable", "central": central, "reason": why})
        }
        Event::Missed(tickets) => {
            json!({"event": "missed", "tickets": tickets.iter().map(ticket).collect::<Vec<_>>()})
        }
        Event::Resumed { session, line } => json!({
            "event": "resumed",
            "line": line,
            "session_id": session.id.as_str(),
            "charge_point_id": session.charge_point.as_str(),
        }),
        Event::Requesting { line, target } => requesting(*line, target),
        Event::Authorized { session, charge_point, price } => json!({
            "event": "authorized",
            "session_id": session.as_str(),
            "charge_point_id": charge_point.as_str(),
            "price": price.to_string(),
        }),
        Event::Denied { reason, message } => {
            json!({"event": "denied", "reason": reason, "message": message})
        }
        Event::Consumption { session, charge_point, power, energy, amount } => json!({
            "event": "consumption",
            "session_id": session.as_str(),
            "charge_point_id": charge_point.as_str(),
            "kw": power.kw(),
            "kwh": energy.kwh(),
            "amount": amount.units(),
            "currency": amount.currency.as_str(),
        }),
        Event::Stopping { charge_point, started } => {
            json!({"event": "stopping", "charge_point_id": charge_point.as_str(), "started": started})
        }
        Event::Withdrawn { line } => json!({"event": "withdrawn", "line": line}),
        Event::TicketAwaited { charge_point, outcome, reason } => json!({
            "event": "ticket_awaited",
            "charge_point_id": charge_point.as_str(),
            "outcome": outcome_word(*outcome),
            "reason": reason,
        }),
        Event::SupplyError { session, charge_point, reason, energy, amount } => json!({
            "event": "supply_error",
            "session_id": session.as_str(),
            "charge_point_id": charge_point.as_str(),
            "reason": reason,
            "kwh_partial": energy.kwh(),
            "amount_partial": amount.units(),
            "currency": amount.currency.as_str(),
        }),
        Event::Ticket(ticket) => {
            let mut object = self::ticket(ticket);
            object["event"] = "ticket".into();
            object
        }
        Event::Concluded(row) => {
            let mut object = self::row(row);
            object["event"] = "concluded".into();
            object
        }
        Event::FreeChargePoints(free) => {
            let free = free.iter().map(|point| {
                json!({
                    "charge_point_id": point.id,
                    "location": point.location,
                    "price": point.price.map(|price| price.to_string()),
                })
            });
            json!({"event": "free_charge_points", "charge_points": free.collect::<Vec<_>>()})
        }
        Event::Finished => json!({"event": "finished"}),
    }
}

fn requesting(line: u32, target: &Target) -> Value {
    let mut object = json!({"event": "requesting", "line": line});
    match target {
        Target::Named(id) => object["charge_point_id"] = id.as_str().into(),
        Target::Any { location_prefix } => object["location_prefix"] = location_prefix.as_str().into(),
    }
    object
}

pub(super) fn row(row: &Row) -> Value {
    let mut object = json!({
        "line": row.line.number,
        "asked_for": place(&row.line.target),
        "charge_point_id": row.charge_point.as_ref().map(|id| id.as_str()),
        "session_id": row.session.as_ref().map(|id| id.as_str()),
        "as_expected": row.is_as_expected(),
        "ticket": row.ticket().map(ticket),
    });
    let (outcome, reason) = match &row.conclusion {
        Conclusion::Denied { reason, message } => {
            object["message"] = message.as_str().into();
            ("denied", reason.as_str())
        }
        Conclusion::Ended { outcome, reason, ticket_due, .. } => {
            object["ticket_due"] = (*ticket_due).into();
            (outcome_word(*outcome), reason.as_str())
        }
        Conclusion::Forgotten { message } => ("unknown", message.as_str()),
    };
    object["outcome"] = outcome.into();
    object["reason"] = reason.into();
    object
}

fn ticket(ticket: &Ticket) -> Value {
    json!({
        "session_id": ticket.session.as_str(),
        "charge_point_id": ticket.charge_point.as_str(),
        "kwh": ticket.energy.kwh(),
        "amount": ticket.amount.units(),
        "currency": ticket.amount.currency.as_str(),
        "outcome": outcome_word(ticket.outcome),
        "estimated": ticket.estimated,
    })
}
