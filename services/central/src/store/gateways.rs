//! What gateways serve, as the registry told it: known while it is away. Not in the changelog: whoever rebuilds a store
//! hears of it from the registry, and takes no gateway's word until then.

use super::{codec, keys, pages::each};
use crate::{Error, error::Unreadable};
use domain::{
    ChargePointId,
    gateways::{Gateways, Moved},
};
use mesh::store::{Batch, Store};

pub(crate) fn gateways(store: &dyn Store) -> Result<Gateways, Error> {
    let mut written = Vec::new();
    each(store, keys::SERVED, |id, value| {
        let id = std::str::from_utf8(id).ok().and_then(|text| text.parse::<ChargePointId>().ok());
        let id = id.ok_or_else(|| Unreadable::new("a gateway's charge point", "it has no id"))?;
        written.push((id, codec::served(value)?));
        Ok(())
    })?;
    Ok(Gateways::restore(written))
}

pub(crate) fn put_served(Moved { point, after, .. }: &Moved, batch: &mut Batch) {
    let key = keys::served(point);
    match after {
        Some(gateway) => batch.put(key, codec::served_value(gateway)),
        None => batch.delete(key),
    }
}
