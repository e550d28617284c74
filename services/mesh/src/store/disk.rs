//! A store in a folder, by sled, with a journal before it: a commit is acknowledged once it is in the journal, and on
//! its way into sled from then on. sled's own commits cost several changes of threads each, and look at every row; so
//! it gets the rows of thousands of commits at once, some with each commit that follows.

mod journal;
mod place;
mod waiting;

use self::{
    journal::{Found, Journal, Record},
    place::{Place, place_of},
    waiting::Waiting,
};
use super::{
    Batch, Entry, Role, Store, StoreError,
    whole::{self, Committed, Tally},
};
use crate::files::{self, FolderError};
use std::{
    error::Error,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

/// When rows go into sled, and how many.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// So many wait before sled begins to take them.
    rows_a_turn: usize,
    /// sled takes at least so many at a time: each batch costs a quarter of a millisecond at the next flush, however
    /// small it is …
    rows_at_once: usize,
    /// … and so many at most, or the first that are [`BYTES_AT_ONCE`] together.
    rows_at_most: usize,
}

/// Some two milliseconds' work at a time. A start reads what is in the journal: a turn or two, and eight at most, where
/// the disk took its time.
const PACE: Pace = Pace { rows_a_turn: 8192, rows_at_once: 256, rows_at_most: 1024 };
/// A turn is so many bytes of commits at most.
const BYTES_A_TURN: u64 = 4 * 1024 * 1024;
/// So many turns' rows may wait while the disk takes its time; then commits wait for it.
const TURNS_WAITING: usize = 4;
/// One of sled's segments.
const BYTES_AT_ONCE: usize = 512 * 1024;
/// For each commit it is owed as many rows as that has, and so many more: where the disk keeps up, a turn is over
/// before the next one begins.
const ROWS_AHEAD: usize = 16;
/// sled's file.
const DB: &str = "db";
/// Where it has pages of more than 128 KB, each in a file that it never syncs.
const BLOBS: &str = "blobs";

/// A store in a folder, by sled.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    /// sled's file: its `flush` survives a killed process, and only `fdatasync` a power cut.
    file: Arc<File>,
    /// The same file as its folder shows it: device and number. Without it there, all that is written is lost.
    place: (u64, u64),
    folder: PathBuf,
    older_copies: bool,
    /// As sled has it: of the last commit of the last turn whose rows it has all, and of the rows that it has.
    tally: Tally,
    committed: Committed,
    journal: Journal,
    waiting: Waiting,
    /// The last commit that is in the journal.
    sequence: u64,
    /// The last commit of the turn that is on its way into sled.
    turned_at: u64,
    /// So many rows are to be given to sled next.
    owed: usize,
    /// Something went wrong on the way into sled, or may have: what it has is known at the next start, and until then
    /// the journal stays as it is.
    is_in_doubt: bool,
    /// sled has all of that turn, and brings it to the disk.
    syncing: Option<JoinHandle<Result<(), StoreError>>>,
    pace: Pace,
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
        // sled writes over what it has no use for by what it reads: that is to be on the disk first.
        sync_sled(folder).map_err(|source| at.cannot(source))?;
        let db = at.guarded(|| place::sled(folder))?;
        let file = File::open(folder.join(DB)).map_err(|source| at.cannot(source))?;
        let found = file.metadata().map_err(|source| at.cannot(source))?;
        let tally = at.prove(&db, known)?;
        files::make_private(folder).map_err(|source| at.cannot(source))?;
        let (place, older_copies) = (place_of(&found), role.older_copies);
        let journal = Journal::open(folder, tally.id).map_err(|source| at.cannot(source))?;
        let found = journal.after(tally.sequence).map_err(|source| at.cannot(source))?;
        let Found { commits, newest } = found.map_err(|why| at.unreadable(&why, "its journal"))?;
        let sequence = commits.last().map_or(tally.sequence, |last| last.sequence);
        if let Some((_, acknowledged)) = known
            && sequence < acknowledged.max(newest)
        {
            return Err(at.lost(acknowledged.max(newest), sequence));
        }
        let (waiting, turned_at, folder) = (Waiting::default(), tally.sequence, at.path());
        let mut store = Self {
            db,
            file: Arc::new(file),
            place,
            folder,
            older_copies,
            tally,
            committed,
            journal,
            waiting,
            sequence,
            turned_at,
            owed: 0,
            is_in_doubt: false,
            syncing: None,
            pace: PACE,
        };
        if known.is_none() {
            tracing::warn!(
                folder = %store.folder.display(),
                commit = sequence,
                "the file 'committed' was not there: the store is taken as a restored copy"
            );
        }
        store.recover(commits)?;
        store.committed.opens(store.tally.id, store.sequence).map_err(|source| at.cannot(source))?;
        Ok(store)
    }

    /// Gives sled what it does not have yet of the journal: then the journal is empty, and the store as it was.
    fn recover(&mut self, commits: Vec<Record>) -> Result<(), StoreError> {
        for Record { changes, .. } in commits {
            self.waiting.takes(Batch { changes });
        }
        if self.sequence == 0 {
            self.sequence = 1; // from now on the row is there
        }
        self.drain()
    }

    /// Gives sled all that waits.
    fn drain(&mut self) -> Result<(), StoreError> {
        self.ends_turn()?;
        self.turns();
        self.ends_turn()?;
        if self.journal.is_empty().map_err(StoreError::Write)? {
            return Ok(());
        }
        // What an earlier process gave it may be in memory only.
        self.sync()?;
        self.synced()?;
        self.journal.empty().map_err(StoreError::Write)
    }

    /// The rows of this turn are on their way into sled.
    fn turns(&mut self) {
        self.owed = 0;
        self.waiting.turns();
        self.journal.turns();
        self.turned_at = self.sequence;
    }

    /// Has sled all of the turn before, on disk? Then the next one may begin.
    fn turn_is_over(&mut self) -> Result<bool, StoreError> {
        Ok(self.has_synced()? && self.tally.sequence == self.turned_at)
    }

    /// The same, whatever that takes.
    fn ends_turn(&mut self) -> Result<(), StoreError> {
        self.synced()?;
        while self.tally.sequence < self.turned_at {
            self.gives_sled(self.pace.rows_at_most)?;
            self.synced()?;
        }
        Ok(())
    }

    /// Is all that sled has on the disk?
    fn has_synced(&mut self) -> Result<bool, StoreError> {
        if self.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.synced()?;
        }
        Ok(self.syncing.is_none())
    }

    fn synced(&mut self) -> Result<(), StoreError> {
        if let Some(syncing) = self.syncing.take() {
            let synced = syncing.join().unwrap_or_else(|_| Err(failed("sled gave up")));
            self.is_in_doubt |= synced.is_err();
            synced?;
        }
        self.is_certain()
    }

    fn is_certain(&self) -> Result<(), StoreError> {
        match self.is_in_doubt {
            true => Err(failed("an earlier change failed")),
            false => Ok(()),
        }
    }

    /// What sled has is brought to the disk beside the writer, which takes milliseconds.
    fn sync(&mut self) -> Result<(), StoreError> {
        let (db, file, blobs) = (self.db.clone(), self.file.clone(), self.folder.join(BLOBS));
        let thread = thread::Builder::new().name("store-sync".to_owned());
        let thread = thread.spawn(move || {
            db.flush().map_err(failed)?;
            sync_files(&blobs).and_then(|()| file.sync_data()).map_err(StoreError::Write)
        });
        self.is_in_doubt |= thread.is_err();
        self.syncing = Some(thread.map_err(StoreError::Write)?);
        Ok(())
    }

    /// Gives sled at most so many rows of the turn before. All that it has is to be on the disk by now: it writes over
    /// a segment once what replaces that is written, and not only once it is synced.
    fn gives_sled(&mut self, most: usize) -> Result<(), StoreError> {
        self.is_certain()?;
        self.is_in_doubt = true; // until it is done: halfway, nobody knows what sled has
        let (mut changes, mut tally) = (sled::Batch::default(), self.tally.clone());
        let (mut count, mut bytes) = (0, 0);
        for (key, value) in self.waiting.last_turn().take(most) {
            if bytes >= BYTES_AT_ONCE {
                break;
            }
            count += 1;
            // sled reads the page to write it: it is in memory then.
            let old = self.db.get(key).map_err(StoreError::Read)?;
            if old.as_deref() == value {
                continue;
            }
            if let Some(old) = old {
                tally.remove(key, &old);
            }
            match value {
                Some(value) => {
                    tally.add(key, value);
                    bytes += value.len();
                    changes.insert(key, value);
                }
                None => changes.remove(key),
            }
        }
        if count == self.waiting.of_last_turn() {
            tally.sequence = self.turned_at;
        }
        changes.insert(whole::ROW, tally.encode());
        self.db.apply_batch(changes).map_err(failed)?;
        self.waiting.done(count);
        self.tally = tally;
        self.is_in_doubt = false;
        self.sync()
    }

    /// What is written is of use only where the next start finds it: nothing more is acknowledged without that.
    fn is_there(&self) -> Result<(), StoreError> {
        for (name, place) in std::iter::once((DB, self.place)).chain(self.journal.places()) {
            match std::fs::metadata(self.folder.join(name)) {
                Ok(found) if place_of(&found) == place => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::Write(error));
                }
                Ok(_) | Err(_) => {
                    let (folder, older_copies) = (self.folder.clone(), self.older_copies);
                    return Err(StoreError::Gone { folder, older_copies });
                }
            }
        }
        Ok(())
    }
}

fn failed(why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Write(io::Error::other(why))
}

/// sled's files, as far as there are any.
fn sync_sled(folder: &Path) -> io::Result<()> {
    match File::open(folder.join(DB)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        file => file?.sync_all()?,
    }
    sync_files(&folder.join(BLOBS))
}

/// All files of a folder and their names, if there are any.
fn sync_files(folder: &Path) -> io::Result<()> {
    let files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    let mut is_empty = true;
    for file in files {
        is_empty = false;
        match File::open(file?.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // sled has just let go of it
            file => file?.sync_all()?,
        }
    }
    if is_empty { Ok(()) } else { File::open(folder)?.sync_all() }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.waiting.get(key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => Ok(self.db.get(key).map_err(StoreError::Read)?.map(|value| value.to_vec())),
        }
    }

    fn range(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = from.max(prefix);
        let on_disk =
            self.db.range(from..).filter(|row| row.as_ref().map_or(true, |(key, _)| key != whole::ROW));
        let on_disk = on_disk
            .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(StoreError::Read));
        self.waiting.over(from, prefix, on_disk).take(limit).collect()
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if !batch.is_empty() {
            self.is_certain()?;
            let sequence = self.sequence + 1;
            self.journal.write(sequence, &batch).map_err(StoreError::Write)?;
            let noted = self.committed.write(self.tally.id, sequence);
            self.is_in_doubt |= noted.is_err();
            noted.map_err(StoreError::Write)?;
            self.sequence = sequence;
            self.owed += batch.len() + ROWS_AHEAD;
            self.waiting.takes(batch);
            let is_due = self.owed >= self.pace.rows_at_once && self.tally.sequence < self.turned_at;
            if is_due && self.has_synced()? {
                let rows = self.owed.min(self.pace.rows_at_most);
                self.owed -= rows;
                self.gives_sled(rows)?;
            }
            let turns = (self.waiting.of_this_turn() / self.pace.rows_a_turn)
                .max((self.journal.written() / BYTES_A_TURN) as usize);
            if turns >= TURNS_WAITING {
                self.ends_turn()?;
            }
            if turns > 0 && self.turn_is_over()? {
                self.turns();
            }
        }
        self.is_there()
    }
}

impl Drop for SledStore {
    /// What does not get into sled is in the journal.
    fn drop(&mut self) {
        let drained = self.is_there().and_then(|()| self.drain()).and_then(|()| {
            self.committed.closes(self.tally.id, self.tally.sequence).map_err(StoreError::Write)
        });
        match drained.and(self.synced()) {
            Ok(()) | Err(StoreError::Gone { .. }) => {} // whoever removed the folder wants nothing of it
            Err(error) => {
                let folder = self.folder.display();
                tracing::warn!(%error, %folder, "the next start has more of the store's journal to read");
            }
        }
    }
}

#[cfg(test)]
mod tests;
