//! What a charge point tells of a supply only to be shown: it starts, ends and bills nothing, and lives in memory
//! alone.

use crate::Power;

/// Each value as it was told last; `None` where none was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    pub power: Option<Power>,
}

impl Gauges {
    /// The power, and nothing else.
    pub fn of(power: Power) -> Self {
        Self { power: Some(power) }
    }

    /// Takes in what is newer. Where no power was told, none flows: both are `None`, so that nothing seems to change.
    pub(super) fn update(&mut self, newer: Self) {
        self.power = newer.power.or(self.power).filter(|power| *power > Power::ZERO);
    }
}
