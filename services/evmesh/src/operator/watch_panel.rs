//! The network on a terminal: a row a charge point, in the width that there is.

use super::network::Seen;
use evmesh_proto::network::{ChargePointDetail, ChargePointStatus};
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min},
        Layout, Rect,
    },
    style::Stylize as _,
    text::Line,
};
use tokio::sync::watch;
use ui::{
    Browse, Column, KeyCode, room, status,
    values::{LIVE, Live, place},
};

/// Below this width the units stand above their columns, so that the place still has room.
const WIDE: u16 = 110;
/// The places are not narrower than this.
const PLACE: u16 = 13;

/// What a watcher of the network sees.
#[derive(Debug)]
pub(super) struct WatchPanel {
    central: String,
    seen: watch::Receiver<Seen>,
    browse: Browse,
}

impl WatchPanel {
    pub(super) fn new(central: String, seen: watch::Receiver<Seen>) -> Self {
        Self { central, seen, browse: Browse::default() }
    }
}

impl ui::Panel for WatchPanel {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let [head, body] = Layout::vertical([Length(1), Min(0)]).areas(area);
        let seen = self.seen.borrow();
        let heading = match &seen.lost {
            None => Line::raw(format!("central {}  {}", self.central, ui::KEYS)),
            Some(lost) => Line::raw(lost.as_str()).red(),
        };
        frame.render_widget(ui::cut_line(heading, usize::from(head.width)), head);

        let column = |name, least, leaves| Column { name, least, leaves, stretches: false };
        let mut columns = vec![column("charge point", 0, 0), column("status", 0, 0)];
        let wide = body.width >= WIDE;
        let live = |value: &Live| if wide { value.column_with_unit() } else { value.column() };
        columns.extend(LIVE.iter().map(live));
        columns.push(column("driver", 0, 4));
        columns.push(Column { stretches: true, ..column("place, reason", PLACE, 1) });
        let room = room(body).saturating_sub(1); // the head
        let (shown, below) = self.browse.shown(seen.network.values(), |one| status_of(one), room);
        let rows = shown.into_iter().map(|one| row(one, wide));
        let title = self.browse.title(&statuses(&seen));
        frame.render_widget(ui::table(&columns, rows, title, ui::below(below), body), body);
    }

    async fn changed(&mut self) {
        ui::changed(&mut self.seen).await;
    }

    async fn press(&mut self, key: KeyCode) {
        let statuses = statuses(&self.seen.borrow());
        self.browse.press(key, &statuses);
    }
}

fn status_of(detail: &ChargePointDetail) -> ChargePointStatus {
    detail.charge_point.as_ref().map(|one| one.status()).unwrap_or_default()
}

fn statuses(seen: &Seen) -> Vec<ChargePointStatus> {
    seen.network.values().map(status_of).collect()
}

fn row(detail: &ChargePointDetail, with_units: bool) -> Vec<Line<'static>> {
    let one = detail.charge_point.clone().unwrap_or_default();
    let (status, live) = (one.status(), detail.live.as_ref());
    let mut cells = vec![Line::raw(one.charge_point_id), Line::styled(status.word(), status::colour(status))];
    let text = |value: &Live| {
        let text = live.map(|live| if with_units { value.text(live) } else { value.number(live) });
        Line::raw(text.unwrap_or_default())
    };
    cells.extend(LIVE.iter().map(text));
    cells.push(Line::raw(live.map(|live| live.driver_id.clone()).unwrap_or_default()));
    cells.push(Line::raw(place(&one.location, &detail.status_reason)));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use evmesh_proto::network::{ChargePoint, LiveSupply, Money};
    use ratatui::{Terminal, backend::TestBackend};
    use ui::Panel as _;

    fn network(count: usize) -> WatchPanel {
        let network = (0..count).map(|number| {
            let id = format!("MAD-{number:02}");
            let charge_point = ChargePoint {
                charge_point_id: id.clone(),
                location: "Madrid, Atocha".into(),
                price: None,
                status: ChargePointStatus::Supplying.into(),
            };
            let live = (number == 0).then(|| LiveSupply {
                driver_id: "101".into(),
                power_w: 50_000,
                energy_wh: 12_345,
                amount: Some(Money { currency_code: "EUR".into(), micros: 4_320_750 }),
                ..LiveSupply::default()
            });
            let charge_point = Some(charge_point);
            (
                id,
                ChargePointDetail {
                    charge_point,
                    live,
                    status_reason: "it is warm".into(),
                    ..Default::default()
                },
            )
        });
        let seen = Seen { network: network.collect(), lost: None };
        WatchPanel::new("127.0.0.1:50051".into(), watch::channel(seen).1)
    }

    fn picture(panel: &WatchPanel, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| panel.draw(frame, frame.area())).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn each_width_shows_what_fits() {
        for (width, shown, left_out) in [
            (120, vec!["12.345 kWh", "4.32 EUR", "101", "it is warm  (Madrid, Atocha)"], "--"),
            (
                80,
                vec!["50.0", "12.345", "4.32 EUR", "101", "it is warm  (Madr…", "q: quit  ↑ ↓: scroll"],
                "12.345 kWh",
            ),
            (40, vec!["MAD-00", "SUMINISTRANDO", "12.345", "q: quit"], "EUR"),
        ] {
            let picture = picture(&network(2), width, 10);
            for text in shown {
                assert!(picture.contains(text), "{text} in\n{picture}");
            }
            assert!(
                picture.contains("2 charge points: 2 supplying") && !picture.contains(left_out),
                "{picture}"
            );
        }
        picture(&network(0), 1, 1);
    }

    #[test]
    fn while_central_is_away_what_was_seen_stays_and_the_head_says_so() {
        let Seen { network, .. } = network(2).seen.borrow().clone();
        let lost = Some("cannot reach central at 127.0.0.1:50051, retrying: connection refused".to_owned());
        let panel = WatchPanel::new("127.0.0.1:50051".into(), watch::channel(Seen { network, lost }).1);
        let picture = picture(&panel, 80, 10);
        assert!(picture.contains("connection refused") && picture.contains("MAD-01"), "{picture}");
    }

    #[test]
    fn what_does_not_fit_is_counted_and_scrolled_to() {
        let mut network = network(30);
        let top = picture(&network, 80, 24);
        assert!(top.contains("MAD-19") && !top.contains("MAD-20") && top.contains(" 10 more "), "{top}");
        let press =
            |network: &mut WatchPanel, key| network.browse.press(key, &statuses(&network.seen.borrow()));
        press(&mut network, KeyCode::PageDown);
        (0..5).for_each(|_| press(&mut network, KeyCode::Down));
        let end = picture(&network, 80, 24);
        assert!(
            end.contains("MAD-29")
                && end.contains("MAD-10")
                && !end.contains("MAD-09")
                && !end.contains("more"),
            "{end}"
        );
        press(&mut network, KeyCode::Home);
        assert_eq!(picture(&network, 80, 24), top);
    }
}
