//! The monitor's panel: its engine's health, what central answers, and the messages, errors first.

use crate::View;
use domain::watchdog::{CentralStatus, Health, Trouble};
use mesh::{
    Shutdown,
    observability::{LogLine, LogRing},
    terminal::{self, Screen},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Wrap},
};
use std::{io, time::Duration};
use tokio::sync::watch;

/// The messages are looked at this often; everything else is repainted when it changes.
const REPAINT_EVERY: Duration = Duration::from_millis(500);

/// Shows the panel until the order to stop, which `q` and Ctrl-C give.
pub async fn run(mut view: watch::Receiver<View>, log: LogRing, shutdown: Shutdown) -> io::Result<()> {
    let mut screen = Screen::open()?;
    let mut keys = terminal::keys();
    let mut repaint = tokio::time::interval(REPAINT_EVERY);
    loop {
        let now = view.borrow_and_update().clone();
        screen.draw(|frame| draw(frame, &now, &log.worst_first(usize::from(frame.area().height))))?;
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            Some(key) = keys.recv() => {
                if terminal::is_quit(&key) {
                    shutdown.start();
                }
            }
            _ = repaint.tick() => {}
            Ok(()) = view.changed() => {}
        }
    }
}

/// Paints one picture.
pub fn draw(frame: &mut Frame<'_>, view: &View, log: &[LogLine]) {
    let [facts, messages] = Layout::vertical([Constraint::Length(9), Constraint::Min(3)]).areas(frame.area());
    let status = &view.status;
    let store = status.instance.as_ref();
    let store = store.map_or("unknown yet".to_owned(), ToString::to_string);
    let lines = vec![
        Line::raw(format!("{}   {}", view.location, view.price)),
        Line::raw(format!("engine at {}   store {store}", view.engine)),
        Line::from(vec![Span::raw("  "), engine(view)]),
        Line::raw(format!("central at {}", view.central)),
        Line::from(vec![Span::raw("  "), central(&status.central)]),
        Line::raw(""),
        Line::styled(format!("health at {}   q quits", view.listen), colour(Color::DarkGray)),
    ];
    let title = format!(" monitor of {} ", view.charge_point);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), facts);

    let lines: Vec<Line<'_>> =
        log.iter().map(|line| Line::styled(line.text.as_str(), colour(level_colour(line.level)))).collect();
    let block = Block::bordered().title(" messages, errors first ");
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), messages);
}

fn engine(view: &View) -> Span<'static> {
    match &view.status.engine {
        None => Span::raw("not reached yet"),
        Some(Health::Ok) if view.status.supplying => Span::styled("well, supplying", colour(Color::Green)),
        Some(Health::Ok) => Span::styled("well", colour(Color::Green)),
        Some(Health::Faulted(fault)) => Span::styled(format!("broken: {fault}"), colour(Color::Red)),
        Some(Health::Unreachable(why)) => {
            Span::styled(format!("does not answer: {why}"), colour(Color::DarkGray))
        }
    }
}

fn central(status: &CentralStatus) -> Span<'static> {
    match status {
        CentralStatus::WaitingForEngine => Span::raw("not asked: the engine has to answer first"),
        CentralStatus::Registering(None) => Span::raw("registering"),
        CentralStatus::Registering(Some(Trouble::Unreachable { why })) => {
            Span::styled(format!("cannot be reached: {why}"), colour(Color::Red))
        }
        CentralStatus::Registering(Some(Trouble::Refused { why, .. })) => {
            Span::styled(format!("refuses: {why}"), colour(Color::Red))
        }
        CentralStatus::Connected { epoch, out_of_order: false } => {
            Span::styled(format!("connected, registration {epoch}"), colour(Color::Green))
        }
        CentralStatus::Connected { epoch, out_of_order: true } => Span::styled(
            format!("connected, registration {epoch}, out of order by the operator"),
            colour(Color::Yellow),
        ),
    }
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
    use domain::watchdog::Status;
    use ratatui::{Terminal, backend::TestBackend};

    fn painted(status: Status) -> String {
        let view = View {
            charge_point: "MAD-01".parse().unwrap(),
            location: "Madrid".into(),
            price: "0.35 EUR".parse().unwrap(),
            engine: "127.0.0.1:50061".parse().unwrap(),
            central: "127.0.0.1:50051".parse().unwrap(),
            listen: "127.0.0.1:50071".parse().unwrap(),
            status,
        };
        let log = [LogLine { level: tracing::Level::ERROR, text: "broken".into() }];
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &view, &log)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn each_state_is_shown_in_eighty_columns() {
        let refused = Trouble::Refused {
            reason: "INSTANCE_ALREADY_CONNECTED".into(),
            why: "another engine holds MAD-01".into(),
            retry_after: None,
        };
        let connected = CentralStatus::Connected { epoch: 7, out_of_order: true };
        for (engine, central, shown) in [
            (None, CentralStatus::WaitingForEngine, ["not reached yet", "has to answer first"]),
            (Some(Health::Ok), connected, ["well", "out of order by the operator"]),
            (
                Some(Health::Faulted("smoke".into())),
                CentralStatus::Registering(Some(refused)),
                ["broken: smoke", "refuses: another engine holds MAD-01"],
            ),
        ] {
            let picture = painted(Status { engine, instance: None, supplying: false, central });
            for text in shown.into_iter().chain(["monitor of MAD-01", "Madrid", "broken"]) {
                assert!(picture.contains(text), "{text} in\n{picture}");
            }
        }
    }
}
