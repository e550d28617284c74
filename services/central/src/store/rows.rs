//! Rows that wait for Kafka: written with the state they tell of, deleted once Kafka has them.
//!
//! Notifications have no bound of their own while Kafka is away: dropping one would break what a driver was promised,
//! and refusing requests instead would make Kafka a condition of charging. There are a few for each session, so the
//! disk is the bound, `evmesh_central_rows_waiting` the alarm. Dead letters are nobody's promise: they have a bound.

use super::{codec, keys, keys::RowKind};
use crate::{Error, error::Unreadable};
use evmesh_proto::store::StoredMessage;
use mesh::store::{Batch, Store};
use std::collections::{BTreeMap, HashMap};

/// A row's place and content.
pub type Row = (u64, StoredMessage);

/// So many entries are read at a time at a start.
const PAGE: usize = 1000;

#[derive(Debug)]
pub(crate) struct Rows {
    kind: RowKind,
    next: u64,
    waiting: usize,
    /// Whose each row is, and how many each one has: of notifications alone, whose keys are drivers.
    keys: BTreeMap<u64, String>,
    of_key: HashMap<String, usize>,
}

impl Rows {
    /// Counts what an earlier process left.
    pub(crate) fn restore(kind: RowKind, store: &dyn Store) -> Result<Self, Error> {
        let (keys, of_key) = (BTreeMap::new(), HashMap::new());
        let mut rows = Self { kind, next: 1, waiting: 0, keys, of_key };
        loop {
            let page = read(store, kind, rows.next - 1, PAGE)?;
            if page.is_empty() {
                return Ok(rows);
            }
            for (number, message) in page {
                rows.waits(number, message.key);
            }
        }
    }

    fn waits(&mut self, number: u64, key: String) {
        self.next = number + 1;
        self.waiting += 1;
        if self.kind == RowKind::Notification {
            *self.of_key.entry(key.clone()).or_default() += 1;
            self.keys.insert(number, key);
        }
    }

    pub(crate) fn push(&mut self, message: StoredMessage, batch: &mut Batch) {
        batch.put(keys::row(self.kind, self.next), codec::encode(&message));
        self.waits(self.next, message.key);
    }

    pub(crate) fn delivered(&mut self, numbers: &[u64], batch: &mut Batch) {
        for &number in numbers {
            batch.delete(keys::row(self.kind, number));
            let Some(key) = self.keys.remove(&number) else { continue };
            let left = self.of_key.get_mut(&key).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if left == 0 {
                self.of_key.remove(&key);
            }
        }
        self.waiting = self.waiting.saturating_sub(numbers.len());
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Does a notification of this driver wait?
    pub(crate) fn any_of(&self, driver: &str) -> bool {
        self.of_key.contains_key(driver)
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
