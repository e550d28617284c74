//! The parts of a panel: framed lines, the messages of the log, and a table that leaves out what has no room. What is
//! cut ends in `…`.

use crate::cut::{cut, cut_line};
use crate::table::{columns, wrap};
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Row, Table, Widget},
};
use tracing::Level;

/// Lines in a frame.
#[derive(Debug)]
pub struct Tile<'a> {
    title: Line<'a>,
    lines: Vec<Line<'a>>,
    wraps: bool,
}

/// Lines in a frame with a title.
pub fn tile<'a>(title: impl Into<Line<'a>>, lines: Vec<Line<'a>>) -> Tile<'a> {
    Tile { title: title.into(), lines, wraps: false }
}

impl Tile<'_> {
    /// What is wider than the frame goes on in the next line.
    pub fn wrap(self) -> Self {
        Self { wraps: true, ..self }
    }
}

impl Widget for Tile<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let (width, room) = (inside(area), room(area));
        let mut lines = Vec::new();
        for line in self.lines.into_iter().take(room) {
            if self.wraps && line.width() > width && width > 0 {
                let (whole, style) = (wrap(&line.to_string(), width, 0), line.style);
                let left = room.saturating_sub(lines.len());
                let parts = whole.lines().take(left).map(|part| Line::styled(part.to_owned(), style));
                lines.extend(parts);
                if whole.lines().count() > left && left > 0 {
                    let text = lines.pop().unwrap_or_default().to_string();
                    lines.push(Line::styled(cut(&format!("{text}…"), width), style));
                }
            } else {
                lines.push(cut_line(line, width));
            }
        }
        let block = Block::bordered().title(cut_line(self.title, width));
        Paragraph::new(lines).block(block).render(area, buffer);
    }
}

/// So many lines have room in a frame.
pub fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(2))
}

/// So wide a line has room in a frame.
fn inside(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(2))
}

/// The messages of a log, errors first as they come.
pub fn messages(lines: impl IntoIterator<Item = (Level, String)>) -> Tile<'static> {
    let line = |(level, text)| Line::styled(text, level_colour(level));
    tile(" messages, errors first ", lines.into_iter().map(line).collect()).wrap()
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

/// A column of a panel's table: as wide as its widest cell.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    /// It is not narrower than this.
    pub least: u16,
    /// Where there is not room for all columns, the one with the highest of these is left out first; those with 0 never
    /// are.
    pub leaves: u8,
    /// It takes the room that the others leave, and is cut down to `least` before any column is left out.
    pub stretches: bool,
}

/// Between two columns of a panel's table.
const GAP: usize = 1;

/// A table in a frame with a title, and a word on its lower edge. Each row has a cell for every column, shown or not.
pub fn table<'a>(
    of: &[Column],
    rows: impl IntoIterator<Item = Vec<Line<'a>>>,
    title: Line<'a>,
    below: Line<'a>,
    area: Rect,
) -> Table<'a> {
    let (rows, inside): (Vec<_>, _) = (rows.into_iter().collect(), inside(area));
    let widest = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(Line::width).max();
    let wide = |(at, column): (usize, &Column)| {
        let least = usize::from(column.least).max(columns(column.name));
        if column.stretches { least } else { least.max(widest(at).unwrap_or_default()) }
    };
    let mut shown: Vec<(usize, usize)> = of.iter().enumerate().map(wide).enumerate().collect();
    let needs = |shown: &[(usize, usize)]| shown.iter().map(|(_, width)| width + GAP).sum::<usize>();
    let least = |(at, _): &(usize, usize)| of[*at].leaves;
    while needs(&shown) > inside + GAP
        && let Some(least) = shown.iter().copied().max_by_key(least).filter(|column| of[column.0].leaves > 0)
    {
        shown.retain(|column| *column != least);
    }
    let mut over = needs(&shown).saturating_sub(inside + GAP);
    let left = (inside + GAP).saturating_sub(needs(&shown));
    for (at, width) in &mut shown {
        if of[*at].stretches {
            *width += left;
        }
        let narrower = width.saturating_sub(over).max(1).min(*width); // the first gives way
        (over, *width) = (over - (*width - narrower), narrower);
    }
    let row = |cells: Vec<Line<'a>>| {
        let cells = cells.into_iter().enumerate().filter_map(|(at, cell)| {
            shown.iter().find(|column| column.0 == at).map(|(_, width)| cut_line(cell, *width))
        });
        Row::new(cells.collect::<Vec<_>>())
    };
    let head = row(of.iter().map(|column| Line::raw(column.name)).collect()).style(bold());
    let widths: Vec<_> = shown.iter().map(|(_, width)| Constraint::Length(screen_columns(*width))).collect();
    let block = Block::bordered().title(cut_line(title, inside)).title_bottom(cut_line(below, inside));
    Table::new(rows.into_iter().map(row).collect::<Vec<_>>(), widths).header(head).block(block)
}

fn screen_columns(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    fn picture(width: u16, height: u16, draw: impl FnOnce(Rect, &mut Buffer)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame.area(), frame.buffer_mut())).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_line_a_title_and_the_last_of_the_messages_end_in_a_sign_where_they_are_cut() {
        let tiled = |height, wraps| {
            let lines = vec![Line::raw("smoke"), Line::raw("a torn cable hangs out")];
            let tile = tile(" messages, errors first ", lines);
            let tile = if wraps { tile.wrap() } else { tile };
            picture(12, height, |area, buffer| tile.render(area, buffer))
        };
        assert!(tiled(5, false).contains("┌ messages…┐"), "{}", tiled(5, false));
        assert!(tiled(5, false).contains("│a torn ca…│"), "{}", tiled(5, false));
        assert!(tiled(4, true).contains("│a torn…   │"), "{}", tiled(4, true));
        assert!(
            tiled(6, true).contains("hangs out") && !tiled(6, true).contains("cable…"),
            "{}",
            tiled(6, true)
        );
    }

    #[test]
    fn a_table_leaves_out_the_least_and_shows_what_is_left_whole_or_with_a_sign() {
        let column = |name, least, leaves, stretches| Column { name, least, leaves, stretches };
        let columns = [column("id", 0, 0, false), column("place", 8, 1, true), column("price", 0, 2, false)];
        let tabled = |width| {
            let cells = ["MAD-01", "Valencia, Ciutat", "0.35 EUR"];
            let table = table(
                &columns,
                [cells.map(Line::raw).to_vec()],
                Line::raw("3"),
                Line::default(),
                Rect::new(0, 0, width, 4),
            );
            picture(width, 4, |area, buffer| Widget::render(table, area, buffer))
        };
        for (width, row) in [
            (34, "│MAD-01 Valencia, Ciutat 0.35 EUR│"),
            (33, "│MAD-01 Valencia, Ciut… 0.35 EUR│"),
            (26, "│MAD-01 Valenci… 0.35 EUR│"),
            (25, "│MAD-01 Valencia, Ciutat│"),
            (17, "│MAD-01 Valenci…│"),
            (16, "│MAD-01        │"),
            (7, "│MAD-…│"),
        ] {
            assert!(tabled(width).contains(row), "{width}: {row} in\n{}", tabled(width));
        }
        tabled(1);
    }
}
