//! The parts of a panel: framed lines, the messages of the log, and a table that leaves out what has no room.

use ratatui::{
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Row, Table, Wrap},
};
use tracing::Level;

/// Lines in a frame with a title.
pub fn tile<'a>(title: impl Into<Line<'a>>, lines: Vec<Line<'a>>) -> Paragraph<'a> {
    Paragraph::new(lines).block(Block::bordered().title(title))
}

/// So many lines have room in a frame.
pub fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(2))
}

/// The messages of a log, errors first as they come.
pub fn messages(lines: impl IntoIterator<Item = (Level, String)>) -> Paragraph<'static> {
    let line = |(level, text)| Line::styled(text, level_colour(level));
    tile(" messages, errors first ", lines.into_iter().map(line).collect()).wrap(Wrap { trim: true })
}

/// The colour of a message that matters so much.
pub fn level_colour(level: Level) -> Color {
    match level {
        Level::ERROR => Color::Red,
        Level::WARN => Color::Yellow,
        _ => Color::Reset, // a level is no enum
    }
}

/// Bold, in the terminal's own colours.
pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// A column of a panel's table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub width: Constraint,
    /// On a screen with fewer columns than these it is left out.
    pub from: u16,
}

/// A table on a screen of this width. Each row has a cell for every column, shown or not.
pub fn table<'a>(columns: &[Column], rows: impl IntoIterator<Item = Vec<Line<'a>>>, width: u16) -> Table<'a> {
    let shown = || columns.iter().filter(|column| column.from <= width);
    let row = |cells: Vec<Line<'a>>| {
        let cells = cells.into_iter().zip(columns).filter(|(_, column)| column.from <= width);
        Row::new(cells.map(|(cell, _)| cell))
    };
    let head = Row::new(shown().map(|column| column.name)).style(bold());
    Table::new(rows.into_iter().map(row), shown().map(|column| column.width)).header(head)
}
