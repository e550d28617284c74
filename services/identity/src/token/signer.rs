//! The registry's own key for tokens, for networks without an identity provider.

use super::{Rules, name_provider};
use crate::{
    KeyError, Role, TrustDomain,
    request::{new_key, read_key},
};
use domain::Wall;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use rcgen::KeyPair;
use serde_json::json;
use std::{fmt, time::Duration};

/// The longest that a token of the registry's is valid: it cannot be taken back.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("{0} gets a certificate: tokens are for drivers, viewers and operators")]
    Role(Role),
    #[error("it would be valid for more than {} days", MAX_TOKEN_LIFETIME.as_secs() / (24 * 3600))]
    Lifetime,
    #[error("cannot sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Signs tokens by ES256.
pub struct Signer {
    key: KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, KeyError> {
        Ok(Self { key: new_key()? })
    }

    /// Reads one back.
    ///
    /// # Errors
    ///
    /// [`KeyError::Form`].
    pub fn from_pem(key_pem: &str) -> Result<Self, KeyError> {
        Ok(Self { key: read_key(key_pem)? })
    }

    /// In PKCS #8: for its file alone.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn encoding(&self) -> EncodingKey {
        name_provider();
        EncodingKey::from_ec_der(&self.key.serialize_der())
    }

    /// The public half, under the one name that it gives itself: its thumbprint (RFC 7638).
    fn public(&self) -> Result<Jwk, SignError> {
        let mut public = Jwk::from_encoding_key(&self.encoding(), Algorithm::ES256)?;
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        Ok(public)
    }

    /// The JWKS by which its tokens are checked.
    ///
    /// # Errors
    ///
    /// If the key cannot be used.
    pub fn keys(&self) -> Result<JwkSet, SignError> {
        Ok(JwkSet { keys: vec![self.public()?] })
    }

    /// A token for somebody of a network, from `now` on, as [`Rules::of_registry`] has it.
    ///
    /// # Errors
    ///
    /// If that one gets none, or not for so long.
    pub fn sign(
        &self,
        trust_domain: &TrustDomain,
        role: &Role,
        lifetime: Duration,
        now: Wall,
    ) -> Result<String, SignError> {
        let sub = match role {
            Role::Driver(driver) => driver.to_string(),
            Role::Viewer(name) | Role::Operator(name) => name.to_string(),
            other => return Err(SignError::Role(other.clone())),
        };
        if lifetime > MAX_TOKEN_LIFETIME {
            return Err(SignError::Lifetime);
        }
        let Rules { issuer, audience, .. } = Rules::of_registry(trust_domain);
        let seconds = |at: Wall| at.0.div_euclid(1000);
        let (exp, iat) = (seconds(now + lifetime), seconds(now));
        let mut claims = json!({ "iss": issuer, "sub": sub, "aud": audience, "exp": exp, "iat": iat });
        if !matches!(role, Role::Driver(_)) {
            claims["evmesh_role"] = role.kind().into();
        }
        let header = Header { kid: self.public()?.common.key_id, ..Header::new(Algorithm::ES256) };
        Ok(encode(&header, &claims, &self.encoding())?)
    }
}
