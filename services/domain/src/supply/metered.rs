//! The meter as the rules are given it: what it shows at the moment of an input, whatever it is.

use crate::{Energy, Power};

/// Watt-milliseconds in one watt-hour.
const WATT_MS_PER_WH: u128 = 3_600_000;

/// All the energy that a meter has counted since it was built, in watt-milliseconds, so that no reading loses what
/// another rounded down. It only rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Register(u128);

impl Register {
    pub const fn from_watt_ms(watt_ms: u128) -> Self {
        Self(watt_ms)
    }

    pub const fn watt_ms(self) -> u128 {
        self.0
    }

    /// Where it will be once so much energy has passed.
    pub fn after(self, energy: Energy) -> Self {
        Self(self.0.saturating_add(u128::from(energy.wh()) * WATT_MS_PER_WH))
    }

    /// The energy since it stood at `start`, in whole watt-hours and [`Energy::MAX`] at most.
    pub fn since(self, start: Self) -> Energy {
        let wh = self.0.saturating_sub(start.0) / WATT_MS_PER_WH;
        Energy::from_wh(u64::try_from(wh).unwrap_or(u64::MAX)).min(Energy::MAX)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    pub register: Register,
    /// The power that flows, or that will once a supply starts.
    pub power: Power,
}
