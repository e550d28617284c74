//! Callers say who they are by a token, over connections on which they show no certificate.

use crate::{
    fake::{Running, register, start_with},
    identities::{ago, by_host, peer},
};
use evmesh_proto::chargepoint::charge_point_service_client::ChargePointServiceClient;
use mesh::{
    grpc::{CALL_TIMEOUT, Expected, IdentityError, Peers, Security, ServerOptions, TokenOptions, reason},
    observability::LogRing,
};
use std::{fs, path::Path, time::Duration};
use testing::{Identities, eventually, of_folder};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tracing_subscriber::prelude::*;

const DRIVER: &str = "driver/101";
const MINUTE: Duration = Duration::from_secs(60);

async fn central(identities: &Identities) -> Running {
    let address = ([127, 0, 0, 1], 0).into();
    start_with(address, ServerOptions::default(), &identities.taking_tokens("central/main")).await
}

fn token(identities: &Identities) -> String {
    identities.token_since(DRIVER, mesh::now().wall)
}

/// A call that any identity may make, with these headers.
async fn call(channel: &Channel, authorization: &[&str]) -> Result<(), Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    for word in authorization {
        request.metadata_mut().append("authorization", word.parse().unwrap());
    }
    HealthClient::new(channel.clone()).watch(request).await.map(drop)
}

async fn said(channel: &Channel, authorization: &[&str]) -> String {
    let refused = call(channel, authorization).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    reason(&refused).unwrap()
}

#[tokio::test]
async fn a_call_is_that_of_whom_its_token_names_and_the_client_sends_it() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let security = of_folder(identities.token_folder(DRIVER, &token(&identities)));
    assert_eq!(security.own().unwrap().to_string(), DRIVER);
    let peer = peer(&security, central.address);
    let mut health = HealthClient::new(peer.clone());
    health.watch(HealthCheckRequest::default()).await.unwrap();
    let refused =
        ChargePointServiceClient::new(peer).register_charge_point(register("ok")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let says =
        "driver/101 may not call RegisterChargePoint, which is for the charge point's monitor or its gateway";
    assert_eq!(refused.message(), says);
}

/// Whoever gets one could come to central with it.
#[tokio::test]
async fn no_token_goes_anywhere_but_to_central() {
    let identities = Identities::new("madrid.example");
    let (address, options) = (([127, 0, 0, 1], 0).into(), ServerOptions::default());
    let engine = identities.taking_tokens("charge-point/MAD-01/engine");
    let engine = start_with(address, options, &engine).await;
    let peers = Peers::new(of_folder(identities.token_folder(DRIVER, &token(&identities))));
    for expected in [Expected::AnyEngine, Expected::Engine("MAD-01".parse().unwrap()), Expected::Anyone] {
        let peer = peers.peer(&engine.address.into(), expected, CALL_TIMEOUT);
        let refused = HealthClient::new(peer).watch(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(reason(&refused).as_deref(), Some("IDENTITY_REQUIRED"), "it takes them, and gets none");
    }
}

#[tokio::test]
async fn what_is_no_token_for_here_and_now_is_refused_with_its_reason_and_health_is_for_anyone() {
    let (identities, others) = (Identities::new("madrid.example"), Identities::new("madrid.example"));
    let central = central(&identities).await;
    let channel = by_host(&identities, central.address, None).await.unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    let now = mesh::now().wall;
    let good = bearer(&token(&identities));
    let foreign = bearer(&identities.token_of("paris.example", DRIVER, now));
    let expired = bearer(&identities.token_since(DRIVER, ago(66 * MINUTE)));
    let early = bearer(&identities.token_since(DRIVER, now + 6 * MINUTE));
    let of_others = bearer(&token(&others));
    let long = bearer(&"x".repeat(8193));
    for (words, wanted) in [
        (vec![], "IDENTITY_REQUIRED"),
        (vec!["Basic YTpi"], "IDENTITY_REQUIRED"),
        (vec!["Bearer "], "BEARER_INVALID"),
        (vec!["bearer x"], "BEARER_INVALID"),
        (vec![long.as_str()], "BEARER_INVALID"),
        (vec![of_others.as_str()], "BEARER_INVALID"),
        (vec![good.as_str(), good.as_str()], "BEARER_INVALID"),
        (vec![foreign.as_str()], "BEARER_FOREIGN"),
        (vec![expired.as_str()], "BEARER_EXPIRED"),
        (vec![early.as_str()], "BEARER_EARLY"),
    ] {
        assert_eq!(said(&channel, &words).await, wanted, "{words:?}");
        let mut check = Request::new(HealthCheckRequest::default());
        if let Some(word) = words.first() {
            check.metadata_mut().insert("authorization", word.parse().unwrap());
        }
        HealthClient::new(channel.clone()).check(check).await.unwrap();
        call(&channel, &[&good]).await.unwrap(); // on the same connection
    }
    assert_eq!(said(&channel, &[]).await, "IDENTITY_REQUIRED", "a token is its call's alone");
    let (unknown, tampered) = (of_others, format!("{good}x"));
    let words = |error: Status| error.message().to_owned();
    let same = [
        words(call(&channel, &[&unknown]).await.unwrap_err()),
        words(call(&channel, &[&tampered]).await.unwrap_err()),
    ];
    assert_eq!(same[0], same[1], "a stranger learns nothing of keys");

    let address = ([127, 0, 0, 1], 0).into();
    let registry = start_with(address, ServerOptions::default(), &identities.security("registry")).await;
    let channel = by_host(&identities, registry.address, None).await.unwrap();
    assert_eq!(said(&channel, &[&good]).await, "BEARER_NOT_TAKEN");
}

#[tokio::test]
async fn a_certificate_counts_whatever_token_comes_with_it() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let folder = identities.folder("viewer/ana");
    let shown = ["certificate.pem", "key.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    let channel = by_host(&identities, central.address, Some(shown)).await.unwrap();
    let mut request = register("ok");
    let word = format!("Bearer {}", identities.token_since("operator/eva", mesh::now().wall));
    request.metadata_mut().insert("authorization", word.parse().unwrap());
    let refused = ChargePointServiceClient::new(channel).register_charge_point(request).await.unwrap_err();
    assert!(refused.message().starts_with("viewer/ana may not call"), "{refused}");
    // In a folder too.
    fs::write(folder.join("token"), token(&identities)).unwrap();
    assert_eq!(of_folder(folder).own().unwrap().to_string(), "viewer/ana");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_the_next_call_is_by_the_newer_one() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    // An hour, and what clocks may be off by, but for a few seconds.
    let almost = identities.token_since(DRIVER, ago(65 * MINUTE - Duration::from_secs(6)));
    let folder = identities.token_folder(DRIVER, &almost);
    let mut health = HealthClient::new(peer(&of_folder(folder.clone()), central.address));
    let watch = HealthCheckRequest::default;
    let mut answers = health.watch(watch()).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), answers.next()).await.unwrap().unwrap();
    let ended = ended.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).unwrap().as_str()), (Code::Unauthenticated, "BEARER_EXPIRED"));
    let refused = health.watch(watch()).await.unwrap_err();
    assert_eq!(reason(&refused).unwrap(), "BEARER_EXPIRED", "it was checked before, and counts no more");
    identities.token_folder(DRIVER, &identities.token_since("driver/102", mesh::now().wall));
    let refused = health.watch(watch()).await.unwrap_err();
    assert_eq!(reason(&refused).unwrap(), "BEARER_EXPIRED", "a client stays who it is");
    identities.token_folder(DRIVER, &token(&identities));
    health.watch(watch()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_written_in_place_counts_too() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let folder = identities.token_folder(DRIVER, &identities.token_since(DRIVER, ago(120 * MINUTE)));
    let health = HealthClient::new(peer(&of_folder(folder.clone()), central.address));
    let watch = async || health.clone().watch(HealthCheckRequest::default()).await;
    let settled = async || watch().await.err().filter(|_| is_of_an_earlier_second(&folder));
    let refused =
        eventually("the folder has not changed for a second", Duration::from_secs(10), settled).await;
    assert_eq!(reason(&refused).unwrap(), "BEARER_EXPIRED");
    fs::write(folder.join("token"), token(&identities)).unwrap();
    eventually("the newer one counts", Duration::from_secs(10), async || watch().await.ok()).await;
}

fn is_of_an_earlier_second(folder: &Path) -> bool {
    let changed = fs::metadata(folder).unwrap().modified().unwrap();
    changed.elapsed().is_ok_and(|age| age > Duration::from_secs(1))
}

#[tokio::test]
async fn keys_that_change_count_from_the_next_call_on_and_broken_ones_change_nothing() {
    let ring = LogRing::default();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(ring.clone());
    let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (identities, others) = (Identities::new("madrid.example"), Identities::new("madrid.example"));
    let central = central(&identities).await;
    let channel = by_host(&identities, central.address, None).await.unwrap();
    let [first, second] = [&identities, &others].map(|one| format!("Bearer {}", token(one)));
    let file = identities.token_keys();
    call(&channel, &[&first]).await.unwrap();
    let of_others = fs::read(others.token_keys()).unwrap();
    fs::write(&file, &of_others[..of_others.len() / 2]).unwrap();
    for _ in 0..3 {
        call(&channel, &[&first]).await.unwrap();
        assert_eq!(said(&channel, &[&second]).await, "BEARER_INVALID");
    }
    let warned =
        || ring.worst_first(99).into_iter().filter(|(_, line)| line.contains("cannot be used")).count();
    assert_eq!(warned(), 1);
    fs::write(&file, of_others).unwrap();
    assert_eq!(said(&channel, &[&first]).await, "BEARER_INVALID", "it was checked before, by other keys");
    call(&channel, &[&second]).await.unwrap();
}

#[tokio::test]
async fn nobody_comes_with_a_token_in_plain_text() {
    let identities = Identities::new("madrid.example");
    let options = TokenOptions { token_keys: Some(identities.token_keys()), ..TokenOptions::default() };
    for plain in [Security::Loopback, Security::Insecure] {
        let refused = plain.taking(&options).unwrap_err();
        assert!(matches!(refused, IdentityError::TokensInPlainText), "{refused}");
    }
    let options = TokenOptions { token_keys: Some("/nowhere/keys.json".into()), ..options };
    let refused = identities.security("central/main").taking(&options).unwrap_err().to_string();
    assert!(refused.starts_with("the keys for tokens in /nowhere/keys.json cannot be used: "), "{refused}");
}

#[tokio::test]
async fn a_folder_with_a_token_is_nobody_who_can_be_called_and_needs_but_the_core_authority() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let folder = identities.token_folder(DRIVER, &token(&identities));
    fs::remove_file(folder.join("network.pem")).unwrap();
    let security = of_folder(folder.clone());
    let Security::Identity { credentials, .. } = &security else { panic!("it is an identity") };
    assert!(credentials.server_config(false).is_err());
    HealthClient::new(peer(&security, central.address)).watch(HealthCheckRequest::default()).await.unwrap();
    let shown = format!("{security:?}");
    assert!(!shown.contains(&token(&identities)[..20]), "{shown}");
    fs::write(folder.join("token"), "half a tok").unwrap();
    let said = identity::Credentials::open(&folder).unwrap_err().to_string();
    assert!(said.ends_with("token is no signed token (a JWT of at most 8192 bytes)"), "{said}");
}
