//! Where each partition of `cp_telemetry` is read on: stored with the state that the messages before it led to.

use super::{codec, keys, pages::each};
use crate::{Error, error::Unreadable};
use evmesh_proto::store::StoredOffset;
use mesh::store::{Batch, Store};
use std::collections::BTreeMap;

/// The next offset of each partition.
pub(crate) fn offsets(store: &dyn Store) -> Result<BTreeMap<i32, i64>, Error> {
    let mut offsets = BTreeMap::new();
    each(store, keys::OFFSETS, |key, value| {
        let damaged = || Unreadable::new("an offset", "its partition is damaged");
        let partition = key.try_into().map(i32::from_be_bytes).map_err(|_| damaged())?;
        let stored: StoredOffset = codec::decode("an offset", value)?;
        offsets.insert(partition, stored.next);
        Ok(())
    })?;
    Ok(offsets)
}

/// Writes the next offset of a partition.
pub(crate) fn put_offset(partition: i32, next: i64, batch: &mut Batch) {
    batch.put(keys::offset(partition), codec::encode(&StoredOffset { next }));
}
