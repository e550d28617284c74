//! The monitor's panel: its engine's health, what central answers, and the messages, errors first.

use crate::{Options, View};
use domain::watchdog::{CentralStatus, Health, Trouble};
use mesh::observability::LogRing;
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min},
        Layout, Rect,
    },
    style::{Color, Stylize as _},
    text::{Line, Span},
};
use tokio::sync::watch;
use ui::Panel;

/// The panel of a monitor, with the messages of this log.
pub fn panel(view: watch::Receiver<View>, log: LogRing) -> impl Panel {
    ui::watching(view, move |frame, area, view| {
        draw(frame, area, view, log.timed(usize::from(area.height)));
    })
}

fn draw(frame: &mut Frame<'_>, area: Rect, view: &View, log: Vec<(tracing::Level, String)>) {
    let [facts, messages] = Layout::vertical([Length(9), Min(3)]).areas(area);
    let store = view.status.instance.as_ref();
    let store = store.map_or("unknown yet".to_owned(), ToString::to_string);
    let Options { charge_point, location, price, engine: at, central: central_at, .. } = &view.options;
    let lines = vec![
        Line::raw(format!("{price} a kWh   {location}")), // the price first: a long place is cut
        Line::raw(format!("engine at {at}   store {store}")),
        Line::from(vec![Span::raw("  "), engine(view)]),
        Line::raw(format!("central at {central_at}")),
        Line::from(vec![Span::raw("  "), central(&view.status.central)]),
        Line::default(),
        Line::styled(format!("health at {}   q quits", view.listen), Color::DarkGray),
    ];
    frame.render_widget(ui::tile(format!(" monitor of {charge_point} "), lines), facts);
    frame.render_widget(ui::messages(log), messages);
}

fn engine(view: &View) -> Span<'static> {
    match &view.status.engine {
        None => Span::raw("not reached yet"),
        Some(Health::Ok) if view.status.supplying => "well, supplying".green(),
        Some(Health::Ok) => "well".green(),
        Some(Health::Faulted(fault)) => format!("broken: {fault}").red(),
        Some(Health::Unreachable(why)) => format!("does not answer: {why}").dark_gray(),
    }
}

fn central(status: &CentralStatus) -> Span<'static> {
    match status {
        CentralStatus::WaitingForEngine => Span::raw("not asked: the engine has to answer first"),
        CentralStatus::Registering(None) => Span::raw("registering"),
        CentralStatus::Registering(Some(Trouble::Unreachable { why })) => {
            format!("cannot be reached: {why}").red()
        }
        CentralStatus::Registering(Some(Trouble::Refused { why, .. })) => format!("refuses: {why}").red(),
        CentralStatus::Connected { epoch, out_of_order: false } => {
            format!("connected, registration {epoch}").green()
        }
        CentralStatus::Connected { epoch, out_of_order: true } => {
            format!("connected, registration {epoch}, out of order by the operator").yellow()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::watchdog::Status;
    use ratatui::{Terminal, backend::TestBackend};

    fn painted(status: Status) -> String {
        let options: Options = mesh::flags::defaults(&[
            "--charge-point",
            "MAD-01",
            "--location",
            "Valencia, Ciutat de les Arts i les Ciències, aparcament subterrani, planta -2, plaça 114",
            "--price",
            "0.35 EUR",
        ]);
        let view = View { listen: ([127, 0, 0, 1], 50071).into(), options, status };
        let log = vec![(tracing::Level::ERROR, "broken".to_owned())];
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), &view, log)).unwrap();
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
            for text in shown.into_iter().chain([
                "monitor of MAD-01",
                "0.35 EUR a kWh   Valencia",
                "aparcament subt…",
                "broken",
            ]) {
                assert!(picture.contains(text), "{text} in\n{picture}");
            }
        }
    }
}
