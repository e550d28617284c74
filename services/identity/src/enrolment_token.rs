//! The word with which somebody gets an identity from the registry.

use crate::{TrustDomain, request::only_pem};
use aws_lc_rs::digest::{SHA256, digest};
use std::{fmt, str::FromStr};

/// What a token of this form begins with.
const PREFIX: &str = "evmesh1";

/// What makes a token one: 32 random bytes. Not to be shown but in the token itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A token, as it is handed over: where the registry is, which one it is, and the secret. [`EnrolmentToken::word`]
/// writes it as one printable word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    pub trust_domain: TrustDomain,
    /// Where the registry is: `HOST:PORT`.
    pub registry: String,
    /// [`fingerprint`] of the core authority's certificate.
    pub core: [u8; 32],
    pub secret: Secret,
}

/// A text is no token. What it says instead is not repeated: it may be a secret with a slip in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole token, as 'evmesh registry token' prints it: {PREFIX}/NETWORK/HOST:PORT/…/…")]
pub struct InvalidEnrolmentToken;

impl EnrolmentToken {
    /// The one word: for whoever is enrolled, and nobody else.
    pub fn word(&self) -> String {
        let Self { trust_domain, registry, core, secret } = self;
        format!("{PREFIX}/{trust_domain}/{registry}/{}/{}", hex(core), hex(&secret.0))
    }
}

impl FromStr for EnrolmentToken {
    type Err = InvalidEnrolmentToken;
    fn from_str(text: &str) -> Result<Self, InvalidEnrolmentToken> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let [PREFIX, trust_domain, registry, core, secret] = parts[..] else {
            return Err(InvalidEnrolmentToken);
        };
        Ok(Self {
            trust_domain: trust_domain.parse().map_err(|_| InvalidEnrolmentToken)?,
            registry: registry.to_owned(),
            core: unhex(core).ok_or(InvalidEnrolmentToken)?,
            secret: Secret(unhex(secret).ok_or(InvalidEnrolmentToken)?),
        })
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// SHA-256 of the one certificate in a PEM text, as other tools reckon it too.
pub fn fingerprint(certificate_pem: &str) -> Option<[u8; 32]> {
    Some(sha256(&only_pem(certificate_pem, "CERTIFICATE")?.contents))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_shows_no_secret() {
        for registry in ["127.0.0.1:50081", "[::1]:50081", "registry.example:1"] {
            let trust_domain = "madrid.example".parse().unwrap();
            let (core, secret) = (sha256(b"x"), Secret::random().unwrap());
            let token = EnrolmentToken { trust_domain, registry: registry.to_owned(), core, secret };
            let word = token.word();
            assert!(word.bytes().all(|byte| byte.is_ascii_graphic()), "{word}");
            assert_eq!(word.parse(), Ok(token.clone()));
            assert_eq!(format!(" {word}\n").parse(), Ok(token.clone()));
            assert!(!format!("{token:?}").contains(&hex(&token.secret.0)));
            for cut in 0..word.len() {
                assert!(word[..cut].parse::<EnrolmentToken>().is_err(), "{cut}");
            }
            let (wrong, other) = (word.replace("evmesh1", "evmesh2"), word.replace("madrid", "Madrid"));
            assert!(wrong.parse::<EnrolmentToken>().is_err() && other.parse::<EnrolmentToken>().is_err());
        }
    }

    #[test]
    fn hashes_are_those_that_others_reckon() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), abc); // FIPS 180-4
        let pem = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        assert_eq!(fingerprint(pem).map(|hash| hex(&hash)).as_deref(), Some(abc));
        assert_eq!(fingerprint(&pem.repeat(2)), None);
    }
}
