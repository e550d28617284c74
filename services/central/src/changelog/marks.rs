//! Which rows the changelog does not have as they are now.

use crate::{
    Error,
    error::Unreadable,
    store::{codec, keys},
};
use domain::Wall;
use evmesh_proto::store::{StoredMarks, StoredMeta};
use mesh::store::{Batch, Store};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// So many entries are read at a time at a start.
const PAGE: usize = 1000;
/// One entry has so many keys at most: some kilobytes.
const KEYS_AN_ENTRY: usize = 100;
/// Versions are microseconds since the epoch, or one above the last: they rise over restarts, and say how old a mark
/// is.
const VERSIONS_A_MS: u64 = 1000;

/// The marks, on disk and in memory. There are at most as many as the store has rows, and those deleted meanwhile:
/// some 200 bytes each. On disk those of one transaction are one entry, which goes when all of its rows are
/// published: one by one, they would cost more than what they mark.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    marks: HashMap<Arc<[u8]>, Mark>,
    queue: BTreeMap<u64, Arc<[u8]>>,
    /// The entries on disk by their first version: how many of their versions are not published yet.
    entries: BTreeMap<u64, usize>,
    /// Of this transaction: versions that follow each other.
    new: Vec<(u64, Arc<[u8]>)>,
    /// Entries that this transaction deletes.
    done: Vec<u64>,
    last: u64,
    /// Up to this version the log may have them, as far as this store knows.
    given: u64,
}

#[derive(Debug, Clone, Default)]
struct Mark {
    /// It was taken, to be published.
    taken: bool,
    /// Its row changed after that: the version from when it has to be published again.
    again: Option<u64>,
}

/// The latest time that the clock had shown when it was given.
pub(super) fn date_of(version: u64) -> Wall {
    Wall(i64::try_from(version / VERSIONS_A_MS).unwrap_or(i64::MAX)).min(Wall::MAX)
}

impl Marks {
    /// Those of a store, as far as its own page says that the log may have them.
    pub(crate) fn of(store: &impl Store, meta: &StoredMeta) -> Result<Self, Error> {
        let marks = Self::restore(store, meta.changelog_version)?;
        // What was marked while nobody knew whose the log is was never published.
        let given = meta.changelog_given_to.unwrap_or(marks.given);
        Ok(Self { given, ..marks })
    }

    /// Reads those of an earlier process. New versions are above `published`.
    pub(crate) fn restore(store: &impl Store, published: u64) -> Result<Self, Error> {
        let mut marks = Self { last: published, ..Self::default() };
        let mut from = keys::MARKS.to_vec();
        loop {
            let page = store.range(&from, keys::MARKS, PAGE)?;
            for (key, value) in &page {
                let damaged = || Unreadable::new("a mark", "its version is damaged");
                marks.restore_entry(
                    keys::marks_version(key).ok_or_else(damaged)?,
                    codec::decode("a mark", value)?,
                );
            }
            match page.into_iter().next_back() {
                Some((last, _)) => from = keys::after(last),
                None => return Ok(Self { given: marks.last, ..marks }),
            }
        }
    }

    fn restore_entry(&mut self, first: u64, entry: StoredMarks) {
        self.entries.insert(first, entry.keys.len());
        for (version, key) in (first..).zip(entry.keys) {
            self.last = self.last.max(version);
            if self.has(&key) {
                self.release(version); // published at its first place, it is as it is by then
            } else {
                self.insert(key.into(), version);
            }
        }
    }

    fn insert(&mut self, key: Arc<[u8]>, version: u64) {
        self.queue.insert(version, key.clone());
        self.marks.insert(key, Mark::default());
    }

    /// One version of an entry is not needed any more.
    fn release(&mut self, version: u64) {
        let Some((&first, left)) = self.entries.range_mut(..=version).next_back() else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.entries.remove(&first);
            self.done.push(first);
        }
    }

    /// A row changes in this transaction. Within one, `now` is the same.
    pub(crate) fn mark(&mut self, key: &[u8], now: Wall) {
        let again = match self.marks.get(key) {
            None => false,
            Some(mark) if mark.taken && mark.again.is_none() => true,
            Some(_) => return, // it is published as it is then
        };
        let clock = u64::try_from(now.0).unwrap_or_default().saturating_mul(VERSIONS_A_MS);
        let version = clock.max(self.last + 1);
        self.last = version;
        let key: Arc<[u8]> = key.into();
        self.new.push((version, key.clone()));
        match self.marks.get_mut(&key).filter(|_| again) {
            Some(mark) => mark.again = Some(version),
            None => self.insert(key, version),
        }
    }

    /// Writes what this transaction marked and what it is done with.
    pub(crate) fn write(&mut self, batch: &mut Batch) {
        for first in self.done.drain(..) {
            batch.delete(keys::marks(first));
        }
        let new = std::mem::take(&mut self.new);
        for entry in
            new.chunk_by(|(one, _), (next, _)| one + 1 == *next).flat_map(|run| run.chunks(KEYS_AN_ENTRY))
        {
            let Some((first, _)) = entry.first() else { continue };
            let keys = entry.iter().map(|(_, key)| key.to_vec()).collect();
            batch.put(keys::marks(*first), codec::encode(&StoredMarks { keys }));
            self.entries.insert(*first, entry.len());
        }
    }

    /// The oldest marks, to be published in this order.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<(u64, Arc<[u8]>)> {
        let oldest: Vec<_> =
            self.queue.iter().take(limit).map(|(version, key)| (*version, key.clone())).collect();
        for (version, key) in &oldest {
            self.given = self.given.max(*version);
            if let Some(mark) = self.marks.get_mut(key) {
                mark.taken = true;
            }
        }
        oldest
    }

    /// Kafka has these, as they were when they were taken. Returns the keys of those that did not change since.
    pub(crate) fn published(&mut self, versions: &[u64]) -> Vec<Arc<[u8]>> {
        let mut settled = Vec::new();
        for version in versions {
            let Some(key) = self.queue.remove(version) else { continue };
            self.release(*version);
            match self.marks.remove(&key).and_then(|mark| mark.again) {
                Some(again) => self.insert(key, again),
                None => settled.push(key),
            }
        }
        settled
    }

    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.marks.contains_key(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// How long the oldest change has waited, in seconds by the wall clock; 0 without one.
    pub(crate) fn oldest_seconds(&self, now: Wall) -> f64 {
        let Some((version, _)) = self.queue.first_key_value() else { return 0.0 };
        now.0.saturating_sub(date_of(*version).0).max(0) as f64 / 1000.0
    }

    /// The highest version that the log may have of this store: one of before this process, or one that was taken to be
    /// published. What is only marked since the start says nothing of how old the store is.
    pub(crate) fn highest(&self) -> u64 {
        self.given
    }

    /// The newest version of any mark there ever was.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Are all published that were marked up to this version?
    pub(crate) fn are_published_to(&self, version: u64) -> bool {
        self.queue.first_key_value().is_none_or(|(oldest, _)| *oldest > version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::store::MemoryStore;

    fn marked(marks: &mut Marks, keys: &[&str], store: &mut MemoryStore) {
        let mut batch = Batch::default();
        keys.iter().for_each(|key| marks.mark(key.as_bytes(), Wall(1)));
        marks.write(&mut batch);
        store.commit(batch).unwrap();
    }

    fn published(marks: &mut Marks, taken: &[(u64, Arc<[u8]>)], store: &mut MemoryStore) -> Vec<String> {
        let versions: Vec<u64> = taken.iter().map(|(version, _)| *version).collect();
        let settled = marks.published(&versions);
        let mut batch = Batch::default();
        marks.write(&mut batch);
        store.commit(batch).unwrap();
        settled.iter().map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
    }

    fn entries(store: &MemoryStore) -> usize {
        store.range(keys::MARKS, keys::MARKS, 999).unwrap().len()
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
        marked(&mut marks, &["c", "a", "a"], &mut store); // while a and b are under way
        assert_eq!(entries(&store), 2);
        let restored = Marks::restore(&store, 0).unwrap();
        assert_eq!((restored.len(), names(&restored.clone().take(9))), (3, vec!["a", "b", "c"]));
        assert_eq!(published(&mut marks, &taken, &mut store), ["b"]);
        assert_eq!((names(&marks.take(9)), entries(&store)), (vec!["c", "a"], 1));
        let mut restored = Marks::restore(&store, 0).unwrap();
        let taken = restored.take(9);
        assert_eq!(names(&taken), ["c", "a"], "the same after a restart");
        assert_eq!(restored.highest(), marks.highest());
        assert_eq!(published(&mut restored, &taken, &mut store), ["c", "a"]);
        assert_eq!((restored.len(), entries(&store)), (0, 0));
    }

    #[test]
    fn what_is_marked_twice_on_disk_is_published_once_and_leaves_nothing() {
        let (mut marks, mut store) = (Marks::default(), MemoryStore::new());
        marked(&mut marks, &["a"], &mut store);
        marks.take(9);
        marked(&mut marks, &["a"], &mut store);
        let mut restored = Marks::restore(&store, 0).unwrap();
        let taken = restored.take(9);
        assert_eq!(taken.len(), 1);
        assert_eq!(published(&mut restored, &taken, &mut store), ["a"]);
        assert_eq!(entries(&store), 0);
    }

    #[test]
    fn a_transaction_has_entries_of_a_bounded_size() {
        let (mut marks, mut store) = (Marks::default(), MemoryStore::new());
        let many: Vec<String> = (0..250).map(|n| format!("{n:03}")).collect();
        marked(&mut marks, &many.iter().map(String::as_str).collect::<Vec<_>>(), &mut store);
        assert_eq!(entries(&store), 3);
        let mut restored = Marks::restore(&store, 0).unwrap();
        let taken = restored.take(999);
        assert_eq!(names(&taken), many);
        assert_eq!(published(&mut restored, &taken[..120], &mut store), many[..120]);
        assert_eq!(entries(&store), 2, "the first hundred are done");
    }

    #[test]
    fn versions_rise_over_restarts_and_a_clock_that_is_behind() {
        let mut store = MemoryStore::new();
        let mut marks = Marks::restore(&store, 77_000).unwrap();
        marked(&mut marks, &["a"], &mut store);
        assert_eq!(marks.highest(), 77_000, "what is only marked is not in the log");
        assert_eq!(marks.take(1)[0].0, 77_001);
        assert_eq!(marks.highest(), 77_001);
        assert_eq!(marks.oldest_seconds(Wall(1_077)), 1.0);
        assert_eq!(Marks::restore(&store, 0).unwrap().highest(), 77_001);
    }
}
