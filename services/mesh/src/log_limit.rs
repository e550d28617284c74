//! The log's bound: of one kind at most twenty lines a second, and then how many more there were. So nobody fills a
//! disk by what is said of it.
//!
//! A kind is a place in the code; of central's events, which have one place, what they are called; of what says `why`
//! in a word, such as a connection that is refused, that word: a crowd that fails for one reason hides no other.

use crate::now;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::{
    Event, Level, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

const LINES_A_SECOND: u64 = 20;

/// The layer; clones share it. What a person asked for beyond `info` is not bounded.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogLimit(Arc<Mutex<Kinds>>);

/// By their places, and by what events are called, or why something was done.
type Kinds = HashMap<(Identifier, Option<String>), Newest>;

/// What there was of one kind in its newest second.
#[derive(Debug, Default)]
struct Newest {
    second: u64,
    lines: u64,
    /// And before, until it is said.
    left_out: u64,
    /// What the first that was left out says.
    what: String,
}

impl LogLimit {
    fn may_log(&self, event: &Event<'_>) -> bool {
        let mut words = Words::default();
        event.record(&mut words);
        let second = second();
        let mut kinds = self.kinds();
        let kind = words.event.as_ref().or(words.why.as_ref()).cloned();
        let newest = kinds.entry((event.metadata().callsite(), kind)).or_default();
        if newest.second != second {
            (newest.second, newest.lines) = (second, 0);
        }
        newest.lines += 1;
        let may = newest.lines <= LINES_A_SECOND;
        if !may {
            newest.left_out += 1;
            if newest.left_out == 1 {
                newest.what = words.said();
            }
        }
        may
    }

    /// Says how many lines were left out since it was last said. For a place outside of any event.
    pub(crate) fn say_what_was_left_out(&self) {
        let second = second();
        let mut over = Vec::new();
        self.kinds().retain(|_, newest| {
            if newest.left_out > 0 {
                over.push((std::mem::take(&mut newest.left_out), std::mem::take(&mut newest.what)));
            }
            newest.second == second
        });
        for (left_out, of) in over {
            tracing::warn!(of, left_out, "there were more of these within a second than are logged");
        }
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn second() -> u64 {
    now().mono.0 / 1000
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        *event.metadata().level() > Level::INFO || self.may_log(event)
    }
}

/// What an event is called, where it is one of central's, and what it says.
#[derive(Debug, Default)]
struct Words {
    event: Option<String>,
    why: Option<String>,
    message: String,
}

impl Words {
    fn said(self) -> String {
        match (self.event, self.why) {
            (Some(event), _) => event,
            (None, Some(why)) => format!("{} ({why})", self.message),
            (None, None) => self.message,
        }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.event = Some(value.to_owned()),
            "why" => self.why = Some(value.to_owned()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::LogRing;
    use tracing_subscriber::prelude::*;

    #[test]
    fn a_thousand_lines_a_second_are_twenty_of_each_kind_and_a_count() {
        let (limit, log) = (LogLimit::default(), LogRing::default());
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).without_time().with_writer(log.clone());
        let subscriber = tracing_subscriber::registry().with(limit.clone()).with(layer);
        let lines = || log.worst_first(usize::MAX).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let began = second();
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..1000 {
                tracing::warn!(event = "dead_letters", "dead letter {n}");
            }
            for name in ["faults", "prices_set"] {
                tracing::warn!(event = name, "another kind, from one place");
            }
            tracing::info!("another place");
            for n in 0..1000 {
                let why = if n < 999 { "expired" } else { "misnamed" };
                tracing::info!(why, "a connection is refused");
            }
            limit.say_what_was_left_out();
            limit.say_what_was_left_out();
        });
        let seconds = usize::try_from(second() - began).unwrap() + 1; // one, or two where it began late in one
        let of = |what: &str| lines().into_iter().filter(|line| line.contains(what)).collect::<Vec<_>>();
        let letters = of("dead letter ");
        assert!((20..=20 * seconds).contains(&letters.len()), "{letters:?}");
        let left_out = of("left_out=");
        let count = format!("of=\"dead_letters\" left_out={}", 1000 - letters.len());
        assert!(left_out.len() == 2 && left_out.iter().any(|line| line.contains(&count)), "{left_out:?}");
        assert_eq!(of("another ").len(), 3);
        assert_eq!(of("why=\"misnamed\"").len(), 1, "hidden by those that had expired");
        assert!(
            left_out.iter().any(|line| line.contains("a connection is refused (expired)")),
            "{left_out:?}"
        );
    }

    #[test]
    fn what_was_asked_for_beyond_info_is_all_there() {
        let (limit, log) = (LogLimit::default(), LogRing::default());
        let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
        let subscriber = tracing_subscriber::registry().with(limit).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            (0..100).for_each(|n| tracing::debug!(n, "more"));
        });
        assert_eq!(log.worst_first(usize::MAX).len(), 100);
    }
}
