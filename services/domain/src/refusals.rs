//! Certificates that an engine refuses, as central told it.
//!
//! Deliberately absent: a clock. By the engine's own, which may be far ahead, one would have run out that everybody
//! takes again once that clock is right. What has run out goes when there is no room for it.

use crate::{Wall, revocations::Serial};
use std::collections::{BTreeMap, BTreeSet};

/// So many are refused at most, each some 100 bytes: 30 of each of thirty people, and of those who stood at the charge
/// point before. Beyond it those go that were not told last, and of them those that run out first.
pub const MAX_REFUSALS: usize = 1_000;

/// Certificates that are to be refused, each with its end.
pub type List = Vec<(Serial, Wall)>;

/// All that an engine refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<Serial, Wall>);

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// These are refused from now on, and until when they would be valid.
    pub refused: List,
    /// These are not refused any more.
    pub gone: Vec<Serial>,
}

impl Refusals {
    /// From what was written.
    pub fn restore(written: impl IntoIterator<Item = (Serial, Wall)>) -> Self {
        Self(written.into_iter().collect())
    }

    pub fn serials(&self) -> impl Iterator<Item = &Serial> {
        self.0.keys()
    }

    /// Those of them that are refused.
    pub fn held<'a>(&'a self, told: &'a List) -> impl Iterator<Item = &'a (Serial, Wall)> {
        told.iter().filter(|(serial, ends)| self.0.get(serial) == Some(ends))
    }

    /// Takes what is told, of which nothing is taken back by not being told again.
    pub fn take(&mut self, told: &List) -> Change {
        let known = self.0.clone();
        self.0.extend(told.iter().cloned());
        let named: BTreeSet<_> = told.iter().map(|(serial, _)| serial).collect();
        let rank = |(serial, ends): (&Serial, &Wall)| (named.contains(serial), *ends, serial.clone());
        let mut by_rank: Vec<_> = self.0.iter().map(rank).collect();
        by_rank.sort();
        let excess = by_rank.len().saturating_sub(MAX_REFUSALS);
        for (_, _, serial) in &by_rank[..excess] {
            self.0.remove(serial);
        }
        let new = self.0.iter().filter(|(serial, ends)| known.get(*serial) != Some(*ends));
        let gone = known.keys().filter(|serial| !self.0.contains_key(*serial));
        Change {
            refused: new.map(|(serial, ends)| (serial.clone(), *ends)).collect(),
            gone: gone.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(all: &[(&str, i64)]) -> Vec<(Serial, Wall)> {
        all.iter().map(|(serial, ends)| ((*serial).into(), Wall(*ends))).collect()
    }

    #[test]
    fn what_was_told_is_refused_whatever_time_it_is_here_and_only_that_is_said_to_be() {
        let mut held = Refusals::default();
        let change = held.take(&told(&[("a", 5), ("over", 1)]));
        assert_eq!(change, Change { refused: told(&[("a", 5), ("over", 1)]), gone: vec![] });
        assert_eq!(held.take(&told(&[("a", 5)])), Change::default());
        let change = held.take(&told(&[("b", 9)]));
        assert_eq!(
            (change.refused, change.gone),
            (told(&[("b", 9)]), vec![]),
            "another one is not taken back"
        );
        let written = told(&[("a", 5), ("b", 9), ("over", 1)]);
        assert_eq!(Refusals::restore(written), held);
        let all = told(&[("over", 1), ("b", 8), ("c", 2), ("a", 5)]);
        assert_eq!(held.held(&all).cloned().collect::<List>(), told(&[("over", 1), ("a", 5)]));
    }

    #[test]
    fn beyond_the_bound_those_go_that_run_out_first_but_nothing_that_was_told_last() {
        let many = |from: usize| -> List {
            (from..from + MAX_REFUSALS - 1).map(|n| (format!("{n}").into(), Wall(n as i64 + 9))).collect()
        };
        let mut held = Refusals::default();
        held.take(&[told(&[("early", 1)]), many(0)].concat());
        let change = held.take(&many(2));
        assert_eq!((change.gone, change.refused.len()), (vec!["0".into(), "early".into()], 2));
        let change = held.take(&told(&[("early", 1)]));
        assert_eq!((change.gone, change.refused), (vec!["1".into()], told(&[("early", 1)])));
        assert_eq!(held.held(&many(2)).count(), MAX_REFUSALS - 1);
        assert_eq!(held.serials().count(), MAX_REFUSALS);
        held.take(&many(5_000));
        assert_eq!(
            (held.held(&many(5_000)).count(), held.serials().count()),
            (MAX_REFUSALS - 1, MAX_REFUSALS)
        );
    }
}
