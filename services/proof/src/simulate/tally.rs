//! What a run exercised: an idle simulation shows in it.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) checks: u64,
    pub(super) simulated_ms: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    pub(super) fn add(&mut self, what: &str, many: u64) {
        match self.counts.get_mut(what) {
            Some(count) => *count += many,
            None => drop(self.counts.insert(what.to_owned(), many)),
        }
    }

    pub(super) fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.checks += other.checks;
        self.simulated_ms += other.simulated_ms;
        for (what, many) in &other.counts {
            self.add(what, *many);
        }
    }

    /// One count a line, in order of their names.
    pub(super) fn print(&self) {
        let hours = self.simulated_ms as f64 / 3_600_000.0;
        println!("{:>12} events in {hours:.1} simulated hours", self.events);
        println!("{:>12} checks", self.checks);
        for (what, many) in &self.counts {
            println!("{many:>12} {what}");
        }
    }
}
