//! Sealed messages: what one charge point tells on a topic that others can write to and read.
//!
//! The form is a compact JWE (RFC 7516) with `alg` `dir` and `enc` `A256GCM`, so that other languages' libraries open
//! it too. Its `kid` names the key: whose, and since which registration. Central makes every key out of one secret of
//! its own (HKDF with SHA-256, RFC 5869), hands an engine its own by a call over TLS, and so keeps no list of them.

use crate::enrolment_token::hex;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use domain::ChargePointId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What every key is derived for, so that no other use of the secret gives the same bytes.
const CONTEXT: &[u8] = b"evmesh telemetry 1\0";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// What every sealed message begins with: the JSON of its header does with `{"`.
const BEGINS: &[u8] = b"eyJ";

/// Which key: the charge point's, from one registration on, out of one secret. As text `MAD-01/4/0f1e2d3c`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName {
    pub charge_point: ChargePointId,
    /// The epoch of its registration at central.
    pub epoch: u64,
    /// Eight hexadecimal digits that tell one secret of central's from another.
    pub secret: String,
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.charge_point, self.epoch, self.secret)
    }
}

/// A text names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be CHARGE-POINT/EPOCH/SECRET")]
pub struct InvalidKeyName;

impl FromStr for KeyName {
    type Err = InvalidKeyName;
    fn from_str(text: &str) -> Result<Self, InvalidKeyName> {
        let parts: Vec<&str> = text.split('/').collect();
        let [charge_point, epoch, secret] = parts[..] else { return Err(InvalidKeyName) };
        let name = Self {
            charge_point: charge_point.parse().map_err(|_| InvalidKeyName)?,
            epoch: epoch.parse().map_err(|_| InvalidKeyName)?,
            secret: secret.to_owned(),
        };
        // One key has one name.
        if name.to_string() == text && secret.len() == 8 { Ok(name) } else { Err(InvalidKeyName) }
    }
}

/// The one secret that a central makes its charge points' keys of.
pub struct SealingSecret {
    /// What is the same for every key is reckoned once: each message names its key anew.
    extracted: Prk,
    name: Option<String>,
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingSecret")
    }
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl SealingSecret {
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let extracted = Salt::new(HKDF_SHA256, &[]).extract(&bytes);
        let name = derive(&extracted, &[b"name"]).map(|bytes| hex(&bytes[..4]));
        Self { extracted, name }
    }

    /// The key of a charge point from this registration on. `None`: the library's own failure, which nobody has seen.
    pub fn key(&self, charge_point: &ChargePointId, epoch: u64) -> Option<SealingKey> {
        let name = KeyName { charge_point: charge_point.clone(), epoch, secret: self.name.clone()? };
        let what: [&[u8]; 4] = [b"key\0", name.charge_point.as_str().as_bytes(), &[0], &epoch.to_be_bytes()];
        let bytes = derive(&self.extracted, &what)?;
        Some(SealingKey { name, bytes })
    }

    /// What a sealed message says, and since which registration its charge point has had its key. The error is a
    /// sentence for people.
    pub fn open(&self, sealed: &[u8]) -> Result<(KeyName, Vec<u8>), &'static str> {
        let named = named(sealed).ok_or("it is no sealed message of the form that evmesh reads")?;
        let key = self.key(&named.charge_point, named.epoch).filter(|key| key.name == named);
        let key = key.ok_or("it is sealed with a key that this central never gave")?;
        let plain = key.open(sealed).ok_or("its seal is broken: somebody else wrote or changed it")?;
        Ok((named, plain))
    }
}

fn derive(extracted: &Prk, what: &[&[u8]]) -> Option<[u8; KEY_BYTES]> {
    let info: Vec<&[u8]> = [CONTEXT].into_iter().chain(what.iter().copied()).collect();
    let mut bytes = [0; KEY_BYTES];
    extracted.expand(&info, KeyLength).and_then(|derived| derived.fill(&mut bytes)).ok()?;
    Some(bytes)
}

/// One charge point's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey {
    pub name: KeyName,
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingKey").field(&self.name).finish()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
}

impl SealingKey {
    /// As a call brought it.
    pub fn given(name: KeyName, bytes: &[u8]) -> Option<Self> {
        Some(Self { name, bytes: bytes.try_into().ok()? })
    }

    /// For that call alone.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.bytes).ok().map(LessSafeKey::new)
    }

    /// Seals a message. Its nonce is random: of a key that seals one each second for a year, two are the same with a
    /// chance of one in 10^14. `None`: the system gives no random bytes.
    pub fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let header = Header { alg: "dir".into(), enc: "A256GCM".into(), kid: self.name.to_string() };
        let header = BASE64.encode(serde_json::to_vec(&header).ok()?);
        let mut text = plain.to_vec();
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            &mut text,
        );
        let (nonce, text, tag) = (BASE64.encode(nonce), BASE64.encode(text), BASE64.encode(tag.ok()?));
        Some(format!("{header}..{nonce}.{text}.{tag}").into_bytes())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let [header, _, nonce, text, tag] = parts(sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(&BASE64.decode(nonce).ok()?).ok()?;
        let (mut text, tag) = (BASE64.decode(text).ok()?, BASE64.decode(tag).ok()?);
        if tag.len() != TAG_BYTES {
            return None;
        }
        text.extend(tag);
        let plain = self.cipher()?.open_in_place(nonce, Aad::from(header.as_bytes()), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

/// Does a message look sealed? One that is not is JSON.
pub fn is_sealed(message: &[u8]) -> bool {
    message.starts_with(BEGINS)
}

fn parts(sealed: &[u8]) -> Option<[&str; 5]> {
    let parts: Vec<&str> = std::str::from_utf8(sealed).ok()?.split('.').collect();
    parts.try_into().ok()
}

/// The key that a sealed message says it was sealed with.
fn named(sealed: &[u8]) -> Option<KeyName> {
    let [header, encrypted_key, ..] = parts(sealed)?;
    let Header { alg, enc, kid } = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    let own = alg == "dir" && enc == "A256GCM" && encrypted_key.is_empty();
    own.then(|| kid.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SealingSecret {
        SealingSecret::new([7; 32])
    }

    fn key(point: &str, epoch: u64) -> SealingKey {
        secret().key(&point.parse().unwrap(), epoch).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_central_alone_and_shows_nothing() {
        let (own, plain) = (key("MAD-01", 4), b"{\"type\":\"CONSUMO\",\"user_id\":\"ana\"}");
        let sealed = own.seal(plain).unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(plain));
        assert_eq!(secret().open(&sealed), Ok((own.name.clone(), plain.to_vec())));
        assert_ne!(own.seal(plain).unwrap(), sealed, "no nonce is used twice");
        assert!(!String::from_utf8(sealed.clone()).unwrap().contains("ana"));
        assert!(own.name.to_string().starts_with("MAD-01/4/"));
        assert!(!format!("{own:?} {:?}", secret()).contains('['), "no bytes of a key");
        let other = SealingSecret::new([8; 32]).open(&sealed);
        assert_eq!(other.unwrap_err(), "it is sealed with a key that this central never gave");
        assert_ne!(key("MAD-01", 5).bytes, own.bytes);
        assert_ne!(key("MAD-02", 4).bytes, own.bytes);
        assert_eq!(SealingKey::given(own.name.clone(), own.bytes()), Some(own.clone()));
        assert_eq!(SealingKey::given(own.name, &[1; 31]), None);
    }

    /// Made by other means: Python's hmac and its cryptography's AESGCM, by the RFCs.
    const ANOTHERS: &[&str] = &[
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiTUFELTAxLzQvMTMwMDRjMWQifQ..",
        "AAECAwQFBgcICQoL.",
        "mOLkj2Z_GQEq9_UFtPJM6mf--iXbLAGKEw_FxuaXHuGPhE3GsnU2m5vhFRUubcBkLRd20Yo63rXIFDLp9g",
        ".ct4m9RcyX94_cVBNaZ6ybA",
    ];

    #[test]
    fn what_another_library_sealed_is_opened() {
        let (name, plain) = secret().open(ANOTHERS.concat().as_bytes()).unwrap();
        assert_eq!(name, key("MAD-01", 4).name);
        assert_eq!(plain, br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":0.3}"#);
    }

    #[test]
    fn whatever_is_changed_opens_nothing() {
        let sealed = key("MAD-01", 4).seal(b"{}").unwrap();
        for at in 0..sealed.len() {
            for bit in [1, 4, 0x20] {
                let mut changed = sealed.clone();
                changed[at] ^= bit;
                assert!(secret().open(&changed).is_err(), "{at}");
            }
            assert!(secret().open(&sealed[..at]).is_err(), "{at}");
        }
        // Another charge point's name over it.
        let mut parts: Vec<&str> = std::str::from_utf8(&sealed).unwrap().split('.').collect();
        let header =
            BASE64.encode(format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{}"}}"#, key("MAD-02", 4).name));
        parts[0] = &header;
        let said = secret().open(parts.join(".").as_bytes());
        assert_eq!(said.unwrap_err(), "its seal is broken: somebody else wrote or changed it");
        for header in
            [r#"{"alg":"none","enc":"A256GCM","kid":"MAD-01/4/00000000"}"#, r#"{"alg":"dir"}"#, "{", ""]
        {
            let (header, mut parts) = (BASE64.encode(header), parts.clone());
            parts[0] = &header;
            let said = secret().open(parts.join(".").as_bytes()).unwrap_err();
            assert_eq!(said, "it is no sealed message of the form that evmesh reads");
        }
    }

    #[test]
    fn a_key_has_one_name() {
        for wrong in
            ["MAD-01/04/00000000", "MAD-01/4", "MAD-01/4/0", "/4/00000000", "MAD-01/+4/00000000", "a/b/c/d"]
        {
            assert_eq!(wrong.parse::<KeyName>(), Err(InvalidKeyName), "{wrong}");
        }
        let name: KeyName = "MAD-01/4/0a0b0c0d".parse().unwrap();
        assert_eq!((name.charge_point.as_str(), name.epoch), ("MAD-01", 4));
    }
}
