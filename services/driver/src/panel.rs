//! The driver's panel: its own supply, the charge points free now, the newest messages. It repaints in place and fits
//! 80 columns.

use crate::{Stop, View, view::Now};
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min, Percentage},
        Layout, Rect,
    },
    style::Stylize as _,
    text::{Line, Span},
};
use tokio::sync::watch;
use ui::{KeyCode, Panel, room, tile, values::count};

/// Below this height, only the own supply and the newest messages.
const SMALL: u16 = 16;

pub fn panel(view: watch::Receiver<View>, stop: Stop) -> impl Panel {
    App { view, stop }
}

struct App {
    view: watch::Receiver<View>,
    stop: Stop,
}

impl Panel for App {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        draw(frame, area, &self.view.borrow());
    }

    async fn changed(&mut self) {
        ui::changed(&mut self.view).await;
    }

    async fn press(&mut self, key: KeyCode) {
        if key == KeyCode::Char('s') {
            self.stop.now().await;
        }
    }
}

fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let small = area.height < SMALL;
    let heights = if small {
        // The charge points free now are only counted, in their frame.
        [Length(5), Length(2), Min(0)]
    } else {
        [Length(6), Percentage(40), Min(4)]
    };
    let [own, free, messages] = Layout::vertical(heights).areas(area);
    let title = format!(" driver {}   {} of {} requests concluded ", view.driver, view.concluded, view.asked);
    frame.render_widget(tile(title, own_lines(view, small)), own);
    let title = format!(" {} free now ", count(view.free.len(), "charge point"));
    frame.render_widget(tile(title, free_lines(view, room(free))), free);
    let newest = view.messages.iter().rev().take(room(messages));
    let newest = tile(
        " messages, newest first  (s: stop the charge  q: quit, and it goes on) ",
        newest.map(|line| Line::raw(line.as_str())).collect(),
    );
    frame.render_widget(newest.wrap(), messages);
}

fn own_lines(view: &View, small: bool) -> Vec<Line<'static>> {
    let central = match view.reachable {
        None => Span::raw(format!("asking central at {}", view.central)),
        Some(true) => format!("central at {} answers", view.central).green(),
        Some(false) => format!("cannot reach central at {}, retrying", view.central).red(),
    };
    let (state, numbers) = match &view.supply {
        None => (Span::raw("no charge under way"), String::new()),
        Some(supply) => {
            let at = &supply.charge_point;
            let state = match &supply.now {
                Now::Reserved => format!("{at} is reserved for you; plug in").cyan(),
                Now::Charging => format!("charging at {at}").green(),
                Now::Stopping => format!("stopping at {at}").yellow(),
                Now::Halted(why) => format!("{at}: {why}").yellow(),
            };
            let numbers =
                format!("{}  {}  {}  at {} a kWh", supply.power, supply.energy, supply.amount, supply.price);
            (state, numbers)
        }
    };
    let mut lines = vec![Line::from(central), Line::raw(""), Line::from(state), Line::raw(numbers)];
    if small {
        lines.remove(1);
    }
    lines
}

/// As many as fit; the last row tells how many do not.
fn free_lines(view: &View, rows: usize) -> Vec<Line<'static>> {
    let shown = if view.free.len() > rows { rows.saturating_sub(1) } else { rows };
    let mut lines: Vec<_> = view
        .free
        .iter()
        .take(shown)
        .map(|point| {
            let price = point.price.map(|price| price.to_string()).unwrap_or_default();
            Line::raw(format!("{:<20} {:<14} {}", point.id, price, point.location))
        })
        .collect();
    if view.free.len() > shown {
        lines.push(Line::raw(format!("... and {} more", view.free.len() - shown)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Supply;
    use domain::{Energy, Power, Price, requests::FreePoint};
    use ratatui::{Terminal, backend::TestBackend};

    #[test]
    fn supply_free_charge_points_and_messages_fit_eighty_columns() {
        let price: Price = "0.40 EUR".parse().unwrap();
        let mut view = View::new("ana".parse().unwrap(), "127.0.0.1:50051".into(), 12);
        view.reachable = Some(true);
        view.concluded = 3;
        view.supply = Some(Supply {
            charge_point: "MAD-01".parse().unwrap(),
            price,
            power: Power::from_w(7_400),
            energy: Energy::from_wh(1_500),
            amount: price.cost(Energy::from_wh(1_500)),
            now: Now::Charging,
        });
        view.free = (0..30)
            .map(|n| FreePoint { id: format!("CP-{n:02}"), location: "Madrid".into(), price: Some(price) })
            .collect();
        view.messages.push_back("ticket: MAD-02".into());
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), &view)).unwrap();
        let picture = terminal.backend().to_string();
        for text in [
            "driver ana   3 of 12 requests concluded",
            "s: stop the charge  q: quit, and it goes on",
            "charging at MAD-01",
            "7.4 kW  1.500 kWh  0.60 EUR  at 0.40 EUR a kWh",
            "30 charge points free now",
            "CP-00",
            "more",
            "ticket: MAD-02",
        ] {
            assert!(picture.contains(text), "{text} in\n{picture}");
        }
        let mut small = Terminal::new(TestBackend::new(40, 10)).unwrap();
        small.draw(|frame| draw(frame, frame.area(), &view)).unwrap();
        let picture = small.backend().to_string();
        for text in [
            "charging at MAD-01",
            "7.4 kW  1.500 kWh  0.60 EUR",
            "30 charge points free now",
            "ticket: MAD-02",
        ] {
            assert!(picture.contains(text), "{text} in\n{picture}");
        }
    }
}
