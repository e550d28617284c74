//! The tiles of central's panel: a line about central, the charge points, the requests under way, the messages.

use super::view::View;
use crate::{
    api::view,
    roster::{Entry, Roster},
};
use domain::network::{Detail, LiveDetail, State};
use mesh::kafka::BrokerState;
use ratatui::{
    Frame,
    layout::{
        Constraint::{Length, Min},
        Layout, Rect,
    },
    style::Stylize as _,
    text::{Line, Span},
    widgets::Table,
};
use std::sync::Arc;
use ui::{
    Column, Tile, room, status, tile,
    values::{LIVE, Live, place},
};

/// Below this width central's name is shorter.
const NARROW: u16 = 60;
/// The messages get so many lines at most, with their frame.
const MESSAGES_HEIGHT: u16 = 10;
/// The requests under way get so many lines at most, with their frame.
const REQUESTS_HEIGHT: u16 = 7;
/// Where there is not enough room for everything, each of these two shrinks to one line with its frame.
const ONE_LINE: u16 = 3;
/// Before a network that is larger than four charge points, the messages get three lines with their frame.
const THREE_LINES: u16 = 5;
/// The charge points' frame and head.
const POINTS_FRAME: u16 = 3;
/// On a small terminal the charge points get so many lines, with their frame and head.
const SOME_POINTS: u16 = 12;
/// The places are not narrower than this.
const PLACE: u16 = 13;
/// Four of them come before all else.
const FEW_POINTS: u16 = 4 + POINTS_FRAME;

/// Draws all of them into an area.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let roster = view.roster.borrow().clone();
    let messages = view.log.timed(usize::from(MESSAGES_HEIGHT));
    let requests: Vec<Line<'_>> = roster.entries.iter().filter_map(|entry| request(&entry.detail)).collect();
    let (requests_height, messages_height) =
        heights(area.height, roster.entries.len(), requests.len(), messages.len());
    let [head, points, under_way, system] =
        Layout::vertical([Length(1), Min(0), Length(requests_height), Length(messages_height)]).areas(area);
    frame.render_widget(header(view, area.width), head);
    frame.render_widget(charge_points(&roster, view, points), points);
    frame.render_widget(counted("requests under way", requests, under_way), under_way);
    let lines = messages.into_iter().map(|(level, text)| Line::styled(text, ui::level_colour(level)));
    frame.render_widget(counted("messages", lines.collect(), system), system);
}

/// The heights of the requests and of the messages. The charge points come first: the others give them room, down to a
/// line each, and where even that is too much, they go.
fn heights(all: u16, points: usize, requests: usize, messages: usize) -> (u16, u16) {
    let rest = all.saturating_sub(1); // below the header
    let wanted = u16::try_from(points).unwrap_or(u16::MAX).saturating_add(POINTS_FRAME);
    // A large network never fits: it leaves the others half, or on a small terminal a few lines.
    let others = THREE_LINES + if requests > 0 { ONE_LINE } else { 0 };
    let few = FEW_POINTS.min(rest.saturating_sub(ONE_LINE));
    let most = rest.saturating_sub(others).clamp(few, SOME_POINTS).max(rest / 2);
    let points = wanted.min(most.max(POINTS_FRAME + 1));
    let height = |count: usize, most: u16| u16::try_from(count + 2).unwrap_or(most).clamp(ONE_LINE, most);
    let requests = match requests {
        0 => 0,
        count => height(count, REQUESTS_HEIGHT),
    };
    let fits = |height: u16, left: u16| if left < ONE_LINE { 0 } else { height.min(left) };
    let left = rest.saturating_sub(points);
    let beside = left.saturating_sub(THREE_LINES).max(ONE_LINE).min(left.saturating_sub(ONE_LINE));
    let requests = fits(requests, beside);
    let messages = fits(height(messages, MESSAGES_HEIGHT), left - requests);
    (requests, messages)
}

fn header(view: &View, width: u16) -> Line<'static> {
    let kafka = match *view.broker.borrow() {
        BrokerState::Unknown => Span::raw("kafka: not reached yet"),
        BrokerState::Reached => "kafka: reached".green(),
        BrokerState::Lost => "kafka: lost".red(),
    };
    // What a narrow terminal cuts off is at the end.
    let name = if width >= NARROW { "evmesh central" } else { "central" };
    let parts =
        vec![format!("{name} {}  ", view.address).bold(), kafka, Span::raw(format!("  {}", ui::KEYS))];
    ui::cut_line(Line::from(parts), usize::from(width))
}

fn charge_points<'a>(roster: &'a Roster, view: &View, area: Rect) -> Table<'a> {
    let column = |name, least, leaves| Column { name, least, leaves, stretches: false };
    let mut columns = vec![
        column("id", 0, 0),
        Column { stretches: true, ..column("place, reason", PLACE, 1) },
        column("price/kWh", 0, 5),
        column("status", 0, 0),
    ];
    columns.extend(LIVE.iter().map(Live::column));
    columns.push(column("driver", 0, 4));
    let room = usize::from(area.height.saturating_sub(POINTS_FRAME));
    let status = |entry: &&'a Arc<Entry>| view::status(entry.detail.status);
    let (shown, below) = view.browse.shown(&roster.entries, status, room);
    let rows = shown.into_iter().map(|entry| charge_point(&entry.detail));
    ui::table(&columns, rows, view.browse.title(&view.statuses()), ui::below(below), area)
}

fn charge_point(detail: &Detail) -> Vec<Line<'_>> {
    let (status, live) = (view::status(detail.status), detail.live.as_ref());
    let mut cells = vec![
        Line::raw(detail.id.as_str()),
        Line::raw(place(detail.location.as_str(), &reason(detail))),
        Line::raw(detail.price.to_string()),
        Line::styled(status.word(), status::colour(status)),
    ];
    let supply = live.filter(|live| live.state == State::Supplying || !live.state.is_open()).map(view::live);
    let number = |value: &Live| supply.as_ref().map(|live| value.number(live)).unwrap_or_default();
    cells.extend(LIVE.iter().map(number).map(Line::raw));
    cells.push(live.map_or_else(Line::default, |live| Line::raw(live.driver.as_str())));
    cells
}

/// What needs saying of it, as its operator sees it.
fn reason(detail: &Detail) -> String {
    let Detail { status_reason, telemetry_refused, .. } = detail;
    if telemetry_refused.is_empty() {
        return status_reason.clone();
    }
    let between = if status_reason.is_empty() { "" } else { "; " };
    format!("{status_reason}{between}telemetry refused: {telemetry_refused}")
}

/// A request under way in a sentence.
fn request(detail: &Detail) -> Option<Line<'_>> {
    let LiveDetail { driver, state, .. } = detail.live.as_ref()?;
    let doing = match state {
        State::Authorizing => "asks",
        State::Reserved => "has reserved",
        State::Supplying | State::Ended(_) => return None,
    };
    Some(Line::raw(format!("driver {driver} {doing} {}", detail.id)))
}

/// As many lines as there is room for; the title says how many there are, if those are not all.
fn counted<'a>(title: &str, mut lines: Vec<Line<'a>>, area: Rect) -> Tile<'a> {
    let count = lines.len();
    lines.truncate(room(area));
    tile(if count > lines.len() { format!(" {title} ({count}) ") } else { format!(" {title} ") }, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::Events, roster::tests::detail};
    use domain::network::{Event, Gauges, Level, Status};
    use domain::{Energy, Power, Wall};
    use mesh::observability::LogRing;
    use ratatui::{Terminal, backend::TestBackend};
    use tokio::sync::watch;
    use ui::Browse;

    fn view(entries: Vec<Detail>, log: LogRing) -> View {
        let entries = entries.into_iter().map(|detail| Arc::new(Entry { changed: 1, detail })).collect();
        View {
            address: ([127, 0, 0, 1], 50051).into(),
            roster: watch::channel(Arc::new(Roster { round: 1, entries, ..Roster::default() })).1,
            log,
            broker: watch::channel(BrokerState::Reached).1,
            browse: Browse::default(),
        }
    }

    fn drawn(view: &View, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        terminal.draw(|frame| draw(frame, frame.area(), view)).unwrap();
        terminal.backend().to_string()
    }

    fn picture(width: u16) -> String {
        let live = |state| LiveDetail {
            session: "s1".parse().unwrap(),
            driver: "101".parse().unwrap(),
            state,
            gauges: Gauges::of(Power::from_w(7400)),
            energy: Energy::from_wh(1500),
            amount: "0.35 EUR".parse::<domain::Price>().unwrap().cost(Energy::from_wh(1500)),
        };
        let mut supplying = detail("MAD-01", Status::Supplying);
        supplying.live = Some(live(State::Supplying));
        let mut reserved = detail("MAD-02", Status::Reserved);
        reserved.live = Some(live(State::Reserved));
        let (mut events, log) = Events::new();
        for (level, text) in [(Level::Error, "it broke"), (Level::Info, "all is well")] {
            events.happened(Wall(3_723_000), Event { level, name: "faults", text: text.into() });
        }
        let broken = Detail { status_reason: "torn cable".into(), ..detail("MAD-03", Status::Faulted) };
        drawn(&view(vec![supplying, reserved, broken], log), width)
    }

    #[test]
    fn among_two_hundred_what_is_broken_or_charges_is_seen_first_and_the_rest_by_scrolling() {
        let point = |n: usize| {
            let status = match n {
                150 => Status::Supplying,
                180 => Status::Faulted,
                _ => Status::Available,
            };
            detail(&format!("CP-{n:03}"), status)
        };
        let mut view = view((0..200).map(point).collect(), LogRing::default());
        let first = drawn(&view, 80);
        for text in ["200 charge points: 1 faulted, 1 supplying, 198 available", "CP-150", "CP-180", " more "]
        {
            assert!(first.contains(text), "{text} in\n{first}");
        }
        assert!(first.find("CP-180") < first.find("CP-150") && first.find("CP-150") < first.find("CP-000"));
        view.browse.press(ui::KeyCode::End, &view.statuses());
        let last = drawn(&view, 80);
        assert!(last.contains("CP-199") && last.contains("CP-191") && !last.contains("CP-180"), "{last}");
        view.browse.press(ui::KeyCode::Char('f'), &view.statuses());
        let faulted = drawn(&view, 80);
        assert!(faulted.contains("1 faulted alone") && !faulted.contains("CP-150"), "{faulted}");
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
        for text in ["Madrid, Atocha", "SUMINISTRANDO", "0.35 EUR", "torn cable  (…", "AVERIADO"] {
            assert!(narrow.contains(text), "{text} is missing in\n{narrow}");
        }
        let tiny = picture(60);
        for text in ["SUMINISTRANDO", "1.500", "0.53 EUR", "torn cable"] {
            assert!(tiny.contains(text), "{text} is missing in\n{tiny}");
        }
        assert!(!tiny.contains("0.35 EUR"), "{tiny}");
        let phone = picture(40);
        assert!(
            phone.contains("SUMINISTRANDO") && phone.contains("1.500") && phone.contains("kafka: reached"),
            "{phone}"
        );
        picture(10);
    }

    #[test]
    fn a_charge_point_in_whose_name_telemetry_was_refused_is_marked() {
        let telemetry_refused = "its seal is broken: somebody else wrote or changed it".to_owned();
        let marked = Detail { telemetry_refused, ..detail("MAD-01", Status::Available) };
        let worse = Detail { status_reason: "torn cable".into(), ..marked.clone() };
        let points = || vec![marked.clone(), worse.clone(), detail("MAD-02", Status::Available)];
        let wide = drawn(&view(points(), LogRing::default()), 200);
        for text in [
            "MAD-01 telemetry refused: its seal is broken: somebody",
            "MAD-01 torn cable; telemetry refused: its seal",
        ] {
            assert!(wide.contains(text), "{text} is missing in\n{wide}");
        }
        assert_eq!(wide.matches("telemetry refused").count(), 2, "the third is as ever:\n{wide}");
        assert!(drawn(&view(points(), LogRing::default()), 80).contains("telemetry re"));
    }

    #[test]
    fn charge_points_come_first_where_there_is_little_room() {
        // The terminal's height, charge points, requests and messages, and then the heights of these two.
        for (all, points, requests, messages, heights) in [
            (24, 4, 0, 0, (0, 3)),
            (24, 4, 2, 20, (4, 10)),
            (19, 4, 5, 20, (6, 5)),
            (19, 200, 1, 20, (3, 5)),
            (19, 200, 0, 20, (0, 6)),
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
        let log = LogRing::default();
        log.push(Wall(0), tracing::Level::INFO, "kafka reached");
        log.push(Wall(0), tracing::Level::ERROR, "the disk is full");
        let view = View {
            address: ([127, 0, 0, 1], 50051).into(),
            roster: watch::channel(Arc::default()).1,
            log: Events::new().1,
            broker: watch::channel(BrokerState::Unknown).1,
            browse: Browse::default(),
        };
        let lines: Vec<String> =
            view.with_log(log).log.worst_first(10).into_iter().map(|(_, text)| text).collect();
        assert_eq!(lines, ["the disk is full", "kafka reached"]);
    }
}
