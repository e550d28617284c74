//! What is on disk in the store and beside it: an entry of the list, which is in the mark of a revocation, too; and
//! what gateways serve.

use domain::{
    Name, Wall,
    enrolment::{Certificate, Enrolled, KeyHash, Mark, RolePath},
    gateways::Gateways,
};
use evmesh_proto::store::{
    StoredCertificate, StoredGateway, StoredGateways, StoredIdentity, StoredRevocation,
};
use mesh::convert::{InvalidField, given, parse};
use prost::Message as _;

/// What is wrong with a stored value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error(transparent)]
    Form(#[from] prost::DecodeError),
    #[error(transparent)]
    Field(#[from] InvalidField),
}

pub(crate) fn identity_value(enrolled: &Enrolled) -> StoredIdentity {
    let Enrolled { key, hosts, newest, issued, earlier, revoked_now } = enrolled;
    let certificate = |Certificate { serial, not_after, revoked }: &Certificate| StoredCertificate {
        serial: serial.clone(),
        not_after_ms: not_after.0,
        revoked_ms: revoked.map(|at| at.0),
    };
    StoredIdentity {
        key_hash: key.0.to_vec(),
        hosts: hosts.clone(),
        newest: Some(certificate(newest)),
        issued_ms: issued.0,
        earlier: earlier.iter().map(certificate).collect(),
        revoked_now: *revoked_now,
    }
}

pub(crate) fn identity(stored: StoredIdentity) -> Result<Enrolled, ValueError> {
    let StoredIdentity { key_hash, hosts, newest, issued_ms, earlier, revoked_now } = stored;
    let certificate = |StoredCertificate { serial, not_after_ms, revoked_ms }| Certificate {
        serial,
        not_after: Wall(not_after_ms),
        revoked: revoked_ms.map(Wall),
    };
    Ok(Enrolled {
        key: KeyHash(hash("key_hash", &key_hash)?),
        hosts,
        newest: certificate(given("newest", newest)?),
        issued: Wall(issued_ms),
        earlier: earlier.into_iter().map(certificate).collect(),
        revoked_now,
    })
}

/// What is in the file of a mark.
pub(crate) fn mark_value(role: &str, Mark { revoked, until, enrolled, keys }: &Mark) -> Vec<u8> {
    let (role, identity) = (role.to_owned(), Some(identity_value(enrolled)));
    let key_hashes = keys.iter().map(|key| key.0.to_vec()).collect();
    StoredRevocation { role, revoked_ms: revoked.0, until_ms: until.0, identity, key_hashes }.encode_to_vec()
}

pub(crate) fn mark(value: &[u8]) -> Result<(RolePath, Mark), ValueError> {
    let StoredRevocation { role, revoked_ms, until_ms, identity: stored, key_hashes } =
        StoredRevocation::decode(value)?;
    let enrolled = identity(given("identity", stored)?)?;
    let keys = key_hashes.iter().map(|key| hash("key_hashes", key).map(KeyHash));
    let keys = keys.collect::<Result<_, _>>()?;
    Ok((role.into(), Mark { revoked: Wall(revoked_ms), until: Wall(until_ms), enrolled, keys }))
}

/// What is in the file of what gateways serve.
pub(crate) fn gateways_value(all: &Gateways, version: u64) -> Vec<u8> {
    let gateways = all.by_gateway().map(|(name, points)| StoredGateway {
        name: name.to_string(),
        charge_point_ids: points.iter().map(ToString::to_string).collect(),
    });
    StoredGateways { version, gateways: gateways.collect() }.encode_to_vec()
}

pub(crate) fn gateways(value: &[u8]) -> Result<(Gateways, u64), ValueError> {
    let StoredGateways { version, gateways } = StoredGateways::decode(value)?;
    let mut all = Vec::new();
    for StoredGateway { name, charge_point_ids } in gateways {
        let name: Name = parse("name", &name)?;
        for id in charge_point_ids {
            all.push((parse("charge_point_ids", &id)?, name.clone()));
        }
    }
    Ok((Gateways::restore(all), version))
}

pub(crate) fn hash(field: &str, bytes: &[u8]) -> Result<[u8; 32], InvalidField> {
    bytes.try_into().map_err(|_| InvalidField::new(field, "must have 32 bytes"))
}
