//! The charge point's screen and buttons: its meter, its state, its last ticket, and the messages, errors first.

use crate::Point;
use crossterm::event::KeyCode;
use domain::{
    DriverId, SupplyEnd, SupplyRecord, SupplyState,
    supply::{Obstacle, View},
};
use mesh::{
    Shutdown,
    grpc::Failure,
    observability::{LogLine, LogRing},
    terminal::{self, Screen},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Wrap},
};
use std::{io, time::Duration};
use tokio::task::JoinHandle;

/// The messages are looked at this often; everything else is repainted when it changes.
const REPAINT_EVERY: Duration = Duration::from_millis(500);

const KEYS: &str = "p plug in   u unplug   m supply here (guest)   f fault   r repair   q quit";

/// Shows the panel until the order to stop, which `q` and Ctrl-C give.
pub async fn run(point: Point, log: LogRing, shutdown: Shutdown) -> io::Result<()> {
    let mut screen = Screen::open()?;
    let mut keys = terminal::keys();
    let mut repaint = tokio::time::interval(REPAINT_EVERY);
    let mut view = point.watch();
    let mut asking = None;
    loop {
        let now = view.borrow_and_update().clone();
        let name = point.charge_point().as_str();
        screen.draw(|frame| draw(frame, name, &now, &log.worst_first(usize::from(frame.area().height))))?;
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            Some(key) = keys.recv() => {
                if terminal::is_quit(&key) {
                    shutdown.start();
                } else {
                    press(&point, key.code, &mut asking).await;
                }
            }
            _ = repaint.tick() => {}
            Ok(()) = view.changed() => {}
        }
    }
}

/// What a key does. Central may take seconds to answer: one manual supply is asked for at a time, beside the picture.
async fn press(point: &Point, key: KeyCode, asking: &mut Option<JoinHandle<()>>) {
    let done = match key {
        KeyCode::Char('p') => point.plug_in().await,
        KeyCode::Char('u') => point.unplug().await,
        KeyCode::Char('f') => point.inject_fault().await,
        KeyCode::Char('r') => point.mend().await,
        KeyCode::Char('m') => {
            if asking.as_ref().is_none_or(JoinHandle::is_finished) {
                *asking = Some(tokio::spawn(manual(point.clone())));
            }
            return;
        }
        _ => return, // the other keys of a keyboard do nothing
    };
    if let Err(failure) = done {
        refused(&failure);
    }
}

async fn manual(point: Point) {
    if let Err(status) = point.start_manual(DriverId::guest(), None, None).await {
        tracing::warn!("no supply here: {}", status.message());
    }
}

fn refused(failure: &Failure) {
    tracing::warn!("{failure}");
}

/// Paints one picture.
pub fn draw(frame: &mut Frame<'_>, charge_point: &str, view: &View, log: &[LogLine]) {
    let [facts, messages] =
        Layout::vertical([Constraint::Length(10), Constraint::Min(3)]).areas(frame.area());
    let lines = vec![
        state(view),
        Line::raw(""),
        meter(view.current.as_ref()),
        Line::raw(""),
        Line::raw(format!(
            "car {}   monitor {}   central {}{}",
            if view.plugged_in { "plugged in" } else { "not there" },
            if view.attended { "attends" } else { "not there" },
            if view.central_reachable { "reached" } else { "not reached" },
            waiting(view),
        )),
        Line::raw(""),
        ticket(view.last.as_ref()),
        Line::styled(KEYS, colour(Color::DarkGray)),
    ];
    let title = format!(" charge point {charge_point} ");
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), facts);

    let lines: Vec<Line<'_>> =
        log.iter().map(|line| Line::styled(line.text.as_str(), colour(level_colour(line.level)))).collect();
    let block = Block::bordered().title(" messages, errors first ");
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), messages);
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
    Line::styled(text, colour(shade).add_modifier(Modifier::BOLD))
}

fn meter(current: Option<&SupplyRecord>) -> Line<'static> {
    let Some(record) = current else {
        return Line::raw("-");
    };
    Line::from(vec![
        Span::styled(
            format!("{}   {}   {}", record.power, record.energy, record.price.cost(record.energy)),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!("   at {}   session {}", record.price, record.session)),
    ])
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

fn level_colour(level: tracing::Level) -> Color {
    match level {
        tracing::Level::ERROR => Color::Red,
        tracing::Level::WARN => Color::Yellow,
        _ => Color::Reset, // a level is no enum
    }
}

fn colour(colour: Color) -> Style {
    if terminal::colours() { Style::new().fg(colour) } else { Style::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::tests::running;
    use domain::Energy;
    use ratatui::{Terminal, backend::TestBackend};

    fn painted(view: &View) -> String {
        let log = [LogLine { level: tracing::Level::WARN, text: "smoke".into() }];
        let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
        terminal.draw(|frame| draw(frame, "MAD-01", view, &log)).unwrap();
        terminal.backend().to_string()
    }

    fn free() -> View {
        View {
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
            (free(), vec!["charge point MAD-01", "free", "no ticket yet", "p plug in", "smoke"]),
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
