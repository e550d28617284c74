//! Lists as CSV for spreadsheets and accounts (RFC 4180): a head, commas, CRLF, quotes where they are needed.
//!
//! Times are ISO 8601 in UTC, numbers have a dot, energy is in kWh, amounts and prices in their currency's unit. What
//! is not there is empty. A cell that a spreadsheet would compute, such as a place `=1+1`, gets a `'` in front.

use crate::tables::{kwh, outcome, session_note, short, ticket_word};
use evmesh_proto::{
    network::{ChargePoint, ChargePointDetail, Money, Price, Session, Ticket},
    operations::AuditEntry,
};
use mesh::convert::hex;
use prost_types::Timestamp;
use ui::{Cell, values};

/// With these a spreadsheet begins a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub(crate) fn charge_points(charge_points: &[ChargePointDetail]) -> String {
    let of = |detail: &ChargePointDetail| (detail.charge_point.clone().unwrap_or_default(), detail.clone());
    let rows: Vec<(ChargePoint, ChargePointDetail)> = charge_points.iter().map(of).collect();
    lines(
        &rows,
        &[
            ("charge_point_id", |(one, _)| one.charge_point_id.clone()),
            ("location", |(one, _)| one.location.clone()),
            ("price_per_kwh", |(one, _)| price(one.price.as_ref())),
            ("currency", |(one, _)| one.price.clone().unwrap_or_default().currency_code),
            ("status", |(one, _)| one.status().word().to_owned()),
            ("reason", |(_, detail)| detail.status_reason.clone()),
            ("session_id", |(_, detail)| detail.live.clone().unwrap_or_default().session_id),
            ("driver_id", |(_, detail)| detail.live.clone().unwrap_or_default().driver_id),
            ("kwh", |(_, detail)| detail.live.as_ref().map(|live| kwh(live.energy_wh)).unwrap_or_default()),
        ],
    )
}

pub(crate) fn sessions(sessions: &[Session]) -> String {
    lines(
        sessions,
        &[
            ("session_id", |one| one.session_id.clone()),
            ("charge_point_id", |one| one.charge_point_id.clone()),
            ("driver_id", |one| one.driver_id.clone()),
            ("state", |one| short(one.state().as_str_name(), "SESSION_STATE_").to_owned()),
            ("outcome", |one| outcome(one.outcome()).unwrap_or_default().to_owned()),
            ("create_time", |one| time(one.create_time)),
            ("start_time", |one| time(one.start_time)),
            ("end_time", |one| time(one.end_time)),
            ("kwh", |one| kwh(one.energy_wh)),
            ("price_per_kwh", |one| price(one.price.as_ref())),
            ("amount", |one| amount(one.amount.as_ref())),
            ("currency", |one| currency(one.amount.as_ref())),
            ("ticket", |one| ticket_word(one).to_owned()),
            ("reason", session_note),
            ("reported_kwh", reported),
            ("card_id", |one| one.card_id.clone()),
        ],
    )
}

pub(crate) fn tickets(tickets: &[Ticket]) -> String {
    lines(
        tickets,
        &[
            ("session_id", |one| one.session_id.clone()),
            ("charge_point_id", |one| one.charge_point_id.clone()),
            ("driver_id", |one| one.driver_id.clone()),
            ("start_time", |one| time(one.start_time)),
            ("end_time", |one| time(one.end_time)),
            ("issue_time", |one| time(one.issue_time)),
            ("kwh", |one| kwh(one.energy_wh)),
            ("price_per_kwh", |one| price(one.price.as_ref())),
            ("amount", |one| amount(one.amount.as_ref())),
            ("currency", |one| currency(one.amount.as_ref())),
            ("outcome", |one| outcome(one.outcome()).unwrap_or_default().to_owned()),
            ("estimated", |one| one.estimated.to_string()),
            ("late_kwh", |one| kwh(one.late_energy_wh)),
            ("settled_by", |one| one.settled_by.clone()),
            ("settle_reason", |one| one.settle_reason.clone()),
        ],
    )
}

pub(crate) fn audit(entries: &[AuditEntry]) -> String {
    lines(
        entries,
        &[
            ("number", |one| one.number.to_string()),
            ("create_time", |one| time(one.create_time)),
            ("actor", |one| one.actor.clone()),
            ("address", |one| one.address.clone()),
            ("method", |one| one.method.clone()),
            ("subject", |one| one.subject.clone()),
            ("parameters", |one| one.parameters.clone()),
            ("result", |one| one.result.clone()),
            ("answer", |one| one.answer.clone()),
            ("refusal_count", |one| one.refusal_count.to_string()),
            ("previous_hash", |one| hex(&one.previous_hash)),
        ],
    )
}

/// Of a session under review: of no other is it known what was reported.
fn reported(one: &Session) -> String {
    if one.review.is_empty() { String::new() } else { kwh(one.reported_energy_wh) }
}

/// The head, and a line a row.
fn lines<T>(rows: &[T], columns: &[(&str, Cell<T>)]) -> String {
    let line = |cells: Vec<String>| format!("{}\r\n", cells.join(","));
    let head = line(columns.iter().map(|(name, _)| (*name).to_owned()).collect());
    let row = |row: &T| line(columns.iter().map(|(_, text)| cell(text(row))).collect());
    rows.iter().map(row).fold(head, |text, line| text + &line)
}

fn cell(mut text: String) -> String {
    if text.starts_with(FORMULA) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

fn price(of: Option<&Price>) -> String {
    number(values::price(of))
}

fn amount(of: Option<&Money>) -> String {
    number(values::money(of))
}

fn currency(of: Option<&Money>) -> String {
    of.map(|money| money.currency_code.clone()).unwrap_or_default()
}

/// What stands before the currency.
fn number(text: String) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::network::SessionOutcome;

    /// Reads it as RFC 4180 says.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, quoted) {
                ('"', true) if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                ('"', _) => quoted = !quoted,
                (',', false) => row.push(std::mem::take(&mut cell)),
                ('\r', false) => {
                    assert_eq!(chars.next(), Some('\n'), "lines end with CRLF");
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                (c, _) => cell.push(c),
            }
        }
        assert!(row.is_empty() && cell.is_empty() && !quoted, "{text}");
        rows
    }

    #[test]
    fn whatever_is_in_a_cell_is_read_back_and_no_spreadsheet_computes_it() {
        for (text, shown) in [
            ("", ""),
            ("Madrid, Atocha", "Madrid, Atocha"),
            ("the \"old\" one\r\nin two", "the \"old\" one\r\nin two"),
            ("=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("1-1", "1-1"),
            ("駅 ñ", "駅 ñ"),
        ] {
            let read = read(&lines(
                &[text.to_owned(), "next".to_owned()],
                &[("a", String::clone), ("b", String::clone)],
            ));
            assert_eq!(
                read,
                [["a", "b"], [shown, shown], ["next", "next"]].map(|row| row.map(str::to_owned))
            );
        }
    }

    #[test]
    fn a_ticket_is_one_line_of_exact_numbers() {
        let at = "2026-11-23T14:30:05.678Z".parse::<Timestamp>().ok();
        let ticket = Ticket {
            session_id: "s1".into(),
            charge_point_id: "MAD-01".into(),
            driver_id: "-7".into(),
            energy_wh: 40_000,
            price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 333_333 }),
            amount: Some(Money { currency_code: "EUR".into(), micros: 13_330_000 }),
            outcome: SessionOutcome::Completed.into(),
            start_time: at,
            issue_time: at,
            ..Ticket::default()
        };
        assert_eq!(
            tickets(&[ticket]),
            "session_id,charge_point_id,driver_id,start_time,end_time,issue_time,kwh,price_per_kwh,amount,currency,\
             outcome,estimated,late_kwh,settled_by,settle_reason\r\n\
             s1,MAD-01,'-7,2026-11-23T14:30:05.678Z,,2026-11-23T14:30:05.678Z,40.000,0.333333,13.33,EUR,COMPLETED,\
             false,0.000,,\r\n"
        );
        let (review, card_id) = ("too much".into(), "card-0123456789".into());
        let reviewed = Session { review, card_id, reported_energy_wh: 7_000, ..Session::default() };
        let rows = read(&sessions(&[Session::default(), reviewed]));
        let last: Vec<_> = rows.iter().map(|row| &row[row.len() - 2..]).collect();
        assert_eq!(last, [["reported_kwh", "card_id"], ["", ""], ["7.000", "card-0123456789"]]);
        let points = [ChargePointDetail::default(), ChargePointDetail::default()];
        assert_eq!(read(&charge_points(&points)).iter().map(Vec::len).collect::<Vec<_>>(), [9, 9, 9]);
        assert_eq!(read(&tickets(&[])).len(), 1, "the head is always there");
    }
}
