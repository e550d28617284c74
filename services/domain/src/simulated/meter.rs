//! The simulated meter: exact integer energy from power, time and the speed of the simulation.

use crate::{Energy, Mono, Power, supply::Register};

/// A register that rises while energy flows, up to what the car takes.
///
/// It knows only the monotonic clock: a jump of the wall clock is nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meter {
    watts: u128,
    register: Register,
    /// Where the register stops.
    limit: Register,
    read_to: Mono,
}

impl Meter {
    /// One that stands at zero, with nothing flowing. Energy will flow at `power` × `speed`.
    pub(super) fn new(power: Power, speed: u32) -> Self {
        let zero = Register::default();
        let watts = u128::from(power.w()) * u128::from(speed);
        Self { watts, register: zero, limit: zero, read_to: Mono::default() }
    }

    /// Energy flows from here on, until so much of it has ([`Energy::MAX`] at most).
    pub(super) fn flow(&mut self, at: Mono, limit: Energy) {
        self.read_to = at;
        self.limit = self.register.after(limit.min(Energy::MAX));
    }

    pub(super) fn cut(&mut self, at: Mono) {
        self.limit = self.read(at);
    }

    /// What it shows. A moment before the last reading changes nothing.
    pub(super) fn read(&mut self, at: Mono) -> Register {
        let passed = at.since(self.read_to).as_millis().saturating_mul(self.watts);
        self.read_to = self.read_to.max(at);
        let counted = Register::from_watt_ms(self.register.watt_ms().saturating_add(passed));
        self.register = counted.min(self.limit);
        self.register
    }

    /// When the limit will be reached; `None` if no energy flows.
    pub(super) fn full_at(&self) -> Option<Mono> {
        let missing = self.limit.watt_ms() - self.register.watt_ms();
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

    fn start(at: Mono, power: Power, speed: u32, limit: Energy) -> Meter {
        let mut meter = Meter::new(power, speed);
        meter.flow(at, limit);
        meter
    }

    fn read(meter: &mut Meter, at: Mono) -> Energy {
        meter.read(at).since(Register::default())
    }

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
            let mut meter = start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            assert_eq!(read(&mut meter, Mono(ms)).wh(), wh, "{watts} W × {speed} × {ms} ms");
        }
    }

    #[test]
    fn it_stops_at_its_limit_when_it_said() {
        let mut meter = start(Mono(500), Power::from_w(7_000), 3, Energy::from_wh(10));
        let full = meter.full_at().unwrap();
        assert_eq!(read(&mut meter, Mono(full.0 - 1)).wh(), 9);
        assert_eq!(read(&mut meter, full).wh(), 10);
        assert_eq!(meter.full_at(), Some(full));
        assert_eq!(read(&mut meter, Mono(u64::MAX)).wh(), 10);
    }

    #[test]
    fn without_power_it_never_fills() {
        assert_eq!(start(Mono(0), Power::ZERO, 1, Energy::MAX).full_at(), None);
    }

    #[test]
    fn it_counts_on_from_car_to_car_and_not_between() {
        let mut meter = start(Mono(0), Power::from_w(3_600), 1, Energy::from_wh(10));
        meter.cut(Mono(2_500));
        let first = meter.read(Mono(9_000));
        assert_eq!(first.watt_ms(), 9_000_000);
        meter.flow(Mono(10_000), Energy::from_wh(1));
        assert_eq!(meter.read(Mono(10_999)).since(first).wh(), 0);
        assert_eq!(meter.full_at(), Some(Mono(11_000)));
        assert_eq!(meter.read(Mono(20_000)).since(first).wh(), 1);
    }

    proptest! {
        #[test]
        fn readings_in_between_change_nothing(
            watts in 0_u64..1_000_000, speed in 1_u32..10_000,
            moments in prop::collection::vec(0_u64..10_000_000, 1..50),
        ) {
            let mut often = start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            let mut highest = Energy::ZERO;
            for at in &moments {
                let reading = read(&mut often, Mono(*at)); // in any order: the meter only rises
                prop_assert!(reading >= highest);
                highest = reading;
            }
            let mut once = start(Mono(0), Power::from_w(watts), speed, Energy::MAX);
            prop_assert_eq!(highest, read(&mut once, Mono(moments.into_iter().max().unwrap_or(0))));
        }
    }
}
