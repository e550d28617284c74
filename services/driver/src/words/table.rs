//! The table of the results.

use super::terms::{outcome_word, place};
use domain::requests::{Conclusion, Row, Summary};
use ui::{Cell, Side, Side::Left, Side::Right, Table, short_id};

/// The results for people, in lines of at most this width.
pub(super) fn table(summary: &Summary, width: usize) -> String {
    let table = Table::of(&summary.rows, COLUMNS, why);
    let met = summary.rows.iter().filter(|row| row.is_as_expected()).count();
    let table = if summary.rows.is_empty() { String::new() } else { table.render(width) };
    format!("{table}{met} of {} requests concluded as expected", summary.asked)
}

const COLUMNS: &[(&str, Side, Cell<Row>)] = &[
    ("line", Right, |row| row.line.number.to_string()),
    ("asked for", Left, |row| place(&row.line.target)),
    ("at", Left, |row| or_none(row.charge_point.as_ref())),
    ("outcome", Left, outcome),
    ("kWh", Right, |row| or_none(row.ticket().map(|ticket| format!("{:.3}", ticket.energy.kwh())))),
    ("amount", Right, |row| or_none(row.ticket().map(|ticket| ticket.amount))),
    ("expected", Left, |row| if row.is_as_expected() { "yes" } else { "NO" }.into()),
    ("session", Left, |row| or_none(row.session.as_ref().map(|session| short_id(session.as_str())))),
];

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

fn outcome(row: &Row) -> String {
    match &row.conclusion {
        Conclusion::Denied { .. } => "denied".to_owned(),
        Conclusion::Ended { outcome, ticket_due, .. } => {
            format!("{}{}", outcome_word(*outcome), if *ticket_due { ", ticket due" } else { "" })
        }
        Conclusion::Forgotten { .. } => "unknown to central".to_owned(),
    }
}

/// Why it came out so.
fn why(row: &Row) -> String {
    match &row.conclusion {
        Conclusion::Denied { reason: why, .. }
        | Conclusion::Ended { reason: why, .. }
        | Conclusion::Forgotten { message: why } => why.clone(),
    }
}
