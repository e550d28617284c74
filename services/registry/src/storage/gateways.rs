//! What gateways serve.

use super::rows;
use crate::{error::Error, stored::ValueError};
use domain::{ChargePointId, Name, gateways::Gateways};
use evmesh_proto::store::{StoredGateways, StoredRegisteredServed};
use mesh::{
    convert::parse,
    store::{Batch, Store},
};
use prost::Message as _;
use std::path::Path;

const SERVED: &[u8] = b"served/";
const VERSION: &[u8] = b"gateways";

/// With their version; 0: none was written yet.
pub(crate) fn load_gateways(store: &impl Store, folder: &Path) -> Result<(Gateways, u64), Error> {
    let wrong = |what, source| Error::Value { folder: folder.to_owned(), what, source };
    let read = |(key, value): (Vec<u8>, Vec<u8>)| served(&key[SERVED.len()..], &value);
    let all = rows(store, SERVED)?.into_iter().map(read).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|source| wrong("charge point of a gateway", source))?;
    let version = StoredGateways::decode(store.get(VERSION)?.unwrap_or_default().as_slice());
    let version = version.map_err(|error| wrong("version of gateways", error.into()))?.version;
    Ok((Gateways::restore(all), version))
}

pub(crate) fn write_gateways_version(batch: &mut Batch, version: u64) {
    batch.put(VERSION, StoredGateways { version, gateways: Vec::new() }.encode_to_vec());
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
