//! The journal: each commit is one record here, written and synced once, and acknowledged. sled has its rows a little
//! later, many commits' at once (a row that was written five times is written once, and one that came and went not at
//! all); the next start reads those that it does not have yet from here.
//!
//! Two files take turns. While the rows of one are on their way into sled, commits go to the other; a file is written
//! again from its beginning once sled has all that was in it. So a file may end with records of an earlier turn: their
//! numbers are lower than those before them, and nobody reads on there.

use super::{
    super::{
        Batch,
        whole::{FORMAT, Unreadable},
    },
    place::place_of,
};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Their names, in the store's folder.
pub(super) const FILES: [&str; 2] = ["journal-0", "journal-1"];
/// Length and checksum come first.
const HEAD: usize = 8;
/// Instead of a value's length: the row is deleted.
const DELETED: u32 = u32::MAX;

/// Rows and what became of them; `None` deletes one.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A commit, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) sequence: u64,
    pub(super) changes: Changes,
}

/// What a journal has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// In order, as far as none is missing.
    pub(super) commits: Vec<Record>,
    /// The newest of all that is there, asked for or not.
    pub(super) newest: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    /// Whose commits they are: records of another store's are none.
    id: u128,
    files: [File; 2],
    /// As the folder shows them: device and number.
    places: [(u64, u64); 2],
    /// Which of them commits go to, and how far it is written in this turn.
    turn: usize,
    at: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens both files, or creates them.
    pub(super) fn open(folder: &Path, id: u128) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let [first, second] = FILES.map(|name| options.open(folder.join(name)));
        let files = [first?, second?];
        let places = [place_of(&files[0].metadata()?), place_of(&files[1].metadata()?)];
        File::open(folder)?.sync_all()?; // a file whose name a power cut takes away keeps nothing
        Ok(Self { id, files, places, turn: 0, at: 0, buffer: Vec::new() })
    }

    /// The commits after this one.
    pub(super) fn after(&self, sequence: u64) -> io::Result<Result<Found, Unreadable>> {
        let mut turns = Vec::new();
        for file in &self.files {
            let mut bytes = vec![0; file.metadata()?.len() as usize];
            file.read_exact_at(&mut bytes, 0)?;
            match self.records(&bytes) {
                Ok(records) => turns.push(records),
                Err(why) => return Ok(Err(why)),
            }
        }
        turns.sort_by_key(|records| records.first().map(|record| record.sequence));
        let mut found = Found { commits: Vec::new(), newest: 0 };
        for record in turns.into_iter().flatten() {
            found.newest = found.newest.max(record.sequence);
            let next = found.commits.last().map_or(sequence, |last| last.sequence) + 1;
            if record.sequence == next {
                found.commits.push(record);
            }
        }
        Ok(Ok(found))
    }

    /// The records at a file's beginning that follow one another.
    fn records(&self, mut bytes: &[u8]) -> Result<Vec<Record>, Unreadable> {
        let mut found: Vec<Record> = Vec::new();
        while let Some((payload, rest)) = payload(bytes) {
            match payload.first() {
                Some(&format) if format > FORMAT => return Err(Unreadable::Newer(format.into())),
                _ => {}
            }
            let follows =
                |record: &Record| found.last().is_none_or(|last| record.sequence == last.sequence + 1);
            let Some(record) = decode(payload, self.id).filter(follows) else { break };
            found.push(record);
            bytes = rest;
        }
        Ok(found)
    }

    /// Puts down a commit; it is on disk when this returns.
    pub(super) fn write(&mut self, sequence: u64, batch: &Batch) -> io::Result<()> {
        self.buffer.clear();
        encode(self.id, sequence, batch, &mut self.buffer)?;
        let file = &self.files[self.turn];
        file.write_all_at(&self.buffer, self.at)?;
        file.sync_data()?;
        self.at += self.buffer.len() as u64;
        Ok(())
    }

    /// The files: their names and places.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, (u64, u64))> {
        FILES.into_iter().zip(self.places)
    }

    /// How far the file of this turn is written (bytes).
    pub(super) fn written(&self) -> u64 {
        self.at
    }

    /// The other file's turn: sled has all that is in it.
    pub(super) fn turns(&mut self) {
        self.turn = 1 - self.turn;
        self.at = 0;
    }

    /// Was nothing written since it was emptied?
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let [first, second] = &self.files;
        Ok(first.metadata()?.len() + second.metadata()?.len() == 0)
    }

    /// sled has all that is in both: nothing is left to read.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        for file in &self.files {
            if file.metadata()?.len() > 0 {
                file.set_len(0)?;
                file.sync_all()?;
            }
        }
        self.at = 0;
        Ok(())
    }
}

/// The first record's content and what follows it; `None` where there is no whole one.
fn payload(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length = u32::from_be_bytes(head[..4].try_into().ok()?);
    let checksum = u32::from_be_bytes(head[4..].try_into().ok()?);
    let (payload, rest) = rest.split_at_checked(length as usize)?;
    (crc32fast::hash(payload) == checksum && !payload.is_empty()).then_some((payload, rest))
}

fn encode(id: u128, sequence: u64, batch: &Batch, into: &mut Vec<u8>) -> io::Result<()> {
    let too_large = |_| io::Error::new(io::ErrorKind::InvalidInput, "a commit of more than 4 GB");
    into.extend([0; HEAD]);
    into.push(FORMAT);
    into.extend(id.to_be_bytes());
    into.extend(sequence.to_be_bytes());
    for (key, value) in batch.iter() {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(too_large);
        into.extend(length(key)?.to_be_bytes());
        into.extend(value.map_or(Ok(DELETED), length)?.to_be_bytes());
        into.extend(key);
        into.extend(value.unwrap_or_default());
    }
    let length = u32::try_from(into.len() - HEAD).map_err(too_large)?;
    let checksum = crc32fast::hash(&into[HEAD..]);
    into[..4].copy_from_slice(&length.to_be_bytes());
    into[4..HEAD].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// `None`: it is another store's, or no record at all.
fn decode(payload: &[u8], id: u128) -> Option<Record> {
    let rest = payload.strip_prefix(&[FORMAT])?.strip_prefix(&id.to_be_bytes())?;
    let (sequence, mut rest) = rest.split_first_chunk()?;
    let mut changes = Changes::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_first_chunk()?;
        let (value, after) = after.split_first_chunk()?;
        let (key, after) = after.split_at_checked(u32::from_be_bytes(*key) as usize)?;
        let (value, after) = match u32::from_be_bytes(*value) {
            DELETED => (None, after),
            length => {
                after.split_at_checked(length as usize).map(|(value, after)| (Some(value.to_vec()), after))?
            }
        };
        changes.insert(key.to_vec(), value);
        rest = after;
    }
    Some(Record { sequence: u64::from_be_bytes(*sequence), changes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::batch;

    fn sequences(journal: &Journal, after: u64) -> Vec<u64> {
        journal.after(after).unwrap().unwrap().commits.iter().map(|record| record.sequence).collect()
    }

    #[test]
    fn commits_are_read_as_they_were_written_from_two_files_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 7).unwrap();
        assert_eq!(sequences(&journal, 0), [0_u64; 0]);
        journal.write(1, &batch(&[("a", "1"), ("b", "")], &["c"])).unwrap();
        let [record] = journal.after(0).unwrap().unwrap().commits.try_into().unwrap();
        let changes = [("a", Some("1")), ("b", Some("")), ("c", None)];
        let changes = changes.map(|(key, value)| (key.into(), value.map(Into::into)));
        assert_eq!(record, Record { sequence: 1, changes: changes.into() });
        journal.write(2, &batch(&[("a", "2")], &[])).unwrap();
        journal.turns();
        journal.write(3, &batch(&[("a", "3")], &[])).unwrap();
        assert_eq!(sequences(&journal, 0), [1, 2, 3]);
        assert_eq!(sequences(&journal, 1), [2, 3]);
        // Of the first file's earlier turn more is left than its next one has written.
        journal.turns();
        journal.write(4, &batch(&[("a", "4")], &[])).unwrap();
        assert_eq!(sequences(&journal, 2), [3, 4]);
        assert_eq!(sequences(&journal, 1), [0_u64; 0], "one is missing");
        assert_eq!(journal.after(1).unwrap().unwrap().newest, 4, "and that can be seen");
        assert_eq!(sequences(&Journal::open(folder.path(), 8).unwrap(), 2), [0_u64; 0], "another store's");
        journal.empty().unwrap();
        assert_eq!(sequences(&journal, 0), [0_u64; 0]);
    }

    #[test]
    fn a_newer_layout_is_told_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), 7).unwrap();
        let payload = [9, 1, 2, 3];
        let head = [4_u32.to_be_bytes(), crc32fast::hash(&payload).to_be_bytes()].concat();
        std::fs::write(folder.path().join(FILES[1]), [&head[..], &payload].concat()).unwrap();
        assert_eq!(journal.after(0).unwrap(), Err(Unreadable::Newer(9)));
        std::fs::write(folder.path().join(FILES[1]), [&head[..], &[9, 1, 2]].concat()).unwrap();
        assert_eq!(journal.after(0).unwrap(), Ok(Found { commits: Vec::new(), newest: 0 }));
    }
}
