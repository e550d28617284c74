//! The messages of the system: one event is one line of the log, one count, and one line of the panel.

use crate::counters;
use domain::Wall;
use domain::network::{Event, Level};
use mesh::Shutdown;
use std::collections::VecDeque;
use tokio::sync::watch;

/// The panel keeps so many messages: more than any screen shows.
const RING: usize = 200;

/// A message of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Wall,
    /// How much it matters.
    pub level: Level,
    /// One plain sentence.
    pub text: String,
}

/// The newest messages of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring {
    lines: VecDeque<Line>,
}

impl Ring {
    fn push(&mut self, line: Line) {
        if self.lines.len() == RING {
            // The oldest of the least bad goes: chatter does not push an error out.
            let least = self.lines.iter().map(|line| line.level).min();
            let place = self.lines.iter().position(|line| Some(line.level) == least).unwrap_or_default();
            self.lines.remove(place);
        }
        self.lines.push_back(line);
    }

    /// Errors first, then warnings, then the rest; the newest of each first.
    pub fn worst_first(&self) -> Vec<&Line> {
        let mut lines: Vec<&Line> = self.lines.iter().rev().collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.level)); // stable
        lines
    }
}

/// Takes what happens.
#[derive(Debug)]
pub struct Events {
    ring: watch::Sender<Ring>,
    /// The order to stop the network that this central is part of, if it is one process.
    network: Option<Shutdown>,
}

impl Events {
    /// The events of a new central, and the newest of them as its panel shows them.
    pub fn new() -> (Self, watch::Receiver<Ring>) {
        counters::describe();
        let (ring, receiver) = watch::channel(Ring::default());
        (Self { ring, network: None }, receiver)
    }

    /// Once the network is told to stop, its monitors leave in order: that is no warning.
    pub(crate) fn in_network(&mut self, network: Shutdown) {
        self.network = Some(network);
    }

    pub(crate) fn happened(&self, at: Wall, event: Event) {
        let Event { mut level, name, text } = event;
        if name == "monitors_lost" && self.network.as_ref().is_some_and(Shutdown::is_started) {
            level = level.min(Level::Info);
        }
        counters::count(name);
        match level {
            Level::Debug => return tracing::debug!(event = name, "{text}"),
            Level::Info => tracing::info!(event = name, "{text}"),
            Level::Warn => tracing::warn!(event = name, "{text}"),
            Level::Error => tracing::error!(event = name, "{text}"),
        }
        self.ring.send_modify(|ring| ring.push(Line { at, level, text }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn monitors_that_leave_a_network_that_stops_are_no_warning() {
        let (mut events, ring) = Events::new();
        let network = Shutdown::new();
        events.in_network(network.clone());
        let gone = |events: &Events| {
            let text = "the monitor of A is disconnected".to_owned();
            events.happened(Wall(0), Event { level: Level::Warn, name: "monitors_lost", text });
            ring.borrow().lines.back().map(|line| line.level)
        };
        assert_eq!(gone(&events), Some(Level::Warn));
        network.start();
        assert_eq!(gone(&events), Some(Level::Info));
    }

    #[test]
    fn errors_come_first_and_chatter_does_not_push_them_out() {
        let (events, ring) = Events::new();
        let say =
            |level, text: &str| events.happened(Wall(0), Event { level, name: "faults", text: text.into() });
        say(Level::Error, "broken");
        (0..1000).for_each(|n| say(Level::Info, &format!("line {n}")));
        say(Level::Warn, "careful");
        say(Level::Debug, "not shown");
        let ring = ring.borrow();
        let texts: Vec<&str> = ring.worst_first().iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts[..3], ["broken", "careful", "line 999"]);
        assert_eq!(texts.len(), RING);
    }
}
