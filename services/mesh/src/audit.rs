//! Who did what: a row for each deed of a caller, in the very commit of what it changed, each with the hash of the row
//! before. So none is changed, left out or put in unseen, as long as the newest hash is known elsewhere too: central
//! has anchors on Kafka for that (`AUDIT_ANCHORS`), where it only appends; the registry has none.
//!
//! Deliberately absent: rows in central's changelog (a rebuilt store's chain begins with the last anchor), queries,
//! reports of health, and what rules do by themselves.

mod list;
mod unaudited;
mod verify;

pub use list::{Entry, Filter, MAX_BYTES, Part, read, signed};
pub use unaudited::Unaudited;
pub use verify::{Fits, Misfit, Verifier};

use crate::store::{Batch, Store, StoreError};
use domain::{Came, Deed, Mono, Now, Wall};
use evmesh_proto::store::{StoredAudit, StoredAuditEntry};
use prost::Message as _;
use std::time::Duration;

/// So many refusals a minute have a row each, of who shows an identity, and as many of who shows none: strangers, who
/// cost nothing, take no row from those who are known. Whoever is refused more often than that is counted. As many have
/// what had begun and came to nothing, which is a caller's to bring about too.
const REFUSALS: u32 = 100;
const A_MINUTE: Duration = Duration::from_secs(60);
/// So many rows that are too old go at a time: some milliseconds.
const AT_ONCE: usize = 500;

/// What is done is `done`, what goes on is `begun`; else there is a reason.
const DONE: &str = "done";
const BEGUN: &str = "begun";

/// What the next row has in it.
fn hash(record: &[u8]) -> Vec<u8> {
    identity::sha256(record).to_vec()
}

/// The audit cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an entry of the audit has a damaged number")]
    Number,
}

/// Where a row is, among those that begin so.
fn key(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// The number in a key.
fn number(prefix: &[u8], key: &[u8]) -> Result<u64, AuditError> {
    let number = key.strip_prefix(prefix).and_then(|number| number.try_into().ok());
    number.map(u64::from_be_bytes).ok_or(AuditError::Number)
}

/// The chain, as its next row is written.
#[derive(Debug)]
pub struct Chain {
    /// What the keys of its rows begin with.
    prefix: &'static [u8],
    ends: StoredAudit,
    /// What the store's page has is older.
    moved: bool,
    /// When the first row that is kept was written; `None`: it is to be looked up.
    first_at: Option<Wall>,
    keep: Duration,
    minute: Minute,
}

/// What was refused, or failed, in this minute.
#[derive(Debug, Default)]
struct Minute {
    since: Mono,
    /// Of who is known, and of strangers.
    denied: [u32; 2],
    failed: u32,
    more: u64,
    /// When the last of those came that have no row.
    at: Wall,
}

/// Both ends of a chain that goes on behind this row.
pub fn behind(number: u64, hash: Vec<u8>) -> StoredAudit {
    StoredAudit { first: number + 1, before_first: hash.clone(), newest: number, newest_hash: hash }
}

impl Chain {
    /// As the store's page has it; rows are kept for so long, under keys that begin so.
    pub fn restore(prefix: &'static [u8], ends: Option<&StoredAudit>, keep: Duration) -> Self {
        let ends = ends.cloned().unwrap_or_else(|| behind(0, Vec::new()));
        Self { prefix, ends, moved: false, first_at: None, keep, minute: Minute::default() }
    }

    /// The number and the hash of the newest row.
    pub fn newest(&self) -> (u64, &[u8]) {
        (self.ends.newest, &self.ends.newest_hash)
    }

    /// What the store's page has to say of it, if that is news.
    pub fn news(&mut self) -> Option<StoredAudit> {
        std::mem::take(&mut self.moved).then(|| self.ends.clone())
    }

    /// Writes what somebody did. Of what changes nothing in the end, only so much: once so many have failed in a
    /// minute, what is begun has no row either, but what is done has one still, with all that the other would say.
    pub fn write(&mut self, deed: Deed, now: Now, batch: &mut Batch) {
        if !matches!(deed.came, Came::Done(_)) {
            self.minute_is_over(now.mono, batch);
        }
        let Minute { denied: before, failed, .. } = self.minute;
        let whose = usize::from(deed.actor.is_empty());
        let (result, answer) = match deed.came {
            Came::Begun if failed >= REFUSALS => return,
            Came::Begun => (BEGUN.to_owned(), String::new()),
            Came::Done(answer) => (DONE.to_owned(), answer),
            Came::Failed(_) if failed >= REFUSALS => return self.counts(1, now.wall),
            Came::Denied(_) if before[whose] >= REFUSALS => return self.counts(1, now.wall),
            Came::Failed(reason) => {
                self.minute.failed += 1;
                (reason, String::new())
            }
            Came::Denied(reason) => {
                self.minute.denied[whose] += 1;
                (reason, String::new())
            }
        };
        let Minute { denied, failed: failed_now, .. } = self.minute;
        if (before, failed) == ([0; 2], 0) && (denied, failed_now) != ([0; 2], 0) {
            self.minute.since = now.mono; // the minute begins with its first
        }
        let Deed { actor, address, method, subject, parameters, came: _ } = deed;
        let entry = StoredAuditEntry {
            at_ms: now.wall.0,
            actor,
            address,
            method,
            subject,
            parameters,
            result,
            answer,
            ..StoredAuditEntry::default()
        };
        self.append(entry, batch);
    }

    /// So many more were refused, and have no row.
    pub fn counts(&mut self, more: u64, at: Wall) {
        self.minute.more += more;
        self.minute.at = at;
    }

    /// Where the minute is over, its count is a row.
    pub fn minute_is_over(&mut self, now: Mono, batch: &mut Batch) {
        if now.since(self.minute.since) >= A_MINUTE {
            self.write_count(batch);
            self.minute = Minute { since: now, ..Minute::default() };
        }
    }

    /// The last thing before the end: what was only counted so far.
    pub fn write_count(&mut self, batch: &mut Batch) {
        let (refusal_count, at) = (std::mem::take(&mut self.minute.more), self.minute.at);
        if refusal_count > 0 {
            let entry = StoredAuditEntry { at_ms: at.0, refusal_count, ..StoredAuditEntry::default() };
            self.append(entry, batch);
        }
    }

    fn append(&mut self, entry: StoredAuditEntry, batch: &mut Batch) {
        self.ends.newest += 1;
        let (number, previous_hash) = (self.ends.newest, std::mem::take(&mut self.ends.newest_hash));
        let record = StoredAuditEntry { number, previous_hash, ..entry }.encode_to_vec();
        self.ends.newest_hash = hash(&record);
        batch.put(key(self.prefix, number), record);
        self.moved = true;
    }

    /// Rows that are too old go, some at a time; what the first one left has in it is remembered.
    pub fn drop_old(&mut self, now: Wall, store: &dyn Store, batch: &mut Batch) -> Result<(), AuditError> {
        if self.ends.first > self.ends.newest || self.first_at.is_some_and(|at| at + self.keep > now) {
            return Ok(()); // the common case
        }
        self.first_at = None;
        for (key, record) in store.range(&key(self.prefix, self.ends.first), self.prefix, AT_ONCE)? {
            let number = number(self.prefix, &key)?;
            // One that cannot be read says no date: it goes with its neighbours.
            let at = StoredAuditEntry::decode(record.as_slice()).map(|entry| Wall(entry.at_ms));
            if let Ok(at) = at
                && at + self.keep > now
            {
                self.first_at = Some(at);
                break;
            }
            (self.ends.first, self.ends.before_first) = (number + 1, hash(&record));
            self.moved = true;
            batch.delete(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
