//! Which rows the changelog does not have as they are now.

use crate::{Error, codec, keys};
use domain::Wall;
use mesh::store::{Batch, Store};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// So many entries are read at a time at a start.
const PAGE: usize = 1000;
/// Versions are microseconds since the epoch, or one above the last: they rise over restarts, and say how old a mark is.
const VERSIONS_A_MS: u64 = 1000;

/// The marks, on disk and in memory. There are at most as many as the store has rows, and those deleted meanwhile: some 200
/// bytes each.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    marks: HashMap<Arc<[u8]>, Mark>,
    /// By version.
    queue: BTreeMap<u64, Arc<[u8]>>,
    last: u64,
}

#[derive(Debug, Default)]
struct Mark {
    /// It was taken, to be published.
    taken: bool,
    /// Its row changed after that: the version from when it has to be published again.
    again: Option<u64>,
}

impl Marks {
    /// Reads those of an earlier process. New versions are above `published`.
    pub(crate) fn restore(store: &impl Store, published: u64) -> Result<Self, Error> {
        let mut marks = Self { last: published, ..Self::default() };
        let mut from = keys::MARKS.to_vec();
        loop {
            let page = store.range(&from, keys::MARKS, PAGE)?;
            for (key, value) in &page {
                let damaged = |_| codec::Unreadable::new("a mark", "its version is damaged");
                let version = value.as_slice().try_into().map(u64::from_be_bytes).map_err(damaged)?;
                marks.insert(key[keys::MARKS.len()..].into(), version);
                marks.last = marks.last.max(version);
            }
            match page.into_iter().next_back() {
                Some((last, _)) => from = keys::after(last),
                None => return Ok(marks),
            }
        }
    }

    fn insert(&mut self, key: Arc<[u8]>, version: u64) {
        self.queue.insert(version, key.clone());
        self.marks.insert(key, Mark::default());
    }

    fn next(&mut self, now: Wall) -> u64 {
        let clock = u64::try_from(now.0).unwrap_or_default().saturating_mul(VERSIONS_A_MS);
        self.last = clock.max(self.last + 1);
        self.last
    }

    /// A row changes in this transaction.
    pub(crate) fn mark(&mut self, key: &[u8], now: Wall, batch: &mut Batch) {
        match self.marks.get(key).map(|mark| mark.taken && mark.again.is_none()) {
            Some(false) => {} // it is published as it is then
            Some(true) => {
                let version = self.next(now);
                if let Some(mark) = self.marks.get_mut(key) {
                    mark.again = Some(version);
                }
            }
            None => {
                let version = self.next(now);
                batch.put(keys::mark(key), version.to_be_bytes());
                self.insert(key.into(), version);
            }
        }
    }

    /// The oldest marks, to be published in this order.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<(u64, Arc<[u8]>)> {
        let oldest: Vec<_> =
            self.queue.iter().take(limit).map(|(version, key)| (*version, key.clone())).collect();
        for (_, key) in &oldest {
            if let Some(mark) = self.marks.get_mut(key) {
                mark.taken = true;
            }
        }
        oldest
    }

    /// Kafka has these, as they were when they were taken. Returns the keys of those that did not change since.
    pub(crate) fn published(&mut self, versions: &[u64], batch: &mut Batch) -> Vec<Arc<[u8]>> {
        let mut settled = Vec::new();
        for version in versions {
            let Some(key) = self.queue.remove(version) else { continue };
            match self.marks.remove(&key).and_then(|mark| mark.again) {
                Some(again) => {
                    batch.put(keys::mark(&key), again.to_be_bytes());
                    self.insert(key, again);
                }
                None => {
                    batch.delete(keys::mark(&key));
                    settled.push(key);
                }
            }
        }
        settled
    }

    /// Is a row marked?
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.marks.contains_key(key)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// How long the oldest change has waited, in seconds by the wall clock; 0 without one.
    pub(crate) fn oldest_seconds(&self, now: Wall) -> f64 {
        let Some((version, _)) = self.queue.first_key_value() else { return 0.0 };
        let since = i64::try_from(version / VERSIONS_A_MS).unwrap_or(i64::MAX);
        now.0.saturating_sub(since).max(0) as f64 / 1000.0
    }

    /// The highest version there ever was, as far as this process knows.
    pub(crate) fn highest(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::store::MemoryStore;

    fn marked(marks: &mut Marks, keys: &[&str], store: &mut MemoryStore) {
        let mut batch = Batch::default();
        keys.iter().for_each(|key| marks.mark(key.as_bytes(), Wall(1), &mut batch));
        store.commit(batch).unwrap();
    }

    fn names(taken: &[(u64, Arc<[u8]>)]) -> Vec<&str> {
        taken.iter().map(|(_, key)| std::str::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn marks_coalesce_and_keep_the_place_of_their_first_change() {
        let (mut marks, mut store) = (Marks::default(), MemoryStore::new());
        marked(&mut marks, &["a", "b", "a"], &mut store);
        let taken = marks.take(9);
        assert_eq!(names(&taken), ["a", "b"]);
        marked(&mut marks, &["c", "a"], &mut store); // while a and b are under way
        let mut batch = Batch::default();
        let versions: Vec<u64> = taken.iter().map(|(version, _)| *version).collect();
        let settled = marks.published(&versions, &mut batch);
        store.commit(batch).unwrap();
        assert_eq!(settled.iter().map(|key| &**key).collect::<Vec<_>>(), [b"b"]);
        assert_eq!(names(&marks.take(9)), ["c", "a"]);
        let mut restored = Marks::restore(&store, 0).unwrap();
        assert_eq!(names(&restored.take(9)), ["c", "a"], "the same after a restart");
        assert_eq!(restored.highest(), marks.highest());
    }

    #[test]
    fn versions_rise_over_restarts_and_a_clock_that_is_behind() {
        let mut store = MemoryStore::new();
        let mut marks = Marks::restore(&store, 77_000).unwrap();
        marked(&mut marks, &["a"], &mut store);
        assert_eq!(marks.take(1)[0].0, 77_001);
        assert_eq!(marks.oldest_seconds(Wall(1_077)), 1.0);
        assert_eq!(Marks::restore(&store, 0).unwrap().highest(), 77_001);
    }
}
