//! The public keys of who gives tokens: a JWKS (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use std::{collections::HashMap, fmt};

/// The most keys that a set may have (count), those that are of no use here included.
pub const MAX_KEYS: usize = 64;
/// The longest set that is read (bytes).
pub const MAX_KEYS_BYTES: usize = 256 * 1024;

/// A text is no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    #[error("it has more than {MAX_KEYS_BYTES} bytes")]
    TooLarge,
    #[error("it is no JWKS: {{\"keys\": [...]}}")]
    Form,
    #[error("it has {0} keys, and {MAX_KEYS} are allowed")]
    TooMany(usize),
    #[error("two of its keys have the kid {0:?}")]
    Twice(String),
    #[error("it has no key for ES256 (P-256) or EdDSA (Ed25519) with a kid")]
    NoKey,
}

/// Keys by their `kid`.
pub struct Keys(HashMap<String, Key>);

/// A key, and the one algorithm that it is for.
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

impl Keys {
    /// Reads a set. Keys of other kinds, or for other purposes than signing, are left out: an identity provider has
    /// some for others too.
    ///
    /// # Errors
    ///
    /// If it is none, or nothing is left of it; then nothing of it counts.
    pub fn read(text: &str) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if text.len() > MAX_KEYS_BYTES {
            return Err(InvalidKeys::TooLarge);
        }
        let Set { keys } = serde_json::from_str(text).map_err(|_| InvalidKeys::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidKeys::TooMany(keys.len()));
        }
        let mut by_kid = HashMap::new();
        for (kid, key) in keys.into_iter().filter_map(usable) {
            if by_kid.contains_key(&kid) {
                return Err(InvalidKeys::Twice(kid));
            }
            by_kid.insert(kid, key);
        }
        if by_kid.is_empty() { Err(InvalidKeys::NoKey) } else { Ok(Self(by_kid)) }
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Key> {
        self.0.get(kid)
    }
}

fn usable(key: serde_json::Value) -> Option<(String, Key)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    let (algorithm, named) = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let signs = key.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    if !signs || key.common.key_algorithm.is_some_and(|of| of != named) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    Some((key.common.key_id?, Key { algorithm, key: decoding }))
}
