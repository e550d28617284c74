//! The meter: exact integer energy from power, time and the speed of the simulation.

use crate::{Energy, Mono, Power};

/// Watt-milliseconds in one watt-hour.
const WATT_MS_PER_WH: u128 = 3_600_000;

/// Adds up energy in watt-milliseconds, so that no reading loses what the one before it rounded down.
///
/// It only rises, stops at its limit, and knows only the monotonic clock: a jump of the wall clock is nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    watts: u128,
    limit_watt_ms: u128,
    delivered_watt_ms: u128,
    read_to: Mono,
}

impl Meter {
    /// A meter that starts at zero. Energy flows at `power` × `speed`, up to `limit` ([`Energy::MAX`] at most).
    pub fn start(at: Mono, power: Power, speed: u32, limit: Energy) -> Self {
        Self {
            watts: u128::from(power.w()) * u128::from(speed),
            limit_watt_ms: u128::from(limit.min(Energy::MAX).wh()) * WATT_MS_PER_WH,
            delivered_watt_ms: 0,
            read_to: at,
        }
    }

    /// The reading at `at`, in whole watt-hours. A moment before the last reading changes nothing.
    pub fn read(&mut self, at: Mono) -> Energy {
        let ms = at.since(self.read_to).as_millis();
        self.read_to = self.read_to.max(at);
        self.delivered_watt_ms =
            ms.saturating_mul(self.watts).saturating_add(self.delivered_watt_ms).min(self.limit_watt_ms);
        // The limit is at most Energy::MAX, which fits.
        Energy::from_wh(u64::try_from(self.delivered_watt_ms / WATT_MS_PER_WH).unwrap_or(Energy::MAX.wh()))
    }

    /// When the limit will be reached; `None` if no energy flows.
    pub fn full_at(&self) -> Option<Mono> {
        let missing = self.limit_watt_ms - self.delivered_watt_ms;
        if missing == 0 {
            return Some(self.read_to);
        }
        let ms = missing.checked_next_multiple_of(self.watts)? / self.watts;
        Some(Mono(self.read_to.0.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn power_times_time_times_speed() {
        for (watts, speed, ms, wh) in [
            (3_600, 1, 1_000, 1),
            (3_600, 1, 999, 0),
            (50_000, 1, 3_600_000, 50_000),
            (22_000, 60, 1_000, 366), // 366.67
            (11_000, 3_600, 1_000, 11_000),
            (0, 60, 1_000_000, 0),
            (1_000_000, 1_000, u64::MAX, Energy::MAX.wh()),
        ] {
            let mut meter = Meter::start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            assert_eq!(meter.read(Mono(ms)).wh(), wh, "{watts} W × {speed} × {ms} ms");
        }
    }

    #[test]
    fn it_stops_at_its_limit_when_it_said() {
        let mut meter = Meter::start(Mono(500), Power::from_w(7_000), 3, Energy::from_wh(10));
        let full = meter.full_at().unwrap();
        assert_eq!(meter.read(Mono(full.0 - 1)).wh(), 9);
        assert_eq!(meter.read(full).wh(), 10);
        assert_eq!(meter.full_at(), Some(full));
        assert_eq!(meter.read(Mono(u64::MAX)).wh(), 10);
    }

    #[test]
    fn without_power_it_never_fills() {
        assert_eq!(Meter::start(Mono(0), Power::ZERO, 1, Energy::MAX).full_at(), None);
    }

    proptest! {
        #[test]
        fn readings_in_between_change_nothing(
            watts in 0_u64..1_000_000, speed in 1_u32..10_000, moments in prop::collection::vec(0_u64..10_000_000, 1..50),
        ) {
            let mut often = Meter::start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            let mut highest = Energy::ZERO;
            for at in &moments {
                let reading = often.read(Mono(*at)); // in any order: the meter only rises
                prop_assert!(reading >= highest);
                highest = reading;
            }
            let mut once = Meter::start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            prop_assert_eq!(highest, once.read(Mono(moments.into_iter().max().unwrap_or(0))));
        }
    }
}
