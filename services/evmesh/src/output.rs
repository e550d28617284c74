//! What commands print on stdout: aligned tables for people, JSON for scripts.

use crate::exit::Failure;
use serde::Serialize;
use std::io::{self, Write as _};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Aligned tables and sentences.
    Text,
    /// One JSON document; `watch` prints one a line.
    Json,
}

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table whose columns are as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [(&'static str, Side)],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(columns: &'static [(&'static str, Side)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: one cell a column.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The table as text, one line a row, the header first; no blanks at the ends of lines.
    pub(crate) fn render(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = std::iter::once(&header).chain(&self.rows);
                cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            text.push_str(align(row, self.columns, &widths).trim_end());
            text.push('\n');
        }
        text
    }
}

fn align(row: &[String], columns: &[(&str, Side)], widths: &[usize]) -> String {
    let cells = row.iter().zip(columns).zip(widths);
    let cells = cells.map(|((cell, (_, side)), width)| match side {
        Side::Left => format!("{cell:<width$}"),
        Side::Right => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ")
}

/// Prints a text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints a JSON document over several lines.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value).map_err(|error| Failure::because(&error))?)
}

/// Prints a JSON document on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(value).map_err(|error| Failure::because(&error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_blanks_at_the_ends() {
        let mut table = Table::new(&[("ID", Side::Left), ("ENERGY", Side::Right), ("NOTE", Side::Left)]);
        table.push(vec!["MAD-01".into(), "1.000 kWh".into(), String::new()]);
        table.push(vec!["A".into(), "12.000 kWh".into(), "añadido".into()]);
        assert_eq!(
            table.render(),
            "ID          ENERGY  NOTE\nMAD-01   1.000 kWh\nA       12.000 kWh  añadido\n"
        );
    }
}
