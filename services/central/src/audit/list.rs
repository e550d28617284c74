//! The audit as it is read back: a part at a time, as it is on disk.

use crate::{
    Error,
    error::Unreadable,
    store::{Snapshot, keys, meta},
};
use domain::Wall;
use evmesh_proto::store::{StoredAudit, StoredAuditEntry};
use prost::Message as _;

/// One query looks at so many rows at most, so that it holds the writer up for some milliseconds only.
const MAX_LOOKED_AT: usize = 500;
/// A part ends behind the row by which it has so many bytes: an order may name a thousand charge points.
pub(crate) const MAX_BYTES: usize = 512 * 1024;

/// Which rows are listed: those that pass everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// From this moment on.
    pub(crate) from: Option<Wall>,
    pub(crate) actor: Option<String>,
}

/// A row, where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// Empty where it cannot be read: whoever verifies the chain hears of it.
    pub(crate) entry: StoredAuditEntry,
    /// As it is on disk.
    pub(crate) record: Vec<u8>,
}

/// A part of the list. It may be empty and yet have more after it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) entries: Vec<Entry>,
    /// Behind which row to go on; `None`: there is no more.
    pub(crate) next: Option<u64>,
    /// The store, and both ends of its chain.
    pub(crate) store_id: String,
    pub(crate) ends: StoredAudit,
}

impl Snapshot<'_> {
    /// At most `limit` rows after this number, oldest first.
    pub(crate) fn audit(&self, filter: &Filter, after: u64, limit: usize) -> Result<Part, Error> {
        let page = meta(self.store)?;
        let ends = page.audit.unwrap_or_else(|| super::behind(0, Vec::new()));
        let rows = self.store.range(&keys::audit(after.saturating_add(1)), keys::AUDIT, MAX_LOOKED_AT)?;
        let (count, mut bytes) = (rows.len(), 0);
        let (mut entries, mut next) = (Vec::new(), None);
        for (index, (key, record)) in rows.into_iter().enumerate() {
            let damaged = || Unreadable::new("an entry of the audit", "its number is damaged");
            let number = keys::audit_number(&key).ok_or_else(damaged)?;
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
        Ok(Part { entries, next, store_id: page.store_id, ends })
    }
}
