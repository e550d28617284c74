//! Tokens that are none, and keys that change meanwhile.

use super::{call, refused};
use crate::hostile::{
    scenes::STRANGER,
    secured::{NAME, Secured},
};
use anyhow::{Context as _, ensure};
use evmesh_proto::driver::{RequestChargeRequest, driver_service_client::DriverServiceClient};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto::aws_lc, encode, jwk::Jwk};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::Request;

const REFUSED: &str = "evmesh_server_refused_total";
const BEARER: &str = "why=\"bearer\"";

/// Who gives tokens: an Ed25519 key, and its public half.
struct Issuer {
    key: EncodingKey,
    public: Value,
}

impl Issuer {
    fn new(kid: &str) -> anyhow::Result<Self> {
        let _ = aws_lc::DEFAULT_PROVIDER.install_default(); // a second time it changes nothing
        let mut key = [0; 48]; // PKCS #8, and then a seed
        key[..16].copy_from_slice(b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20");
        key[16..].fill_with(|| fastrand::u8(..));
        let key = EncodingKey::from_ed_der(&key);
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        public.common.key_id = Some(kid.to_owned());
        Ok(Self { key, public: serde_json::to_value(public)? })
    }

    fn header(&self, algorithm: Algorithm) -> Header {
        Header { kid: self.public["kid"].as_str().map(str::to_owned), ..Header::new(algorithm) }
    }

    fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        Ok(encode(&self.header(Algorithm::EdDSA), claims, &self.key)?)
    }

    fn keys(&self) -> String {
        json!({ "keys": [self.public] }).to_string()
    }
}

/// Those of a driver, for an hour, with some of them otherwise.
fn claims(driver: &str, otherwise: &[(&str, Value)]) -> Value {
    let now = mesh::now().wall.0 / 1000;
    let (issuer, audience) = (format!("spiffe://{NAME}/registry"), format!("spiffe://{NAME}"));
    let mut claims = json!({ "iss": issuer, "aud": audience, "sub": driver, "iat": now, "exp": now + 3600 });
    for (name, value) in otherwise {
        claims[*name] = value.clone();
    }
    claims
}

pub(super) async fn bad_tokens(network: &Secured) -> anyhow::Result<String> {
    let (first, second) = (Issuer::new("first")?, Issuer::new("second")?);
    let (before, own) = (network.metric(REFUSED, BEARER).await?, fs::read(&network.token_keys)?);
    fs::write(&network.token_keys, first.keys())?;
    let channel = network.shows(None, Some(STRANGER)).await?;
    let good = first.sign(&claims("mallory", &[]))?;
    call(channel.clone(), Some(&good)).await.context("a good one")?;

    let now = mesh::now().wall.0 / 1000;
    let of = |name: &str, value: Value| first.sign(&claims("mallory", &[(name, value)]));
    // {"alg":"none","typ":"JWT","kid":"first"}, with what a good one claims.
    let body = good.split('.').nth(1).context("three parts")?;
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiZmlyc3QifQ.{body}.");
    // Signed with what everybody knows, by who hopes that it is taken for a secret.
    let public = first.public["x"].as_str().context("its public half")?;
    let by_hmac = |secret: &[u8]| {
        let header = first.header(Algorithm::HS256);
        encode(&header, &claims("mallory", &[]), &EncodingKey::from_secret(secret))
    };
    let bad = [
        ("none", none, "BEARER_INVALID"),
        ("HS256 with the public key", by_hmac(public.as_bytes())?, "BEARER_INVALID"),
        ("HS256 with the file of keys", by_hmac(first.keys().as_bytes())?, "BEARER_INVALID"),
        ("another's key", second.sign(&claims("mallory", &[]))?, "BEARER_INVALID"),
        ("a foreign audience", of("aud", "https://shop.example".into())?, "BEARER_FOREIGN"),
        ("a foreign issuer", of("iss", "https://shop.example".into())?, "BEARER_FOREIGN"),
        ("one that has expired", of("exp", (now - 310).into())?, "BEARER_EXPIRED"),
        ("one of tomorrow", of("nbf", (now + 330).into())?, "BEARER_EARLY"),
        ("an admin", of("evmesh_role", "admin".into())?, "BEARER_INVALID"),
        ("nobody", of("sub", "".into())?, "BEARER_INVALID"),
    ];
    let mut count = bad.len() as u64;
    for (what, token, reason) in &bad {
        let said = refused(what, call(channel.clone(), Some(token)).await, reason)?;
        ensure!(!said.contains("first") && !said.contains("EdDSA"), "{what} hears of keys: {said}");
    }
    // Clocks that are five minutes off, less what this takes.
    for (name, value) in [("exp", now - 280), ("nbf", now + 280)] {
        call(channel.clone(), Some(&of(name, value.into())?))
            .await
            .with_context(|| format!("{name} has no leeway"))?;
    }
    others_name(network, &channel, &good).await?;

    // The old key ends with the file, the new one counts; half of a file changes nothing.
    let renewed = second.sign(&claims("mallory", &[]))?;
    fs::write(&network.token_keys, second.keys())?;
    refused("the old key", call(channel.clone(), Some(&good)).await, "BEARER_INVALID")?;
    call(channel.clone(), Some(&renewed)).await.context("the new key")?;
    let whole = first.keys();
    fs::write(&network.token_keys, &whole[..whole.len() / 2])?;
    for _ in 0..20 {
        call(channel.clone(), Some(&renewed)).await.context("half of a file has ended the key of before")?;
        refused("the key of half a file", call(channel.clone(), Some(&good)).await, "BEARER_INVALID")?;
    }
    network.is_logged("the keys for tokens have changed, and cannot be used").await?;
    fs::write(&network.token_keys, own)?;
    refused("a key that went", call(channel, Some(&renewed)).await, "BEARER_INVALID")?;
    count += 22;
    network.counts(REFUSED, BEARER, before + count).await?;
    for (reason, least) in
        [("BEARER_INVALID", 28), ("BEARER_FOREIGN", 2), ("BEARER_EXPIRED", 1), ("BEARER_EARLY", 1)]
    {
        network.is_written("", reason, least).await?;
    }
    Ok(format!(
        "{count} calls with tokens by none, HS256, other keys, for others, of yesterday and of tomorrow were refused; \
         a key ended with its file, and half of a file changed nothing"
    ))
}

/// Whom a token names is nobody else.
async fn others_name(
    network: &Secured,
    channel: &tonic::transport::Channel,
    token: &str,
) -> anyhow::Result<()> {
    let request = RequestChargeRequest { driver_id: "honest".into(), ..Default::default() };
    let mut request = Request::new(request);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let asked = DriverServiceClient::new(channel.clone()).request_charge(request).await.map(drop);
    refused("a charge in another's name", asked, "NOT_YOURS")?;
    network.is_written("driver/mallory", "NOT_YOURS", 1).await
}

/// Thousands of calls that are refused: rows, the log and the honest people stay within their bounds.
pub(super) async fn refused_in_bulk(network: &Secured) -> anyhow::Result<String> {
    const WHILE: Duration = Duration::from_secs(3);
    const AT_ONCE: usize = 50;
    /// Of what was refused before, and of the minute that begins.
    const ROWS: usize = 210;
    const LOGGED: usize = 256 * 1024;
    let (rows, logged) = (network.audit().await?.len(), network.log_of_central()?.len());
    let channel = network.shows(None, Some(STRANGER)).await?;
    let (until, mut asked, mut under_way) = (Instant::now() + WHILE, 0_u64, JoinSet::new());
    while Instant::now() < until {
        while under_way.len() < AT_ONCE {
            let channel = channel.clone();
            under_way.spawn(async move { call(channel, Some("no.token.at-all")).await.is_ok() });
            asked += 1;
        }
        ensure!(!matches!(under_way.join_next().await, Some(Ok(true))), "one is let in");
    }
    under_way.shutdown().await;
    sleep(Duration::from_millis(500)).await; // the next tick writes
    ensure!(asked > 1_000, "only {asked} were refused");
    let of_others = |entries: &[evmesh_proto::operations::AuditEntry]| {
        entries.iter().filter(|one| one.result.starts_with("BEARER")).count()
    };
    let audit = network.audit().await?;
    let (new, bearer) = (audit.len() - rows, of_others(&audit[rows..]));
    ensure!(bearer <= ROWS, "{bearer} of {asked} refusals have a row each");
    let logged = network.log_of_central()?.len().saturating_sub(logged);
    ensure!(logged < LOGGED, "central logged {logged} bytes");
    Ok(format!(
        "{asked} calls were refused in {} s; {new} rows, {} KiB of log",
        WHILE.as_secs(),
        logged / 1024
    ))
}
