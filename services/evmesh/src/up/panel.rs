//! The live view of `evmesh up`: central's panel, and below it the driver's steps, or what to paste into a shell.

use super::announce::Addresses;
use mesh::{
    Shutdown,
    terminal::{self, Screen},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    widgets::{Block, Paragraph, Wrap},
};
use std::{io, time::Duration};
use tokio::sync::watch;

/// The picture is painted so often: readings come once a second.
const REPAINT: Duration = Duration::from_millis(500);

/// The lower part gets at most so many lines, with its frame.
const LOWER_HEIGHT: u16 = 16;

/// Central's part keeps at least so many lines, for four charge points, a request and messages: on a small terminal the
/// lower part shrinks.
const UPPER_HEIGHT: u16 = 15;

/// What the panel shows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) central: central::panel::View,
    pub(super) driver: Option<watch::Receiver<driver::View>>,
    pub(super) addresses: Addresses,
}

/// Shows the panel until the order to stop, which `q` and Ctrl-C give too.
pub(super) async fn run(view: View, shutdown: Shutdown) -> io::Result<()> {
    let mut screen = Screen::open()?;
    let mut keys = terminal::keys();
    loop {
        screen.draw(|frame| draw(frame, &view))?;
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            Some(key) = keys.recv() => {
                if terminal::is_quit(&key) {
                    shutdown.start();
                }
            }
            () = tokio::time::sleep(REPAINT) => {}
        }
    }
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let lower = LOWER_HEIGHT.min(frame.area().height.saturating_sub(UPPER_HEIGHT));
    let [upper, lower] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(lower)]).areas(frame.area());
    central::panel::draw(frame, upper, &view.central);
    match &view.driver {
        Some(driver) => steps(frame, lower, &driver.borrow()),
        None => {
            let text = Paragraph::new(view.addresses.short()).wrap(Wrap { trim: false });
            frame.render_widget(
                text.block(
                    Block::bordered().title(" to paste into another shell; more is on the screen after q "),
                ),
                lower,
            );
        }
    }
}

fn steps(frame: &mut Frame<'_>, area: Rect, driver: &driver::View) {
    let mut lines: Vec<String> = driver.messages.iter().cloned().collect();
    if let Some(supply) = &driver.supply {
        let driver::Supply { charge_point, power, energy, amount, .. } = supply;
        lines.push(format!("{charge_point}: {power}  {energy}  {amount}"));
    }
    let room = usize::from(area.height.saturating_sub(2));
    let hidden = lines.len().saturating_sub(room);
    let title =
        format!(" driver {}: {} of {} requests concluded ", driver.driver, driver.concluded, driver.asked);
    let text = Paragraph::new(lines.split_off(hidden).join("\n"));
    frame.render_widget(text.block(Block::bordered().title(title)), area);
}

#[cfg(test)]
mod tests {
    use super::super::{Options, broker::Broker, charge_points, folder::Folder, network};
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    fn picture(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[tokio::test]
    async fn the_lines_to_paste_fit_eighty_columns_and_give_way_on_a_small_terminal() {
        let flags = [("listen", "127.0.0.1:0"), ("engine-port-base", "0")];
        let flags = flags.map(|(flag, value)| (flag, value.to_owned())).to_vec();
        let options: Options = network::role("up", flags).unwrap();
        let (folder, broker) = (Folder::open(None).unwrap(), Broker::open(None).unwrap());
        let points = charge_points::load(None).unwrap();
        let network = network::Network::bind(&options, points, broker.address(), &folder).await.unwrap();
        let central = network.central.local_addr();
        let view = View {
            central: network.central.view(),
            driver: None,
            addresses: Addresses::of(&network, &broker, &folder),
        };
        let whole = picture(&view, 80, 24);
        for line in [
            format!("evmesh operator status --central {central} "),
            format!("evmesh driver --driver 101 --central {central} --kafka {} ", broker.address()),
            format!("grpcurl -plaintext {central} list "),
            format!("central {central}  kafka: "),
        ] {
            assert!(whole.contains(&line), "'{line}' in\n{whole}");
        }
        let small = picture(&view, 40, 10);
        assert!(small.contains("charge points") && !small.contains("grpcurl"), "{small}");
        picture(&view, 1, 1);
    }
}
