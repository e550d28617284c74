//! Whether a broker answers: found out by every client of one [`KafkaOptions`](super::KafkaOptions) together, and
//! logged once a change.

use super::statistics::Reach;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BrokerState {
    /// Not tried for long enough to say.
    #[default]
    Unknown,
    Reached,
    Lost,
}

/// Clients report each second; after so long without one that reaches a broker, it is lost. Long enough for a broker's
/// restart of one connection.
const LOST_AFTER: Duration = Duration::from_millis(2500);

/// What the clients found. Clones are the same watch.
#[derive(Debug, Clone)]
pub(super) struct BrokerWatch {
    state: watch::Sender<BrokerState>,
    since: Arc<Mutex<Since>>,
}

#[derive(Debug)]
struct Since {
    /// When a client last reached a broker; before that, when the first client looked.
    reached: Option<Instant>,
    ever: bool,
    /// The newest address that a broker named as its own and that was not reached.
    advertised: Option<String>,
}

impl Default for BrokerWatch {
    fn default() -> Self {
        let since = Since { reached: None, ever: false, advertised: None };
        Self { state: watch::Sender::default(), since: Arc::new(Mutex::new(since)) }
    }
}

impl BrokerWatch {
    /// A client looked.
    pub(super) fn observe(&self, reach: &Reach) {
        self.observe_at(Instant::now(), reach);
    }

    fn observe_at(&self, now: Instant, reach: &Reach) {
        let reached = *reach == Reach::Reached;
        let mut since = self.lock();
        let last = *since.reached.get_or_insert(now);
        let state = match reached {
            true => {
                since.reached = Some(now);
                BrokerState::Reached
            }
            false if now.saturating_duration_since(last) >= LOST_AFTER => BrokerState::Lost,
            false => return,
        };
        if let Reach::Advertised(address) = reach
            && since.advertised.replace(address.clone()).as_ref() != Some(address)
        {
            tracing::warn!(
                "kafka answers at the address of --kafka, but advertises {address}, which cannot be reached from \
                 here; set its advertised.listeners to an address that this host reaches"
            );
        }
        if self.state.send_replace(state) == state {
            return;
        }
        let before = since.ever;
        since.ever |= reached;
        match (state, before) {
            (BrokerState::Reached, false) => tracing::info!("kafka reached"),
            (BrokerState::Reached, true) => tracing::info!("kafka reached again"),
            (BrokerState::Lost, true) => tracing::warn!("kafka lost"),
            (BrokerState::Lost, false) => tracing::warn!("kafka not reached yet"),
            (BrokerState::Unknown, _) => {} // never observed
        }
    }

    pub(super) fn get(&self) -> BrokerState {
        *self.state.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::LogRing;
    use tracing_subscriber::prelude::*;

    #[test]
    fn each_change_is_logged_once() {
        let ring = LogRing::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(ring.clone()));
        let watch = BrokerWatch::default();
        let start = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            let steps =
                [(0, false), (3, false), (4, false), (5, true), (6, true), (7, false), (8, true), (9, false)];
            for (second, reached) in
                steps.into_iter().chain([(11, false), (12, false), (13, true), (14, true)])
            {
                let reach = if reached { Reach::Reached } else { Reach::Away };
                watch.observe_at(start + Duration::from_secs(second), &reach);
            }
            let wrong = Reach::Advertised("10.255.0.1:9092".into());
            for second in 15..20 {
                watch.observe_at(start + Duration::from_secs(second), &wrong);
            }
        });
        let mut logged: Vec<String> = ring.worst_first(9).into_iter().map(|(_, text)| text).collect();
        logged.sort();
        let wrong = logged.remove(0);
        assert!(wrong.starts_with("kafka answers") && wrong.contains("10.255.0.1:9092"), "{wrong}");
        let changes =
            ["kafka lost", "kafka lost", "kafka not reached yet", "kafka reached", "kafka reached again"];
        assert_eq!(logged, changes);
        assert_eq!(watch.get(), BrokerState::Lost);
    }
}
