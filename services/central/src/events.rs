//! The messages of the system: one event is one line of the log, one count, and one line of the panel.

use crate::counters;
use domain::Wall;
use domain::network::{Event, Level};
use mesh::{Shutdown, observability::LogRing};

#[derive(Debug, Clone)]
pub struct Events {
    ring: LogRing,
    /// The order to stop the network that this central is part of, if it is one process.
    network: Option<Shutdown>,
}

impl Events {
    /// The events of a new central, and the newest of them as its panel shows them.
    pub fn new() -> (Self, LogRing) {
        counters::describe();
        let ring = LogRing::default();
        (Self { ring: ring.clone(), network: None }, ring)
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
        let level = match level {
            Level::Debug => return tracing::debug!(event = name, "{text}"),
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        match level {
            tracing::Level::ERROR => tracing::error!(event = name, "{text}"),
            tracing::Level::WARN => tracing::warn!(event = name, "{text}"),
            _ => tracing::info!(event = name, "{text}"),
        }
        self.ring.push(at, level, &text);
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
        let texts: Vec<String> = ring.timed(usize::MAX).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[..3], ["broken", "careful", "line 999"].map(|text| format!("00:00:00  {text}")));
        assert_eq!(texts.len(), 200);
    }
}
