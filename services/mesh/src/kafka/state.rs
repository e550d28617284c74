//! Whether a broker answers: found out by every client of one [`KafkaOptions`](super::KafkaOptions) together, and
//! logged once a change.

use super::{refusal::Act, statistics::Reach};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
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

/// A broker that was reached before may take so long to be reached again once an address of `--kafka` answers: only
/// then is the address that it advertises at fault.
const ADVERTISED_AFTER: Duration = Duration::from_secs(5);

/// What the clients found. Clones are the same watch.
#[derive(Debug, Clone)]
pub(super) struct BrokerWatch {
    state: watch::Sender<BrokerState>,
    since: Arc<Mutex<Since>>,
    /// It is reached, and lets us do what we do: another message that it has is no news.
    is_well: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Since {
    /// When a client last reached a broker; before that, when the first client looked.
    reached: Option<Instant>,
    ever: bool,
    /// Since it was last reached: when an address of `--kafka` first answered, whether a connection in plain text was
    /// ended as one that should be TLS is, and what was said to stand in the way.
    answered: Option<Instant>,
    wants_tls: bool,
    said: Option<String>,
    /// What it does not let us do, as it was said, until it does.
    denied: BTreeMap<Act, String>,
}

impl Default for BrokerWatch {
    fn default() -> Self {
        let since = Since {
            reached: None,
            ever: false,
            answered: None,
            wants_tls: false,
            said: None,
            denied: BTreeMap::new(),
        };
        Self { state: watch::Sender::default(), since: Arc::new(Mutex::new(since)), is_well: Arc::default() }
    }
}

impl BrokerWatch {
    /// A client of these brokers looked.
    pub(super) fn observe(&self, kafka: &str, reach: &Reach) {
        self.observe_at(Instant::now(), kafka, reach);
    }

    /// It has a message of ours, by which it did this: heard of each, a hundred thousand times a second.
    pub(super) fn delivered(&self, kafka: &str, act: impl FnOnce() -> Act) {
        if !self.is_well.load(Relaxed) {
            self.observe(kafka, &Reach::Reached);
            self.allowed(act);
        }
    }

    fn observe_at(&self, now: Instant, kafka: &str, reach: &Reach) {
        let mut since = self.lock();
        let is_denied = since.denied.keys().any(|act| !matches!(act, Act::Group(_))); // only what dashboards see
        self.is_well.store(*reach == Reach::Reached && !is_denied, Relaxed);
        let last = *since.reached.get_or_insert(now);
        let state = match reach {
            Reach::Untried => return,
            Reach::Reached => {
                (since.reached, since.answered) = (Some(now), None);
                BrokerState::Reached
            }
            Reach::Away | Reach::Advertised { .. } => {
                if matches!(reach, Reach::Advertised { answers: true, .. }) {
                    since.answered.get_or_insert(now);
                }
                if now.saturating_duration_since(last) < LOST_AFTER {
                    return;
                }
                BrokerState::Lost
            }
        };
        let changed = self.state.send_replace(state) != state;
        if changed && state == BrokerState::Reached {
            (since.wants_tls, since.said) = (false, None);
        }
        if let Reach::Advertised { address, .. } = reach
            && since.is_at_fault(now)
        {
            if since.said.is_none() {
                since.say(format!(
                    "kafka answers at {kafka}, but advertises {address}, which cannot be reached from here; set its \
                     advertised.listeners to an address that this host reaches"
                ));
            }
            return;
        }
        if !changed {
            return;
        }
        let before = since.ever;
        since.ever |= state == BrokerState::Reached;
        match (state, before) {
            (BrokerState::Reached, false) => tracing::info!("kafka reached"),
            (BrokerState::Reached, true) => tracing::info!("kafka reached again"),
            (BrokerState::Lost, true) => tracing::warn!("kafka lost"),
            (BrokerState::Lost, false) if since.said.is_some() => {} // why was said
            (BrokerState::Lost, false) if since.wants_tls => since.say(format!(
                "kafka not reached yet: what listens at {kafka} ends connections in plain text; TLS takes --kafka-ca \
                 FILE, or --kafka-tls"
            )),
            (BrokerState::Lost, false) => tracing::warn!("kafka not reached yet at {kafka}"),
            (BrokerState::Unknown, _) => {} // never observed
        }
    }

    /// A connection was refused: it is said once, until there is one again.
    pub(super) fn refused(&self, sentence: String) {
        let mut since = self.lock();
        if since.said.as_ref() != Some(&sentence) {
            since.say(sentence);
        }
    }

    /// A connection in plain text was ended.
    pub(super) fn wants_tls(&self) {
        self.lock().wants_tls = true;
    }

    /// A broker does not let us do this: it is said once, until it does.
    pub(super) fn denied(&self, act: Act, sentence: String) {
        let mut since = self.lock();
        self.is_well.store(false, Relaxed);
        since.denied.entry(act).or_insert_with(|| {
            tracing::warn!("{sentence}");
            sentence
        });
    }

    /// A broker let us do this.
    pub(super) fn allowed(&self, act: impl FnOnce() -> Act) {
        let mut since = self.lock();
        if since.denied.is_empty() {
            return; // as nearly always
        }
        let act = act();
        if let Act::Read(topic) | Act::Write(topic) = &act {
            since.denied.remove(&Act::Create(topic.clone())); // somebody else did
        }
        let any = matches!(act, Act::Write(_)) && since.denied.remove(&Act::WriteAny).is_some();
        if since.denied.remove(&act).is_some() || any {
            tracing::info!("kafka lets us now {}", act.words());
        }
    }

    /// What stands in the way, in a sentence.
    pub(super) fn problem(&self) -> Option<String> {
        let since = self.lock();
        since.said.as_ref().or(since.denied.values().next()).cloned()
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

impl Since {
    fn say(&mut self, sentence: String) {
        tracing::warn!("{sentence}");
        self.said = Some(sentence);
    }

    /// Is the address at fault that a broker named and that is not reached? Before any was reached, somebody must have
    /// named it; later, one that went away was named too.
    fn is_at_fault(&self, now: Instant) -> bool {
        !self.ever
            || self.answered.is_some_and(|since| now.saturating_duration_since(since) >= ADVERTISED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::LogRing;
    use tracing_subscriber::prelude::*;

    const KAFKA: &str = "127.0.0.1:9092";

    /// What is logged of what was found, second by second.
    fn logged(watch: &BrokerWatch, found: &[(u64, Reach)]) -> Vec<String> {
        let start = Instant::now();
        logged_while(|| {
            for (second, reach) in found {
                watch.observe_at(start + Duration::from_secs(*second), KAFKA, reach);
            }
        })
    }

    fn logged_while(work: impl FnOnce()) -> Vec<String> {
        let ring = LogRing::default();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(ring.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let mut logged: Vec<String> = ring.worst_first(9).into_iter().map(|(_, text)| text).collect();
        logged.sort();
        logged
    }

    fn advertised(answers: bool) -> Reach {
        Reach::Advertised { address: "10.255.0.1:9092".into(), answers }
    }

    const WRONG: &str = "kafka answers at 127.0.0.1:9092, but advertises 10.255.0.1:9092, which cannot be reached from \
                         here; set its advertised.listeners to an address that this host reaches";

    #[test]
    fn each_change_is_logged_once() {
        let watch = BrokerWatch::default();
        let steps =
            [(0, false), (3, false), (4, false), (5, true), (6, true), (7, false), (8, true), (9, false)];
        let steps = steps.into_iter().chain([(11, false), (12, false), (13, true), (14, true)]);
        let mut found: Vec<_> = steps
            .map(|(second, reached)| (second, if reached { Reach::Reached } else { Reach::Away }))
            .collect();
        // It comes back with another address: the given one answers now and then.
        found.extend((15..30).map(|second| (second, advertised(second % 3 == 0))));
        let changes = [
            WRONG,
            "kafka lost",
            "kafka lost",
            "kafka not reached yet at 127.0.0.1:9092",
            "kafka reached",
            "kafka reached again",
        ];
        assert_eq!(logged(&watch, &found), changes);
        assert_eq!(watch.get(), BrokerState::Lost);
    }

    /// As a real broker's: the clients see the given address come and go, and the named one in any state but up.
    #[test]
    fn an_address_that_was_never_reached_is_one_warning() {
        let watch = BrokerWatch::default();
        let mut found = vec![(0, Reach::Untried), (1, advertised(false)), (1, advertised(true))];
        for second in 2..60 {
            found.extend([(second, Reach::Away), (second, Reach::Untried)]);
            found.push((second, advertised(second % 2 == 0)));
        }
        found.retain(|(second, reach)| *second > 3 || *reach != Reach::Away); // a probe fails later
        assert_eq!(logged(&watch, &found), [WRONG]);
        assert_eq!(watch.get(), BrokerState::Lost);
        assert_eq!(logged(&watch, &[(61, Reach::Reached)]), ["kafka reached"]);
    }

    #[test]
    fn a_broker_that_went_away_is_no_wrong_address() {
        let watch = BrokerWatch::default();
        let mut found = vec![(0, Reach::Reached)];
        found.extend((1..60).map(|second| (second, advertised(false))));
        found.extend([(60, advertised(true)), (62, advertised(true)), (63, Reach::Reached)]); // it starts again
        assert_eq!(logged(&watch, &found), ["kafka lost", "kafka reached", "kafka reached again"]);
    }

    #[test]
    fn what_is_refused_is_said_once_and_in_the_place_of_a_guess() {
        let watch = BrokerWatch::default();
        let refuse = || watch.refused("kafka at 127.0.0.1:9092 does not take the password".to_owned());
        assert_eq!(
            logged_while(|| {
                refuse();
                let start = Instant::now();
                for second in 0..60 {
                    watch.observe_at(
                        start + Duration::from_secs(second),
                        KAFKA,
                        &advertised(second % 2 == 0),
                    );
                    refuse();
                }
            }),
            ["kafka at 127.0.0.1:9092 does not take the password"]
        );
        assert_eq!(watch.get(), BrokerState::Lost);
        assert_eq!(logged(&watch, &[(61, Reach::Reached)]), ["kafka reached"]);
        assert_eq!(watch.problem(), None);
        let plain = BrokerWatch::default();
        plain.wants_tls();
        let told = logged(&plain, &[(0, Reach::Away), (3, Reach::Away)]);
        assert!(
            told[0].starts_with("kafka not reached yet: what listens at 127.0.0.1:9092 ends"),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_denied_is_said_once_until_it_is_allowed() {
        let watch = BrokerWatch::default();
        let act = Act::Write("cp_telemetry".into());
        let deny = || watch.denied(act.clone(), "it lacks the ACL".to_owned());
        assert_eq!(logged_while(|| (0..9).for_each(|_| deny())), ["it lacks the ACL"]);
        assert_eq!(watch.problem().as_deref(), Some("it lacks the ACL"));
        let allow = || watch.allowed(|| act.clone());
        assert_eq!(
            logged_while(|| (0..9).for_each(|_| allow())),
            ["kafka lets us now write topic cp_telemetry"]
        );
        assert_eq!(logged_while(deny), ["it lacks the ACL"]);
    }

    #[test]
    fn a_message_that_a_broker_has_is_news_only_where_something_was_wrong() {
        let watch = BrokerWatch::default();
        let act = Act::Write("cp_telemetry".into());
        let deliver = || (0..9).for_each(|_| watch.delivered(KAFKA, || act.clone()));
        assert_eq!(logged_while(deliver), ["kafka reached"]);
        assert!(watch.is_well.load(Relaxed));
        watch.denied(act.clone(), "it lacks the ACL".to_owned());
        assert_eq!(logged_while(deliver), ["kafka lets us now write topic cp_telemetry"]);
        assert_eq!(watch.problem(), None);
        logged(&watch, &[(0, Reach::Away), (3, Reach::Away)]);
        assert_eq!(watch.get(), BrokerState::Lost);
        assert_eq!(
            (logged_while(deliver), watch.get()),
            (vec!["kafka reached again".to_owned()], BrokerState::Reached)
        );
    }
}
