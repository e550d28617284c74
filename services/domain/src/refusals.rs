//! Certificates that an engine refuses, as central told it: each until it runs out.

use crate::{Wall, revocations::Serial};
use std::collections::BTreeMap;

/// So many are refused at most, each some 100 bytes: 30 of each of thirty people, and of those who stood at the charge
/// point before. Beyond it those go that run out first.
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

    /// Those of them that are refused, or have run out.
    pub fn held<'a>(&'a self, now: Wall, told: &'a List) -> impl Iterator<Item = &'a (Serial, Wall)> {
        told.iter().filter(move |(serial, ends)| *ends <= now || self.0.get(serial) == Some(ends))
    }

    /// Takes what is told, of which nothing is taken back by not being told again; lets go what has run out.
    pub fn take(&mut self, now: Wall, told: impl IntoIterator<Item = (Serial, Wall)>) -> Change {
        let known = self.0.clone();
        self.0.extend(told);
        let mut by_end: Vec<_> = self.0.iter().map(|(serial, ends)| (*ends, serial.clone())).collect();
        by_end.sort();
        let excess = by_end.len().saturating_sub(MAX_REFUSALS);
        for (place, (ends, serial)) in by_end.iter().enumerate() {
            if place < excess || *ends <= now {
                self.0.remove(serial);
            }
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
    fn what_was_told_is_refused_until_it_runs_out() {
        let mut held = Refusals::default();
        let change = held.take(Wall(1), told(&[("a", 5), ("late", 1)]));
        assert_eq!(change, Change { refused: told(&[("a", 5)]), gone: vec![] });
        assert_eq!(held.take(Wall(1), told(&[("a", 5)])), Change::default());
        let change = held.take(Wall(4), told(&[("b", 9)]));
        assert_eq!(
            (change.refused, change.gone),
            (told(&[("b", 9)]), vec![]),
            "another one is not taken back"
        );
        let change = held.take(Wall(5), told(&[]));
        assert_eq!((change.refused, change.gone), (vec![], vec!["a".into()]));
        assert_eq!(Refusals::restore(told(&[("b", 9)])), held);
    }

    #[test]
    fn beyond_the_bound_those_go_that_run_out_first() {
        let many =
            |from: usize| (from..from + MAX_REFUSALS).map(|n| (format!("{n}").into(), Wall(n as i64 + 9)));
        let mut held = Refusals::default();
        held.take(Wall(1), many(0));
        let change = held.take(Wall(1), many(2));
        let told: List = many(0).collect();
        let kept = |now| held.held(Wall(now), &told).map(|(serial, _)| serial.as_ref()).collect::<Vec<_>>();
        assert_eq!((kept(1).len(), kept(1)[0]), (MAX_REFUSALS - 2, "2"));
        assert_eq!(kept(9).len(), MAX_REFUSALS - 1, "the first has run out: nobody can show it");
        assert_eq!((change.gone, held.serials().count()), (vec!["0".into(), "1".into()], MAX_REFUSALS));
        assert_eq!(change.refused.len(), 2);
    }
}
