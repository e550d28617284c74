//! What gateways serve.

use super::rows;
use crate::{error::Error, stored::ValueError};
use domain::{ChargePointId, Name, gateways::Gateways};
use evmesh_proto::store::StoredRegisteredServed;
use mesh::{
    convert::parse,
    store::{Batch, Store},
};
use prost::Message as _;
use std::path::Path;

const SERVED: &[u8] = b"served/";

pub(crate) fn load_gateways(store: &impl Store, folder: &Path) -> Result<Gateways, Error> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| served(&key[SERVED.len()..], &value);
    let all = rows(store, SERVED)?.into_iter().map(read).collect::<Result<Vec<_>, _>>();
    let wrong =
        |source| Error::Value { folder: folder.to_owned(), what: "charge point of a gateway", source };
    Ok(Gateways::restore(all.map_err(wrong)?))
}

/// `None`: no gateway serves it.
pub(crate) fn write_served(batch: &mut Batch, point: &ChargePointId, gateway: Option<&Name>) {
    let key = [SERVED, point.as_str().as_bytes()].concat();
    match gateway {
        Some(gateway) => {
            batch.put(key, StoredRegisteredServed { gateway: gateway.to_string() }.encode_to_vec());
        }
        None => batch.delete(key),
    }
}

fn served(key: &[u8], value: &[u8]) -> Result<(ChargePointId, Name), ValueError> {
    let StoredRegisteredServed { gateway } = StoredRegisteredServed::decode(value)?;
    Ok((parse("key", &String::from_utf8_lossy(key))?, parse("gateway", &gateway)?))
}
