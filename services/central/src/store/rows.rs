//! Rows that wait for Kafka: written with the state they tell of, deleted once Kafka has them.
//!
//! Notifications have no bound of their own while Kafka is away: dropping one would break what a driver was promised,
//! and refusing requests instead would make Kafka a condition of charging. There are a few for each session, so the
//! disk is the bound, `evmesh_central_rows_waiting` the alarm. Dead letters are nobody's promise: they have a bound.

use super::{codec, keys, keys::RowKind};
use crate::{Error, error::Unreadable};
use evmesh_proto::store::StoredMessage;
use mesh::store::{Batch, Store};

/// A row's place and content.
pub type Row = (u64, StoredMessage);

/// So many entries are read at a time at a start.
const PAGE: usize = 1000;

#[derive(Debug)]
pub(crate) struct Rows {
    kind: RowKind,
    next: u64,
    waiting: usize,
}

impl Rows {
    /// Counts what an earlier process left.
    pub(crate) fn restore(kind: RowKind, store: &dyn Store) -> Result<Self, Error> {
        let mut rows = Self { kind, next: 1, waiting: 0 };
        loop {
            let page = read(store, kind, rows.next - 1, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(rows);
            };
            rows.next = last + 1;
            rows.waiting += page.len();
        }
    }

    pub(crate) fn push(&mut self, message: StoredMessage, batch: &mut Batch) {
        batch.put(keys::row(self.kind, self.next), codec::encode(&message));
        self.next += 1;
        self.waiting += 1;
    }

    pub(crate) fn delivered(&mut self, numbers: &[u64], batch: &mut Batch) {
        for &number in numbers {
            batch.delete(keys::row(self.kind, number));
        }
        self.waiting = self.waiting.saturating_sub(numbers.len());
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }
}

/// At most `limit` rows after the number `after`, in order.
pub fn read(store: &dyn Store, kind: RowKind, after: u64, limit: usize) -> Result<Vec<Row>, Error> {
    let from = keys::row(kind, after.saturating_add(1));
    let entries = store.range(&from, keys::rows(kind), limit)?;
    entries
        .iter()
        .map(|(key, value)| {
            let number = keys::row_number(key)
                .ok_or_else(|| Unreadable::new("a message for Kafka", "its number is damaged"))?;
            Ok((number, codec::decode("a message for Kafka", value)?))
        })
        .collect()
}
