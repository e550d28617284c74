//! The live view of `evmesh up`: central's panel, and below it the driver's steps, or what to paste into a shell.

use super::announce::Addresses;
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min},
        Layout, Rect,
    },
    text::Line,
};
use tokio::sync::watch;
use ui::{KeyCode, Panel, room, tile};

/// The lower part gets at most so many lines, with its frame.
const LOWER_HEIGHT: u16 = 16;

/// Central's part keeps at least so many lines, for four charge points, a request and three messages: on a small
/// terminal the lower part shrinks, and goes where it has no line.
const UPPER_HEIGHT: u16 = 19;
const ONE_LINE: u16 = 3;

#[derive(Debug)]
pub(super) struct View {
    pub(super) central: central::panel::View,
    pub(super) driver: Option<watch::Receiver<driver::View>>,
    pub(super) addresses: Addresses,
}

impl Panel for View {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let lower = match area.height.saturating_sub(UPPER_HEIGHT) {
            ..ONE_LINE => 0,
            left => left.min(LOWER_HEIGHT),
        };
        let [upper, lower] = Layout::vertical([Min(0), Length(lower)]).areas(area);
        self.central.draw(frame, upper);
        match &self.driver {
            Some(driver) => steps(frame, lower, &driver.borrow()),
            None => {
                let text = &self.addresses.short;
                let title = " to paste into another shell; more is on the screen after q ";
                let text = tile(title, text.lines().map(Line::raw).collect());
                frame.render_widget(text.wrap(), lower);
            }
        }
    }

    async fn changed(&mut self) {
        self.central.changed().await;
    }

    async fn press(&mut self, key: KeyCode) {
        self.central.press(key).await;
    }
}

fn steps(frame: &mut Frame<'_>, area: Rect, driver: &driver::View) {
    let mut lines: Vec<Line<'_>> = driver.messages.iter().map(|line| Line::raw(line.as_str())).collect();
    if let Some(supply) = &driver.supply {
        let driver::Supply { charge_point, power, energy, amount, .. } = supply;
        lines.push(Line::raw(format!("{charge_point}: {power}  {energy}  {amount}")));
    }
    let hidden = lines.len().saturating_sub(room(area));
    let title =
        format!(" driver {}: {} of {} requests concluded ", driver.driver, driver.concluded, driver.asked);
    frame.render_widget(tile(title, lines.split_off(hidden)), area);
}

#[cfg(test)]
mod tests {
    use super::super::{
        broker::Broker,
        charge_points,
        folder::Folder,
        network::Network,
        options::{Options, role},
        protection::Protection,
    };
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    fn picture(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame, frame.area())).unwrap();
        terminal.backend().to_string()
    }

    #[tokio::test]
    async fn the_lines_to_paste_fit_eighty_columns_and_give_way_on_a_small_terminal() {
        let flags = [("listen", "127.0.0.1:0"), ("engine-port-base", "0")];
        let flags = flags.map(|(flag, value)| (flag, value.to_owned())).to_vec();
        let options: Options = role("up", flags).unwrap();
        let (folder, broker) = (Folder::open(None).unwrap(), Broker::open(None).unwrap());
        let points = charge_points::load(None).unwrap();
        let protection = Protection::open(&options, &folder).unwrap();
        let network = Network::bind(&options, points, broker.address(), &folder, &protection).await.unwrap();
        let central = network.central.local_addr();
        let view = View {
            central: network.central.view(),
            driver: None,
            addresses: Addresses::of(&network, &broker, &folder, &protection),
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
        // Four charge points, a request and three messages need the lines above.
        let pasted = whole.lines().position(|line| line.contains("to paste into"));
        assert_eq!(pasted, Some(usize::from(UPPER_HEIGHT)), "{whole}");
        let small = picture(&view, 40, 10);
        assert!(small.contains("charge points") && !small.contains("grpcurl"), "{small}");
        picture(&view, 1, 1);
    }
}
