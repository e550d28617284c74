//! The public keys by which central knows what it authorised.

use super::{decode, encode, id};
use crate::error::Unreadable;
use domain::{NetworkId, Wall};
use evmesh_proto::store::StoredSigningKey;

const WHAT: &str = "a signing key";

/// The public half of an Ed25519 key.
pub type PublicKey = [u8; 32];

/// A key whose signatures are central's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    pub key: PublicKey,
    /// The network that it signs for.
    pub network: NetworkId,
    /// When it was made: its time was over when the next one was.
    pub made: Wall,
    /// By the operator's word, its date too. Central's own are kept before these.
    pub trusted: bool,
}

pub fn signing_key_value(known: &KnownKey) -> Vec<u8> {
    encode(&StoredSigningKey {
        public_key: known.key.to_vec(),
        network_id: known.network.to_string(),
        made_ms: known.made.0,
        trusted: known.trusted,
    })
}

pub fn signing_key(bytes: &[u8]) -> Result<KnownKey, Unreadable> {
    let stored: StoredSigningKey = decode(WHAT, bytes)?;
    let length = stored.public_key.len();
    Ok(KnownKey {
        key: stored
            .public_key
            .try_into()
            .map_err(|_| Unreadable::new(WHAT, format!("it has {length} bytes, and must have 32")))?,
        network: id(WHAT, &stored.network_id)?,
        made: Wall(stored.made_ms),
        trusted: stored.trusted,
    })
}
