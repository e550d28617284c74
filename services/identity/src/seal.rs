//! Sealed messages: what one charge point tells on a topic that others can write to and read.
//!
//! The form is a compact JWE (RFC 7516) with `alg` `dir` and `enc` `A256GCM`, so that other languages' libraries open
//! it too. Its `kid` names the key: whose, and since which registration. Central makes every key out of one secret of
//! its own (HKDF with SHA-256, RFC 5869), hands an engine its own by a call over TLS, and so needs no list of them.

use crate::enrolment_token::hex;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use domain::ChargePointId;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What every key is derived for, so that no other use of the secret gives the same bytes.
const CONTEXT: &[u8] = b"evmesh telemetry 1\0";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// In base64 without padding.
const NONCE_LETTERS: usize = (NONCE_LEN * 4).div_ceil(3);
const TAG_LETTERS: usize = (TAG_BYTES * 4).div_ceil(3);
/// So many keys are kept ready to open with, some 20 MB.
const READY: usize = 16_384;
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

impl KeyName {
    /// That of each message which is sealed with this key here.
    fn header(&self) -> Option<String> {
        let header = Header { alg: "dir".into(), enc: "A256GCM".into(), kid: self.to_string() };
        Some(BASE64.encode(serde_json::to_vec(&header).ok()?))
    }
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
    /// What is the same for every key is reckoned once.
    extracted: Prk,
    name: Option<String>,
    /// Keys that have opened something, by the header that names them: all messages under one key have the same.
    ready: Mutex<HashMap<Vec<u8>, ReadyKey>>,
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
        Self { extracted, name, ready: Mutex::default() }
    }

    /// The key of a charge point from this registration on. `None`: the library's own failure, which nobody has seen.
    pub fn key(&self, charge_point: &ChargePointId, epoch: u64) -> Option<SealingKey> {
        let name = KeyName { charge_point: charge_point.clone(), epoch, secret: self.name.clone()? };
        let what: [&[u8]; 4] = [b"key\0", name.charge_point.as_str().as_bytes(), &[0], &epoch.to_be_bytes()];
        let bytes = derive(&self.extracted, &what)?;
        Some(SealingKey { name, bytes })
    }

    /// Writes what a sealed message says into `plain`, whose room is used again for the next one, and gives back whose
    /// key that was, and since which registration. After an error, which is a sentence for people, `plain` is nothing
    /// that anybody said.
    pub fn open(&self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<Arc<KeyName>, &'static str> {
        const FORM: &str = "it is no sealed message of the form that evmesh reads";
        const BROKEN: &str = "its seal is broken: somebody else wrote or changed it";
        let parts = Parts::of(sealed).ok_or(FORM)?;
        if let Some(ready) = self.ready().get(parts.header) {
            return ready.open(&parts, plain).ok_or(BROKEN);
        }
        let named = parts.named().ok_or(FORM)?;
        let key = self.key(&named.charge_point, named.epoch).filter(|key| key.name == named);
        let cipher =
            key.and_then(|key| key.cipher()).ok_or("it is sealed with a key that this central never gave")?;
        // Only under the header that evmesh itself writes: a key has one place, however else its owner may write it.
        let is_own = named.header().is_some_and(|header| header.as_bytes() == parts.header);
        let ready = ReadyKey { name: Arc::new(named), cipher };
        let name = ready.open(&parts, plain).ok_or(BROKEN)?;
        if is_own {
            let mut all = self.ready();
            if all.len() >= READY {
                all.clear(); // those that are still used come back with their next message
            }
            all.insert(parts.header.to_vec(), ready);
        }
        Ok(name)
    }

    fn ready(&self) -> MutexGuard<'_, HashMap<Vec<u8>, ReadyKey>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that opens, and needs nothing reckoned for that any more.
struct ReadyKey {
    name: Arc<KeyName>,
    cipher: LessSafeKey,
}

impl ReadyKey {
    fn open(&self, parts: &Parts<'_>, plain: &mut Vec<u8>) -> Option<Arc<KeyName>> {
        let mut nonce = [0; NONCE_LEN];
        BASE64.decode_slice(parts.nonce, &mut nonce).ok()?;
        plain.clear();
        BASE64.decode_vec(parts.text, plain).ok()?;
        let text = plain.len();
        BASE64.decode_vec(parts.tag, plain).ok()?;
        self.cipher
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(parts.header), plain)
            .ok()?;
        plain.truncate(text);
        Some(self.name.clone())
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
        let header = self.name.header()?;
        let mut text = plain.to_vec();
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            &mut text,
        );
        let (nonce, text, tag) = (BASE64.encode(nonce), BASE64.encode(text), BASE64.encode(tag.ok()?));
        Some(format!("{header}..{nonce}.{text}.{tag}").into_bytes())
    }
}

/// Does a message look sealed? One that is not is JSON.
pub fn is_sealed(message: &[u8]) -> bool {
    message.starts_with(BEGINS)
}

/// `HEADER..NONCE.TEXT.TAG`, each in base64; between the two dots would be a key that is encrypted itself.
struct Parts<'a> {
    header: &'a [u8],
    nonce: &'a [u8],
    text: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The lengths of all but the header and the text are known: the text, which is long, is not looked through.
    fn of(sealed: &'a [u8]) -> Option<Self> {
        let header = sealed.split(|byte| *byte == b'.').next()?;
        let rest = sealed[header.len()..].strip_prefix(b"..")?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LETTERS)?;
        let rest = rest.strip_prefix(b".")?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_LETTERS)?)?;
        Some(Self { header, nonce, text: text.strip_suffix(b".")?, tag })
    }

    /// The key that it says it was sealed with.
    fn named(&self) -> Option<KeyName> {
        let Header { alg, enc, kid } = serde_json::from_slice(&BASE64.decode(self.header).ok()?).ok()?;
        (alg == "dir" && enc == "A256GCM").then(|| kid.parse().ok())?
    }
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

    /// Into a place that holds what was opened before.
    fn opened(secret: &SealingSecret, sealed: &[u8]) -> Result<(Arc<KeyName>, Vec<u8>), &'static str> {
        let mut plain = b"of before".to_vec();
        secret.open(sealed, &mut plain).map(|name| (name, plain))
    }

    #[test]
    fn what_is_sealed_is_opened_by_central_alone_and_shows_nothing() {
        let (own, plain) = (key("MAD-01", 4), b"{\"type\":\"CONSUMO\",\"user_id\":\"ana\"}");
        let sealed = own.seal(plain).unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(plain));
        assert_eq!(opened(&secret(), &sealed), Ok((own.name.clone().into(), plain.to_vec())));
        assert_ne!(own.seal(plain).unwrap(), sealed, "no nonce is used twice");
        assert!(!String::from_utf8(sealed.clone()).unwrap().contains("ana"));
        assert!(own.name.to_string().starts_with("MAD-01/4/"));
        assert!(!format!("{own:?} {:?}", secret()).contains('['), "no bytes of a key");
        let other = opened(&SealingSecret::new([8; 32]), &sealed);
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
        let (name, plain) = opened(&secret(), ANOTHERS.concat().as_bytes()).unwrap();
        assert_eq!(*name, key("MAD-01", 4).name);
        assert_eq!(plain, br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":0.3}"#);
    }

    #[test]
    fn a_key_is_kept_ready_once_however_its_owner_writes_the_header() {
        let (opens, key) = (secret(), key("MAD-01", 4));
        for spaces in 0..20 {
            let header =
                format!(r#"{{"kid":"{}",{}"alg":"dir","enc":"A256GCM"}}"#, key.name, " ".repeat(spaces));
            let (header, mut text) = (BASE64.encode(header), b"{}".to_vec());
            let (nonce, aad) = (Nonce::assume_unique_for_key([1; NONCE_LEN]), Aad::from(header.as_bytes()));
            let tag = key.cipher().unwrap().seal_in_place_separate_tag(nonce, aad, &mut text).unwrap();
            let [nonce, text, tag] =
                [&[1; NONCE_LEN][..], &text, tag.as_ref()].map(|part| BASE64.encode(part));
            let sealed = format!("{header}..{nonce}.{text}.{tag}");
            assert_eq!(opened(&opens, sealed.as_bytes()), Ok((key.name.clone().into(), b"{}".to_vec())));
            opened(&opens, &key.seal(b"{}").unwrap()).unwrap();
        }
        assert_eq!(opens.ready().len(), 1);
    }

    #[test]
    fn whatever_is_changed_opens_nothing() {
        let sealed = key("MAD-01", 4).seal(b"{}").unwrap();
        let used = secret();
        opened(&used, &sealed).unwrap();
        for opens in [&used, &secret()] {
            for at in 0..sealed.len() {
                for bit in [1, 4, 0x20] {
                    let mut changed = sealed.clone();
                    changed[at] ^= bit;
                    assert!(opened(opens, &changed).is_err(), "{at}");
                }
                assert!(opened(opens, &sealed[..at]).is_err(), "{at}");
            }
            let with_a_key = String::from_utf8(sealed.clone()).unwrap().replace("..", ".AAAA.");
            assert!(opened(opens, with_a_key.as_bytes()).is_err());
        }
        // Another charge point's name over it.
        let mut parts: Vec<&str> = std::str::from_utf8(&sealed).unwrap().split('.').collect();
        let header =
            BASE64.encode(format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{}"}}"#, key("MAD-02", 4).name));
        parts[0] = &header;
        let said = opened(&secret(), parts.join(".").as_bytes());
        assert_eq!(said.unwrap_err(), "its seal is broken: somebody else wrote or changed it");
        for header in
            [r#"{"alg":"none","enc":"A256GCM","kid":"MAD-01/4/00000000"}"#, r#"{"alg":"dir"}"#, "{", ""]
        {
            let (header, mut parts) = (BASE64.encode(header), parts.clone());
            parts[0] = &header;
            let said = opened(&secret(), parts.join(".").as_bytes()).unwrap_err();
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
