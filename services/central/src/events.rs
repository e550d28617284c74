//! The messages of the system: one event is one line of the log, one count, and one line of the panel.

use crate::counters;
use domain::Wall;
use domain::network::{Event, Level};
use mesh::{Shutdown, observability::LogRing};
use std::collections::HashMap;

/// The log has at most so many lines of one kind a second: a peer that makes events by the thousand fills no disk.
const LINES_A_SECOND: u64 = 20;

#[derive(Debug, Clone)]
pub struct Events {
    ring: LogRing,
    /// How many of each kind there were in its newest second.
    newest: HashMap<&'static str, Newest>,
    /// The order to stop the network that this central is part of, if it is one process.
    network: Option<Shutdown>,
}

impl Events {
    /// The events of a new central, and the newest of them as its panel shows them.
    pub fn new() -> (Self, LogRing) {
        counters::describe();
        let ring = LogRing::default();
        (Self { ring: ring.clone(), newest: HashMap::new(), network: None }, ring)
    }

    /// Once the network is told to stop, its monitors leave in order: that is no warning.
    pub(crate) fn in_network(&mut self, network: Shutdown) {
        self.network = Some(network);
    }

    pub(crate) fn happened(&mut self, at: Wall, event: Event) {
        let Event { mut level, name, text } = event;
        if name == "monitors_lost" && self.network.as_ref().is_some_and(Shutdown::is_started) {
            level = level.min(Level::Info);
        }
        counters::count(name);
        let logged = self.may_log(at, name);
        let level = match level {
            Level::Debug if logged => return tracing::debug!(event = name, "{text}"),
            Level::Debug => return,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        match level {
            _ if !logged => {}
            tracing::Level::ERROR => tracing::error!(event = name, "{text}"),
            tracing::Level::WARN => tracing::warn!(event = name, "{text}"),
            _ => tracing::info!(event = name, "{text}"),
        }
        self.ring.push(level, &format!("{}  {text}", time_of_day(at)));
    }

    fn may_log(&mut self, at: Wall, name: &'static str) -> bool {
        let newest = self.newest.entry(name).or_default();
        newest.turn(at, name);
        newest.count += 1;
        newest.count <= LINES_A_SECOND
    }

    /// Says how many lines were left out in the seconds that are over.
    pub(crate) fn say_what_was_left_out(&mut self, at: Wall) {
        self.newest.iter_mut().for_each(|(name, newest)| newest.turn(at, name));
    }
}

/// The events of one kind in one second.
#[derive(Debug, Clone, Default)]
struct Newest {
    second: i64,
    count: u64,
}

impl Newest {
    /// Another second: what was left out in the one before is said.
    fn turn(&mut self, at: Wall, name: &str) {
        let second = at.0.div_euclid(1000);
        if second == self.second {
            return;
        }
        if let Some(left_out) = self.count.checked_sub(LINES_A_SECOND).filter(|count| *count > 0) {
            tracing::warn!(
                event = name,
                left_out,
                "there were more of these within a second than are logged"
            );
        }
        *self = Self { second, count: 0 };
    }
}

/// In UTC, to the second.
fn time_of_day(at: Wall) -> String {
    let second = at.0.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn monitors_that_leave_a_network_that_stops_are_no_warning() {
        let (mut events, ring) = Events::new();
        let network = Shutdown::new();
        events.in_network(network.clone());
        let gone = |events: &mut Events| {
            let text = "the monitor of A is disconnected".to_owned();
            events.happened(Wall(0), Event { level: Level::Warn, name: "monitors_lost", text });
            ring.worst_first(2).last().map(|(level, _)| *level)
        };
        assert_eq!(gone(&mut events), Some(tracing::Level::WARN));
        network.start();
        assert_eq!(gone(&mut events), Some(tracing::Level::INFO));
    }

    #[test]
    fn errors_come_first_and_chatter_does_not_push_them_out() {
        let (mut events, ring) = Events::new();
        let mut say =
            |level, text: &str| events.happened(Wall(0), Event { level, name: "faults", text: text.into() });
        say(Level::Error, "broken");
        (0..1000).for_each(|n| say(Level::Info, &format!("line {n}")));
        say(Level::Warn, "careful");
        say(Level::Debug, "not shown");
        let texts: Vec<String> = ring.worst_first(usize::MAX).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[..3], ["broken", "careful", "line 999"].map(|text| format!("00:00:00  {text}")));
        assert_eq!(texts.len(), 200);
    }

    #[test]
    fn a_thousand_events_a_second_are_twenty_lines_and_a_count() {
        use tracing_subscriber::prelude::*;
        let log = LogRing::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).without_time().with_writer(log.clone());
        let (mut events, ring) = Events::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for n in 0..1000 {
                let (level, text) = (Level::Warn, format!("dead letter {n}"));
                events.happened(Wall(5_000 + n % 1_000), Event { level, name: "dead_letters", text });
            }
            let text = "another kind".to_owned();
            events.happened(Wall(5_500), Event { level: Level::Warn, name: "faults", text });
            events.say_what_was_left_out(Wall(5_999));
            assert_eq!(log.worst_first(usize::MAX).len(), 21);
            events.say_what_was_left_out(Wall(6_000));
            events.say_what_was_left_out(Wall(7_000));
        });
        let lines = log.worst_first(usize::MAX);
        assert_eq!(lines.len(), 22);
        assert!(lines[0].1.contains("left_out=980"), "{}", lines[0].1);
        assert_eq!(ring.worst_first(usize::MAX).len(), 200, "a panel has its own bound");
    }
}
