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

/// What a column says of a row.
pub type Cell<T> = fn(&T) -> String;

/// A table whose columns are as wide as their widest cell, or as there is room for; each row may have a note below it.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    notes: Vec<String>,
}

impl Table {
    /// A row for each of these; a column is its head, the side on which its cells stand, and what it says of a row. A
    /// note stands below its row, unless it is empty.
    pub fn of<'a, T: 'a>(
        rows: impl IntoIterator<Item = &'a T>,
        columns: &[(&str, Side, Cell<T>)],
        note: impl Fn(&T) -> String,
    ) -> Self {
        let (mut table, mut notes) = (plain(WIDTH), vec![String::new()]);
        table.set_header(one_line(columns.iter().map(|(name, ..)| (*name).to_owned()).collect()));
        for row in rows {
            table.add_row(one_line(columns.iter().map(|(.., cell)| cell(row)).collect()));
            notes.push(note(row));
        }
        for (column, (_, side, _)) in table.column_iter_mut().zip(columns) {
            let gap = if column.index + 1 == columns.len() { 0 } else { GAP };
            // Cells are cut where the room ends, not between words.
            column.set_padding((0, gap)).set_delimiter('\0').set_cell_alignment(*side);
        }
        Self { table, notes }
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

/// How wide a text is on a screen.
pub fn columns(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Left, Right};

    fn table(rows: &[(&[&str; 3], &str)]) -> Table {
        Table::of(
            rows,
            &[
                ("ID", Left, |row| row.0[0].to_owned()),
                ("ENERGY", Right, |row| row.0[1].to_owned()),
                ("PLACE", Left, |row| row.0[2].to_owned()),
            ],
            |row| row.1.to_owned(),
        )
    }

    #[test]
    fn a_table_is_aligned_and_has_no_blanks_at_the_ends() {
        let table = table(&[
            (&["MAD-01", "1.000 kWh", ""], ""),
            (&["A", "12.000 kWh", "Logroño"], "it is warm"),
            (&["B", "", "駅"], ""),
        ]);
        let lines = [
            "ID          ENERGY  PLACE",
            "MAD-01   1.000 kWh",
            "A       12.000 kWh  Logroño",
            "      it is warm",
            "B                   駅",
        ];
        assert_eq!(table.render(WIDTH), lines.map(|line| format!("{line}\n")).concat());
    }

    #[test]
    fn no_line_is_wider_than_the_screen_whatever_the_cells_are() {
        let long = "x".repeat(64);
        let wide = "駅".repeat(100);
        for width in [20, 40, WIDTH, 200] {
            let note = format!("{long}{long}{long} {wide} a b");
            let rows = [(&[&*long, "1.000 kWh", &*wide], &*note), (&["A", "12.000 kWh", "b c"], "")];
            let text = table(&rows).render(width);
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
