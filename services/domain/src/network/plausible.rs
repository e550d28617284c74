//! What is believed of a meter. The one rule, for an engine's answers and for telemetry: no charge point delivers more
//! than its rated power in the time that has passed, and what a session takes beyond the ordinary is for a person.
//!
//! Time is central's own: from when the session was asked for, up to central's first sign of its end, or to the
//! reading's arrival where its engine was out of reach: by the running clock or by the dates, whichever is more, since
//! one may have been paused and the other set back. Where nothing is known of the time the bound of a session alone
//! judges.

use crate::{Energy, Mono, Power};
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
