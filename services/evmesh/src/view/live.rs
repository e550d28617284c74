//! The network on a terminal: a row a charge point, in the width that there is.

use super::ChargePoint;
use super::words::{energy_cell, money_cell, power_cell};
use mesh::terminal;
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table},
};
use std::collections::BTreeMap;

/// Below this width the place is left out, and below the next one the driver, the power and the amount too.
const WIDE: u16 = 110;
const MEDIUM: u16 = 72;

/// What a watcher of the network sees.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// Each charge point by its id, as central told it last.
    points: BTreeMap<String, ChargePoint>,
    /// So many rows are above the screen.
    scrolled: usize,
}

impl Network {
    /// Takes in a charge point that is new, or has changed.
    pub(crate) fn take(&mut self, charge_point: ChargePoint) {
        self.points.insert(charge_point.charge_point_id.clone(), charge_point);
    }

    /// Shows what is so many rows further down, or up.
    pub(crate) fn scroll(&mut self, rows: isize) {
        let last = self.points.len().saturating_sub(1);
        self.scrolled = self.scrolled.saturating_add_signed(rows).min(last);
    }

    /// Paints one picture. `central` is where the network is.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, central: &str) {
        let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
        let keys = "  q: quit  ↑ ↓: scroll";
        frame.render_widget(Paragraph::new(format!("central {central}{keys}")), head);

        let (wide, medium) = (body.width >= WIDE, body.width >= MEDIUM);
        let mut columns = vec![("charge point", Constraint::Fill(1)), ("status", Constraint::Length(13))];
        if medium {
            columns.push(("power", Constraint::Length(8)));
        }
        columns.push(("energy", Constraint::Length(11)));
        if medium {
            columns.extend([("amount", Constraint::Length(11)), ("driver", Constraint::Fill(1))]);
        }
        if wide {
            columns.push(("place, reason", Constraint::Fill(2)));
        }
        let rows = self.points.values().skip(self.scrolled);
        let room = usize::from(body.height.saturating_sub(3)); // the frame and the head
        let rows = rows.take(room).map(|one| row(one, wide, medium));
        let header = Row::new(columns.iter().map(|(name, _)| *name));
        let table = Table::new(rows, columns.iter().map(|(_, width)| *width))
            .header(header.style(Style::new().add_modifier(Modifier::BOLD)))
            .block(Block::bordered().title(self.title()).title_bottom(self.below(room)));
        frame.render_widget(table, body);
    }

    fn title(&self) -> String {
        let supplying = self.points.values().filter(|one| one.live.is_some()).count();
        match self.points.len() {
            0 => " no charge point is registered yet ".to_owned(),
            1 => format!(" 1 charge point, {supplying} in use "),
            all => format!(" {all} charge points, {supplying} in use "),
        }
    }

    /// How many rows are below the screen.
    fn below(&self, room: usize) -> Line<'static> {
        match self.points.len().saturating_sub(self.scrolled + room) {
            0 => Line::default(),
            more => Line::from(format!(" {more} more ")).right_aligned(),
        }
    }
}

fn row(one: &ChargePoint, wide: bool, medium: bool) -> Row<'static> {
    let live = one.live.as_ref();
    let status = Span::styled(one.status.word(), Style::new().fg(terminal::status_colour(one.status)));
    let mut cells = vec![Cell::from(one.charge_point_id.clone()), Cell::from(status)];
    let text = |text: Option<String>| Cell::from(text.unwrap_or_default());
    if medium {
        cells.push(text(live.map(|live| power_cell(live.power_w))));
    }
    cells.push(text(live.map(|live| energy_cell(live.energy_wh))));
    if medium {
        cells.push(text(live.map(|live| money_cell(live.amount.as_ref()))));
        cells.push(text(live.map(|live| live.driver_id.clone())));
    }
    if wide {
        let reason = match one.status_reason.as_str() {
            "" => one.location.clone(),
            reason => format!("{}  ({reason})", one.location),
        };
        cells.push(Cell::from(reason));
    }
    Row::new(cells)
}

#[cfg(test)]
mod tests {
    use super::super::{Live, Money};
    use super::*;
    use evmesh_proto::network::ChargePointStatus;
    use ratatui::{Terminal, backend::TestBackend};

    fn network(count: usize) -> Network {
        let mut network = Network::default();
        for number in 0..count {
            network.take(ChargePoint {
                charge_point_id: format!("MAD-{number:02}"),
                location: "Madrid, Atocha".into(),
                price: None,
                status: ChargePointStatus::Supplying,
                status_reason: "it is warm".into(),
                engine_address: String::new(),
                epoch: 1,
                live: (number == 0).then(|| Live {
                    session_id: "s1".into(),
                    driver_id: "101".into(),
                    power_w: 50_000,
                    energy_wh: 12_345,
                    amount: Some(Money { currency_code: "EUR".into(), micros: 4_320_750 }),
                }),
            });
        }
        network
    }

    fn picture(network: &Network, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| network.draw(frame, "127.0.0.1:50051")).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn each_width_shows_what_fits() {
        for (width, shown, left_out) in [
            (120, vec!["12.345 kWh", "4.32 EUR", "101", "Madrid, Atocha  (it is warm)"], "--"),
            (80, vec!["50.0 kW", "12.345 kWh", "4.32 EUR", "101", "q: quit  ↑ ↓: scroll"], "Madrid"),
            (40, vec!["MAD-00", "SUMINISTRANDO", "12.345 kWh", "q: quit"], "EUR"),
        ] {
            let picture = picture(&network(2), width, 10);
            for text in shown {
                assert!(picture.contains(text), "{text} in\n{picture}");
            }
            assert!(
                picture.contains("2 charge points, 1 in use") && !picture.contains(left_out),
                "{picture}"
            );
        }
        picture(&Network::default(), 1, 1);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_scrolled_to() {
        let mut network = network(30);
        let top = picture(&network, 80, 24);
        assert!(top.contains("MAD-19") && !top.contains("MAD-20") && top.contains(" 10 more "), "{top}");
        network.scroll(15);
        let end = picture(&network, 80, 24);
        assert!(end.contains("MAD-29") && !end.contains("MAD-14") && !end.contains("more"), "{end}");
        network.scroll(-100);
        assert_eq!(picture(&network, 80, 24), top);
    }
}
