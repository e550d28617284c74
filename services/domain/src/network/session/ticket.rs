//! The ticket: the bill of a session whose supply started, made here and nowhere else (INV-1, INV-4).

use crate::{Energy, Money, Price, SupplyEnd, Wall};

/// The bill of a session whose supply started. It never changes, but for what is noted beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ticket {
    /// What is billed.
    pub energy: Energy,
    /// Energy × price, rounded once by [`Price::bill`].
    pub amount: Money,
    /// Why the engine ended the supply, with its final reading; `None`: that reading could not be had.
    pub end: Option<SupplyEnd>,
    pub issued: Wall,
    /// A higher reading that came later: recorded, not billed. Zero if there is none.
    pub late_energy: Energy,
}

impl Ticket {
    /// The one place where a ticket is born. It bills the highest reading at the price fixed when authorising, and
    /// nothing else.
    pub(super) fn issue(price: Price, energy: Energy, end: Option<SupplyEnd>, issued: Wall) -> Self {
        Self { energy, amount: price.bill(energy), end, issued, late_energy: Energy::ZERO }
    }

    /// A ticket out of a store: what was issued is not reckoned again.
    pub fn stored(
        energy: Energy,
        amount: Money,
        end: Option<SupplyEnd>,
        issued: Wall,
        late_energy: Energy,
    ) -> Self {
        Self { energy, amount, end, issued, late_energy }
    }

    /// It bills the last reading that central knew, for want of the final one.
    pub fn estimated(&self) -> bool {
        self.end.is_none()
    }

    /// A reading after the ticket. False: it is no higher than what is known.
    pub(super) fn note(&mut self, energy: Energy) -> bool {
        let higher = energy > self.energy.max(self.late_energy);
        if higher {
            self.late_energy = energy; // recorded beside the ticket, never billed
        }
        higher
    }
}
