use super::*;
use crate::Role;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, ThumbprintHash},
};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const NOW: Wall = Wall(1_800_000_000_000);
const S: i64 = NOW.0 / 1000;

fn rules() -> Rules {
    Rules::of_registry(&"madrid.example".parse().unwrap())
}

/// A key of who gives tokens: one for each algorithm.
struct Issuer {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Value,
}

impl Issuer {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        name_provider();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(&crate::request::new_key().unwrap().serialize_der()),
            _ => {
                let mut key = [0; 48]; // PKCS #8, and then a seed
                key[..16]
                    .copy_from_slice(b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20");
                getrandom::fill(&mut key[16..]).unwrap();
                EncodingKey::from_ed_der(&key)
            }
        };
        let mut public = Jwk::from_encoding_key(&key, algorithm).unwrap();
        public.common.key_id = Some(kid.to_owned());
        Self { key, algorithm, public: serde_json::to_value(public).unwrap() }
    }

    fn header(&self) -> Header {
        let kid = self.public["kid"].as_str().map(str::to_owned);
        Header { kid, ..Header::new(self.algorithm) }
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

fn keys(issuers: &[&Issuer]) -> Keys {
    let keys: Vec<&Value> = issuers.iter().map(|issuer| &issuer.public).collect();
    Keys::read(&json!({ "keys": keys }).to_string()).unwrap()
}

/// Those of driver 101, for an hour.
fn claims() -> Value {
    let (iss, aud) = ("spiffe://madrid.example/registry", "spiffe://madrid.example");
    json!({ "iss": iss, "aud": aud, "sub": "101", "iat": S, "exp": S + 3600 })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn base64url(bytes: &[u8]) -> String {
    let of =
        |bits: u32| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[bits as usize & 63];
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        text.extend((0..=three.len()).map(|at| char::from(of(bits >> (18 - 6 * at)))));
    }
    text
}

#[test]
fn a_token_by_either_algorithm_names_a_driver_or_whom_its_role_says() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let issuer = Issuer::new(algorithm, "a");
        let keys = keys(&[&issuer]);
        let named = |claims: &Value| rules().verify(&issuer.sign(claims), &keys, NOW);
        let driver = named(&claims()).unwrap();
        assert_eq!(driver.role.to_string(), "driver/101");
        assert_eq!(driver.not_after, Wall(NOW.0 + 3_600_000) + LEEWAY);
        let several = json!(["https://shop.example", "spiffe://madrid.example"]);
        assert_eq!(named(&with("aud", several)).unwrap(), driver);
        assert_eq!(named(&with("exp", S as f64 + 3600.0)).unwrap(), driver);
        for (role, named_so) in [("viewer", Some("viewer/ana")), ("operator", Some("operator/ana"))]
            .into_iter()
            .chain(["admin", "driver", "central", "registry", "Operator", ""].map(|role| (role, None)))
        {
            let mut claims = with("sub", "ana");
            claims["evmesh_role"] = role.into();
            let found = named(&claims).map(|named| named.role.to_string());
            assert_eq!(found.as_deref().ok(), named_so, "{role:?}: {found:?}");
        }
        assert_eq!(named(&with("evmesh_role", 1)), Err(InvalidToken::Nobody));
    }
}

#[test]
fn what_nobody_of_the_network_signed_says_nothing() {
    let issuer = Issuer::new(Algorithm::ES256, "a");
    let (other, same_kid) = (Issuer::new(Algorithm::ES256, "b"), Issuer::new(Algorithm::ES256, "a"));
    let keys = keys(&[&issuer]);
    let verify = |token: &str| rules().verify(token, &keys, NOW);
    let whole = issuer.sign(&claims());
    verify(&whole).unwrap();

    let payload = base64url(claims().to_string().as_bytes());
    let none = |alg: &str| {
        format!("{}.{payload}.", base64url(json!({"alg": alg, "kid": "a"}).to_string().as_bytes()))
    };
    for alg in ["none", "None", "NONE", ""] {
        assert_eq!(verify(&none(alg)), Err(InvalidToken::Form), "{alg}");
    }
    assert_eq!(verify(&none("ES256")), Err(InvalidToken::Signature));

    // Whoever knows the public key knows what an HMAC by it would be.
    let public = issuer.public.to_string();
    let hmac = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::HS256) };
    let forged = encode(&hmac, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    assert_eq!(verify(&forged), Err(InvalidToken::Signature));

    let ed = Issuer::new(Algorithm::EdDSA, "a");
    let no_kid = encode(&Header::new(Algorithm::ES256), &claims(), &issuer.key).unwrap();
    let brings_its_key =
        Header { jwk: Some(serde_json::from_value(other.public.clone()).unwrap()), ..issuer.header() };
    let brings_its_key = encode(&brings_its_key, &claims(), &other.key).unwrap();
    let others =
        [other.sign(&claims()), same_kid.sign(&claims()), ed.sign(&claims()), no_kid, brings_its_key];
    for token in others {
        assert_eq!(verify(&token), Err(InvalidToken::Signature));
    }

    for at in 0..whole.len() {
        let mut tampered = whole.clone().into_bytes();
        tampered[at] ^= 1;
        let tampered = String::from_utf8(tampered).unwrap();
        assert!(verify(&tampered).is_err(), "{at}: {tampered}");
    }
    let [head, body, signature] = <[&str; 3]>::try_from(whole.split('.').collect::<Vec<_>>()).unwrap();
    let of_102 = base64url(with("sub", "102").to_string().as_bytes());
    assert_eq!(verify(&format!("{head}.{of_102}.{signature}")), Err(InvalidToken::Signature));
    for cut in
        ["", ".", "..", "...", head, &format!("{head}.{body}"), &format!("{whole}.x"), &format!("{whole} ")]
    {
        assert!(verify(cut).is_err(), "{cut}");
    }
    let critical = Header { crit: Some(vec!["b64".to_owned()]), ..issuer.header() };
    assert_eq!(verify(&encode(&critical, &claims(), &issuer.key).unwrap()), Err(InvalidToken::Form));

    let long = |bytes: usize| issuer.sign(&with("x", "x".repeat(bytes)));
    assert!(verify(&long(5500)).is_ok() && long(5500).len() <= MAX_TOKEN_BYTES);
    assert_eq!(verify(&long(6200)), Err(InvalidToken::Form), "{}", long(6200).len());
}

#[test]
fn a_token_is_for_this_network_and_by_its_issuer_and_has_all_that_it_needs() {
    let issuer = Issuer::new(Algorithm::ES256, "a");
    let keys = keys(&[&issuer]);
    let verify = |claims: &Value| rules().verify(&issuer.sign(claims), &keys, NOW).map(|named| named.role);
    for foreign in [
        with("aud", "spiffe://paris.example"),
        with("aud", "spiffe://madrid.example/"),
        with("aud", json!([])),
        with("iss", "spiffe://paris.example/registry"),
        with("iss", ""),
    ] {
        assert_eq!(verify(&foreign), Err(InvalidToken::Foreign), "{foreign}");
    }
    for name in ["iss", "aud", "sub", "exp"] {
        let mut lacks = claims();
        lacks.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&lacks), Err(InvalidToken::Nobody), "{name}");
        assert_eq!(verify(&with(name, Value::Null)), Err(InvalidToken::Nobody), "{name}");
    }
    assert_eq!(verify(&with("exp", "never")), Err(InvalidToken::Nobody));
    for sub in ["", "INVITADO", "a/b", "101 ", "../admin/ana", "é", &"1".repeat(65)] {
        assert_eq!(verify(&with("sub", sub)), Err(InvalidToken::Nobody), "{sub}");
    }
    let provider = Rules { issuer: "https://id.example".into(), audience: "evmesh".into(), ..rules() };
    let mut of_provider = with("iss", "https://id.example");
    of_provider["aud"] = "evmesh".into();
    assert_eq!(verify(&of_provider), Err(InvalidToken::Foreign));
    let named = provider.verify(&issuer.sign(&of_provider), &keys, NOW).unwrap();
    assert_eq!(named.role.to_string(), "driver/101");
}

#[test]
fn clocks_may_be_off_by_five_minutes() {
    let issuer = Issuer::new(Algorithm::ES256, "a");
    let keys = keys(&[&issuer]);
    let verify = |claims: &Value| rules().verify(&issuer.sign(claims), &keys, NOW).map(drop);
    for (name, seconds, said) in [
        ("exp", -299, Ok(())),
        ("exp", -300, Err(InvalidToken::Expired)),
        ("nbf", 300, Ok(())),
        ("nbf", 301, Err(InvalidToken::Early)),
        ("iat", 300, Ok(())),
        ("iat", 301, Err(InvalidToken::Early)),
    ] {
        assert_eq!(verify(&with(name, S + seconds)), said, "{name} {seconds}");
    }
    assert_eq!(verify(&with("exp", -1)), Err(InvalidToken::Expired));
    assert_eq!(verify(&with("exp", 1e300)), Ok(()), "it is somebody's word that it never ends");
}

#[test]
fn of_a_set_of_keys_what_is_for_signing_counts_and_a_doubtful_one_not_at_all() {
    let (a, b) = (Issuer::new(Algorithm::ES256, "a"), Issuer::new(Algorithm::EdDSA, "b"));
    let read = |keys: Value| Keys::read(&json!({ "keys": keys }).to_string());
    let changed = |name: &str, value: Value| {
        let mut key = a.public.clone();
        key[name] = value;
        key
    };
    let rsa = json!({"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"});
    let (x448, nonsense) = (json!({"kty": "OKP", "crv": "X448", "x": "AA", "kid": "x"}), json!(7));
    let some = read(json!([rsa, x448, nonsense, a.public, b.public])).unwrap();
    rules().verify(&a.sign(&claims()), &some, NOW).unwrap();
    rules().verify(&b.sign(&claims()), &some, NOW).unwrap();

    let of_encryption = changed("use", "enc".into());
    let of_another = changed("alg", "ES384".into());
    let no_kid = changed("kid", Value::Null);
    let p384 = changed("crv", "P-384".into());
    let secret = json!({"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"});
    for useless in [json!([]), json!([of_encryption, of_another, no_kid, p384, secret, rsa])] {
        assert_eq!(read(useless).unwrap_err(), InvalidKeys::NoKey);
    }
    let twice = Issuer::new(Algorithm::EdDSA, "a");
    assert_eq!(read(json!([a.public, b.public, twice.public])).unwrap_err(), InvalidKeys::Twice("a".into()));
    assert_eq!(read(json!(vec![rsa; MAX_KEYS + 1])).unwrap_err(), InvalidKeys::TooMany(MAX_KEYS + 1));
    assert_eq!(Keys::read(&" ".repeat(MAX_KEYS_BYTES + 1)).unwrap_err(), InvalidKeys::TooLarge);
    for text in ["", "{}", "[]", "{\"keys\": {}}", "{\"keys\": ["] {
        assert_eq!(Keys::read(text).unwrap_err(), InvalidKeys::Form, "{text}");
    }
}

#[test]
fn the_registrys_tokens_are_those_that_its_keys_check() {
    let trust_domain = rules().trust_domain;
    let signer = Signer::from_pem(&Signer::new().unwrap().key_pem()).unwrap();
    let keys = Keys::read(&serde_json::to_string(&signer.keys().unwrap()).unwrap()).unwrap();
    let day = Duration::from_secs(24 * 3600);
    for path in ["driver/101", "viewer/ana", "operator/ana"] {
        let role: Role = path.parse().unwrap();
        let token = signer.sign(&trust_domain, &role, day, NOW).unwrap();
        assert_eq!(rules().verify(&token, &keys, NOW).unwrap().role, role);
        assert_eq!(claimed(&token).unwrap(), Named { role, not_after: NOW + day });
    }
    for path in ["admin/ana", "central/main", "registry", "bridge/old", "charge-point/MAD-01/engine"] {
        let said = signer.sign(&trust_domain, &path.parse().unwrap(), day, NOW).unwrap_err();
        assert!(matches!(said, SignError::Role(_)), "{path}: {said}");
    }
    let too_long = signer.sign(&trust_domain, &"driver/101".parse().unwrap(), day * 31, NOW);
    assert!(matches!(too_long, Err(SignError::Lifetime)), "{too_long:?}");
    let kid = serde_json::to_value(signer.keys().unwrap()).unwrap()["keys"][0]["kid"].clone();
    let public: Jwk = serde_json::from_value(json!(signer.keys().unwrap().keys[0])).unwrap();
    assert_eq!(kid, public.thumbprint(ThumbprintHash::SHA256).unwrap());
}

#[test]
fn keys_in_a_file_are_the_newest_that_can_be_used() {
    let (a, b) = (Issuer::new(Algorithm::ES256, "a"), Issuer::new(Algorithm::ES256, "b"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let set = |issuer: &Issuer| json!({ "keys": [issuer.public] }).to_string();
    assert!(Tokens::open(&file, rules()).unwrap_err().to_string().contains("keys.json cannot be used: "));
    fs::write(&file, set(&a)).unwrap();
    let tokens = Tokens::open(&file, rules()).unwrap();
    let counts = |issuer: &Issuer| tokens.verify(&issuer.sign(&claims()), &tokens.keys(), NOW).is_ok();
    assert_eq!([counts(&a), counts(&b)], [true, false]);
    let before = tokens.keys();
    for broken in [&set(&b)[..40], "", "{\"keys\": []}"] {
        fs::write(&file, broken).unwrap();
        assert_eq!([counts(&a), counts(&b)], [true, false], "{broken:?}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!([counts(&a), counts(&b)], [true, false]);
    assert!(std::sync::Arc::ptr_eq(&before, &tokens.keys()));
    fs::write(&file, set(&b)).unwrap();
    assert_eq!([counts(&a), counts(&b)], [false, true]);
}

/// A stranger chooses how often they are asked for.
#[test]
fn keys_that_cannot_be_used_are_read_once_a_second() {
    let (a, b) = (Issuer::new(Algorithm::ES256, "a"), Issuer::new(Algorithm::ES256, "b"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let set = |issuer: &Issuer| json!({ "keys": [issuer.public] }).to_string();
    let write = |text: &str| {
        fs::write(&file, text).unwrap();
        let date = std::time::UNIX_EPOCH + Duration::from_secs(1_000);
        fs::File::options().write(true).open(&file).unwrap().set_modified(date).unwrap();
    };
    fs::write(&file, set(&a)).unwrap();
    let tokens = Tokens::open(&file, rules()).unwrap();
    let before = tokens.keys();
    write(&" ".repeat(set(&b).len()));
    assert!(std::sync::Arc::ptr_eq(&before, &tokens.keys_in(7)));
    write(&set(&b)); // what a look at the file shows is the same
    assert!(std::sync::Arc::ptr_eq(&before, &tokens.keys_in(7)), "it is read again");
    assert!(!std::sync::Arc::ptr_eq(&before, &tokens.keys_in(8)), "it is never tried again");
}

#[test]
fn what_is_no_token_claims_nothing_and_is_not_shown() {
    for text in ["", "evmesh1/madrid/127.0.0.1:1/00/00", "a.b.c", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        let said = claimed(text).unwrap_err();
        assert_eq!(said, InvalidToken::Form);
        assert!(text.is_empty() || !said.to_string().contains(text));
    }
    let issuer = Issuer::new(Algorithm::ES256, "a");
    assert_eq!(claimed(&issuer.sign(&with("sub", "INVITADO"))), Err(InvalidToken::Nobody));
}
