//! Who somebody is by a token: people, who have a key of their own only where they have a certificate.
//!
//! A token is a JWT (RFC 7519) in its compact form, signed by ES256 or EdDSA: which of the two, its key says, and never
//! the token. It names a driver by its `sub`; with the claim `evmesh_role` it names a viewer or an operator of that
//! name. An admin is named by a certificate alone: who has the key of an identity provider, which nobody here can take
//! back, is not to say who is who.

mod keys;
mod signer;
mod tokens;

pub use keys::{InvalidKeys, Keys, MAX_KEYS, MAX_KEYS_BYTES};
pub use signer::{MAX_TOKEN_LIFETIME, SignError, Signer};
pub use tokens::{Tokens, UnusableKeys};

use crate::{Identity, LEEWAY, Role, TrustDomain};
use domain::{DriverId, Wall};
use jsonwebtoken::{Validation, crypto::aws_lc, dangerous, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

/// The longest token that is looked at (bytes); one of the registry's has some 350.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Whom a token names, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub role: Role,
    /// From then on it names nobody.
    pub not_after: Wall,
}

/// Why a token says nothing. What was wrong with a signature is one word for all of it: a stranger learns nothing of
/// keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("is no signed token (a JWT of at most {MAX_TOKEN_BYTES} bytes)")]
    Form,
    #[error("is signed by nobody who gives tokens for this network")]
    Signature,
    #[error("is for another network, or by another issuer")]
    Foreign,
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    Early,
    #[error(
        "names nobody: it needs iss, aud, exp and, as its sub, a driver's id; or that of a person whose evmesh_role is \
         viewer or operator"
    )]
    Nobody,
}

/// Whose tokens count, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub trust_domain: TrustDomain,
    /// `iss` has to be this.
    pub issuer: String,
    /// `aud` has to be, or to have, this.
    pub audience: String,
}

impl Rules {
    /// Those of the tokens that the registry of a network gives: by `spiffe://NETWORK/registry`, for
    /// `spiffe://NETWORK`.
    pub fn of_registry(trust_domain: &TrustDomain) -> Self {
        Self {
            trust_domain: trust_domain.clone(),
            issuer: format!("spiffe://{trust_domain}/{}", Role::Registry),
            audience: format!("spiffe://{trust_domain}"),
        }
    }

    /// Whom a token names, if one of the keys signed it. Other clocks may be off by [`LEEWAY`]: it is valid so much
    /// longer, and so much earlier.
    ///
    /// # Errors
    ///
    /// If it says nothing now.
    pub fn verify(&self, token: &str, keys: &Keys, now: Wall) -> Result<Named, InvalidToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken::Form);
        }
        let header = decode_header(token).map_err(|_| InvalidToken::Form)?;
        // What has to be understood, and is not, is no token (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(InvalidToken::Form);
        }
        let key = header.kid.and_then(|kid| keys.get(&kid)).ok_or(InvalidToken::Signature)?;
        let mut validation = Validation::new(key.algorithm);
        // Of its claims nothing is left to the library, which has a clock of its own.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        name_provider();
        let claims: Claims = match decode(token, &key.key, &validation) {
            Ok(token) => token.claims,
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => return Err(InvalidToken::Nobody),
            Err(_) => return Err(InvalidToken::Signature),
        };
        if claims.iss != self.issuer || !claims.aud.names(&self.audience) {
            return Err(InvalidToken::Foreign);
        }
        let not_after = date(claims.exp) + LEEWAY;
        if not_after <= now {
            return Err(InvalidToken::Expired);
        }
        let from = claims.nbf.into_iter().chain(claims.iat).map(date).max();
        if from.is_some_and(|from| from > now + LEEWAY) {
            return Err(InvalidToken::Early);
        }
        Ok(Named { role: claims.role().ok_or(InvalidToken::Nobody)?, not_after })
    }
}

/// Whom a token claims to name, and its `exp`: nobody has checked it.
///
/// # Errors
///
/// If it is no token, or names nobody.
pub fn claimed(token: &str) -> Result<Named, InvalidToken> {
    if token.len() > MAX_TOKEN_BYTES || decode_header(token).is_err() {
        return Err(InvalidToken::Form);
    }
    let claims: Claims = dangerous::insecure_decode_claims(token).map_err(|_| InvalidToken::Nobody)?;
    Ok(Named { role: claims.role().ok_or(InvalidToken::Nobody)?, not_after: date(claims.exp) })
}

/// What tokens are checked and signed with. Named, since which one is chosen by itself depends on other crates'
/// features; a second time it changes nothing.
fn name_provider() {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
}

/// What a token says. Dates are seconds since 1970, perhaps with a fraction.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    evmesh_role: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Some(some) => some.iter().any(|one| one == audience),
        }
    }
}

impl Claims {
    fn role(&self) -> Option<Role> {
        match self.evmesh_role.as_deref() {
            None => DriverId::named(&self.sub).ok().map(Role::Driver),
            Some("viewer") => self.sub.parse().ok().map(Role::Viewer),
            Some("operator") => self.sub.parse().ok().map(Role::Operator),
            Some(_) => None,
        }
    }
}

/// What is beyond all dates is the last one of them.
fn date(seconds: f64) -> Wall {
    Wall((seconds * 1000.0) as i64)
}

impl Named {
    /// Of a network.
    pub fn identity(&self, trust_domain: &TrustDomain) -> Identity {
        Identity { trust_domain: trust_domain.clone(), role: self.role.clone() }
    }
}

#[cfg(test)]
mod tests;
