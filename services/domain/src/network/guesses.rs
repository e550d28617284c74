//! Numbers that were tried out: whoever shows cards that nobody knows has to wait.

use crate::{ChargePointId, Mono};
use std::{collections::BTreeMap, time::Duration};

/// Unknown cards that may be shown at a charge point within [`WITHIN`]: then no card is looked up there. Whoever
/// tried out the numbers of four bytes would need years for one of ten thousand cards.
const MOST_UNKNOWN: u32 = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// How many unknown cards were shown at each charge point, since when: at those that are registered alone.
#[derive(Debug, Default)]
pub(super) struct Guesses(BTreeMap<ChargePointId, (Mono, u32)>);

impl Guesses {
    /// How long no card is looked up there.
    pub(super) fn wait(&self, now: Mono, point: &ChargePointId) -> Option<Duration> {
        let &(since, count) = self.0.get(point)?;
        let left = WITHIN.saturating_sub(now.since(since));
        (count >= MOST_UNKNOWN && !left.is_zero()).then_some(left)
    }

    pub(super) fn add(&mut self, now: Mono, point: &ChargePointId) {
        self.0.retain(|_, (since, _)| now.since(*since) < WITHIN);
        self.0.entry(point.clone()).or_insert((now, 0)).1 += 1;
    }
}
