//! Energy and power, as integers.

use std::fmt;

/// Energy in watt-hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Energy {
    wh: u64,
}

impl Energy {
    pub const ZERO: Self = Self { wh: 0 };

    /// The most that one session may deliver, 10 MWh: a hundred times the largest truck's battery. A reading above it
    /// is a broken meter, not a supply.
    pub const MAX: Self = Self { wh: 10_000_000 };

    pub const fn from_wh(wh: u64) -> Self {
        Self { wh }
    }

    /// From the kilowatt-hours of a Kafka message, to the nearest watt-hour; `None` if they are no energy that a
    /// session can have: negative, not a number, or above [`Energy::MAX`].
    pub fn from_kwh(kwh: f64) -> Option<Self> {
        let wh = (kwh * 1000.0).round();
        // NaN fails the comparison; the cast is exact within the range.
        (kwh >= 0.0 && wh <= Self::MAX.wh as f64).then_some(Self { wh: wh as u64 })
    }

    pub const fn wh(self) -> u64 {
        self.wh
    }

    /// In kilowatt-hours, for a Kafka message or a screen.
    pub fn kwh(self) -> f64 {
        self.wh as f64 / 1000.0
    }
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} kWh", self.wh / 1000, self.wh % 1000)
    }
}

/// Power in watts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Power {
    w: u64,
}

impl Power {
    pub const ZERO: Self = Self { w: 0 };

    /// The most that is believed of a charge point, 50 MW: ten times the largest.
    pub const MAX: Self = Self { w: 50_000_000 };

    /// From the kilowatts of a Kafka message, to the nearest watt; `None` if they are no power that a charge point has.
    pub fn from_kw(kw: f64) -> Option<Self> {
        // NaN is in no range; the cast is exact within this one.
        (0.0..=Self::MAX.kw()).contains(&kw).then(|| Self { w: (kw * 1000.0).round() as u64 })
    }

    pub const fn from_w(w: u64) -> Self {
        Self { w }
    }

    pub const fn w(self) -> u64 {
        self.w
    }

    /// In kilowatts, for a Kafka message or a screen.
    pub fn kw(self) -> f64 {
        self.w as f64 / 1000.0
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} kW", self.kw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilowatt_hours_are_read_to_the_watt_hour() {
        for (kwh, wh) in
            [(0.0, Some(0)), (0.3, Some(300)), (12.3456, Some(12_346)), (10_000.0, Some(10_000_000))]
        {
            assert_eq!(Energy::from_kwh(kwh).map(Energy::wh), wh, "{kwh}");
        }
        for absurd in [-0.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 10_000.001, 1e300] {
            assert_eq!(Energy::from_kwh(absurd), None, "{absurd}");
        }
    }

    #[test]
    fn kilowatts_are_read_to_the_watt() {
        for (kw, w) in [(0.0, Some(0)), (7.4, Some(7_400)), (50_000.0, Some(50_000_000)), (50_000.001, None)]
        {
            assert_eq!(Power::from_kw(kw).map(Power::w), w, "{kw}");
        }
        assert_eq!((Power::from_kw(-0.001), Power::from_kw(f64::NAN)), (None, None));
    }

    #[test]
    fn every_watt_hour_survives_the_wire() {
        for wh in (0..=Energy::MAX.wh).step_by(997) {
            let energy = Energy::from_wh(wh);
            assert_eq!(Energy::from_kwh(energy.kwh()), Some(energy));
        }
    }
}
