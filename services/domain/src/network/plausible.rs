//! What is believed of a meter. The one rule, for an engine's answers and for telemetry: no charge point delivers more
//! than its rated power in the time that has passed, and what a session takes beyond the ordinary is for a person.
//!
//! Time is central's own: from when the session was asked for, up to central's first sign of its end, or to the
//! reading's arrival where its engine was out of reach: by the running clock or by the dates, whichever is more, since
//! one may have been paused and the other set back. Where nothing is known of the time the bound of a session alone
//! judges.

use crate::{Energy, Mono, Now, Power, Wall};
use std::time::Duration;

/// A message may be held up, and a clock be off, by so much.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// The most that a charge point of this power delivers in so long, and a tenth.
pub(super) fn most_in(rated: Power, time: Duration) -> Energy {
    let watt_ms = u128::from(rated.w()).saturating_mul(time.as_millis()).saturating_mul(11) / 10;
    Energy::from_wh(u64::try_from(watt_ms.div_ceil(3_600_000)).unwrap_or(u64::MAX)).min(Energy::MAX)
}

/// How long ago a session was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Age {
    at: Mono,
    /// At that moment; `None`: nothing is known of it.
    was: Option<Duration>,
}

impl Age {
    pub(super) fn new(at: Mono, was: Option<Duration>) -> Self {
        Self { at, was }
    }

    /// `by_date`: what the dates say, where they say anything. A machine that was paused counted no time then.
    pub(super) fn now(self, now: Mono, by_date: Option<Duration>) -> Option<Duration> {
        self.was.map(|was| (was + now.since(self.at)).max(by_date.unwrap_or_default()))
    }
}

/// Tells a clock that was set back.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WallClock {
    /// How far it was ahead of the monotonic one, at most (milliseconds).
    ahead: Option<i64>,
    set_back: bool,
}

impl WallClock {
    /// A moment passes. Less than the grace is not told from a clock that is kept right.
    pub(super) fn sees(&mut self, now: Now) {
        let ahead = now.wall.0.saturating_sub(i64::try_from(now.mono.0).unwrap_or(i64::MAX));
        let most = self.ahead.map_or(ahead, |most| most.max(ahead));
        let grace = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
        self.set_back |= ahead < most.saturating_sub(grace);
        self.ahead = Some(most);
    }

    /// A date that was written before now.
    pub(super) fn found(&mut self, date: Wall, now: Now) {
        self.set_back |= date > now.wall + GRACE;
    }

    /// How long ago something of this date was; `None` where the clock was set back since, or may have been.
    pub(super) fn since(&self, date: Wall, now: Wall) -> Option<Duration> {
        let passed = u64::try_from(now.0.saturating_sub(date.0)).ok();
        passed.filter(|_| !self.set_back).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_s: u64, wall_s: i64) -> Now {
        Now { mono: Mono(mono_s * 1000), wall: Wall(wall_s * 1000) }
    }

    #[test]
    fn rated_power_times_time_and_a_tenth() {
        let hour = Duration::from_secs(3600);
        for (watts, time, wh) in [
            (50_000, hour, 55_000),
            (50_000, Duration::ZERO, 0),
            (1, Duration::from_secs(1), 1), // upwards: what an engine rounds down is never above it
            (1_000_000, GRACE, 18_334),
            (u64::MAX, hour, Energy::MAX.wh()),
        ] {
            assert_eq!(most_in(Power::from_w(watts), time), Energy::from_wh(wh), "{watts} W for {time:?}");
        }
    }

    #[test]
    fn after_a_clock_was_set_back_no_date_says_how_long_ago_it_was() {
        let mut clock = WallClock::default();
        clock.sees(at(0, 1_000));
        clock.sees(at(10, 951)); // by 59 s: within the grace
        assert_eq!(clock.since(Wall(900_000), Wall(951_000)), Some(Duration::from_secs(51)));
        assert_eq!(clock.since(Wall(952_000), Wall(951_000)), None, "it was not yet");
        clock.sees(at(20, 959)); // by 61 s
        assert_eq!(clock.since(Wall(900_000), Wall(959_000)), None);
        clock.sees(at(30, 2_000)); // and set right again
        assert_eq!(clock.since(Wall(900_000), Wall(2_000_000)), None);
    }
}
