//! What people read, line by line, and what scripts read, object by object.

mod json;
mod table;
mod terms;

use crate::{DriverEvent, Output};
use domain::requests::{Conclusion, Event, FreePoint, Row, Summary, Ticket};
use mesh::grpc::Address;
use serde_json::{Value, json};
use std::io::{self, Write};
use terms::{outcome_word, place};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Free charge points named in one line; of more, only the number is told.
const FREE_NAMED: usize = 8;

#[derive(Debug, Clone)]
pub struct Words {
    central: String,
}

impl Words {
    pub(crate) fn new(central: &Address) -> Self {
        Self { central: central.to_string() }
    }

    /// An event for people: one line, or several.
    pub fn text(&self, event: &DriverEvent) -> String {
        match event {
            Event::Reached => format!("central at {} answers", self.central),
            Event::Unreachable { why } => {
                format!("cannot reach central at {}, retrying: {why}", self.central)
            }
            Event::Missed(tickets) => {
                let lines = tickets.iter().map(|ticket| format!("before: {}", ticket_line(ticket)));
                lines.collect::<Vec<_>>().join("\n")
            }
            Event::Resumed { session, line } => {
                let at = &session.charge_point;
                match line {
                    None => format!("{at}: your session from before is still open; following it to its end"),
                    Some(line) => format!(
                        "line {line}: {at}: your session from before is still open; following it, not asking again"
                    ),
                }
            }
            Event::Requesting { line, target } => format!("line {line}: asking for {}", place(target)),
            Event::Authorized { charge_point, price, .. } => {
                format!("authorised: {charge_point} is reserved for you, at {price} a kWh; plug in")
            }
            Event::Denied { reason, message } => format!("denied: {message} ({reason})"),
            Event::Consumption { charge_point, power, energy, amount, .. } => {
                format!("{charge_point}: {power}  {energy}  {amount}")
            }
            Event::Stopping { charge_point } => {
                format!("{charge_point}: your charge is being stopped; its ticket follows")
            }
            Event::SupplyError { charge_point, reason, energy, amount, .. } => {
                let reason = if reason.is_empty() { "central named no reason" } else { reason };
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
        json::event(event, &self.central)
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

/// The results: a table for people, as wide as the screen; one object for scripts.
pub fn summary(summary: &Summary, output: Output) -> String {
    match output {
        Output::Text => table::table(summary, ui::width()),
        Output::Json => {
            let rows: Vec<_> = summary.rows.iter().map(json::row).collect();
            json!({
                "event": "summary",
                "asked": summary.asked,
                "still_open_at": summary.open.as_ref().map(|id| id.as_str()),
                "rows": rows,
                "all_as_expected": summary.all_as_expected(),
            })
            .to_string()
        }
    }
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
        Conclusion::Ended { outcome, ticket, ticket_due, .. } => {
            let ticket = match (ticket, ticket_due) {
                (Some(_), _) => "with its ticket",
                (None, true) => "its ticket is still due and will be shown when it comes",
                (None, false) => "without a ticket",
            };
            format!("{}, {ticket}", outcome_word(*outcome))
        }
        Conclusion::Forgotten { message } => format!("central does not know its session: {message}"),
    };
    let met = if row.is_as_expected() { "as expected" } else { "NOT as expected" };
    format!("line {line} concluded: {how}; {met}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        Energy, Price,
        requests::{Outcome, Target, parse},
    };

    fn rows() -> Vec<Row> {
        let lines =
            parse("f", "MAD-01\nany Madrid expect=fault\nMAD-02 expect=denied:CHARGE_POINT_BUSY").unwrap();
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
            Conclusion::Denied { reason: "CHARGE_POINT_BUSY".into(), message: "MAD-02 is taken".into() },
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
        let results = Summary { rows: rows(), asked: 4, open: None };
        let text = summary(&results, Output::Text);
        assert_eq!(
            text,
            "\
line  asked for   at  outcome                kWh    amount  expected  session
   1  MAD-01      -   completed            1.500  0.60 EUR  yes       s-1
   2  any Madrid  -   faulted, ticket due      -         -  NO        s-1
   3  MAD-02      -   denied                   -         -  yes       s-1
      CHARGE_POINT_BUSY
2 of 4 requests concluded as expected"
        );
        let json: Value = serde_json::from_str(&summary(&results, Output::Json)).unwrap();
        assert_eq!(json["rows"][0]["ticket"]["amount"], 0.6);
        assert_eq!(json["rows"][2]["reason"], "CHARGE_POINT_BUSY");
        assert_eq!(json["all_as_expected"], false);
    }

    #[test]
    fn the_table_fits_eighty_columns_whatever_is_in_it() {
        let long = "x".repeat(64);
        let mut rows = rows();
        for row in &mut rows {
            row.charge_point = Some(long.parse().unwrap());
            row.session = Some(long.parse().unwrap());
            row.line.target = Target::Named(long.parse().unwrap());
        }
        if let Conclusion::Denied { reason, .. } = &mut rows[2].conclusion {
            *reason = "why ".repeat(100);
        }
        let text = summary(&Summary { rows, asked: 3, open: None }, Output::Text);
        assert!(text.lines().all(|line| ui::columns(line) <= 80), "{text}");
        assert_eq!(text.matches("why").count(), 100, "{text}");
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
        let names: Vec<_> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
        assert_eq!(names, ["reached", "unreachable", "concluded", "free_charge_points", "finished"]);
        assert_eq!(words.text(&events[1]), "cannot reach central at 127.0.0.1:1, retrying: away");
    }
}
