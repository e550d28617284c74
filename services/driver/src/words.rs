//! What people read, line by line, and what scripts read, object by object.

mod json;
mod table;
mod terms;

use crate::{DriverEvent, Output};
use domain::requests::{Conclusion, Event, FreePoint, Left, Row, Summary, Ticket};
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
            Event::Stopping { charge_point, started: true } => {
                format!("{charge_point}: your charge is being stopped; its ticket follows")
            }
            Event::Stopping { charge_point, started: false } => format!(
                "{charge_point}: your reservation is being given back; there is no ticket, unless the charge has begun"
            ),
            Event::Withdrawn { line } => {
                format!(
                    "line {line}: you want it no more; if it is granted all the same, it is given back at once"
                )
            }
            Event::TicketAwaited { charge_point, outcome, reason } => {
                let colon = if reason.is_empty() { "" } else { ": " };
                let how = outcome_word(*outcome);
                format!("{charge_point}: the charge has ended ({how}{colon}{reason}); its ticket is awaited")
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

/// What goes on without the app, and what to do about it; `flags` are those of the driver's other commands.
pub fn left(left: &Left, flags: &str) -> String {
    match left {
        Left::Asked(target) => format!(
            "the request for {} may still be granted without this app: the same command follows it then, 'evmesh \
             driver stop {flags}' ends it",
            place(target)
        ),
        Left::Open(at) => format!(
            "the charge at {at} goes on without this app: the same command follows it again, 'evmesh driver stop \
             {flags}' ends it"
        ),
        Left::TicketDue(at) => format!(
            "the ticket of the charge at {at} is not there yet: 'evmesh driver tickets {flags}' shows it once it is"
        ),
    }
}

/// The results: a table for people, as wide as the screen; one object for scripts.
pub fn summary(summary: &Summary, output: Output) -> String {
    match output {
        Output::Text => table::table(summary, ui::width()),
        Output::Json => {
            let rows: Vec<_> = summary.rows.iter().map(json::row).collect();
            let (asked, open, due) = match &summary.left {
                None => (None, None, None),
                Some(Left::Asked(target)) => (Some(target), None, None),
                Some(Left::Open(at)) => (None, Some(at), None),
                Some(Left::TicketDue(at)) => (None, None, Some(at)),
            };
            json!({
                "event": "summary",
                "asked": summary.asked,
                "still_asked_for": asked.map(place),
                "still_open_at": open.map(|id| id.as_str()),
                "ticket_due_at": due.map(|id| id.as_str()),
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
    let met = match (row.is_as_expected(), row.stopped) {
        (true, true) => "as you wanted",
        (true, false) => "as expected",
        (false, _) => "NOT as expected",
    };
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
            stopped: false,
            conclusion,
        })
        .collect()
    }

    #[test]
    fn the_table_has_a_row_for_each_line() {
        let results = Summary { rows: rows(), asked: 4, left: None };
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
    fn what_goes_on_without_the_app_is_said_and_no_table_has_only_a_head() {
        let at = || "MAD-01".parse().unwrap();
        for (left, said) in [
            (Left::Asked(Target::Named(at())), "for MAD-01 may still be granted"),
            (
                Left::Open(at()),
                "the charge at MAD-01 goes on without this app: the same command follows it again",
            ),
            (Left::TicketDue(at()), "at MAD-01 is not there yet: 'evmesh driver tickets --driver w1'"),
        ] {
            let text = super::left(&left, "--driver w1");
            assert!(text.contains(said) && text.contains("--driver w1'"), "{text}");
        }
        let none = Summary { rows: vec![], asked: 1, left: None };
        assert_eq!(summary(&none, Output::Text), "0 of 1 requests concluded as expected");
    }

    #[test]
    fn a_conclusion_that_its_driver_ordered_is_as_wanted() {
        let mut row = rows().remove(0);
        if let Conclusion::Ended { outcome, ticket, .. } = &mut row.conclusion {
            (*outcome, *ticket) = (Outcome::Stopped, None);
        }
        assert_eq!(concluded(&row), "line 1 concluded: stopped, without a ticket; NOT as expected");
        row.stopped = true;
        assert_eq!(concluded(&row), "line 1 concluded: stopped, without a ticket; as you wanted");
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
        let text = summary(&Summary { rows, asked: 3, left: None }, Output::Text);
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
