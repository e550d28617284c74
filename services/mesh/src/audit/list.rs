//! The audit as it is read back: a part at a time, as it is on disk.

use super::{AuditError, key, number};
use crate::{
    convert::{timestamp, wall},
    grpc::Failure,
    store::Store,
};
use domain::Wall;
use evmesh_proto::{operations::AuditEntry, store::StoredAuditEntry};
use prost::Message as _;
use prost_types::Timestamp;

/// One query looks at so many rows at most, so that it holds the owner of the store up for some milliseconds only.
const MAX_LOOKED_AT: usize = 500;
/// A part ends behind the row by which it has so many bytes: an order may name a thousand charge points.
pub const MAX_BYTES: usize = 512 * 1024;

/// An actor is the path of an identity: two names at most, and what is between (bytes).
const MAX_ACTOR: usize = 128;

/// Which rows are listed: those that pass everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this moment on.
    pub from: Option<Wall>,
    pub actor: Option<String>,
}

impl Filter {
    /// As it is asked for: `from_time`, and an `actor` that is empty where anybody's rows are wanted.
    /// `INVALID_FIELD` where a time is not from 1970 to 9999, or an actor can be nobody's path.
    pub fn asked(from_time: Option<&Timestamp>, actor: String) -> Result<Self, Failure> {
        let from = wall("from_time", from_time)?;
        if actor.len() > MAX_ACTOR || actor.chars().any(char::is_control) {
            return Err(Failure::invalid("actor", "must be the path of an identity, such as operator/ana"));
        }
        Ok(Self { from, actor: (!actor.is_empty()).then_some(actor) })
    }
}

/// A row, where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub number: u64,
    /// Empty where it cannot be read: whoever verifies the chain hears of it.
    pub entry: StoredAuditEntry,
    /// As it is on disk.
    pub record: Vec<u8>,
}

/// A part of the list. It may be empty and yet have more after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub entries: Vec<Entry>,
    /// Behind which row to go on; `None`: there is no more.
    pub next: Option<u64>,
}

/// Of the rows whose keys begin so at most `limit` after this number, oldest first.
pub fn read(
    store: &dyn Store,
    prefix: &[u8],
    filter: &Filter,
    after: u64,
    limit: usize,
) -> Result<Part, AuditError> {
    let rows = store.range(&key(prefix, after.saturating_add(1)), prefix, MAX_LOOKED_AT)?;
    let (count, mut bytes) = (rows.len(), 0);
    let (mut entries, mut next) = (Vec::new(), None);
    for (index, (key, record)) in rows.into_iter().enumerate() {
        let number = number(prefix, &key)?;
        let entry = StoredAuditEntry::decode(record.as_slice()).unwrap_or_default();
        let wanted = filter.from.is_none_or(|from| Wall(entry.at_ms) >= from)
            && filter.actor.as_ref().is_none_or(|actor| *actor == entry.actor);
        if wanted {
            bytes += record.len();
            entries.push(Entry { number, entry, record });
        }
        let last = index + 1 == count;
        let full = entries.len() == limit || bytes >= MAX_BYTES;
        if !last && full || last && count == MAX_LOOKED_AT {
            next = Some(number);
            break;
        }
    }
    Ok(Part { entries, next })
}

impl From<Entry> for AuditEntry {
    fn from(row: Entry) -> Self {
        let Entry { number, entry, record } = row;
        Self {
            number: signed(number),
            create_time: Some(timestamp(Wall(entry.at_ms))),
            actor: entry.actor,
            address: entry.address,
            method: entry.method,
            subject: entry.subject,
            parameters: entry.parameters,
            result: entry.result,
            answer: entry.answer,
            refusal_count: signed(entry.refusal_count),
            previous_hash: entry.previous_hash,
            record,
        }
    }
}

/// A number as the contract has it: they end long before that.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
