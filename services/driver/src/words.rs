//! What people read, line by line, and what scripts read, object by object.

use crate::{DriverEvent, Output};
use domain::requests::{Conclusion, Event, FreePoint, Outcome, Row, Summary, Target, Ticket};
use mesh::grpc::Address;
use serde_json::{Value, json};
use std::io::{self, Write};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Free charge points named in one line; of more, only the number is told.
const FREE_NAMED: usize = 8;

/// How an app says things.
#[derive(Debug, Clone)]
pub struct Words {
    central: String,
}

impl Words {
    pub(crate) fn new(central: &Address) -> Self {
        Self {
            central: central.to_string(),
        }
    }

    /// An event for people: one line, or several.
    pub fn text(&self, event: &DriverEvent) -> String {
        match event {
            Event::Reached => format!("central at {} answers", self.central),
            Event::Unreachable { why } => {
                format!("cannot reach central at {}, retrying: {why}", self.central)
            }
            Event::Missed(tickets) => {
                let lines = tickets
                    .iter()
                    .map(|ticket| format!("before: {}", ticket_line(ticket)));
                lines.collect::<Vec<_>>().join("\n")
            }
            Event::Resumed(session) => format!(
                "{}: your session from before is still open; following it to its end",
                session.charge_point
            ),
            Event::Requesting { line, target } => format!("request {line}: asking for {}", place(target)),
            Event::Authorized {
                charge_point, price, ..
            } => format!("authorised: {charge_point} is reserved for you, at {price} a kWh; plug in"),
            Event::Denied { reason, message } => format!("denied: {message} ({reason})"),
            Event::Consumption {
                charge_point,
                power,
                energy,
                amount,
                ..
            } => format!("{charge_point}: {power}  {energy}  {amount}"),
            Event::SupplyError {
                charge_point,
                reason,
                energy,
                amount,
                ..
            } => {
                let reason = if reason.is_empty() {
                    "central named no reason"
                } else {
                    reason
                };
                format!("{charge_point}: the charge failed: {reason}; so far {energy}, {amount}")
            }
            Event::Ticket(ticket) => ticket_line(ticket),
            Event::Concluded(row) => concluded(row),
            Event::FreeChargePoints(free) => free_line(free),
            Event::Finished => "every request has concluded".into(),
        }
    }

    /// An event for scripts: one object, whose `event` says which.
    pub fn json(&self, event: &DriverEvent) -> Value {
        match event {
            Event::Reached => json!({"event": "reached", "central": self.central}),
            Event::Unreachable { why } => {
                json!({"event": "unreachable", "central": self.central, "reason": why})
            }
            Event::Missed(tickets) => {
                json!({"event": "missed", "tickets": tickets.iter().map(ticket_json).collect::<Vec<_>>()})
            }
            Event::Resumed(session) => json!({
                "event": "resumed",
                "session_id": session.id.as_str(),
                "charge_point_id": session.charge_point.as_str(),
            }),
            Event::Requesting { line, target } => {
                let mut object = json!({"event": "requesting", "line": line});
                match target {
                    Target::Named(id) => object["charge_point_id"] = id.as_str().into(),
                    Target::Any { location_prefix } => {
                        object["location_prefix"] = location_prefix.as_str().into();
                    }
                }
                object
            }
            Event::Authorized {
                session,
                charge_point,
                price,
            } => json!({
                "event": "authorized",
                "session_id": session.as_str(),
                "charge_point_id": charge_point.as_str(),
                "price": price.to_string(),
            }),
            Event::Denied { reason, message } => {
                json!({"event": "denied", "reason": reason, "message": message})
            }
            Event::Consumption {
                session,
                charge_point,
                power,
                energy,
                amount,
            } => json!({
                "event": "consumption",
                "session_id": session.as_str(),
                "charge_point_id": charge_point.as_str(),
                "kw": power.kw(),
                "kwh": energy.kwh(),
                "amount": amount.units(),
                "currency": amount.currency.as_str(),
            }),
            Event::SupplyError {
                session,
                charge_point,
                reason,
                energy,
                amount,
            } => json!({
                "event": "supply_error",
                "session_id": session.as_str(),
                "charge_point_id": charge_point.as_str(),
                "reason": reason,
                "kwh_partial": energy.kwh(),
                "amount_partial": amount.units(),
                "currency": amount.currency.as_str(),
            }),
            Event::Ticket(ticket) => {
                let mut object = ticket_json(ticket);
                object["event"] = "ticket".into();
                object
            }
            Event::Concluded(row) => {
                let mut object = row_json(row);
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

    /// Writes each event as it comes, until the run ends. It ends early when nobody reads any more.
    pub async fn print(
        &self,
        mut events: Receiver<DriverEvent>,
        output: Output,
        mut out: impl Write,
    ) -> io::Result<()> {
        loop {
            let line = match events.recv().await {
                Ok(event) => match output {
                    Output::Text => self.text(&event),
                    Output::Json => self.json(&event).to_string(),
                },
                Err(RecvError::Lagged(missed)) => match output {
                    Output::Text => format!("{missed} messages are not shown: they came too fast"),
                    Output::Json => json!({"event": "lagged", "missed": missed}).to_string(),
                },
                Err(RecvError::Closed) => return Ok(()),
            };
            writeln!(out, "{line}")?;
            out.flush()?;
        }
    }
}

/// The results: a table for people, one object for scripts.
pub fn summary(summary: &Summary, output: Output) -> String {
    match output {
        Output::Text => table(summary),
        Output::Json => {
            let rows: Vec<_> = summary.rows.iter().map(row_json).collect();
            json!({
                "event": "summary",
                "asked": summary.asked,
                "rows": rows,
                "all_as_expected": summary.all_as_expected(),
            })
            .to_string()
        }
    }
}

const TITLES: [&str; 8] = [
    "line",
    "asked for",
    "charge point",
    "outcome",
    "kWh",
    "amount",
    "as expected",
    "session, reason",
];

/// Columns of numbers, which stand to the right.
const NUMBERS: [usize; 3] = [0, 4, 5];

fn table(summary: &Summary) -> String {
    let rows: Vec<[String; 8]> = summary.rows.iter().map(cells).collect();
    let mut widths = TITLES.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 8]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(n, (cell, width))| {
            if NUMBERS.contains(&n) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&TITLES.map(String::from))];
    lines.extend(rows.iter().map(line));
    let met = summary.rows.iter().filter(|row| row.is_as_expected()).count();
    lines.push(format!(
        "{met} of {} requests concluded as expected",
        summary.asked
    ));
    lines.join("\n")
}

fn cells(row: &Row) -> [String; 8] {
    let (outcome, why) = match &row.conclusion {
        Conclusion::Denied { reason, .. } => ("denied".to_owned(), reason.clone()),
        Conclusion::Ended {
            outcome,
            reason,
            ticket_due,
            ..
        } => {
            let due = if *ticket_due { ", ticket due" } else { "" };
            (format!("{}{due}", outcome_word(*outcome)), reason.clone())
        }
        Conclusion::Forgotten { message } => ("unknown to central".to_owned(), message.clone()),
    };
    let session = row.session.as_ref().map(ToString::to_string).unwrap_or_default();
    let (kwh, amount) = match row.ticket() {
        Some(ticket) => (format!("{:.3}", ticket.energy.kwh()), ticket.amount.to_string()),
        None => ("-".into(), "-".into()),
    };
    [
        row.line.number.to_string(),
        place(&row.line.target),
        row.charge_point.as_ref().map_or("-".into(), ToString::to_string),
        outcome,
        kwh,
        amount,
        if row.is_as_expected() { "yes" } else { "NO" }.into(),
        [session, why]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
    ]
}

fn row_json(row: &Row) -> Value {
    let mut object = json!({
        "line": row.line.number,
        "asked_for": place(&row.line.target),
        "charge_point_id": row.charge_point.as_ref().map(|id| id.as_str()),
        "session_id": row.session.as_ref().map(|id| id.as_str()),
        "as_expected": row.is_as_expected(),
        "ticket": row.ticket().map(ticket_json),
    });
    let (outcome, reason) = match &row.conclusion {
        Conclusion::Denied { reason, message } => {
            object["message"] = message.as_str().into();
            ("denied", reason.as_str())
        }
        Conclusion::Ended {
            outcome,
            reason,
            ticket_due,
            ..
        } => {
            object["ticket_due"] = (*ticket_due).into();
            (outcome_word(*outcome), reason.as_str())
        }
        Conclusion::Forgotten { message } => ("unknown", message.as_str()),
    };
    object["outcome"] = outcome.into();
    object["reason"] = reason.into();
    object
}

fn ticket_json(ticket: &Ticket) -> Value {
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

fn ticket_line(ticket: &Ticket) -> String {
    let estimated = if ticket.estimated { ", estimated" } else { "" };
    format!(
        "ticket: {}  {}  {}  ({}{estimated})",
        ticket.charge_point,
        ticket.energy,
        ticket.amount,
        outcome_word(ticket.outcome)
    )
}

fn concluded(row: &Row) -> String {
    let line = row.line.number;
    let how = match &row.conclusion {
        Conclusion::Denied { .. } => "denied".to_owned(),
        Conclusion::Ended {
            outcome,
            ticket,
            ticket_due,
            ..
        } => {
            let ticket = match (ticket, ticket_due) {
                (Some(_), _) => "with its ticket",
                (None, true) => "its ticket is still due and will be shown when it comes",
                (None, false) => "without a ticket",
            };
            format!("{}, {ticket}", outcome_word(*outcome))
        }
        Conclusion::Forgotten { message } => format!("central does not know its session: {message}"),
    };
    let met = if row.is_as_expected() {
        "as expected"
    } else {
        "NOT as expected"
    };
    format!("request {line} concluded: {how}; {met}")
}

fn free_line(free: &[FreePoint]) -> String {
    match free {
        [] => "no charge point is free now".into(),
        few if few.len() <= FREE_NAMED => {
            let names: Vec<_> = few.iter().map(|point| point.id.as_str()).collect();
            format!("free now: {}", names.join(", "))
        }
        many => format!("free now: {} charge points", many.len()),
    }
}

pub(crate) fn place(target: &Target) -> String {
    match target {
        Target::Named(id) => id.to_string(),
        Target::Any { location_prefix } if location_prefix.is_empty() => "any".into(),
        Target::Any { location_prefix } => format!("any {location_prefix}"),
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Stopped => "stopped",
        Outcome::Faulted => "faulted",
        Outcome::Expired => "expired",
        Outcome::Rejected => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Energy, Price, requests::parse};

    fn rows() -> Vec<Row> {
        let lines = parse(
            "f",
            "MAD-01\nany Madrid expect=fault\nMAD-02 expect=denied:CHARGE_POINT_BUSY",
        )
        .unwrap();
        let price: Price = "0.40 EUR".parse().unwrap();
        let ticket = |outcome| Ticket {
            session: "s-1".parse().unwrap(),
            charge_point: "MAD-01".parse().unwrap(),
            energy: Energy::from_wh(1_500),
            amount: price.bill(Energy::from_wh(1_500)),
            outcome,
            estimated: false,
        };
        let ended = |outcome, billed: bool| Conclusion::Ended {
            outcome,
            reason: String::new(),
            ticket: billed.then(|| ticket(outcome)),
            ticket_due: !billed,
        };
        let conclusions = [
            ended(Outcome::Completed, true),
            ended(Outcome::Faulted, false),
            Conclusion::Denied {
                reason: "CHARGE_POINT_BUSY".into(),
                message: "MAD-02 is taken".into(),
            },
        ];
        let rows = lines.into_iter().zip(conclusions);
        rows.map(|(line, conclusion)| Row {
            line,
            session: Some("s-1".parse().unwrap()),
            charge_point: None,
            conclusion,
        })
        .collect()
    }

    #[test]
    fn the_table_has_a_row_for_each_line() {
        let results = Summary {
            rows: rows(),
            asked: 4,
        };
        let text = summary(&results, Output::Text);
        assert_eq!(
            text,
            "\
line  asked for   charge point  outcome                kWh    amount  as expected  session, reason
   1  MAD-01      -             completed            1.500  0.60 EUR  yes          s-1
   2  any Madrid  -             faulted, ticket due      -         -  NO           s-1
   3  MAD-02      -             denied                   -         -  yes          s-1, CHARGE_POINT_BUSY
2 of 4 requests concluded as expected"
        );
        let json: Value = serde_json::from_str(&summary(&results, Output::Json)).unwrap();
        assert_eq!(json["rows"][0]["ticket"]["amount"], 0.6);
        assert_eq!(json["rows"][2]["reason"], "CHARGE_POINT_BUSY");
        assert_eq!(json["all_as_expected"], false);
    }

    #[tokio::test]
    async fn every_event_is_one_line_of_json() {
        let words = Words::new(&"127.0.0.1:1".parse().unwrap());
        let (sender, receiver) = tokio::sync::broadcast::channel(16);
        let events = [
            Event::Reached,
            Event::Unreachable { why: "away".into() },
            Event::Concluded(rows().remove(1)),
            Event::FreeChargePoints(vec![]),
            Event::Finished,
        ];
        for event in events.clone() {
            sender.send(event).unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        words.print(receiver, Output::Json, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let names: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone())
            .collect();
        assert_eq!(
            names,
            [
                "reached",
                "unreachable",
                "concluded",
                "free_charge_points",
                "finished"
            ]
        );
        assert_eq!(
            words.text(&events[1]),
            "cannot reach central at 127.0.0.1:1, retrying: away"
        );
    }
}
