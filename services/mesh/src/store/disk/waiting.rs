//! The rows that the journal has and sled does not have yet: what is read comes from them first.

use super::{super::Batch, journal::Changes};
use crate::store::{Entry, StoreError};
use std::{cmp::Ordering, iter::Peekable, ops::Bound};

/// In two turns, as the journal's files are.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Of the file that is being written.
    newer: Changes,
    /// Of the other file, on their way into sled.
    older: Changes,
}

impl Waiting {
    pub(super) fn takes(&mut self, batch: Batch) {
        self.newer.extend(batch.changes);
    }

    /// How many rows of this turn there are.
    pub(super) fn of_this_turn(&self) -> usize {
        self.newer.len()
    }

    /// How many of the turn before are left.
    pub(super) fn of_last_turn(&self) -> usize {
        self.older.len()
    }

    /// The next turn begins: what is there is on its way into sled.
    pub(super) fn turns(&mut self) {
        let newer = std::mem::take(&mut self.newer);
        self.older.extend(newer); // of the turn before nothing is left where turns are taken one after the other
    }

    /// Those, in order.
    pub(super) fn last_turn(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.older.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// sled has these.
    pub(super) fn done(&mut self, count: usize) {
        for _ in 0..count {
            self.older.pop_first();
        }
    }

    /// What it says of a row, if it says anything: its value, or that it is deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let value = self.newer.get(key).or_else(|| self.older.get(key))?;
        Some(value.as_deref())
    }

    /// Rows from a key on that begin so, in order: those of the disk, and what is newer.
    pub(super) fn over<'a>(
        &'a self,
        from: &'a [u8],
        prefix: &'a [u8],
        on_disk: impl Iterator<Item = Result<Entry, StoreError>> + 'a,
    ) -> impl Iterator<Item = Result<Entry, StoreError>> + 'a {
        let of = |changes: &'a Changes| {
            let from: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(from), Bound::Unbounded);
            changes.range::<[u8], _>(from).map(|(key, value)| Ok((key.clone(), value.clone())))
        };
        let on_disk = on_disk.map(|entry| entry.map(|(key, value)| (key, Some(value))));
        let rows = Merged::of(of(&self.newer), Merged::of(of(&self.older), on_disk));
        let begins = |row: &Row| row.as_ref().map_or(true, |(key, _)| key.starts_with(prefix));
        rows.take_while(move |row| begins(row)).filter_map(|row| match row {
            Ok((key, value)) => value.map(|value| Ok((key, value))),
            Err(error) => Some(Err(error)),
        })
    }
}

/// A row, or that it is deleted.
type Row = Result<(Vec<u8>, Option<Vec<u8>>), StoreError>;

/// Two orders of rows as one; where both have a row, the newer one counts.
struct Merged<N: Iterator<Item = Row>, O: Iterator<Item = Row>> {
    newer: Peekable<N>,
    older: Peekable<O>,
}

impl<N: Iterator<Item = Row>, O: Iterator<Item = Row>> Merged<N, O> {
    fn of(newer: N, older: O) -> Self {
        Self { newer: newer.peekable(), older: older.peekable() }
    }
}

impl<N: Iterator<Item = Row>, O: Iterator<Item = Row>> Iterator for Merged<N, O> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let order = match (self.newer.peek(), self.older.peek()) {
            (Some(Ok((newer, _))), Some(Ok((older, _)))) => newer.cmp(older),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (None, _) | (_, Some(Err(_))) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.newer.next(),
            Ordering::Greater => self.older.next(),
            Ordering::Equal => {
                self.older.next();
                self.newer.next()
            }
        }
    }
}
