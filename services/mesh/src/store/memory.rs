//! A store without a disk: for tests, and for the simulation.

use super::{Batch, Entry, Store, StoreError};
use std::{cell::Cell, collections::BTreeMap};

/// A store in memory. A clone is a copy of the disk: open it to see what a crash leaves.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    commits: u64,
    written: u64,
    read: Cell<u64>,
    fail_after: Option<u64>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches were committed: each costs a disk one flush.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// How many rows were written or deleted, those that were so before included: each costs a disk one look.
    pub fn rows_written(&self) -> u64 {
        self.written
    }

    /// How many rows were looked at, those that are not there included: each costs a disk one look.
    pub fn rows_read(&self) -> u64 {
        self.read.get()
    }

    /// Every commit after the next `count` fails, and changes nothing: the process dies before its disk is reached.
    pub fn fail_after(&mut self, count: u64) {
        self.fail_after = Some(self.commits + count);
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read.set(self.read.get() + 1);
        Ok(self.entries.get(key).cloned())
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = from.max(prefix).to_vec();
        let entries = self.entries.range(from..).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        let entries = entries.inspect(|_| self.read.set(self.read.get() + 1));
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.fail_after.is_some_and(|count| self.commits >= count) {
            return Err(StoreError::Write(std::io::Error::other("the test's disk is gone")));
        }
        for (key, value) in batch.iter() {
            match value {
                Some(value) => self.entries.insert(key.to_vec(), value.to_vec()),
                None => self.entries.remove(key),
            };
        }
        self.commits += 1;
        self.written += batch.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{batch, behaves};

    #[test]
    fn memory_behaves_like_a_disk_and_can_fail() {
        let mut store = MemoryStore::new();
        behaves(&mut store);
        let disk = store.clone();
        store.fail_after(1);
        store.commit(batch(&[("d", "1")], &[])).unwrap();
        assert!(store.commit(batch(&[("d", "2")], &["c"])).is_err());
        assert_eq!(store.get(b"d").unwrap(), Some(b"1".to_vec()), "a failed commit changes nothing");
        assert_eq!(disk.get(b"d").unwrap(), None, "a copy of the disk stays as it was");
    }
}
