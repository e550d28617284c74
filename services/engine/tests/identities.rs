//! An engine whose callers have identities: who attends it, and who uses its panel, is of its own charge point.

#![allow(clippy::unwrap_used)] // clippy's exception for tests does not cover what they share

mod common;

use common::{Engine, no_kafka, options};
use domain::Wall;
use engine::Service;
use evmesh_proto::{
    Method,
    engine::{GetEngineStateRequest, RefusedCertificate},
};
use identity::{
    RefusedDigest,
    permissions::{Subject, row},
};
use mesh::{
    Shutdown,
    convert::timestamp,
    grpc::{Actor, ServerOptions, reason},
};
use std::time::Duration;
use tempfile::tempdir;
use testing::{Identities, known, refusal};
use tonic::Code;

/// A method that is served, or changed, without its check is found here: those of the table are all tried.
#[tokio::test]
async fn an_engine_is_used_by_its_own_charge_point_central_and_people() {
    let (folder, stop) = (tempdir().unwrap(), Shutdown::new());
    let service = Service::bind(options(folder.path(), no_kafka())).await.unwrap();
    let stack = engine::server(&ServerOptions::default(), &service.point()).without_socket();
    let running = tokio::spawn(service.run(stop.clone()));
    let why = async |actor: &Actor, method: Method| {
        let refused = refusal(&stack, actor, method.path(), b"").await;
        refused.map(|status| (status.code(), reason(&status).unwrap())).unwrap_or((Code::Ok, String::new()))
    };
    let mut tried = 0;
    for &method in Method::ALL.iter().filter(|method| method.path().starts_with("/evmesh.engine.")) {
        for (own, others) in [
            ("charge-point/MAD-01/monitor", "charge-point/MAD-02/monitor"),
            ("charge-point/MAD-01/engine", "charge-point/MAD-02/engine"),
            ("central/main", "driver/101"),
            ("admin/ana", "gateway/site-7"),
        ] {
            if !row(method).callers.include(&own.parse().unwrap()) {
                continue;
            }
            let passed = why(&known(own), method).await;
            assert!(
                !matches!(passed.0, Code::PermissionDenied | Code::Unauthenticated),
                "{method:?}: {passed:?}"
            );
            let refused = why(&known(others), method).await;
            let of_a_charge_point = row(method).callers.include(&others.parse().unwrap());
            let expected = if of_a_charge_point { "NOT_YOURS" } else { "NOT_ALLOWED" };
            assert_eq!(refused, (Code::PermissionDenied, expected.to_owned()), "{method:?} {others}");
            assert!(!of_a_charge_point || row(method).subject == Subject::OwnChargePoint, "{method:?}");
            tried += 1;
        }
        let stranger = why(&Actor::Stranger, method).await;
        assert_eq!(stranger, (Code::Unauthenticated, "IDENTITY_REQUIRED".to_owned()), "{method:?}");
    }
    assert!(tried >= 18, "{tried}");
    stop.start();
    running.await.unwrap().unwrap();
}

/// One identity for all that stands behind it: what has another, the charge point's own too, is refused.
#[tokio::test]
async fn an_engine_behind_a_gateway_is_used_by_that_gateway_and_nobody_else_who_stands_there() {
    let (folder, stop, identities) = (tempdir().unwrap(), Shutdown::new(), Identities::new("madrid"));
    let mut options = options(folder.path(), no_kafka());
    options.security.identity = Some(identities.folder("gateway/site-7"));
    let service = Service::bind(options).await.unwrap();
    let stack = engine::server(&ServerOptions::default(), &service.point()).without_socket();
    let running = tokio::spawn(service.run(stop.clone()));
    let own = |method: &&Method| row(**method).subject == Subject::OwnChargePoint;
    let methods: Vec<_> = Method::ALL.iter().filter(own).collect();
    let methods = methods.into_iter().filter(|method| method.path().starts_with("/evmesh.engine."));
    for &method in methods {
        for (role, expected) in [
            ("gateway/site-7", ""),
            ("gateway/site-8", "NOT_YOURS"),
            ("charge-point/MAD-01/monitor", "SERVED_BY_GATEWAY"),
            ("charge-point/MAD-01/engine", "SERVED_BY_GATEWAY"),
            ("charge-point/MAD-02/monitor", "NOT_YOURS"),
        ] {
            if row(method).callers.include(&role.parse().unwrap()) {
                let refused = refusal(&stack, &known(role), method.path(), b"").await;
                let refused = refused.filter(|status| status.code() == Code::PermissionDenied);
                assert_eq!(
                    refused.and_then(|status| reason(&status)).unwrap_or_default(),
                    expected,
                    "{method:?} {role}"
                );
            }
        }
    }
    stop.start();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_engine_says_which_of_the_certificates_that_it_is_told_it_refuses() {
    let folder = tempdir().unwrap();
    let mut engine = Engine::start(options(folder.path(), no_kafka())).await;
    let later = mesh::now().wall + Duration::from_secs(3600);
    let one = |(serial, ends): (&str, Wall)| RefusedCertificate {
        serial: serial.to_owned(),
        expire_time: Some(timestamp(ends)),
    };
    let says = async |engine: &Engine, named: &[(&str, Wall)]| {
        let refused_certificates = named.iter().copied().map(one).collect();
        let instance_id = engine.instance.clone();
        let ask = GetEngineStateRequest { instance_id, refused_certificates, ..Default::default() };
        engine.central().get_engine_state(ask).await.unwrap().into_inner().refused_digest
    };
    let named = [("a", later), ("b", later), ("over", Wall(5))];
    let of = |named: &[(&'static str, Wall)]| RefusedDigest::of(named.iter().copied()).as_bytes().to_vec();
    assert_eq!(says(&engine, &[]).await, of(&[]), "it was told none yet");
    assert_eq!(says(&engine, &named).await, of(&named), "whatever its clock says");
    assert_eq!(says(&engine, &named[1..]).await, of(&named[1..]), "of those that are named");
    assert_eq!(says(&engine, &[]).await, of(&named[1..]), "or were last");
    engine.instance = "another".into();
    assert_eq!(says(&engine, &named).await, Vec::<u8>::new(), "it was not meant");
    engine.stop().await;
    // Its store may be an older copy of the one that it had: it says nothing of what it was told before.
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    assert_eq!(says(&engine, &[]).await, of(&[]));
    assert_eq!(says(&engine, &named[..1]).await, of(&named[..1]));
    engine.stop().await;
}
