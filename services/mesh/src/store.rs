//! Where a service keeps what must survive it: ordered keys and values, written in atomic batches that are on disk when
//! [`Store::commit`] returns.
//!
//! One owner writes (group commit); nothing here is shared between threads. An error of a commit is fatal: whether it
//! was applied is unknown, so the service stops serving, exits and recovers at its next start.
//!
//! A commit is on disk with its record in a journal: sled gets the rows later, those of many commits at once. A store
//! on a disk proves at its start that it lacks nothing: a row counts and sums up all the others, and a small file says
//! which commit was the last. What was cut off, overwritten, emptied or exchanged is refused in one sentence, and never
//! taken for an empty store.

mod disk;
mod memory;
mod whole;

pub use disk::SledStore;
pub use memory::MemoryStore;

use crate::files::FolderError;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

pub type Entry = (Vec<u8>, Vec<u8>);

/// Why a store cannot be used. `older_copies`, as in [`Role`]: may its owner go on with an older copy? Of commits that
/// are counted, 0 is none at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store in {0} is in use by another process; stop that process or choose another folder")]
    InUse(PathBuf),
    #[error("the store in {folder} cannot be opened; check the folder's permissions and the disk")]
    Open { folder: PathBuf, source: std::io::Error },
    #[error("the store cannot be kept: {0}")]
    Private(FolderError),
    #[error(
        "the folder {folder} was removed or replaced while its store was in use; {}",
        way_out(*older_copies)
    )]
    Gone { folder: PathBuf, older_copies: bool },
    #[error("the store in {folder} is damaged: {what}; {}", way_out(*older_copies))]
    Damaged { folder: PathBuf, older_copies: bool, what: String, source: Option<sled::Error> },
    #[error(
        "the store in {folder} lost its newest changes: {committed} were acknowledged, and it has {found}; {}{}",
        way_out(*older_copies),
        go_on(*older_copies && *found > 0, folder)
    )]
    Lost { folder: PathBuf, committed: u64, found: u64, older_copies: bool },
    #[error(
        "the folder {folder} is not empty, and holds no store that is known to be whole; \
         if this is the right folder: {}",
        way_out(*older_copies)
    )]
    Unproven { folder: PathBuf, older_copies: bool },
    #[error(
        "the store in {folder} is of the role '{found}', not '{wanted}'; choose another folder with --data"
    )]
    OtherRole { folder: PathBuf, found: String, wanted: String },
    #[error(
        "there is no store in {folder}, and --store-must-exist says that there should be one; \
         is its disk mounted? Restore the backup, or start once without the flag to begin with a new store"
    )]
    Missing { folder: PathBuf },
    #[error(
        "the store in {folder} has format {found}, and this version knows up to {known}; use a newer version"
    )]
    Newer { folder: PathBuf, found: u32, known: u32 },
    #[error("the store cannot be read")]
    Read(#[source] sled::Error),
    /// Writing failed; whether the batch was applied is unknown.
    #[error("the store cannot be written; whether the last change was kept is found at the next start")]
    Write(#[source] std::io::Error),
}

/// What to do with a store that cannot be used.
fn way_out(older_copies: bool) -> &'static str {
    match older_copies {
        true => {
            "put its backup in its place, or move the folder away and start with a new one \
             (docs/OPERATIONS.md, 'Backup and restore', says what each costs)"
        }
        false => {
            "move the folder away and start with a new one \
             (docs/OPERATIONS.md, 'Backup and restore', says what that costs)"
        }
    }
}

fn go_on(can: bool, folder: &Path) -> String {
    match can {
        true => format!(
            "; to go on with what is left, as from a backup, delete {}",
            folder.join(whole::FILE).display()
        ),
        false => String::new(),
    }
}

impl StoreError {
    /// Does a person have to act before a restart can help?
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Damaged { .. }
            | Self::Lost { .. }
            | Self::Unproven { .. }
            | Self::Private(_)
            | Self::Gone { .. }
            | Self::OtherRole { .. }
            | Self::Missing { .. }
            | Self::Newer { .. } => true,
            Self::InUse(_) | Self::Open { .. } | Self::Read(_) | Self::Write(_) => false,
        }
    }
}

/// Whose store it is, and how it may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// The role's name: another one's store is refused.
    pub name: &'static str,
    /// May it go on with an older copy of its store, if a person says so? An engine may not: its meter is money, and
    /// its authorisation numbers only rise.
    pub older_copies: bool,
    /// Is it an error that there is no store yet? Default false: a new one begins.
    pub must_exist: bool,
}

/// Changes that are applied together or not at all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some values are secrets.
        f.debug_set().entries(self.changes.keys().map(|key| key.escape_ascii().to_string())).finish()
    }
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

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

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
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries in order of their keys: those that start with `prefix`, from the key `from` on.
    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Applies a batch, atomically; it is on disk when this returns. An empty batch changes nothing; whether the store
    /// is still there may be looked at all the same.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn batch(puts: &[(&str, &str)], deletes: &[&str]) -> Batch {
        let mut batch = Batch::default();
        puts.iter().for_each(|(key, value)| batch.put(*key, *value));
        deletes.iter().for_each(|key| batch.delete(*key));
        batch
    }

    pub(super) fn keys(store: &impl Store, from: &str, prefix: &str, limit: usize) -> Vec<String> {
        let entries = store.range(from.as_bytes(), prefix.as_bytes(), limit).unwrap();
        entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }

    pub(crate) fn behaves(store: &mut impl Store) {
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
}
