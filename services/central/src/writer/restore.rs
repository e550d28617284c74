//! The writer at its start: what the store kept.

use super::{RowKind, Writer, rows::Rows};
use crate::{
    Error,
    changelog::{self, Marks, Standing},
    codec, history, keys,
};
use domain::network::{Config, Network, Source, Stored};
use domain::{Now, SessionId};
use evmesh_proto::store::{StoredMeta, StoredOffset};
use mesh::store::{Batch, Store};
use std::collections::BTreeMap;

/// So many entries are read at a time.
const PAGE: usize = 1000;

impl<S: Store> Writer<S> {
    /// Reads what the store kept. A new store gets its format.
    pub fn open(mut store: S, config: Config, now: Now) -> Result<Self, Error> {
        let meta = open_meta(&mut store, config.confirm_copied)?;
        let marks =
            config.confirm_copied.then(|| Marks::restore(&store, meta.changelog_version)).transpose()?;
        let mut stored = stored(&store)?;
        stored.ask_every_engine = changelog::is_recent(&meta, now.wall);
        if let Some(marks) = &marks {
            let marked = |id: &SessionId| marks.has(&keys::session(id));
            stored.uncopied =
                stored.sessions.iter().map(|session| session.id.clone()).filter(marked).collect();
        }
        let offsets = offsets(&store)?;
        let mut network = Network::restore(config, now, stored);
        network.resume_at(offsets.iter().map(|(&partition, &offset)| Source { partition, offset }));
        Ok(Self {
            network,
            meta,
            notifications: Rows::restore(RowKind::Notification, &store)?,
            dead_letters: Rows::restore(RowKind::DeadLetter, &store)?,
            marks,
            standing: Standing::default(),
            unkept: None,
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

/// How far a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nothing was ever in it.
    Empty,
    /// A rebuild has not come to its end.
    HalfRebuilt,
    /// It can be opened.
    Whole,
}

/// Looks how far a store is.
pub(crate) fn begun(store: &impl Store) -> Result<Begun, Error> {
    Ok(match store.get(keys::META)? {
        None => Begun::Empty,
        Some(value) if read_meta(&value)?.rebuilding => Begun::HalfRebuilt,
        Some(_) => Begun::Whole,
    })
}

/// The page of a new store that has a changelog.
pub(crate) fn new_meta() -> StoredMeta {
    StoredMeta { format: codec::FORMAT, store_id: uuid::Uuid::new_v4().to_string(), ..StoredMeta::default() }
}

/// The page of a store.
pub(crate) fn meta(store: &impl Store) -> Result<StoredMeta, Error> {
    store.get(keys::META)?.map_or_else(|| Ok(StoredMeta::default()), |value| read_meta(&value))
}

fn read_meta(value: &[u8]) -> Result<StoredMeta, Error> {
    let meta: StoredMeta = codec::decode("the store's own page", value)?;
    codec::check_format(meta.format)?;
    Ok(meta)
}

/// What the rules start from.
pub(crate) fn stored(store: &impl Store) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    each(store, keys::CHARGE_POINTS, |_, value| {
        stored.charge_points.push(codec::charge_point(value)?);
        Ok(())
    })?;
    each(store, keys::ACTIVE, |key, _| {
        let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
        let session = id.map(|id| history::stored_session(store, &id)).transpose()?.flatten();
        let missing = || codec::Unreadable::new("an open session", "it is missing");
        stored.sessions.push(session.ok_or_else(missing)?);
        Ok(())
    })?;
    each(store, keys::ANSWERS, |_, value| {
        stored.answers.push(codec::answered(value)?);
        Ok(())
    })?;
    Ok(stored)
}

fn open_meta(store: &mut impl Store, changelog: bool) -> Result<StoredMeta, Error> {
    let before = store.get(keys::META)?.map(|value| read_meta(&value)).transpose()?;
    let mut meta = match &before {
        Some(meta) => meta.clone(),
        None if changelog => new_meta(),
        None => StoredMeta { format: codec::FORMAT, ..StoredMeta::default() },
    };
    if meta.rebuilding {
        return Err(Error::HalfRebuilt);
    }
    if meta.store_id.is_empty() && changelog {
        // It never had a changelog, so nothing in it is marked.
        meta.store_id = new_meta().store_id;
        meta.marked_to = Some(Vec::new());
    } else if !meta.store_id.is_empty() && !changelog {
        meta.marked_to = Some(Vec::new()); // what changes from now on is not marked
    }
    if before.as_ref() != Some(&meta) {
        let mut batch = Batch::default();
        batch.put(keys::META, codec::encode(&meta));
        store.commit(batch)?;
    }
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
