//! The table of the results.

use super::{outcome_word, place};
use domain::requests::{Conclusion, Row, Summary};

const TITLES: [&str; 8] =
    ["line", "asked for", "charge point", "outcome", "kWh", "amount", "as expected", "session, reason"];

/// Columns of numbers, which stand to the right.
const NUMBERS: [usize; 3] = [0, 4, 5];

/// The results for people.
pub(super) fn table(summary: &Summary) -> String {
    let rows: Vec<[String; 8]> = summary.rows.iter().map(cells).collect();
    let mut widths = TITLES.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 8]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(n, (cell, width))| {
            if NUMBERS.contains(&n) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&TITLES.map(String::from))];
    lines.extend(rows.iter().map(line));
    let met = summary.rows.iter().filter(|row| row.is_as_expected()).count();
    lines.push(format!("{met} of {} requests concluded as expected", summary.asked));
    lines.join("\n")
}

fn cells(row: &Row) -> [String; 8] {
    let (outcome, why) = match &row.conclusion {
        Conclusion::Denied { reason, .. } => ("denied".to_owned(), reason.clone()),
        Conclusion::Ended { outcome, reason, ticket_due, .. } => {
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
        [session, why].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
    ]
}
