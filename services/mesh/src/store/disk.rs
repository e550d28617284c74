//! A store in a folder, by sled.

use super::{
    Batch, Entry, Role, Store, StoreError,
    whole::{self, Committed, Tally, Unreadable},
};
use crate::files::{self, FolderError, LOST_AND_FOUND};
use std::{
    cell::Cell,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    panic::{self, AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Once,
    thread,
    time::Duration,
};

/// sled keeps at most so much in memory beside what it needs: the services keep their own state.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// How long sled may take to let go of a folder after its store was closed; seen: milliseconds on a busy machine.
const LET_GO: Duration = Duration::from_secs(1);

/// A store in a folder, by sled.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    /// sled's file: its `flush` survives a killed process, and only `fdatasync` a power cut.
    file: File,
    /// The same file as its folder shows it: device and number. Without it there, all that is written is lost.
    place: (u64, u64),
    folder: PathBuf,
    older_copies: bool,
    /// As it is on disk.
    tally: Tally,
    committed: Committed,
}

impl SledStore {
    /// Opens the store in a folder, which is created where it is missing, for its owner alone; one that is open to
    /// others is refused. One process at a time.
    ///
    /// All rows are read once (about a second for a million): what is not as it was written is an error here, and so
    /// is a store that is older than what was acknowledged, or gone.
    pub fn open(folder: &Path, role: Role) -> Result<Self, StoreError> {
        let at = Place { folder, role };
        files::private_folder(folder).map_err(|error| match error {
            FolderError::Io(source) => at.cannot(source),
            open @ FolderError::OpenToOthers { .. } => StoreError::Private(open),
        })?;
        let bare = at.is_bare().map_err(|source| at.cannot(source))?;
        let mut committed = Committed::lock(folder)
            .map_err(|source| at.cannot(source))?
            .ok_or_else(|| StoreError::InUse(folder.to_owned()))?;
        let known = committed.read().map_err(|source| at.cannot(source))?;
        let known = match known.map_err(|why| at.unreadable(&why, "its file 'committed'"))? {
            Some((_, sequence)) if bare && sequence > 0 => return Err(at.lost(sequence, 0)),
            Some(known) => Some(known),
            None if bare && role.must_exist => return Err(StoreError::Missing { folder: folder.to_owned() }),
            None if bare => {
                let id = fastrand::u128(..);
                committed.begin(folder, id).map_err(|source| at.cannot(source))?;
                tracing::info!(folder = %folder.display(), "no store was there; a new one begins");
                Some((id, 0))
            }
            None if role.older_copies => None,
            None => return Err(at.unproven()),
        };
        let db = at.guarded(|| sled(folder))?;
        let file = File::open(folder.join("db")).map_err(|source| at.cannot(source))?;
        let found = file.metadata().map_err(|source| at.cannot(source))?;
        let tally = at.prove(&db, known)?;
        files::make_private(folder).map_err(|source| at.cannot(source))?;
        let (place, older_copies) = ((found.dev(), found.ino()), role.older_copies);
        let mut store = Self { db, file, place, folder: at.path(), older_copies, tally, committed };
        if known.is_none() {
            tracing::warn!(
                folder = %folder.display(),
                commit = store.tally.sequence,
                "the file 'committed' was not there: the store is taken as a restored copy"
            );
        }
        if store.tally.sequence == 0 {
            store.write(sled::Batch::default(), store.tally.clone())?; // from now on the row is there
        } else {
            let Tally { id, sequence, .. } = store.tally;
            store.committed.write(id, sequence).map_err(StoreError::Write)?;
        }
        Ok(store)
    }

    /// Writes changes with the tally after them.
    fn write(&mut self, mut changes: sled::Batch, mut tally: Tally) -> Result<(), StoreError> {
        tally.sequence += 1;
        changes.insert(whole::ROW, tally.encode());
        let written = |error: sled::Error| StoreError::Write(io::Error::other(error));
        self.db.apply_batch(changes).map_err(written)?;
        self.db.flush().map_err(written)?;
        self.file.sync_data().map_err(StoreError::Write)?;
        self.committed.write(tally.id, tally.sequence).map_err(StoreError::Write)?;
        self.tally = tally;
        Ok(())
    }

    /// What is written is of use only where the next start finds it: nothing more is acknowledged without that.
    fn is_there(&self) -> Result<(), StoreError> {
        match std::fs::metadata(self.folder.join("db")) {
            Ok(found) if (found.dev(), found.ino()) == self.place => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Write(error)),
            Ok(_) | Err(_) => {
                Err(StoreError::Gone { folder: self.folder.clone(), older_copies: self.older_copies })
            }
        }
    }
}

/// A folder and who opens it.
struct Place<'a> {
    folder: &'a Path,
    role: Role,
}

impl Place<'_> {
    fn path(&self) -> PathBuf {
        self.folder.to_owned()
    }

    fn cannot(&self, source: io::Error) -> StoreError {
        StoreError::Open { folder: self.path(), source }
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        self.damaged_by(what, None)
    }

    fn damaged_by(&self, what: impl Into<String>, source: Option<sled::Error>) -> StoreError {
        let older_copies = self.role.older_copies;
        StoreError::Damaged { folder: self.path(), older_copies, what: what.into(), source }
    }

    fn unproven(&self) -> StoreError {
        StoreError::Unproven { folder: self.path(), older_copies: self.role.older_copies }
    }

    fn unreadable(&self, why: &Unreadable, what: &str) -> StoreError {
        match why {
            Unreadable::Damaged => self.damaged(format!("{what} cannot be read")),
            Unreadable::Newer(found) => {
                StoreError::Newer { folder: self.path(), found: *found, known: whole::KNOWN }
            }
        }
    }

    fn lost(&self, committed: u64, found: u64) -> StoreError {
        let older_copies = self.role.older_copies;
        StoreError::Lost { folder: self.path(), committed, found, older_copies }
    }

    /// Is there nothing but our own file?
    fn is_bare(&self) -> io::Result<bool> {
        for entry in std::fs::read_dir(self.folder)? {
            let name = entry?.file_name();
            if name != whole::FILE && name != LOST_AND_FOUND {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// sled's word on the store; on a damaged one it may panic.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
        match quietly(work) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_locked(&error) => Err(StoreError::InUse(self.path())),
            Ok(Err(sled::Error::Io(source))) if has_place(&source) => Err(self.cannot(source)),
            Ok(Err(source)) => Err(self.damaged_by("sled cannot read it", Some(source))),
            Err(_) => Err(self.damaged("sled gave up on it")),
        }
    }

    /// Is everything there that was ever acknowledged? `known` is what the file says.
    fn prove(&self, db: &sled::Db, known: Option<(u128, u64)>) -> Result<Tally, StoreError> {
        let row = self.guarded(|| db.get(whole::ROW))?;
        let row = row.map(|row| Tally::decode(&row).map_err(|why| self.unreadable(&why, "its proof")));
        let tally = match (row.transpose()?, known) {
            (Some(tally), _) if tally.role != self.role.name => {
                let (found, wanted) = (tally.role, self.role.name.to_owned());
                return Err(StoreError::OtherRole { folder: self.path(), found, wanted });
            }
            (Some(tally), Some((id, _))) if tally.id != id => {
                return Err(self.damaged("its file 'committed' is another store's"));
            }
            (Some(tally), Some((_, sequence))) if tally.sequence < sequence => {
                return Err(self.lost(sequence, tally.sequence));
            }
            (Some(tally), _) => tally,
            (None, Some((id, 0))) => Tally::new(id, self.role.name), // it was killed before its first commit
            (None, Some((_, sequence))) => return Err(self.lost(sequence, 0)),
            (None, None) => return Err(self.unproven()),
        };
        let found = self.guarded(|| {
            let mut found = Tally::new(tally.id, &tally.role);
            for entry in db.iter() {
                let (key, value) = entry?;
                if key != whole::ROW {
                    found.add(&key, &value);
                }
            }
            Ok(found)
        })?;
        match tally.differs(&found) {
            Some(what) => Err(self.damaged(what)),
            None => Ok(tally),
        }
    }
}

thread_local! {
    /// A panic on this thread says nothing: what comes of it is told in a sentence.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does what may panic, without the panic's own words on stderr.
fn quietly<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done
}

/// Is it the folder or the disk that fails, rather than what is written there?
fn has_place(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::NotADirectory
    )
}

/// The folder is ours by its file `committed`: so sled's own lock can be held only by a store of this process that
/// was closed just now, whose last writing behind the scenes sled does not wait for.
fn sled(folder: &Path) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    for _ in 0..LET_GO.as_millis() / 10 {
        match config.open() {
            Err(error) if is_locked(&error) => thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
    config.open()
}

/// sled says so in words only: `could not acquire lock on … WouldBlock`
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(StoreError::Read)?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.db
            .range(from.max(prefix)..)
            .filter(|entry| entry.as_ref().map_or(true, |(key, _)| key != whole::ROW))
            .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .take(limit)
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(StoreError::Read))
            .collect()
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let (mut changes, mut tally, mut changed) = (sled::Batch::default(), self.tally.clone(), false);
        for (key, value) in batch.changes {
            // sled reads the page to write it: it is in memory then.
            let old = self.db.get(&key).map_err(StoreError::Read)?;
            if old.as_deref() == value.as_deref() {
                continue;
            }
            changed = true;
            if let Some(old) = old {
                tally.remove(&key, &old);
            }
            match value {
                Some(value) => {
                    tally.add(&key, &value);
                    changes.insert(key, value);
                }
                None => changes.remove(key),
            }
        }
        if changed {
            self.write(changes, tally)?;
        }
        self.is_there()
    }
}

#[cfg(test)]
mod tests;
