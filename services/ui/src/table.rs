//! Tables for people: aligned, and no wider than the screen. What is cut ends in `…`; `--output json` has it whole.

pub use comfy_table::CellAlignment as Side;
use comfy_table::{ContentArrangement, Row, presets};

/// The width where there is no terminal to ask, and the least for which tables are made.
pub const WIDTH: usize = 80;
/// Between two columns.
const GAP: u16 = 2;
/// How far a row's note stands in.
const INDENT: usize = 6;
/// Ids up to this length are shown whole; of longer ones the end, for those that are made from the time begin alike.
const WHOLE_ID: usize = 12;
const ID_END: usize = 8;

/// A table whose columns are as wide as their widest cell, or as there is room for; each row may have a note below it.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    notes: Vec<String>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let mut table = plain(WIDTH);
        table.set_header(one_line(columns.iter().map(|(name, _)| (*name).to_owned()).collect()));
        for (column, (_, side)) in table.column_iter_mut().zip(columns) {
            let gap = if column.index + 1 == columns.len() { 0 } else { GAP };
            // Cells are cut where the room ends, not between words.
            column.set_padding((0, gap)).set_delimiter('\0').set_cell_alignment(*side);
        }
        Self { table, notes: vec![String::new()] }
    }

    /// Adds a row: one cell a column, and a note that stands below it, unless it is empty.
    pub fn push(&mut self, cells: Vec<String>, note: String) {
        self.table.add_row(one_line(cells));
        self.notes.push(note);
    }

    /// The table as text, one line a row and its notes, the header first; no blanks at the ends of lines.
    pub fn render(mut self, width: usize) -> String {
        self.table.set_width(screen_columns(width));
        let rows = self.table.lines().zip(&self.notes).map(|(row, note)| match note.as_str() {
            "" => format!("{}\n", row.trim_end()),
            note => format!("{}\n{}\n", row.trim_end(), wrap(note, width, INDENT)),
        });
        rows.collect()
    }
}

fn plain(width: usize) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(screen_columns(width)).set_truncation_indicator("…");
    table
}

fn one_line(cells: Vec<String>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn screen_columns(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

/// The screen's width, if it is wider than that for which tables are made.
pub fn width() -> usize {
    let terminal = if crate::is_terminal() { crossterm::terminal::size().ok() } else { None };
    terminal.map_or(WIDTH, |(columns, _)| usize::from(columns).max(WIDTH))
}

pub fn short_id(id: &str) -> String {
    match id.char_indices().nth_back(ID_END - 1) {
        Some((at, _)) if id.chars().count() > WHOLE_ID => format!("…{}", &id[at..]),
        _ => id.to_owned(),
    }
}

/// A text in lines of at most this width, each so far in.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut table = plain(width);
    table.add_row([text.split_whitespace().collect::<Vec<_>>().join(" ")]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((screen_columns(indent), 0));
    }
    table.trim_fmt()
}

/// The text, cut to a width.
pub fn cut(text: &str, width: usize) -> String {
    let mut table = plain(width);
    table.add_row(one_line(vec![text.to_owned()]));
    table.set_delimiter('\0');
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table.trim_fmt()
}

/// How wide a text is on a screen.
pub fn columns(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Left, Right};

    const COLUMNS: &[(&str, Side)] = &[("ID", Left), ("ENERGY", Right), ("PLACE", Left)];

    #[test]
    fn a_table_is_aligned_and_has_no_blanks_at_the_ends() {
        let mut table = Table::new(COLUMNS);
        table.push(vec!["MAD-01".into(), "1.000 kWh".into(), String::new()], String::new());
        table.push(vec!["A".into(), "12.000 kWh".into(), "Logroño".into()], "it is warm".into());
        table.push(vec!["B".into(), String::new(), "駅".into()], String::new());
        assert_eq!(
            table.render(WIDTH),
            "ID          ENERGY  PLACE\nMAD-01   1.000 kWh\nA       12.000 kWh  Logroño\n      it is warm\nB        \
                        駅\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_screen_whatever_the_cells_are() {
        let long = "x".repeat(64);
        let wide = "駅".repeat(100);
        for width in [20, 40, WIDTH, 200] {
            let mut table = Table::new(COLUMNS);
            table.push(
                vec![long.clone(), "1.000 kWh".into(), wide.clone()],
                format!("{long}{long}{long} {wide} a b"),
            );
            table.push(vec!["A".into(), "12.000 kWh".into(), "b c".into()], String::new());
            let text = table.render(width);
            for line in text.lines() {
                assert!(columns(line) <= width, "{} > {width}: {line}", columns(line));
            }
            let note: String = text.split_whitespace().collect();
            assert!(note.contains(&format!("{long}{long}{long}{wide}ab")), "the note is whole: {text}");
            assert!(text.contains("1.000") || width == 20, "{text}");
        }
    }

    #[test]
    fn ids_are_told_apart_by_their_ends() {
        assert_eq!(short_id("01a20861c8ad72c6ae63ea1aebc6d578"), "…ebc6d578");
        assert_eq!(short_id("MAD-01"), "MAD-01");
        assert_eq!(short_id("sesión-largañ€"), "…-largañ€");
    }
}
