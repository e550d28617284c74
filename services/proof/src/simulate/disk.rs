//! A disk that outlives its process, and may fail it at the worst moment.

use mesh::store::{Batch, Entry, MemoryStore, Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of the next commit that has something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is on disk when it returns.
    Works,
    /// The process dies in it; nothing of it is on disk.
    Lost,
    /// The process dies in it; all of it is on disk.
    Kept,
}

/// A change of one entry; `None` removes it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug)]
struct Pages {
    store: MemoryStore,
    fate: Fate,
    dead: bool,
    written: Vec<Change>,
}

/// The pages, shared by the process that runs on them and the world that judges it.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<Pages>>);

impl Disk {
    pub(super) fn new() -> Self {
        let pages = Pages { store: MemoryStore::new(), fate: Fate::Works, dead: false, written: Vec::new() };
        Self(Arc::new(Mutex::new(pages)))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides the next commit.
    pub(super) fn set_fate(&self, fate: Fate) {
        self.pages().fate = fate;
    }

    /// Did a commit fail? The process on it is dead, whatever it says.
    pub(super) fn is_dead(&self) -> bool {
        self.pages().dead
    }

    /// For the next process.
    pub(super) fn revive(&self) {
        let mut pages = self.pages();
        (pages.dead, pages.fate) = (false, Fate::Works);
    }

    /// What was written since the last time.
    pub(super) fn take_written(&self) -> Vec<Change> {
        std::mem::take(&mut self.pages().written)
    }

    /// A copy of everything that is there.
    pub(super) fn copy(&self) -> MemoryStore {
        self.pages().store.clone()
    }

    /// Puts a copy in its place; gives every entry that is there now.
    pub(super) fn restore(&self, copy: MemoryStore) -> Vec<Entry> {
        let mut pages = self.pages();
        pages.store = copy;
        pages.written.clear();
        pages.store.range(&[], &[], usize::MAX).unwrap_or_default()
    }
}

impl Store for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.pages().store.get(key)
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.pages().store.range(from, prefix, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut pages = self.pages();
        let died = || Err(StoreError::Write(std::io::Error::other("the process died in its commit")));
        if pages.dead || pages.fate == Fate::Lost {
            pages.dead = true;
            return died();
        }
        let changes = batch.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)));
        let changes: Vec<Change> = changes.collect();
        pages.written.extend(changes);
        pages.store.commit(batch)?;
        if pages.fate == Fate::Kept {
            pages.dead = true;
            return died();
        }
        Ok(())
    }
}
