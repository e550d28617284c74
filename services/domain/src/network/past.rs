//! What outlives what it was about: how late central's clock has been, how high its numbers, and which sessions are
//! gone.

use super::plausible::GRACE;
use crate::{Now, Wall, ids::most_claimed};
use std::time::Duration;

/// So far the clock goes on before it is written again.
const WRITTEN_EVERY: Duration = Duration::from_secs(10);
/// A store that was rebuilt, or is an older copy, may lack as many authorisations of a charge point.
const MAY_BE_LACKING: u64 = 1 << 16;

/// What a store keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// The latest time that central's clock has shown.
    pub latest: Wall,
    /// The clock showed this, and was set back then: no date up to it says how long ago it was.
    pub set_back_from: Wall,
    /// The highest authorisation number of a charge point that was forgotten, or whose engine came with another store:
    /// an engine that has seen it may come back.
    pub highest_dropped: u64,
    /// The newest session that was let go was asked for then.
    pub forgotten_to: Wall,
}

impl Past {
    /// Is it to be written, where this was written last?
    pub fn is_news(&self, written: &Self) -> bool {
        let clock_only = Self { latest: written.latest, ..*self } == *written;
        !clock_only || self.latest >= written.latest + WRITTEN_EVERY
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Remembered {
    pub(super) past: Past,
    /// How far the wall clock was ahead of the monotonic one, at most, since it was last set back (milliseconds).
    ahead: Option<i64>,
    /// The highest authorisation number that the store had at the start.
    highest_stored: u64,
}

impl Remembered {
    /// What a store kept, its clock apart: whatever was dated was dated by that clock.
    pub(super) fn restored(
        past: Past,
        numbers: impl Iterator<Item = u64>,
        dates: impl Iterator<Item = Wall>,
        now: Now,
    ) -> Self {
        let highest_stored = numbers.max().max(Some(past.highest_dropped)).unwrap_or_default();
        let latest = dates.max().max(Some(past.latest)).unwrap_or_default();
        let mut restored = Self { past: Past { latest, ..past }, ahead: None, highest_stored };
        if latest > now.wall + GRACE {
            restored.past.set_back_from = latest;
        }
        restored.sees(now);
        restored
    }

    /// A moment passes. Less than the grace is not told from a clock that is kept right.
    pub(super) fn sees(&mut self, now: Now) {
        let ahead = now.wall.0.saturating_sub(i64::try_from(now.mono.0).unwrap_or(i64::MAX));
        let most = self.ahead.map_or(ahead, |most| most.max(ahead));
        let grace = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
        let set_back = ahead < most.saturating_sub(grace);
        if set_back {
            self.past.set_back_from = self.past.latest;
        }
        self.ahead = Some(if set_back { ahead } else { most });
        self.past.latest = self.past.latest.max(now.wall.min(Wall::MAX));
    }

    /// How long ago something of this date was; `None` where the clock was set back since, or may have been.
    pub(super) fn since(&self, date: Wall, now: Wall) -> Option<Duration> {
        let passed = u64::try_from(now.0.saturating_sub(date.0)).ok();
        passed.filter(|_| date > self.past.set_back_from).map(Duration::from_millis)
    }

    /// No charge point has this authorisation number any more.
    pub(super) fn drops(&mut self, number: u64) {
        self.past.highest_dropped = self.past.highest_dropped.max(number);
    }

    /// A session that was asked for then is gone.
    pub(super) fn lets_go(&mut self, created: Wall) {
        self.past.forgotten_to = self.past.forgotten_to.max(created);
    }

    /// A session that was asked for then and is not known may be one that is gone: it is as old as those, or of a date
    /// that is still to come, and a clock that was set back may have shown that date for as long as one is kept
    /// (`ttl`).
    pub(super) fn may_be_gone(&self, created: Wall, ttl: Duration, now: Wall) -> bool {
        let of_a_clock_before = created > now + GRACE && created + ttl <= self.past.set_back_from;
        created <= self.past.forgotten_to || of_a_clock_before
    }

    /// What any engine claims of authorisation numbers counts up to this: what a clock allows that is never set back,
    /// and what was given, as far as that is known. What a claim leads to raises it by ones, and by more only at a
    /// start.
    pub(super) fn most_claimed(&self) -> u64 {
        let given = self.highest_stored.saturating_add(MAY_BE_LACKING);
        most_claimed(self.past.latest).max(self.past.highest_dropped).max(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mono;
    use std::iter::empty;

    fn at(mono_s: u64, wall_s: i64) -> Now {
        Now { mono: Mono(mono_s * 1000), wall: Wall(wall_s * 1000) }
    }

    #[test]
    fn after_a_clock_was_set_back_no_date_of_before_says_how_long_ago_it_was() {
        let mut clock = Remembered::default();
        clock.sees(at(0, 1_000));
        clock.sees(at(10, 951)); // by 59 s: within the grace
        assert_eq!(clock.since(Wall(900_000), Wall(951_000)), Some(Duration::from_secs(51)));
        assert_eq!(clock.since(Wall(952_000), Wall(951_000)), None, "it was not yet");
        clock.sees(at(20, 959)); // by 61 s
        assert_eq!(clock.since(Wall(900_000), Wall(959_000)), None);
        clock.sees(at(30, 2_000)); // and set right again
        assert_eq!(clock.since(Wall(900_000), Wall(2_000_000)), None);
        assert_eq!(
            clock.since(Wall(1_990_000), Wall(2_000_000)),
            Some(Duration::from_secs(10)),
            "written since"
        );
        let past = clock.past;
        for (wall_s, set_back_from) in [(2_050, 1_000), (1_950, 1_000), (1_939, 2_000)] {
            let clock = Remembered::restored(past, empty(), empty(), at(0, wall_s));
            assert_eq!(clock.past.set_back_from, Wall(set_back_from * 1_000), "another process at {wall_s}");
        }
    }

    /// A store that was rebuilt from a log whose newest row is dated ahead: one of the two clocks is wrong.
    #[test]
    fn what_is_not_known_may_be_gone_where_it_is_old_or_of_a_time_that_only_the_clock_before_has_seen() {
        const DAY: i64 = 86_400;
        let ttl = Duration::from_secs(86_400);
        let day = |day: i64, and: i64| Wall((day * DAY + and) * 1000);
        let past = Past { latest: day(400, 0), forgotten_to: day(99, 0), ..Past::default() };
        let clock = Remembered::restored(past, empty(), empty(), at(0, 100 * DAY));
        for (created, gone) in [
            (day(99, 0), true),
            (day(99, 1), false),
            (day(100, 0), false),
            (day(100, 60), false),
            (day(100, 61), true),
            (day(399, 0), true),
            (day(399, 1), false), // none so young was let go
        ] {
            assert_eq!(clock.may_be_gone(created, ttl, day(100, 0)), gone, "{created:?}");
        }
        assert!(!clock.may_be_gone(day(110, 0), ttl, day(110, 0)), "time goes on");
    }

    #[test]
    fn it_is_written_at_once_or_once_in_ten_seconds() {
        let written =
            Past { latest: Wall(50_000), set_back_from: Wall(7), highest_dropped: 7, forgotten_to: Wall(7) };
        for (past, news) in [
            (Past { latest: Wall(59_999), ..written }, false),
            (Past { latest: Wall(60_000), ..written }, true),
            (Past { set_back_from: Wall(8), ..written }, true),
            (Past { highest_dropped: 8, ..written }, true),
            (Past { forgotten_to: Wall(8), ..written }, true),
        ] {
            assert_eq!(past.is_news(&written), news, "{past:?}");
        }
    }
}
