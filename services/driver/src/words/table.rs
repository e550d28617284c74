//! The table of the results.

use super::terms::{outcome_word, place};
use domain::requests::{Conclusion, Row, Summary};
use ui::{Side, Side::Left, Side::Right, Table, short_id};

const COLUMNS: &[(&str, Side)] = &[
    ("line", Right),
    ("asked for", Left),
    ("at", Left),
    ("outcome", Left),
    ("kWh", Right),
    ("amount", Right),
    ("expected", Left),
    ("session", Left),
];

/// The results for people, in lines of at most this width.
pub(super) fn table(summary: &Summary, width: usize) -> String {
    let mut table = Table::new(COLUMNS);
    for row in &summary.rows {
        let (cells, why) = cells(row);
        table.push(cells, why);
    }
    let met = summary.rows.iter().filter(|row| row.is_as_expected()).count();
    format!("{}{met} of {} requests concluded as expected", table.render(width), summary.asked)
}

/// A row, and why it came out so.
fn cells(row: &Row) -> (Vec<String>, String) {
    let (outcome, why) = match &row.conclusion {
        Conclusion::Denied { reason, .. } => ("denied".to_owned(), reason.clone()),
        Conclusion::Ended { outcome, reason, ticket_due, .. } => {
            let due = if *ticket_due { ", ticket due" } else { "" };
            (format!("{}{due}", outcome_word(*outcome)), reason.clone())
        }
        Conclusion::Forgotten { message } => ("unknown to central".to_owned(), message.clone()),
    };
    let (kwh, amount) = match row.ticket() {
        Some(ticket) => (format!("{:.3}", ticket.energy.kwh()), ticket.amount.to_string()),
        None => ("-".into(), "-".into()),
    };
    let cells = vec![
        row.line.number.to_string(),
        place(&row.line.target),
        row.charge_point.as_ref().map_or("-".into(), ToString::to_string),
        outcome,
        kwh,
        amount,
        if row.is_as_expected() { "yes" } else { "NO" }.into(),
        row.session.as_ref().map_or("-".into(), |session| short_id(session.as_str())),
    ];
    (cells, why)
}
