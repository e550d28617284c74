//! The charge point's screen and buttons: its meter, its state, its last ticket, and the messages, errors first.

mod card;

use crate::{Point, Shown, panel_api::INJECTED};
use card::TypedCard;
use domain::{
    SupplyEnd, SupplyRecord, SupplyState,
    supply::{Act, Obstacle, View},
};
use mesh::observability::LogRing;
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min},
        Layout, Rect,
    },
    style::{Color, Stylize as _},
    text::Line,
};
use tokio::{sync::watch, task::JoinHandle};
use ui::KeyCode;

/// None is a hexadecimal digit: a reader of cards that is a keyboard types those, whether a card was asked for or not.
const KEYS: &str = "p plug in   u unplug   m guest   s show card   x fault   r repair   q quit";

/// What the screen shows, and the point that its buttons act on.
#[derive(Debug)]
pub struct Panel {
    point: Point,
    view: watch::Receiver<View>,
    log: LogRing,
    asking: Option<JoinHandle<()>>,
    /// A card's number is being typed: by hand, or by a reader that types.
    card: Option<TypedCard>,
}

impl Panel {
    /// The panel of this charge point, with the messages of this log.
    pub fn new(point: Point, log: LogRing) -> Self {
        Self { view: point.watch(), point, log, asking: None, card: None }
    }
}

impl ui::Panel for Panel {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let log = self.log.timed(usize::from(area.height));
        draw(frame, area, self.point.charge_point().as_str(), &self.view.borrow(), self.card.as_ref(), log);
    }

    async fn changed(&mut self) {
        tokio::select! {
            () = ui::changed(&mut self.view) => {}
            () = TypedCard::left(&mut self.card) => {}
        }
    }

    /// Central may take seconds to answer: one manual supply is asked for at a time, beside the picture.
    async fn press(&mut self, key: KeyCode) {
        if let Some(mut card) = self.card.take() {
            match card.press(key) {
                card::Read::On => self.card = Some(card),
                card::Read::Given(number) => self.ask(Shown::Card(number)),
                card::Read::Wrong(why) => tracing::warn!("no supply here: a card's number {why}"),
                card::Read::Nothing => {}
            }
            return;
        }
        match button(key) {
            Some(Button::Act(act)) => {
                if let Err(failure) = self.point.act(act).await {
                    tracing::warn!("{failure}");
                }
            }
            Some(Button::Guest) => self.ask(Shown::Guest),
            Some(Button::Card) => self.card = Some(TypedCard::default()),
            None => {}
        }
    }
}

/// What a key of [`KEYS`] is for.
#[derive(Debug)]
enum Button {
    Act(Act),
    Guest,
    Card,
}

/// The other keys of a keyboard do nothing.
fn button(key: KeyCode) -> Option<Button> {
    Some(match key {
        KeyCode::Char('p') => Button::Act(Act::PlugIn),
        KeyCode::Char('u') => Button::Act(Act::Unplug),
        KeyCode::Char('x') => Button::Act(Act::Break(INJECTED.to_owned())),
        KeyCode::Char('r') => Button::Act(Act::Repair),
        KeyCode::Char('m') => Button::Guest,
        KeyCode::Char('s') => Button::Card,
        _ => return None,
    })
}

impl Panel {
    fn ask(&mut self, shown: Shown) {
        if self.asking.as_ref().is_none_or(JoinHandle::is_finished) {
            self.asking = Some(tokio::spawn(manual(self.point.clone(), shown)));
        }
    }
}

async fn manual(point: Point, shown: Shown) {
    if let Err(status) = point.start_manual(shown, None, None).await {
        tracing::warn!("no supply here: {}", status.message());
    }
}

fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    charge_point: &str,
    view: &View,
    card: Option<&TypedCard>,
    log: Vec<(tracing::Level, String)>,
) {
    let [facts, messages] = Layout::vertical([Length(10), Min(3)]).areas(area);
    let around = format!(
        "car {}   monitor {}   central {}{}",
        if view.plugged_in { "plugged in" } else { "not there" },
        if view.attended { "attends" } else { "not there" },
        if view.central_reachable { "reached" } else { "not reached" },
        waiting(view),
    );
    let lines = vec![
        state(view),
        Line::default(),
        meter(view.current.as_ref()),
        Line::default(),
        Line::raw(around),
        Line::default(),
        ticket(view.last.as_ref()),
        card.map_or_else(|| Line::styled(KEYS, Color::DarkGray), TypedCard::line),
    ];
    frame.render_widget(ui::tile(format!(" charge point {charge_point} "), lines), facts);
    frame.render_widget(ui::messages(log), messages);
}

fn state(view: &View) -> Line<'static> {
    let (text, shade) = match (&view.current, &view.obstacle) {
        (Some(record), obstacle) => match (record.state, obstacle) {
            (SupplyState::Supplying, _) => (format!("supplying {}", record.driver), Color::Green),
            (SupplyState::Authorized, None) if view.plugged_in => {
                (format!("authorised for {}", record.driver), Color::Cyan)
            }
            (SupplyState::Authorized, None) => {
                (format!("authorised for {}: plug the car in", record.driver), Color::Cyan)
            }
            (SupplyState::Authorized | SupplyState::Ended(_), obstacle) => {
                (obstacle.as_ref().map(ToString::to_string).unwrap_or_default(), Color::Red)
            }
        },
        (None, Some(obstacle @ Obstacle::Unattended)) => (obstacle.to_string(), Color::DarkGray),
        (None, Some(obstacle @ (Obstacle::Broken(_) | Obstacle::Unsettled(_)))) => {
            (obstacle.to_string(), Color::Red)
        }
        (None, None) => ("free".into(), Color::Green),
    };
    Line::styled(text, shade).bold()
}

fn meter(current: Option<&SupplyRecord>) -> Line<'static> {
    let Some(record) = current else {
        return Line::raw("-");
    };
    let now = format!("{}   {}   {}", record.power, record.energy, record.price.cost(record.energy));
    Line::from(vec![now.bold(), format!("   at {}   session {}", record.price, record.session).into()])
}

fn waiting(view: &View) -> String {
    match view.unsent {
        0 => String::new(),
        1 => "   1 event waits for Kafka".into(),
        count => format!("   {count} events wait for Kafka"),
    }
}

/// What central will have billed, or will bill: the same reading, the same price, the same rounding (INV-4).
fn ticket(last: Option<&SupplyRecord>) -> Line<'static> {
    let Some(record) = last else {
        return Line::raw("no ticket yet");
    };
    let end = match record.state {
        SupplyState::Ended(SupplyEnd::Completed) => "completed",
        SupplyState::Ended(SupplyEnd::Stopped) => "stopped",
        SupplyState::Ended(SupplyEnd::EngineFault) => "ended by a fault",
        SupplyState::Ended(SupplyEnd::MonitorLost) => "ended: monitor lost",
        SupplyState::Ended(SupplyEnd::Interrupted) => "interrupted",
        SupplyState::Authorized | SupplyState::Supplying => "", // the last one has ended
    };
    Line::raw(format!(
        "last ticket: {} × {} = {}   {}, {end}",
        record.energy,
        record.price,
        record.price.bill(record.energy),
        record.driver,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::running;
    use domain::Energy;
    use ratatui::{Terminal, backend::TestBackend};

    fn painted(view: &View) -> String {
        let log = vec![(tracing::Level::WARN, "smoke".to_owned())];
        let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), "MAD-01", view, None, log)).unwrap();
        terminal.backend().to_string()
    }

    fn free() -> View {
        View {
            charge_point: "MAD-01".parse().unwrap(),
            instance: "i".parse().unwrap(),
            highest: 0,
            current: None,
            unsettled: Vec::new(),
            last: None,
            unsent: 0,
            obstacle: None,
            plugged_in: false,
            attended: true,
            central_reachable: true,
            rated: None,
        }
    }

    #[test]
    fn no_key_is_one_that_a_reader_of_cards_types() {
        for key in
            (0..=u8::MAX).map(char::from).filter(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '-' | ' '))
        {
            assert!(button(KeyCode::Char(key)).is_none(), "{key}");
        }
        assert!(button(KeyCode::Enter).is_none());
        for said in KEYS.split("   ") {
            let key = said.chars().next().unwrap();
            assert!(
                !key.is_ascii_hexdigit() && (key == 'q' || button(KeyCode::Char(key)).is_some()),
                "{said}"
            );
        }
    }

    #[test]
    fn each_state_is_shown_in_eighty_columns() {
        let ended = SupplyRecord {
            state: SupplyState::Ended(SupplyEnd::EngineFault),
            energy: Energy::from_wh(1_234),
            ..running()
        };
        let reserved = SupplyRecord { state: SupplyState::Authorized, ..running() };
        for (view, shown) in [
            (free(), vec!["charge point MAD-01", "free", "no ticket yet", KEYS, "smoke"]),
            (
                View { current: Some(running()), plugged_in: true, ..free() },
                vec!["supplying ana", "50.0 kW   0.300 kWh   0.09 EUR", "session s1", "car plugged in"],
            ),
            (View { current: Some(reserved), ..free() }, vec!["authorised for ana: plug the car in"]),
            (
                View { obstacle: Some(Obstacle::Unattended), attended: false, unsent: 2, ..free() },
                vec!["start its monitor", "monitor not there", "2 events wait for Kafka"],
            ),
            (
                View { obstacle: Some(Obstacle::Broken("smoke".into())), last: Some(ended), ..free() },
                vec!["broken (smoke)", "1.234 kWh × 0.30 EUR = 0.37 EUR", "ana, ended by a fault"],
            ),
        ] {
            let picture = painted(&view);
            for text in shown {
                assert!(picture.contains(text), "{text} in\n{picture}");
            }
        }
    }
}
