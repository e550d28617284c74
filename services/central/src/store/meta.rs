//! The store's own page: its layout, its ids, how far a rebuild is.

use super::{codec, keys};
use crate::Error;
use domain::{Wall, network::Past};
use evmesh_proto::store::StoredMeta;
use mesh::store::{Batch, Store};

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
pub(crate) fn begun(store: &dyn Store) -> Result<Begun, Error> {
    Ok(match store.get(keys::META)? {
        None => Begun::Empty,
        Some(value) if read_meta(&value)?.rebuilding => Begun::HalfRebuilt,
        Some(_) => Begun::Whole,
    })
}

/// The page of a new store.
pub(crate) fn new_meta() -> StoredMeta {
    StoredMeta { format: codec::FORMAT, store_id: uuid::Uuid::new_v4().to_string(), ..StoredMeta::default() }
}

pub(crate) fn meta(store: &dyn Store) -> Result<StoredMeta, Error> {
    store.get(keys::META)?.map_or_else(|| Ok(StoredMeta::default()), |value| read_meta(&value))
}

fn read_meta(value: &[u8]) -> Result<StoredMeta, Error> {
    let meta: StoredMeta = codec::decode("the store's own page", value)?;
    codec::check_format(meta.format)?;
    Ok(meta)
}

pub(crate) fn past(meta: &StoredMeta) -> Past {
    let StoredMeta { latest_ms, set_back_from_ms, highest_dropped_authorization, forgotten_to_ms, .. } =
        *meta;
    Past {
        latest: Wall(latest_ms),
        set_back_from: Wall(set_back_from_ms),
        highest_dropped: highest_dropped_authorization,
        forgotten_to: Wall(forgotten_to_ms),
    }
}

/// Writes the page with what is known of the past by now.
pub(crate) fn put_past(meta: &mut StoredMeta, known: Past, batch: &mut Batch) {
    let Past { latest, set_back_from, highest_dropped, forgotten_to } = known;
    (meta.latest_ms, meta.set_back_from_ms) = (latest.0, set_back_from.0);
    (meta.highest_dropped_authorization, meta.forgotten_to_ms) = (highest_dropped, forgotten_to.0);
    batch.put(keys::META, codec::encode(meta));
}

/// Reads the page of a store that is opened, and writes what a new one, or a changelog's beginning or end, changes of
/// it.
pub(crate) fn open_meta(store: &mut impl Store, changelog: bool) -> Result<StoredMeta, Error> {
    let before = store.get(keys::META)?.map(|value| read_meta(&value)).transpose()?;
    let mut meta = match &before {
        Some(meta) => meta.clone(),
        None => new_meta(),
    };
    if meta.rebuilding {
        return Err(Error::HalfRebuilt);
    }
    if meta.store_id.is_empty() {
        // It never had a changelog, so nothing in it is marked.
        meta.store_id = new_meta().store_id;
        meta.marked_to = Some(Vec::new());
    } else if !changelog {
        meta.marked_to = Some(Vec::new()); // what changes from now on is not marked
    }
    if before.as_ref() != Some(&meta) {
        let mut batch = Batch::default();
        batch.put(keys::META, codec::encode(&meta));
        store.commit(batch)?;
    }
    Ok(meta)
}
