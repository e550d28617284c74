//! A store's folder at its opening: whose it is, and whether sled's part of it is whole.

use super::super::{
    Role, StoreError,
    whole::{self, Tally, Unreadable},
};
use crate::files::LOST_AND_FOUND;
use std::{
    cell::Cell,
    fs::Metadata,
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

/// A file as its folder shows it: device and number.
pub(super) fn place_of(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A folder and who opens it.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) role: Role,
}

impl Place<'_> {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.to_owned()
    }

    pub(super) fn cannot(&self, source: io::Error) -> StoreError {
        StoreError::Open { folder: self.path(), source }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> StoreError {
        self.damaged_by(what, None)
    }

    pub(super) fn damaged_by(&self, what: impl Into<String>, source: Option<sled::Error>) -> StoreError {
        let older_copies = self.role.older_copies;
        StoreError::Damaged { folder: self.path(), older_copies, what: what.into(), source }
    }

    pub(super) fn unproven(&self) -> StoreError {
        StoreError::Unproven { folder: self.path(), older_copies: self.role.older_copies }
    }

    pub(super) fn unreadable(&self, why: &Unreadable, what: &str) -> StoreError {
        match why {
            Unreadable::Damaged => self.damaged(format!("{what} cannot be read")),
            Unreadable::Newer(found) => {
                StoreError::Newer { folder: self.path(), found: *found, known: whole::KNOWN }
            }
        }
    }

    pub(super) fn lost(&self, committed: u64, found: u64) -> StoreError {
        let older_copies = self.role.older_copies;
        StoreError::Lost { folder: self.path(), committed, found, older_copies }
    }

    /// Is there nothing but our own file?
    pub(super) fn is_bare(&self) -> io::Result<bool> {
        for entry in std::fs::read_dir(self.folder)? {
            let name = entry?.file_name();
            if name != whole::FILE && name != LOST_AND_FOUND {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// sled's word on the store; on a damaged one it may panic.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
        match quietly(work) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if is_locked(&error) => Err(StoreError::InUse(self.path())),
            Ok(Err(sled::Error::Io(source))) if has_place(&source) => Err(self.cannot(source)),
            Ok(Err(source)) => Err(self.damaged_by("sled cannot read it", Some(source))),
            Err(_) => Err(self.damaged("sled gave up on it")),
        }
    }

    /// Has sled everything that it ever had? `known` is what the file says.
    pub(super) fn prove(&self, db: &sled::Db, known: Option<(u128, u64)>) -> Result<Tally, StoreError> {
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
pub(super) fn sled(folder: &Path) -> Result<sled::Db, sled::Error> {
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
