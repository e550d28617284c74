//! The one table, as the stack applies it: every method, called by everybody.
//!
//! `docs/PERMISSIONS.md` is what comes of it. A change that is meant is recorded anew, and the paper's difference is
//! reviewed like code:
//!
//! ```sh
//! PERMISSIONS_RECORD=1 cargo test -p mesh --test grpc permissions
//! ```

use domain::Wall;
use evmesh_proto::Method;
use identity::permissions::{Subject, row_of};
use mesh::grpc::{Actor, GrpcServer, Known, Role, ServerOptions, Stack, reason};
use std::{fmt::Write as _, path::Path, time::Duration};
use testing::{called_by, known, known_by_token, refusal};
use tonic::{Code, body::Body};
use tower::ServiceExt as _;

/// Those of the libraries.
const OTHERS: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Everybody who has an identity, under the head of its column.
const ROLES: [(&str, &str); 10] = [
    ("driver", "driver/101"),
    ("bridge", "bridge/old"),
    ("monitor", "charge-point/MAD-01/monitor"),
    ("engine", "charge-point/MAD-01/engine"),
    ("gateway", "gateway/site-7"),
    ("central", "central/main"),
    ("registry", "registry"),
    ("viewer", "viewer/ana"),
    ("operator", "operator/ana"),
    ("admin", "admin/ana"),
];

const HEAD: &str = "# Permissions

Who may call which method, and in whose name, where a server asks for identities. In plain text nobody is asked, and
everybody may do everything. This page is printed from the one table, in `services/identity/src/permissions.rs`, by a
test that calls every method as everybody (`services/mesh/tests/grpc/permissions.rs`).

- **yes**: may call it, and name whatever it likes in it.
- **own**: may call it, and name its own charge point, or itself as the driver; another one is refused as
  `PERMISSION_DENIED` `NOT_YOURS`, whether it exists or not.
- **–**: is refused before anything is looked at: a stranger, who shows no identity, as `UNAUTHENTICATED`
  `IDENTITY_REQUIRED`; whose certificate has expired, whoever it is, as `UNAUTHENTICATED` `CERTIFICATE_EXPIRED`; whose
  certificate was revoked, whoever it is and at whatever server has heard of it, as `UNAUTHENTICATED`
  `IDENTITY_REVOKED`; others as `PERMISSION_DENIED` `NOT_ALLOWED`.

`Renew` and `Enrol` are open, and the registry decides for itself: a revoked key has its name no more.

A driver, a viewer and an operator may do the same by a token, at a server that takes tokens; an expired one is
`BEARER_EXPIRED`. The registry takes none, and no token makes an admin.

People's grades rise: an operator may what a viewer may, an admin what an operator may. A gateway's own charge points
are those that the registry says it serves, as central has heard; for these nobody else acts, neither their own engines'
nor their own monitors' certificates: refused as `PERMISSION_DENIED` `SERVED_BY_GATEWAY`. At an engine, own is the
gateway that it runs under.
";

/// A server that serves health and reflection: a call of another method that is not refused finds no such method here.
fn stack() -> Stack {
    GrpcServer::new(&ServerOptions::default()).without_socket()
}

fn expired(role: &str) -> Actor {
    let Actor::Known(known) = known(role) else { panic!("it has a name") };
    Actor::Known(Known { expires: Wall(0), ..known })
}

fn revoked(role: &str) -> Actor {
    let actor = known(role);
    let Actor::Known(known) = &actor else { panic!("it has a name") };
    known.refused.add(known.serial.clone());
    actor
}

/// May this one call it? Who may not is refused in this way.
async fn may_call(stack: &Stack, actor: &Actor, path: &str, refused: (Code, &str)) -> bool {
    let Some(status) = refusal(stack, actor, path, b"").await else { return true };
    let admitted = !matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied);
    if !admitted {
        assert_eq!((status.code(), reason(&status).unwrap().as_str()), refused, "{path} {actor:?}");
    }
    admitted
}

/// What one who may call it may name.
fn named(actor: &Actor, path: &str) -> &'static str {
    let [own, another] = match row_of(path).unwrap().subject {
        Subject::Any => return "yes",
        Subject::OwnDriver => ["101", "102"].map(|id| actor.acts_for_driver(&id.parse().unwrap())),
        Subject::OwnChargePoint => [("MAD-01", "site-7"), ("MAD-02", "site-8")].map(|(id, gateway)| {
            let gateway = matches!(actor.role(), Some(Role::Gateway(_))).then(|| gateway.parse().unwrap());
            actor.acts_for_charge_point(&id.parse().unwrap(), gateway.as_ref())
        }),
    };
    own.expect("who may call it may name something");
    match another {
        Ok(()) => "yes",
        Err(failure) => {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, "NOT_YOURS"));
            "own"
        }
    }
}

async fn row(stack: &Stack, path: &str) -> String {
    let unchecked = may_call(stack, &Actor::Unchecked, path, (Code::Ok, "")).await;
    assert!(unchecked && named(&Actor::Unchecked, path) == "yes", "{path}");
    let cell = |may| if may { "yes" } else { "–" };
    let required = (Code::Unauthenticated, "IDENTITY_REQUIRED");
    let mut cells = vec![cell(may_call(stack, &Actor::Stranger, path, required).await)];
    let of_expired = alike(stack, path, expired, "CERTIFICATE_EXPIRED").await;
    cells.push(cell(of_expired));
    cells.push(cell(alike(stack, path, revoked, "IDENTITY_REVOKED").await));
    for (head, role) in ROLES {
        let actor = known(role);
        let may = may_call(stack, &actor, path, (Code::PermissionDenied, "NOT_ALLOWED")).await;
        cells.push(if may { named(&actor, path) } else { "–" });
        if ["driver", "viewer", "operator"].contains(&head) {
            by_token_alike(stack, role, path, (may, of_expired)).await;
        }
    }
    cells.join(" | ")
}

/// May these call it? Whoever they are, they are treated alike.
async fn alike(stack: &Stack, path: &str, whom: fn(&str) -> Actor, refused: &str) -> bool {
    let mut all = Vec::new();
    for (_, role) in ROLES {
        all.push(may_call(stack, &whom(role), path, (Code::Unauthenticated, refused)).await);
    }
    assert!(all.iter().all(|may| *may == all[0]), "{path}: {all:?}");
    all[0]
}

/// Whom a token names may do what whom a certificate names may, and no more; so too once it has expired.
async fn by_token_alike(stack: &Stack, role: &str, path: &str, (may, once_expired): (bool, bool)) {
    let actor = known_by_token(role);
    assert_eq!(
        may_call(stack, &actor, path, (Code::PermissionDenied, "NOT_ALLOWED")).await,
        may,
        "{role}: {path}"
    );
    let Actor::Known(known) = actor else { panic!("it has a name") };
    let expired = Actor::Known(Known { expires: Wall(0), ..known });
    let refused = (Code::Unauthenticated, "BEARER_EXPIRED");
    assert_eq!(may_call(stack, &expired, path, refused).await, once_expired, "{role}: {path}");
}

async fn printed() -> String {
    let (stack, mut text, mut heading) = (stack(), HEAD.to_owned(), "");
    for path in Method::ALL.iter().map(|method| method.path()).chain(OTHERS) {
        let (service, method) = path[1..].split_once('/').unwrap();
        if service != heading {
            heading = service;
            let heads = ROLES.map(|(head, _)| head).join(" | ");
            write!(text, "\n## `{service}`\n\n| method | stranger | expired | revoked | {heads} |\n")
                .unwrap();
            writeln!(text, "|---|{}", "---|".repeat(ROLES.len() + 3)).unwrap();
        }
        writeln!(text, "| `{method}` | {} |", row(&stack, path).await).unwrap();
    }
    text
}

#[tokio::test]
async fn the_paper_says_what_the_stack_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PERMISSIONS.md");
    let now = printed().await;
    if std::env::var_os("PERMISSIONS_RECORD").is_some() {
        std::fs::write(&file, now).unwrap();
        return;
    }
    let before = std::fs::read_to_string(&file).unwrap();
    for (before, now) in before.lines().zip(now.lines()) {
        assert_eq!(before, now, "docs/PERMISSIONS.md says otherwise; see this test's file");
    }
    assert_eq!(before, now);
}

#[test]
fn what_stands_at_a_charge_point_is_told_of_the_gateway_that_serves_it() {
    let (point, gateway) = ("MAD-01".parse().unwrap(), "site-7".parse().unwrap());
    for (role, refused) in [
        ("charge-point/MAD-01/monitor", "SERVED_BY_GATEWAY"),
        ("charge-point/MAD-01/engine", "SERVED_BY_GATEWAY"),
        ("charge-point/MAD-02/engine", "NOT_YOURS"),
        ("gateway/site-8", "NOT_YOURS"),
    ] {
        let failure = known(role).acts_for_charge_point(&point, Some(&gateway)).unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, refused), "{role}");
        let says = failure.message.contains("'evmesh registry gateway remove site-7 MAD-01'");
        assert_eq!(says, refused == "SERVED_BY_GATEWAY", "a stranger hears of no gateway: {failure:?}");
    }
}

#[tokio::test]
async fn what_no_service_has_is_said_to_nobody_without_an_identity() {
    let stack = stack();
    for (actor, said) in [
        (Actor::Unchecked, "METHOD_UNKNOWN"),
        (Actor::Stranger, "IDENTITY_REQUIRED"),
        (expired("admin/ana"), "CERTIFICATE_EXPIRED"),
        (revoked("admin/ana"), "IDENTITY_REVOKED"),
        (known("admin/ana"), "METHOD_UNKNOWN"),
    ] {
        let status = refusal(&stack, &actor, "/evmesh.driver.v1.DriverService/Nothing", b"").await.unwrap();
        assert_eq!(reason(&status).as_deref(), Some(said), "{actor:?}");
    }
}

#[tokio::test]
async fn who_may_not_call_is_told_before_the_call_is_sent_whole() {
    let silent = tokio_stream::pending::<Result<http_body::Frame<bytes::Bytes>, tonic::Status>>();
    let request = http::Request::post(Method::DriverGetSession.path());
    let body = Body::new(http_body_util::StreamBody::new(silent));
    let request = request.header("content-type", "application/grpc").body(body).unwrap();
    let answer = called_by(&stack(), &Actor::Stranger).oneshot(request);
    let answer = tokio::time::timeout(Duration::from_secs(1), answer).await.expect("at once").unwrap();
    let status = tonic::Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(reason(&status).as_deref(), Some("IDENTITY_REQUIRED"));
}

#[tokio::test]
async fn a_refusal_says_who_asks_and_who_may() {
    let path = Method::OperatorSetPrice.path();
    for (actor, said) in [
        (known("viewer/ana"), "viewer/ana may not call SetPrice, which is for an operator"),
        (expired("viewer/ana"), "the certificate of viewer/ana has expired; renew it, or enrol again"),
    ] {
        assert_eq!(refusal(&stack(), &actor, path, b"").await.unwrap().message(), said);
    }
    let stranger = refusal(&stack(), &Actor::Stranger, path, b"").await.unwrap();
    assert!(stranger.message().contains("evmesh enrol TOKEN --identity DIR"), "{stranger:?}");
}
