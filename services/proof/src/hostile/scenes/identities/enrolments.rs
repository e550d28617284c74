//! Whoever wants to be somebody, by a token that is none, or a request that asks for more.

use super::refused;
use crate::hostile::secured::{EXPIRED_TOKEN, NAME, Secured};
use anyhow::{Context as _, ensure};
use evmesh_proto::registry::{CreateEnrolmentTokenRequest, EnrolRequest, RevokeIdentityRequest};
use identity::{EnrolmentToken, Secret, named_in, sha256};
use std::process::Output;
use testing::strangers::request_for;

const CALLS: &str = "evmesh_server_calls_total";

pub(super) async fn bad_enrolments(network: &Secured) -> anyhow::Result<String> {
    let mut registry = network.registry_as_nobody().await?;
    let of = |role: &str| format!("spiffe://{NAME}/{role}");
    let greedy = || request_for(&[&of("central/main"), &of("admin/eve")]);
    let ask =
        |secret: &[u8], certificate_request| EnrolRequest { secret: secret.to_vec(), certificate_request };
    let failed = |code: &str| format!("Enrol\",code=\"{code}\"");
    let (used, unknown) = (failed("FAILED_PRECONDITION"), failed("NOT_FOUND"));
    let before =
        [network.registry_metric(CALLS, &used).await?, network.registry_metric(CALLS, &unknown).await?];
    let mut is_refused = async |what: &str, secret: &[u8], reason: &str| {
        let answer = registry.enrol(ask(secret, greedy())).await.map(drop);
        let said = refused(what, answer, reason)?;
        ensure!(said.contains("ask for another one"), "it does not say what to do: {said}");
        Ok(())
    };
    is_refused("an expired token", &EXPIRED_TOKEN, "TOKEN_EXPIRED").await?; // it goes once another is made
    let token = network.token("driver/greedy").await?;
    let mut nobody = network.registry_as_nobody().await?;
    let given = nobody.enrol(ask(&token.secret.0, greedy())).await?.into_inner().credentials;
    let named = given.and_then(|given| named_in(&given.certificate)).map(|identity| identity.to_string());
    ensure!(named == Some(of("driver/greedy")), "who asked for central is {named:?}");

    let never = Secret::random()?;
    is_refused("a used token", &token.secret.0, "TOKEN_USED").await?;
    is_refused("another network's token", &never.0, "TOKEN_UNKNOWN").await?;
    let wrong = nobody.enrol(ask(&[1; 31], greedy())).await.map(drop);
    refused("a secret that is none", wrong, "INVALID_FIELD")?;
    let wrong = nobody.enrol(ask(&EXPIRED_TOKEN, "-----BEGIN".into())).await.map(drop);
    refused("a request that is none", wrong, "INVALID_FIELD")?;
    let counted =
        [network.registry_metric(CALLS, &used).await?, network.registry_metric(CALLS, &unknown).await?];
    ensure!(counted == [before[0] + 2, before[1] + 1], "counted {counted:?} after {before:?}");
    for (reason, rows) in [("TOKEN_EXPIRED", 1), ("TOKEN_USED", 1), ("TOKEN_UNKNOWN", 1)] {
        let found = network.rows_at_registry("", "Enrol", reason).await?;
        ensure!(found == rows, "{found} rows of {reason} in the registry's audit");
    }

    // Whoever is no admin makes nobody.
    let mut driver = network.registry_as(&network.issued("driver/honest")?);
    let make = CreateEnrolmentTokenRequest { role: "admin/eve".into(), hosts: Vec::new() };
    refused(
        "a driver who makes an admin",
        driver.create_enrolment_token(make).await.map(drop),
        "NOT_ALLOWED",
    )?;
    let revoke = RevokeIdentityRequest { role: "operator/ana".into(), now: true };
    refused("a driver who revokes", driver.revoke_identity(revoke).await.map(drop), "NOT_ALLOWED")?;

    // For a token of another network the registry that answers here is a stranger, and hears no secret.
    let foreign = EnrolmentToken { core: sha256(b"another core"), secret: never, ..token };
    let said = enrol(network, &foreign).await?;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(!said.status.success() && words.contains("certificate is refused"), "it says: {words}");
    let heard = network.registry_metric(CALLS, &unknown).await?;
    ensure!(heard == counted[1], "its secret was told to a registry that is not its own");
    Ok(format!(
        "who asked for central by name was given driver/greedy; a used, an expired and a foreign token were refused, \
         and a registry that is not the token's: '{}'",
        words.trim()
    ))
}

/// As a person enrols.
async fn enrol(network: &Secured, token: &EnrolmentToken) -> anyhow::Result<Output> {
    let mut command = mesh::process::command(&network.evmesh);
    command.args(["enrol", &token.word(), "--identity"]).arg(network.folder.join("enrolled/foreign"));
    let ended = tokio::task::spawn_blocking(move || command.output()).await?;
    ended.context("evmesh enrol cannot be started")
}
