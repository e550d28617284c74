//! Who waits for whom: each driver's requests are asked for one at a time, in their order; those of different drivers
//! side by side. Plain data.

use domain::DriverId;
use std::collections::{BTreeMap, VecDeque};

/// A driver has at most so many requests under way: one that asks without waiting for its answers takes no places from
/// the others.
pub(crate) const EACH: usize = 4;

#[derive(Debug)]
pub(crate) struct Lanes<T> {
    /// For each driver with a request under way, what waits behind it.
    behind: BTreeMap<DriverId, VecDeque<T>>,
    waiting: usize,
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn<T> {
    /// It is its turn.
    Now(T),
    /// It waits for [`Lanes::done`].
    Later,
    /// Its driver has [`EACH`] already.
    Crowded(T),
}

impl<T> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self { behind: BTreeMap::new(), waiting: 0 }
    }

    /// How many wait for an earlier one of their driver.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn take(&mut self, driver: &DriverId, request: T) -> Turn<T> {
        let Some(behind) = self.behind.get_mut(driver) else {
            self.behind.insert(driver.clone(), VecDeque::new());
            return Turn::Now(request);
        };
        if behind.len() + 1 >= EACH {
            return Turn::Crowded(request);
        }
        behind.push_back(request);
        self.waiting += 1;
        Turn::Later
    }

    /// The driver's request is concluded; its next one, whose turn it is now.
    pub(crate) fn done(&mut self, driver: &DriverId) -> Option<T> {
        let next = self.behind.get_mut(driver)?.pop_front();
        if next.is_some() {
            self.waiting -= 1;
        } else {
            self.behind.remove(driver);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_has_its_order_and_its_bound() {
        let (ana, eva) = ("ana".parse().unwrap(), "eva".parse().unwrap());
        let mut lanes = Lanes::new();
        assert_eq!(lanes.take(&ana, 1), Turn::Now(1));
        assert_eq!(lanes.take(&ana, 2), Turn::Later);
        assert_eq!(lanes.take(&eva, 3), Turn::Now(3));
        assert_eq!(lanes.take(&ana, 4), Turn::Later);
        assert_eq!(lanes.take(&ana, 5), Turn::Later);
        assert_eq!(lanes.take(&ana, 6), Turn::Crowded(6));
        assert_eq!(lanes.waiting(), 3);
        assert_eq!((lanes.done(&ana), lanes.done(&eva)), (Some(2), None));
        assert_eq!(lanes.take(&eva, 7), Turn::Now(7));
        assert_eq!([lanes.done(&ana), lanes.done(&ana), lanes.done(&ana)], [Some(4), Some(5), None]);
        assert_eq!((lanes.done(&ana), lanes.waiting()), (None, 0));
    }
}
