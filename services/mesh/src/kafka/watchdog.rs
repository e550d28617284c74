//! Which partitions hang: they have messages to come, and none comes.

use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// With messages missing in a partition for so long and none coming, it hangs.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Each partition's progress, by a clock that stands while the service holds the reader back: another partition's
/// messages are no sign of life of one that hangs, and those that wait behind another's in a slow service's queue do
/// not hang.
#[derive(Debug)]
pub(super) struct Watchdog {
    start: Instant,
    /// For so long the service held the reader back.
    held: Duration,
    /// Before this nothing was to come.
    since: Duration,
    moved: BTreeMap<i32, Duration>,
}

impl Watchdog {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, held: Duration::ZERO, since: Duration::ZERO, moved: BTreeMap::new() }
    }

    /// From now on something is to come.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = self.clock(now);
    }

    /// A message of this partition was told, between these moments.
    pub(super) fn told(&mut self, partition: i32, from: Instant, to: Instant) {
        self.held += to.saturating_duration_since(from);
        self.moved.insert(partition, self.clock(to));
    }

    /// Does it hang? Of partitions with messages to come.
    pub(super) fn hangs(&self, partition: i32, now: Instant) -> bool {
        let moved = self.moved.get(&partition).copied().unwrap_or_default().max(self.since);
        self.clock(now).saturating_sub(moved) >= STALLED_AFTER
    }

    fn clock(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start).saturating_sub(self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_partition_hangs_while_another_is_busy() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut watchdog = Watchdog::new(start);
        watchdog.restart(at(1));
        for second in 1..=10 {
            watchdog.told(0, at(second), at(second));
            assert!(!watchdog.hangs(1, at(second)), "{second}");
        }
        assert!(watchdog.hangs(1, at(11)) && !watchdog.hangs(0, at(11)));
        watchdog.told(1, at(11), at(11));
        assert!(!watchdog.hangs(1, at(20)));
        watchdog.restart(at(60));
        assert!(!watchdog.hangs(1, at(69)) && watchdog.hangs(1, at(70)));
    }

    #[test]
    fn a_service_that_holds_the_reader_back_makes_no_partition_hang() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut watchdog = Watchdog::new(start);
        watchdog.told(0, at(0), at(3600));
        assert!(!watchdog.hangs(1, at(3609)) && watchdog.hangs(1, at(3610)));
    }
}
