//! What gateways serve, as the registry told it: known while it is away. Not in the changelog: whoever rebuilds a store
//! hears of it from the registry, and takes no gateway's word until then.

use super::{codec, keys, pages::each};
use crate::{Error, error::Unreadable};
use domain::{ChargePointId, gateways::Held};
use mesh::store::{Batch, Store};

pub(crate) fn gateways(store: &dyn Store) -> Result<Held, Error> {
    let mut written = Vec::new();
    each(store, keys::SERVED, |id, value| {
        let id = std::str::from_utf8(id).ok().and_then(|text| text.parse::<ChargePointId>().ok());
        let id = id.ok_or_else(|| Unreadable::new("a gateway's charge point", "it has no id"))?;
        written.push((id, codec::served(value)?));
        Ok(())
    })?;
    Ok(Held::restore(written))
}

/// Writes who serves one, and who is to, as it is held now.
pub(crate) fn put_served(point: &ChargePointId, held: &Held, batch: &mut Batch) {
    let key = keys::served(point);
    match [held.all().of(point), held.said(point)] {
        [None, None] => batch.delete(key),
        row => batch.put(key, codec::served_value(row)),
    }
}
