//! What is on disk, and under which keys.
//!
//! | key | value |
//! |---|---|
//! | `registry` | `StoredRegistry` |
//! | `token/` + SHA-256 of its secret | `StoredEnrolmentToken` |
//! | `identity/` + role | `StoredIdentity` |
//! | `chain/` + role | its newest certificate and its authority's, in PEM |
//! | `audit/` + number, big-endian | `StoredAuditEntry` |
//! | `card-key` | 32 random bytes: the key of the cards' digests |
//! | `card/` + id | `StoredRegisteredCard` |
//! | `served/` + charge point | `StoredRegisteredServed` |
//! | `gateways` | `StoredGateways`, its version alone |

mod cards;
mod gateways;

pub(crate) use cards::{card_key, load_cards, write_card};
pub(crate) use gateways::{load_gateways, write_gateways_version, write_served};

use crate::{
    error::Error,
    stored::{ValueError, hash, identity, identity_value},
};
use domain::{
    Wall,
    enrolment::{Change, Enrolments, KeyHash, Token, TokenHash},
};
use evmesh_proto::store::{StoredEnrolmentToken, StoredIdentity, StoredRegistry};
use identity::TrustDomain;
use mesh::{
    convert::InvalidField,
    store::{Batch, Entry, Store, StoreError},
};
use prost::Message as _;
use std::path::Path;

/// The layout that this version writes.
const FORMAT: u32 = 1;
pub(crate) const REGISTRY: &[u8] = b"registry";
const TOKEN: &[u8] = b"token/";
const IDENTITY: &[u8] = b"identity/";
const CHAIN: &[u8] = b"chain/";
/// So many rows are read at once.
const PAGE: usize = 1_000;

/// Reads what was on disk; an empty store becomes this network's.
pub(crate) fn load(
    store: &mut impl Store,
    folder: &Path,
    trust_domain: &TrustDomain,
) -> Result<Enrolments, Error> {
    let wrong = |what, source: ValueError| Error::Value { folder: folder.to_owned(), what, source };
    let Some(value) = store.get(REGISTRY)? else {
        let mut batch = Batch::default();
        let trust_domain = trust_domain.to_string();
        let begun = StoredRegistry { format: FORMAT, trust_domain, ..StoredRegistry::default() };
        batch.put(REGISTRY, begun.encode_to_vec());
        store.commit(batch)?;
        return Ok(Enrolments::default());
    };
    let registry =
        StoredRegistry::decode(value.as_slice()).map_err(|error| wrong("registry", error.into()))?;
    if registry.format != FORMAT {
        let (found, known) = (registry.format, FORMAT);
        return Err(StoreError::Newer { folder: folder.to_owned(), found, known }.into());
    }
    if registry.trust_domain != trust_domain.to_string() {
        let (found, wanted) = (registry.trust_domain, trust_domain.clone());
        return Err(Error::OtherNetwork { folder: folder.to_owned(), found, wanted });
    }
    let mut written = Vec::new();
    for (key, value) in rows(store, TOKEN)? {
        written.push(token(&key[TOKEN.len()..], &value).map_err(|error| wrong("token", error))?);
    }
    for (key, value) in rows(store, IDENTITY)? {
        written.push(enrolled(&key[IDENTITY.len()..], &value).map_err(|error| wrong("identity", error))?);
    }
    Ok(Enrolments::restore(written))
}

fn rows(store: &impl Store, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        // The least key after the last one.
        let from = all.last().map_or(prefix.to_vec(), |(key, _)| [key.as_slice(), &[0]].concat());
        let page = store.range(&from, prefix, PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// The newest certificate of a role and its authority's, as it was given.
pub(crate) fn chain(store: &dyn Store, role: &str) -> Result<Option<String>, StoreError> {
    let value = store.get(&[CHAIN, role.as_bytes()].concat())?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

pub(crate) fn write_chain(batch: &mut Batch, role: &str, chain: &str) {
    batch.put([CHAIN, role.as_bytes()].concat(), chain);
}

pub(crate) fn write(batch: &mut Batch, change: &Change) {
    match change {
        Change::Token(hash, token) => {
            let key = [TOKEN, &hash.0].concat();
            match token {
                Some(token) => batch.put(key, token_value(token).encode_to_vec()),
                None => batch.delete(key),
            }
        }
        Change::Identity(role, enrolled) => {
            let key = [IDENTITY, role.as_bytes()].concat();
            match enrolled {
                Some(enrolled) => batch.put(key, identity_value(enrolled).encode_to_vec()),
                None => {
                    batch.delete(key);
                    batch.delete([CHAIN, role.as_bytes()].concat());
                }
            }
        }
    }
}

fn token_value(Token { role, hosts, expires, used_by }: &Token) -> StoredEnrolmentToken {
    StoredEnrolmentToken {
        role: role.to_string(),
        hosts: hosts.clone(),
        expires_ms: expires.0,
        used_by: used_by.map_or_else(Vec::new, |key| key.0.to_vec()),
    }
}

fn token(key: &[u8], value: &[u8]) -> Result<Change, ValueError> {
    let StoredEnrolmentToken { role, hosts, expires_ms, used_by } = StoredEnrolmentToken::decode(value)?;
    let used_by = if used_by.is_empty() { None } else { Some(KeyHash(hash("used_by", &used_by)?)) };
    let token = Token { role: role.into(), hosts, expires: Wall(expires_ms), used_by };
    Ok(Change::Token(TokenHash(hash("key", key)?), Some(token)))
}

fn enrolled(key: &[u8], value: &[u8]) -> Result<Change, ValueError> {
    let role = std::str::from_utf8(key).map_err(|_| InvalidField::new("key", "must be a role"))?;
    Ok(Change::Identity(role.into(), Some(identity(StoredIdentity::decode(value)?)?)))
}
