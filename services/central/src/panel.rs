//! Central's panel: the charge points, the requests under way, and the messages of the system, errors first.

use crate::{events::Ring, roster::Roster, view};
use domain::Wall;
use domain::network::{Detail, Level, LiveDetail, State};
use mesh::{
    Shutdown,
    kafka::BrokerState,
    observability::LogRing,
    terminal::{self, Screen, is_quit, status_colour},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row, Table},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::watch;

/// The panel is repainted at least so often, and at every change.
const REPAINT: Duration = Duration::from_secs(1);
/// Below this width the places are left out, and below the next one the prices too.
const WIDE: u16 = 98;
const MEDIUM: u16 = 80;
/// Below this width only what and how much: a charge point, its status, its energy.
const NARROW: u16 = 60;
/// The messages get so many lines at most, with their frame.
const MESSAGES_HEIGHT: u16 = 10;
/// The requests under way get so many lines at most, with their frame.
const REQUESTS_HEIGHT: u16 = 7;
/// Where there is not enough room for everything, each of these two shrinks to one line with its frame.
const ONE_LINE: u16 = 3;
/// The charge points' frame and head.
const POINTS_FRAME: u16 = 3;
/// On a small terminal the charge points get so many lines, with their frame and head.
const SOME_POINTS: u16 = 12;

/// What the panel shows.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) address: SocketAddr,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) messages: watch::Receiver<Ring>,
    pub(crate) broker: watch::Receiver<BrokerState>,
    pub(crate) log: Option<LogRing>,
}

impl View {
    /// The charge points as they were a moment ago, collected about once a second.
    pub fn roster(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.clone()
    }

    /// Shows this log, which has the messages of the system in it, instead of these messages alone.
    pub fn with_log(self, log: LogRing) -> Self {
        Self { log: Some(log), ..self }
    }

    /// The messages of the system.
    pub fn messages(&self) -> watch::Receiver<Ring> {
        self.messages.clone()
    }
}

/// Shows the panel until the order to stop, which `q` and Ctrl-C give too.
pub async fn run(mut view: View, shutdown: Shutdown) -> io::Result<()> {
    let mut screen = Screen::open()?;
    let mut keys = terminal::keys();
    loop {
        screen.draw(|frame| draw(frame, frame.area(), &view))?;
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            key = keys.recv() => {
                if key.is_some_and(|key| is_quit(&key)) {
                    shutdown.start();
                    return Ok(());
                }
            }
            Ok(()) = view.roster.changed() => {}
            Ok(()) = view.messages.changed() => {}
            () = tokio::time::sleep(REPAINT) => {}
        }
        view.roster.mark_unchanged();
        view.messages.mark_unchanged();
    }
}

/// Draws the panel into an area.
pub fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let roster = view.roster.borrow().clone();
    let messages = messages(view);
    let requests: Vec<(&Detail, &LiveDetail)> =
        roster.entries.iter().filter_map(|entry| under_way(&entry.detail)).collect();
    let (requests_height, messages_height) =
        heights(area.height, roster.entries.len(), requests.len(), messages.len());
    let [head, points, under_way, system] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(requests_height),
        Constraint::Length(messages_height),
    ])
    .areas(area);
    frame.render_widget(header(&roster, view, area.width), head);
    frame.render_widget(charge_points(&roster, points), points);
    frame.render_widget(request_list(&requests, under_way), under_way);
    frame.render_widget(block("messages", messages, system), system);
}

/// The heights of the requests and of the messages. The charge points come first: the others give them room, down to a
/// line each, and where even that is too much, they go.
fn heights(all: u16, points: usize, requests: usize, messages: usize) -> (u16, u16) {
    let rest = all.saturating_sub(1); // below the header
    let wanted = u16::try_from(points).unwrap_or(u16::MAX).saturating_add(POINTS_FRAME);
    // A large network never fits: it leaves the others half, or on a small terminal a line of messages.
    let most = rest.saturating_sub(ONE_LINE).min(SOME_POINTS).max(rest / 2);
    let points = wanted.min(most.max(POINTS_FRAME + 1));
    let height = |count: usize, most: u16| u16::try_from(count + 2).unwrap_or(most).clamp(ONE_LINE, most);
    let requests = match requests {
        0 => 0,
        count => height(count, REQUESTS_HEIGHT),
    };
    let fits = |height: u16, left: u16| if left < ONE_LINE { 0 } else { height.min(left) };
    let left = rest.saturating_sub(points);
    let requests = fits(requests, left.saturating_sub(ONE_LINE));
    let messages = fits(height(messages, MESSAGES_HEIGHT), left - requests);
    (requests, messages)
}

fn coloured(colour: Color) -> Style {
    Style::new().fg(if terminal::colours() { colour } else { Color::Reset })
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn header(roster: &Roster, view: &View, width: u16) -> Paragraph<'static> {
    let kafka = match *view.broker.borrow() {
        BrokerState::Unknown => Span::raw("kafka: not reached yet"),
        BrokerState::Reached => Span::styled("kafka: reached", coloured(Color::Green)),
        BrokerState::Lost => Span::styled("kafka: lost", coloured(Color::Red)),
    };
    // What a narrow terminal cuts off is at the end.
    let name = if width >= NARROW { "evmesh central" } else { "central" };
    Paragraph::new(Line::from(vec![
        Span::styled(format!("{name} {}  ", view.address), bold()),
        kafka,
        Span::raw(format!("  q: quit  {} charge points", roster.entries.len())),
    ]))
}

fn charge_points(roster: &Roster, area: Rect) -> Table<'static> {
    let (wide, medium, narrow) = (area.width >= WIDE, area.width >= MEDIUM, area.width < NARROW);
    let mut columns = vec![("id", Constraint::Min(10))];
    if wide {
        columns.push(("place", Constraint::Min(16)));
    }
    if medium {
        columns.push(("price/kWh", Constraint::Length(12)));
    }
    columns.push(("status", Constraint::Length(13)));
    if !narrow {
        columns.push(("kW", Constraint::Length(7)));
    }
    columns.push(("kWh", Constraint::Length(9)));
    if !narrow {
        columns.extend([("amount", Constraint::Length(12)), ("driver", Constraint::Min(8))]);
    }
    let room = usize::from(area.height.saturating_sub(3)); // the frame and the head
    let more = roster.entries.len().saturating_sub(room);
    let rows =
        roster.entries.iter().take(room).map(|entry| charge_point(&entry.detail, wide, medium, narrow));
    let title = match more {
        0 => " charge points ".to_owned(),
        more => format!(" charge points ({more} more: evmesh operator status) "),
    };
    let head = Row::new(columns.iter().map(|(name, _)| *name).collect::<Vec<_>>()).style(bold());
    Table::new(rows.collect::<Vec<_>>(), columns.iter().map(|(_, width)| *width))
        .header(head)
        .block(Block::new().borders(Borders::ALL).title(title))
}

fn charge_point(detail: &Detail, wide: bool, medium: bool, narrow: bool) -> Row<'static> {
    let status = view::status(detail.status);
    let supply = detail.live.as_ref().filter(|live| live.state == State::Supplying || !live.state.is_open());
    let mut cells = vec![Cell::from(detail.id.to_string())];
    if wide {
        cells.push(Cell::from(detail.location.clone()));
    }
    if medium {
        cells.push(Cell::from(detail.price.to_string()));
    }
    cells.push(Cell::from(status.word()).style(coloured(status_colour(status))));
    let of_supply = |text: fn(&LiveDetail) -> String| Cell::from(supply.map(text).unwrap_or_default());
    if !narrow {
        cells.push(of_supply(|live| format!("{:.1}", live.power.kw())));
    }
    cells.push(of_supply(|live| format!("{:.3}", live.energy.kwh())));
    if !narrow {
        cells.push(of_supply(|live| live.amount.to_string()));
        let driver = detail.live.as_ref().map(|live| live.driver.to_string());
        cells.push(Cell::from(driver.unwrap_or_default()));
    }
    Row::new(cells)
}

fn under_way(detail: &Detail) -> Option<(&Detail, &LiveDetail)> {
    let live = detail.live.as_ref()?;
    match live.state {
        State::Authorizing | State::Reserved => Some((detail, live)),
        State::Supplying | State::Ended(_) => None,
    }
}

fn request_list(requests: &[(&Detail, &LiveDetail)], area: Rect) -> Paragraph<'static> {
    let line = |(detail, live): &(&Detail, &LiveDetail)| {
        let doing = match live.state {
            State::Authorizing => "asks",
            State::Reserved | State::Supplying | State::Ended(_) => "has reserved",
        };
        Line::raw(format!("driver {} {doing} {}", live.driver, detail.id))
    };
    block("requests under way", requests.iter().map(line).collect(), area)
}

/// The messages, errors first.
fn messages(view: &View) -> Vec<Line<'static>> {
    let most = usize::from(MESSAGES_HEIGHT);
    match &view.log {
        Some(log) => {
            log.worst_first(most).into_iter().map(|line| message(level(line.level), line.text)).collect()
        }
        None => {
            let ring = view.messages.borrow();
            let lines = ring.worst_first().into_iter().take(most);
            lines.map(|line| message(line.level, format!("{}  {}", clock(line.at), line.text))).collect()
        }
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
    }
}

fn message(level: Level, text: String) -> Line<'static> {
    let colour = match level {
        Level::Error => Color::Red,
        Level::Warn => Color::Yellow,
        Level::Info | Level::Debug => Color::Reset,
    };
    Line::styled(text, coloured(colour))
}

fn block(title: &str, mut lines: Vec<Line<'static>>, area: Rect) -> Paragraph<'static> {
    let room = usize::from(area.height.saturating_sub(2));
    let count = lines.len();
    lines.truncate(room);
    let title = if count > room { format!(" {title} ({count}) ") } else { format!(" {title} ") };
    Paragraph::new(lines).block(Block::new().borders(Borders::ALL).title(title))
}

/// The time of day, in UTC.
fn clock(at: Wall) -> String {
    let second = at.0.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::Events,
        roster::{Entry, tests::detail},
    };
    use domain::network::{Event, Status};
    use domain::{Energy, Power};
    use ratatui::{Terminal, backend::TestBackend};

    fn picture(width: u16) -> String {
        let live = |state| LiveDetail {
            session: "s1".parse().unwrap(),
            driver: "101".parse().unwrap(),
            state,
            power: Power::from_w(7400),
            energy: Energy::from_wh(1500),
            amount: "0.35 EUR".parse::<domain::Price>().unwrap().cost(Energy::from_wh(1500)),
        };
        let mut supplying = detail("MAD-01", Status::Supplying);
        supplying.live = Some(live(State::Supplying));
        let mut reserved = detail("MAD-02", Status::Reserved);
        reserved.live = Some(live(State::Reserved));
        let entries = [supplying, reserved, detail("MAD-03", Status::Faulted)];
        let entries = entries.into_iter().map(|detail| Arc::new(Entry { changed: 1, detail })).collect();
        let (events, messages) = Events::new();
        for (level, text) in [(Level::Error, "it broke"), (Level::Info, "all is well")] {
            events.happened(Wall(3_723_000), Event { level, name: "faults", text: text.into() });
        }
        let view = View {
            address: ([127, 0, 0, 1], 50051).into(),
            roster: watch::channel(Arc::new(Roster { round: 1, entries })).1,
            messages,
            broker: watch::channel(BrokerState::Reached).1,
            log: None,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), &view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn all_is_shown_and_a_narrow_terminal_leaves_out_the_least() {
        let wide = picture(120);
        for text in [
            "Madrid, Atocha",
            "SUMINISTRANDO",
            "AVERIADO",
            "7.4",
            "1.500",
            "0.53 EUR",
            "0.35 EUR",
            "101",
            "driver 101 has reserved MAD-02",
            "01:02:03  it broke",
            "kafka: reached",
        ] {
            assert!(wide.contains(text), "{text} is missing in\n{wide}");
        }
        assert!(wide.find("it broke") < wide.find("all is well"), "errors come first");
        let narrow = picture(80);
        assert!(
            !narrow.contains("Atocha") && narrow.contains("SUMINISTRANDO") && narrow.contains("0.35 EUR"),
            "{narrow}"
        );
        let tiny = picture(60);
        assert!(!tiny.contains("0.35 EUR") && tiny.contains("1.500"), "{tiny}");
        let phone = picture(40);
        assert!(
            phone.contains("SUMINISTRANDO") && phone.contains("1.500") && phone.contains("kafka: reached"),
            "{phone}"
        );
        picture(10);
    }

    #[test]
    fn charge_points_come_first_where_there_is_little_room() {
        // The terminal's height, charge points, requests and messages, and then the heights of these two.
        for (all, points, requests, messages, heights) in [
            (24, 4, 0, 0, (0, 3)),
            (24, 4, 2, 20, (4, 10)),
            (15, 4, 0, 20, (0, 7)),
            (15, 4, 1, 20, (3, 4)),
            (12, 4, 3, 20, (0, 4)),
            (10, 4, 3, 20, (0, 3)),
            (8, 4, 3, 20, (0, 3)),
            (5, 4, 3, 20, (0, 0)),
            (24, 10_000, 0, 20, (0, 10)),
            (0, 4, 3, 20, (0, 0)),
        ] {
            assert_eq!(super::heights(all, points, requests, messages), heights, "{all} {points} {requests}");
        }
    }

    #[test]
    fn the_log_takes_the_place_of_the_messages_where_there_is_one() {
        let log = LogRing::new();
        log.push(tracing::Level::INFO, "kafka reached");
        log.push(tracing::Level::ERROR, "the disk is full");
        let view = View {
            address: ([127, 0, 0, 1], 50051).into(),
            roster: watch::channel(Arc::default()).1,
            messages: watch::channel(Ring::default()).1,
            broker: watch::channel(BrokerState::Unknown).1,
            log: None,
        };
        let lines: Vec<String> = messages(&view.with_log(log)).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["the disk is full", "kafka reached"]);
    }
}
