//! How a store proves that it is whole, and lacks nothing.
//!
//! sled keeps a log, and reads it up to the first entry that it cannot: what is behind is dropped without a word, and a
//! segment whose head is damaged is taken for a free one. So two things are kept beside the rows:
//!
//! - a row with the count of all other rows, a sum over their contents, and the number of the last commit up to which
//!   sled has them all: it changes with each of sled's batches, in the same batch. What came after that commit is in
//!   the journal, and may be in sled too: the next start gives it once more;
//! - a file, [`FILE`], with the number of the last commit that is in the journal. It is written after that is on disk
//!   and before the answer, to the page cache only, so that it costs microseconds: a killed process loses none of it,
//!   and a power cut at most its youngest part, which leaves it *behind* the journal. It is never ahead on a disk that
//!   keeps its word.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The file's name, in the store's folder.
pub(super) const FILE: &str = "committed";
/// The row's key: no service's own begins with a zero byte.
pub(super) const ROW: &[u8] = b"\0proof";
/// The layout of both, and of the journal's records.
pub(super) const FORMAT: u8 = 1;

/// What the row says of all the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) id: u128,
    pub(super) role: String,
    /// The last commit whose rows, and those of all before it, are there; the first is 1.
    pub(super) sequence: u64,
    rows: u64,
    sum: u64,
}

impl Tally {
    pub(super) fn new(id: u128, role: &str) -> Self {
        Self { id, role: role.to_owned(), sequence: 0, rows: 0, sum: 0 }
    }

    /// A row is there from now on.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(fingerprint(key, value));
    }

    /// A row is there no more.
    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(fingerprint(key, value));
    }

    /// What is wrong with the rows that are there, counted in `found`.
    pub(super) fn differs(&self, found: &Self) -> Option<String> {
        match (self.rows == found.rows, self.sum == found.sum) {
            (true, true) => None,
            (false, _) => Some(format!("{} rows were written, and {} are there", self.rows, found.rows)),
            (true, false) => Some("rows are not what was written".to_owned()),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.sequence, self.rows, self.sum].map(u64::to_be_bytes).concat();
        [&[FORMAT][..], &self.id.to_be_bytes(), &numbers, self.role.as_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (&format, rest) = bytes.split_first().ok_or(Unreadable::Damaged)?;
        if format > FORMAT {
            return Err(Unreadable::Newer(format.into()));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
        let (rows, rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
        let (sum, role) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
        Ok(Self {
            id: u128::from_be_bytes(*id),
            role: std::str::from_utf8(role).map_err(|_| Unreadable::Damaged)?.to_owned(),
            sequence: u64::from_be_bytes(*sequence),
            rows: u64::from_be_bytes(*rows),
            sum: u64::from_be_bytes(*sum),
        })
    }
}

/// The layout that this version writes.
pub(super) const KNOWN: u32 = WITH_JOURNAL as u32;

/// Why the row or the file says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged,
    Newer(u32),
}

/// Rows in any order make the same sum, so a commit adds what it brings and takes away what it replaces.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    let crc = |bytes| u64::from(crc32fast::hash(bytes));
    // SplitMix64's last step: sums of plain checksums would hide two errors that cancel out.
    let mut mixed = (crc(key) << 32 | crc(value)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Each commit writes the other one of two places, so that a torn write leaves the one before.
const PLACES: [u64; 2] = [0, 512];
/// Its layout while commits may be in the journal alone: a version that knows of no journal is not to take what sled
/// has for all. In order, a store is left in layout [`FORMAT`].
const WITH_JOURNAL: u8 = 2;
/// Format, id, sequence, checksum.
const PLACE_BYTES: usize = 1 + 16 + 8 + 4;

/// The file that says which commit was the last. While it is open, the folder has an owner.
#[derive(Debug)]
pub(super) struct Committed(File);

impl Committed {
    /// Opens it, or creates it without content. `None`: another process has it.
    pub(super) fn lock(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The store's id and its last commit; `None` if nothing was ever written.
    pub(super) fn read(&mut self) -> io::Result<Result<Option<(u128, u64)>, Unreadable>> {
        let mut bytes = Vec::new();
        self.0.seek(SeekFrom::Start(0))?;
        (&self.0).take(4096).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(Ok(None));
        }
        let places = PLACES.map(|at| place(&bytes, at as usize));
        let newest =
            places.iter().filter_map(|place| place.as_ref().ok()).max_by_key(|(_, sequence)| *sequence);
        Ok(match (newest, &places) {
            (Some(newest), _) => Ok(Some(*newest)),
            (None, [Err(newer @ Unreadable::Newer(_)), _] | [_, Err(newer @ Unreadable::Newer(_))]) => {
                Err(newer.clone())
            }
            (None, _) => Err(Unreadable::Damaged),
        })
    }

    /// The first content, on disk when this returns.
    pub(super) fn begin(&mut self, folder: &Path, id: u128) -> io::Result<()> {
        self.opens(id, 0)?;
        File::open(folder)?.sync_all()
    }

    /// From here on commits may be in the journal alone; that is on disk when this returns.
    pub(super) fn opens(&mut self, id: u128, sequence: u64) -> io::Result<()> {
        PLACES.iter().try_for_each(|at| self.write_at(*at, WITH_JOURNAL, id, sequence))?;
        self.0.sync_all()
    }

    /// This commit is in the journal.
    pub(super) fn write(&mut self, id: u128, sequence: u64) -> io::Result<()> {
        self.write_at(PLACES[(sequence % 2) as usize], WITH_JOURNAL, id, sequence)
    }

    /// The journal is empty, on disk, and stays so.
    pub(super) fn closes(&mut self, id: u128, sequence: u64) -> io::Result<()> {
        PLACES.iter().try_for_each(|at| self.write_at(*at, FORMAT, id, sequence))
    }

    fn write_at(&mut self, at: u64, format: u8, id: u128, sequence: u64) -> io::Result<()> {
        let mut bytes = [&[format][..], &id.to_be_bytes(), &sequence.to_be_bytes()].concat();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        self.0.seek(SeekFrom::Start(at))?;
        self.0.write_all(&bytes)
    }
}

fn place(bytes: &[u8], at: usize) -> Result<(u128, u64), Unreadable> {
    let bytes = bytes.get(at..at + PLACE_BYTES).ok_or(Unreadable::Damaged)?;
    let (said, checksum) = bytes.split_last_chunk().ok_or(Unreadable::Damaged)?;
    if crc32fast::hash(said) != u32::from_be_bytes(*checksum) {
        return Err(Unreadable::Damaged);
    }
    let (&format, rest) = said.split_first().ok_or(Unreadable::Damaged)?;
    if format > WITH_JOURNAL {
        return Err(Unreadable::Newer(format.into()));
    }
    let (id, sequence) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let sequence = sequence.try_into().map_err(|_| Unreadable::Damaged)?;
    Ok((u128::from_be_bytes(*id), u64::from_be_bytes(sequence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_survives_and_finds_what_differs() {
        let mut tally = Tally::new(7, "central");
        for (key, value) in [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")] {
            tally.add(key, value);
        }
        tally.remove(b"b", b"2");
        assert_eq!(Tally::decode(&tally.encode()), Ok(tally.clone()));
        let mut found = Tally::new(7, "central");
        found.add(b"c", b"3");
        assert_eq!(tally.differs(&found).unwrap(), "2 rows were written, and 1 are there");
        found.add(b"a", b"2");
        assert_eq!(tally.differs(&found).unwrap(), "rows are not what was written");
        found.remove(b"a", b"2");
        found.add(b"a", b"1");
        assert_eq!(tally.differs(&found), None);
        let mut newer = tally.encode();
        newer[0] = 9;
        assert_eq!(Tally::decode(&newer), Err(Unreadable::Newer(9)));
        for cut in 0..41 {
            assert_eq!(Tally::decode(&tally.encode()[..cut]), Err(Unreadable::Damaged), "{cut}");
        }
    }

    #[test]
    fn the_file_keeps_the_commit_before_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Committed::lock(folder.path()).unwrap().unwrap();
        assert!(Committed::lock(folder.path()).unwrap().is_none(), "one owner");
        assert_eq!(file.read().unwrap(), Ok(None));
        file.begin(folder.path(), 7).unwrap();
        for sequence in 1..=5 {
            file.write(7, sequence).unwrap();
            assert_eq!(file.read().unwrap(), Ok(Some((7, sequence))));
        }
        let path = folder.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[512 + 20] ^= 1; // the fifth's
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(file.read().unwrap(), Ok(Some((7, 4))));
        std::fs::write(&path, vec![0; 1024]).unwrap();
        assert_eq!(file.read().unwrap(), Err(Unreadable::Damaged));
    }
}
