//! Where a service keeps what must survive it: ordered keys and values, written in atomic batches that are on disk when
//! [`Store::commit`] returns.
//!
//! One owner writes (group commit); nothing here is shared between threads. An error of a commit is fatal: whether it was
//! applied is unknown, so the service stops serving, exits and recovers at its next start.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store in {0} is in use by another process; stop that process or choose another folder")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("the store in {folder} cannot be opened; check the folder's permissions and the disk")]
    Open {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is there is not a store of ours.
    #[error("the store in {folder} is damaged or of another program; restore it or choose another folder")]
    Damaged {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: sled::Error,
    },
    /// A newer version wrote it.
    #[error(
        "the store in {folder} has format {found}, and this version knows up to {known}; use a newer version"
    )]
    Newer {
        /// Which.
        folder: PathBuf,
        /// What it has.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// Reading failed.
    #[error("the store cannot be read")]
    Read(#[source] sled::Error),
    /// Writing failed; whether the batch was applied is unknown.
    #[error("the store cannot be written; whether the last change was kept is found at the next start")]
    Write(#[source] std::io::Error),
}

/// Changes that are applied together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Sets a value; the last change of a key counts. Keep values small: sled moves large ones to files of their own.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), Some(value.into()));
    }

    /// Removes a key, whether it is there or not.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.insert(key.into(), None);
    }

    /// Nothing to change?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many keys change.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The changes, by key; `None` removes it.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

/// Ordered keys and values on a disk, or in a test on none.
pub trait Store: Send + 'static {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries in order of their keys: those that start with `prefix`, from the key `from` on.
    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Applies a batch, atomically; it is on disk when this returns. An empty batch does nothing.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}

/// sled keeps at most so much in memory beside what it needs: the services keep their own state.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// A store in a folder, by sled.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    /// sled's file: its `flush` survives a killed process, and only `fdatasync` a power cut.
    file: File,
}

impl SledStore {
    /// Opens the store in a folder, which is created where it is missing. One process at a time.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let cannot = |source| StoreError::Open { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = config.open().map_err(|error| match error {
            // sled says so in words only: `could not acquire lock on … WouldBlock`
            sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => {
                StoreError::InUse(folder.to_owned())
            }
            sled::Error::Io(source) => cannot(source),
            source => StoreError::Damaged { folder: folder.to_owned(), source },
        })?;
        let file = File::open(folder.join("db")).map_err(cannot)?;
        Ok(Self { db, file })
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(StoreError::Read)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.db
            .range(from.max(prefix)..)
            .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .take(limit)
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(StoreError::Read))
            .collect()
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut changes = sled::Batch::default();
        for (key, value) in batch.changes {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        let written = |error: sled::Error| StoreError::Write(std::io::Error::other(error));
        self.db.apply_batch(changes).map_err(written)?;
        self.db.flush().map_err(written)?;
        self.file.sync_data().map_err(StoreError::Write)
    }
}

/// A store in memory, for tests. A clone is a copy of the disk: open it to see what a crash leaves.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    commits: u64,
    fail_after: Option<u64>,
}

impl MemoryStore {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches were committed: each costs a disk one flush.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Every commit after the next `count` fails, and changes nothing: the process dies before its disk is reached.
    pub fn fail_after(&mut self, count: u64) {
        self.fail_after = Some(self.commits + count);
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(key).cloned())
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = from.max(prefix).to_vec();
        let entries = self.entries.range(from..).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.fail_after.is_some_and(|count| self.commits >= count) {
            return Err(StoreError::Write(std::io::Error::other("the test's disk is gone")));
        }
        for (key, value) in batch.changes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
        self.commits += 1;
        Ok(())
    }
}

impl Store for Box<dyn Store> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(key)
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        (**self).range(from, prefix, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        (**self).commit(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(puts: &[(&str, &str)], deletes: &[&str]) -> Batch {
        let mut batch = Batch::default();
        puts.iter().for_each(|(key, value)| batch.put(*key, *value));
        deletes.iter().for_each(|key| batch.delete(*key));
        batch
    }

    fn keys(store: &impl Store, from: &str, prefix: &str, limit: usize) -> Vec<String> {
        let entries = store.range(from.as_bytes(), prefix.as_bytes(), limit).unwrap();
        entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }

    fn behaves(store: &mut impl Store) {
        store
            .commit(batch(&[("a/1", "x"), ("b/1", "1"), ("b/2", "2"), ("b/3", "3"), ("c", "z")], &[]))
            .unwrap();
        assert_eq!(keys(store, "", "b/", 9), ["b/1", "b/2", "b/3"]);
        assert_eq!(keys(store, "b/2", "b/", 1), ["b/2"]);
        assert_eq!(keys(store, "b/9", "b/", 9), [""; 0]);
        assert_eq!(keys(store, "", "", 9).len(), 5);
        store.commit(batch(&[("b/2", "two")], &["b/1", "missing"])).unwrap();
        assert_eq!(keys(store, "", "b/", 9), ["b/2", "b/3"]);
        assert_eq!(store.get(b"b/2").unwrap(), Some(b"two".to_vec()));
        store.commit(Batch::default()).unwrap();
    }

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

    #[test]
    fn a_folder_keeps_what_was_committed_and_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/store");
        let mut store = SledStore::open(&path).unwrap();
        behaves(&mut store);
        let second = SledStore::open(&path).unwrap_err();
        assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
        drop(store);
        let store = SledStore::open(&path).unwrap();
        assert_eq!(keys(&store, "", "", 9), ["a/1", "b/2", "b/3", "c"]);
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_a_plain_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "not a store").unwrap();
        assert!(matches!(SledStore::open(&file), Err(StoreError::Open { .. })));
        let strange = folder.path().join("strange");
        std::fs::create_dir(&strange).unwrap();
        std::fs::write(strange.join("conf"), "of another program").unwrap();
        let error = SledStore::open(&strange).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the store in {}", strange.display())), "{error}");
    }
}
