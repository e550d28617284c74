//! Tables for people: aligned, and no wider than the screen. What is cut ends in `…`; `--output json` has it whole.

use ratatui::text::Span;

/// The width where there is no terminal to ask, and the least for which tables are made.
pub const WIDTH: usize = 80;
/// Between two columns.
const GAP: usize = 2;
/// How far a row's note stands in.
const INDENT: usize = 6;
/// Ids up to this length are shown whole; of longer ones the end, for those that are made from the time begin alike.
const WHOLE_ID: usize = 12;
const ID_END: usize = 8;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table whose columns are as wide as their widest cell, or as there is room for.
#[derive(Debug)]
pub struct Table {
    columns: &'static [(&'static str, Side)],
    rows: Vec<(Vec<String>, String)>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: &'static [(&'static str, Side)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: one cell a column, and a note that stands below it, unless it is empty.
    pub fn push(&mut self, cells: Vec<String>, note: String) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push((cells, note));
    }

    /// The table as text, one line a row and its notes, the header first; no blanks at the ends of lines.
    pub fn render(&self, width: usize) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let widths = self.widths(&header, width);
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(self.columns).zip(&widths);
            let cells = cells.map(|((cell, (_, side)), width)| align(cell, *side, *width));
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let mut lines = vec![line(&header)];
        for (cells, note) in &self.rows {
            lines.push(line(cells));
            if !note.is_empty() {
                lines.push(wrap(note, width, INDENT));
            }
        }
        lines.join("\n") + "\n"
    }

    /// What each column needs; beyond the screen's width, the widest give way first.
    fn widths(&self, header: &[String], width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let cells = self.rows.iter().map(|(cells, _)| columns(&cells[column]));
                cells.chain([columns(&header[column])]).max().unwrap_or(0)
            })
            .collect();
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            match widths.iter_mut().max() {
                Some(widest) if *widest > 1 => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// The screen's width, if it is wider than that for which tables are made.
pub fn width() -> usize {
    let terminal = if crate::terminal::is_terminal() { crossterm::terminal::size().ok() } else { None };
    terminal.map_or(WIDTH, |(columns, _)| usize::from(columns).max(WIDTH))
}

/// An id as a cell.
pub fn short_id(id: &str) -> String {
    match id.char_indices().nth_back(ID_END - 1) {
        Some((at, _)) if id.chars().count() > WHOLE_ID => format!("…{}", &id[at..]),
        _ => id.to_owned(),
    }
}

/// A text in lines of at most this width, each so far in.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent).max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last().map_or(0, |line| columns(line));
            let gap = usize::from(line > 0);
            if line + gap + columns(word) <= room {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&" ".repeat(gap));
                    line.push_str(word);
                }
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            // A word that no line has room for.
            let end = fitting(word, room).max(word.chars().next().map_or(0, char::len_utf8));
            if let Some(line) = lines.last_mut() {
                line.push_str(&word[..end]);
            }
            word = &word[end..];
        }
    }
    let blank = " ".repeat(indent);
    lines.iter().map(|line| format!("{blank}{line}")).collect::<Vec<_>>().join("\n")
}

/// How wide a text is on a screen.
pub fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text, cut to a width.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    format!("{}…", &text[..fitting(text, width.saturating_sub(1))])
}

/// How many bytes of the text fit.
fn fitting(text: &str, width: usize) -> usize {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    ends.take_while(|end| columns(&text[..*end]) <= width).last().unwrap_or(0)
}

fn align(cell: &str, side: Side, width: usize) -> String {
    let cell = cut(cell, width);
    let blank = " ".repeat(width.saturating_sub(columns(&cell)));
    match side {
        Side::Left => format!("{cell}{blank}"),
        Side::Right => format!("{blank}{cell}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[(&str, Side)] = &[("ID", Side::Left), ("ENERGY", Side::Right), ("PLACE", Side::Left)];

    #[test]
    fn a_table_is_aligned_and_has_no_blanks_at_the_ends() {
        let mut table = Table::new(COLUMNS);
        table.push(vec!["MAD-01".into(), "1.000 kWh".into(), String::new()], String::new());
        table.push(vec!["A".into(), "12.000 kWh".into(), "Logroño".into()], "it is warm".into());
        table.push(vec!["B".into(), String::new(), "駅".into()], String::new());
        assert_eq!(
            table.render(WIDTH),
            "ID          ENERGY  PLACE\nMAD-01   1.000 kWh\nA       12.000 kWh  Logroño\n      it is warm\nB                   駅\n"
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
