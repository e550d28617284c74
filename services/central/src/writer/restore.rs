//! The writer at its start: what the store kept.

use super::{RowKind, Writer, rows::Rows};
use crate::{Error, codec, history, keys};
use domain::Now;
use domain::network::{Config, Network, Source, Stored};
use evmesh_proto::store::{StoredMeta, StoredOffset};
use mesh::store::{Batch, Store};
use std::collections::BTreeMap;

/// So many entries are read at a time.
const PAGE: usize = 1000;

impl<S: Store> Writer<S> {
    /// Reads what the store kept. A new store gets its format.
    pub(crate) fn open(mut store: S, config: Config, now: Now) -> Result<Self, Error> {
        let meta = open_meta(&mut store)?;
        let mut stored = Stored::default();
        each(&store, keys::CHARGE_POINTS, |_, value| {
            stored.charge_points.push(codec::charge_point(value)?);
            Ok(())
        })?;
        each(&store, keys::ACTIVE, |key, _| {
            let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
            let session = id.map(|id| history::stored_session(&store, &id)).transpose()?.flatten();
            let missing = || codec::Unreadable::new("an open session", "it is missing");
            stored.sessions.push(session.ok_or_else(missing)?);
            Ok(())
        })?;
        each(&store, keys::ANSWERS, |_, value| {
            stored.answers.push(codec::answered(value)?);
            Ok(())
        })?;
        let offsets = offsets(&store)?;
        let mut network = Network::restore(config, now, stored);
        network.resume_at(offsets.iter().map(|(&partition, &offset)| Source { partition, offset }));
        Ok(Self {
            network,
            meta,
            notifications: Rows::restore(RowKind::Notification, &store)?,
            dead_letters: Rows::restore(RowKind::DeadLetter, &store)?,
            offsets,
            checkpointed: now.mono,
            store,
        })
    }

    /// Where Kafka is to be read on, and whose offsets these are.
    pub(crate) fn position(&self) -> (Option<String>, BTreeMap<i32, i64>) {
        let id = &self.meta.cluster_id;
        ((!id.is_empty()).then(|| id.clone()), self.offsets.clone())
    }
}

fn open_meta(store: &mut impl Store) -> Result<StoredMeta, Error> {
    if let Some(value) = store.get(keys::META)? {
        let meta: StoredMeta = codec::decode("the store's own page", &value)?;
        if meta.format > codec::FORMAT {
            return Err(Error::Newer { found: meta.format, known: codec::FORMAT });
        }
        return Ok(meta);
    }
    let meta = StoredMeta { format: codec::FORMAT, cluster_id: String::new() };
    let mut batch = Batch::default();
    batch.put(keys::META, codec::encode(&meta));
    store.commit(batch)?;
    Ok(meta)
}

fn offsets(store: &impl Store) -> Result<BTreeMap<i32, i64>, Error> {
    let mut offsets = BTreeMap::new();
    each(store, keys::OFFSETS, |key, value| {
        let damaged = || codec::Unreadable::new("an offset", "its partition is damaged");
        let partition = key.try_into().map(i32::from_be_bytes).map_err(|_| damaged())?;
        let stored: StoredOffset = codec::decode("an offset", value)?;
        offsets.insert(partition, stored.next);
        Ok(())
    })?;
    Ok(offsets)
}

/// Gives every entry under a prefix, its key without it.
fn each(
    store: &impl Store,
    prefix: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut from = prefix.to_vec();
    loop {
        let page = store.range(&from, prefix, PAGE)?;
        for (key, value) in &page {
            take(&key[prefix.len()..], value)?;
        }
        match page.into_iter().next_back() {
            Some((last, _)) => from = keys::after(last),
            None => return Ok(()),
        }
    }
}
