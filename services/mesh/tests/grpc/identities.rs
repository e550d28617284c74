//! Both sides of a connection prove who they are.

use crate::fake::{Running, register, report, start_with};
use domain::Wall;
use evmesh_proto::chargepoint::charge_point_service_client::ChargePointServiceClient;
use mesh::{
    grpc::{CALL_TIMEOUT, Expected, Listener, Peer, Peers, Security, SecurityOptions, ServerOptions, reason},
    observability::LogRing,
};
use std::{fs, net::SocketAddr, path::PathBuf, sync::atomic::Ordering::SeqCst, time::Duration};
use testing::{
    Identities, eventually, of_folder,
    strangers::{self, Shown},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Status,
    transport::{self, Channel},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tracing_subscriber::prelude::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MONITOR: &str = "charge-point/ok/monitor";

async fn central(identities: &Identities) -> Running {
    let address = ([127, 0, 0, 1], 0).into();
    start_with(address, ServerOptions::default(), &identities.security("central/main")).await
}

pub(crate) fn peer(security: &Security, address: SocketAddr) -> Peer {
    Peers::new(security.clone()).peer(&address.into(), Expected::Central, CALL_TIMEOUT)
}

async fn call(security: &Security, address: SocketAddr) -> Result<(), Status> {
    let mut client = ChargePointServiceClient::new(peer(security, address));
    client.register_charge_point(register("ok")).await.map(drop)
}

pub(crate) fn ago(time: Duration) -> Wall {
    Wall(mesh::now().wall.0 - i64::try_from(time.as_millis()).unwrap())
}

#[tokio::test]
async fn a_call_is_that_of_whom_its_certificate_names() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    call(&identities.security(MONITOR), central.address).await.unwrap();
    let refused = call(&identities.security("viewer/ana"), central.address).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).unwrap().as_str()), (Code::PermissionDenied, "NOT_ALLOWED"));
}

#[tokio::test]
async fn whose_certificate_has_expired_is_told_so_for_ninety_days() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let since = |days: u32| of_folder(identities.folder_since(MONITOR, ago(DAY * days)));
    for days in [1, 89] {
        let refused = call(&since(days), central.address).await.unwrap_err();
        let refused = (refused.code(), reason(&refused).unwrap());
        assert_eq!(refused, (Code::Unauthenticated, "CERTIFICATE_EXPIRED".to_owned()));
    }
    assert_eq!(call(&since(91), central.address).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(central.fake.calls.load(SeqCst), 0);
}

/// A certificate with these names by an authority of this network.
fn made(identities: &Identities, names: &[&str]) -> Shown {
    strangers::signed_by(identities.network(), names)
}

#[tokio::test]
async fn whoever_is_nobody_of_the_network_gets_no_connection_and_the_log_says_why() {
    let ring = LogRing::default();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(ring.clone());
    let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (identities, others) = (Identities::new("madrid.example"), Identities::new("madrid.example"));
    let central = central(&identities).await;

    let files = |folder: PathBuf| {
        ["certificate.pem", "key.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap())
    };
    let tomorrow = Wall(mesh::now().wall.0 + 24 * 3600 * 1000);
    let two = ["spiffe://madrid.example/operator/a", "spiffe://madrid.example/admin/a"];
    let strangers = [
        (files(others.folder(MONITOR)), "unknown_authority"),
        (files(identities.folder_since(MONITOR, tomorrow)), "not_yet_valid"),
        (files(identities.folder_since(MONITOR, ago(DAY * 91))), "expired"),
        (made(&identities, &["spiffe://madrid.example/central/main"]), "misnamed"),
        (made(&identities, &["spiffe://paris.example/admin/a"]), "misnamed"),
        (made(&identities, &["https://madrid.example/admin/a"]), "misnamed"),
        (made(&identities, &two), "misnamed"),
        (made(&identities, &[]), "misnamed"),
        (strangers::self_signed(&["spiffe://madrid.example/admin/a"]), "unknown_authority"),
    ];
    let told = strangers.each_ref().map(|(_, why)| ("/connect", why.to_uppercase()));
    for (shown, why) in strangers {
        let channel = by_host(&identities, central.address, Some(shown)).await;
        let refused = match channel {
            Ok(channel) => {
                let call = ChargePointServiceClient::new(channel).register_charge_point(register("ok")).await;
                call.unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        };
        heard(&ring, why).await;
        assert!(!refused.contains("spiffe"), "a stranger hears nothing of the network: {refused}");
    }
    call(&Security::Loopback, central.address).await.unwrap_err();
    heard(&ring, "plain_text").await;
    assert_eq!(central.fake.calls.load(SeqCst), 0);
    assert_eq!(
        *central.fake.refused.lock().unwrap(),
        told,
        "and who showed no certificate is nobody to tell of"
    );
}

async fn heard(ring: &LogRing, why: &str) {
    let said = format!("why=\"{why}\"");
    let heard = || ring.worst_first(99).into_iter().any(|(_, line)| line.contains(&said)).then_some(());
    eventually(&format!("the log says {said}"), Duration::from_secs(10), async || heard()).await;
}

#[tokio::test]
async fn a_far_side_has_to_be_who_is_expected_there() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let engine = Expected::Engine("MAD-01".parse().unwrap());
    let peers = Peers::new(identities.security(MONITOR));
    let said = |peer: Peer| async move {
        let mut client = ChargePointServiceClient::new(peer);
        client.register_charge_point(register("ok")).await.unwrap_err().message().to_owned()
    };
    let of_another = said(peers.peer(&central.address.into(), engine, CALL_TIMEOUT)).await;
    let wanted = "its certificate is refused: it names spiffe://madrid.example/central/main, where the engine of \
                  MAD-01 was expected";
    assert!(of_another.contains(wanted), "{of_another}");

    // Behind a gateway engines have its name: that one exactly, and nothing else has it.
    let (address, site) = (([127, 0, 0, 1], 0).into(), identities.security("gateway/site-7"));
    let behind = start_with(address, ServerOptions::default(), &site).await;
    let gateway = |name: &str| Expected::Gateway(name.parse().unwrap());
    let own = Expected::Engine("MAD-01".parse().unwrap());
    for (address, expected, is) in [
        (behind.address, gateway("site-7"), true),
        (behind.address, Expected::AnyEngine, true),
        (behind.address, gateway("site-8"), false),
        (behind.address, own, false),
        (behind.address, Expected::Central, false),
        (central.address, gateway("site-7"), false),
    ] {
        let peer = peers.peer(&address.into(), expected.clone(), CALL_TIMEOUT);
        let answer = ChargePointServiceClient::new(peer).register_charge_point(register("ok")).await;
        let refused = answer.err().map(|status| status.message().to_owned()).unwrap_or_default();
        assert_eq!(refused.contains(&format!("where {expected} was expected")), !is, "{expected}: {refused}");
    }

    let others = Identities::new("madrid.example");
    let of_others = said(peer(&others.security(MONITOR), central.address)).await;
    assert!(of_others.contains("no authority of this network signed it"), "{of_others}");

    let plain = crate::fake::start(ServerOptions::default()).await;
    let of_plain = said(peer(&identities.security(MONITOR), plain.address)).await;
    let says = "it speaks plain text; start it with an identity, or leave out --identity here";
    assert!(of_plain.contains(says), "{of_plain}");
}

#[tokio::test]
async fn a_renewal_counts_from_the_next_connection_on_and_drops_none() {
    let identities = Identities::new("madrid.example");
    let folder = identities.folder("central/main");
    let address = ([127, 0, 0, 1], 0).into();
    let central = start_with(address, ServerOptions::default(), &of_folder(folder.clone())).await;
    let monitor = identities.security(MONITOR);
    let (reports, outgoing) = mpsc::channel(1);
    let mut client = ChargePointServiceClient::new(peer(&monitor, central.address));
    let outgoing = ReceiverStream::new(outgoing);
    let (answers, sent) = tokio::join!(client.report_health(outgoing), reports.send(report("ok")));
    let mut answers = answers.unwrap().into_inner();
    sent.unwrap();
    answers.next().await.unwrap().unwrap();

    // A certificate that nobody takes: whoever connects from now on sees it.
    identities.folder_since("central/main", ago(DAY));
    let expired = call(&identities.security("charge-point/ok/engine"), central.address).await.unwrap_err();
    assert!(expired.message().contains("certificate is refused"), "{expired}");
    reports.send(report("ok")).await.unwrap();
    answers.next().await.unwrap().unwrap();

    // What cannot be read changes nothing; what can counts again.
    fs::write(folder.join("certificate.pem"), "half").unwrap();
    call(&monitor, central.address).await.unwrap_err();
    identities.folder("central/main");
    call(&monitor, central.address).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_callers_certificate_and_the_next_call_is_by_the_newer_one() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let almost_an_hour = Duration::from_secs(3600 - 6);
    let monitor = of_folder(identities.folder_since(MONITOR, ago(almost_an_hour)));
    let mut client = ChargePointServiceClient::new(peer(&monitor, central.address));
    let (reports, outgoing) = mpsc::channel(1);
    let outgoing = ReceiverStream::new(outgoing);
    let (answers, sent) = tokio::join!(client.report_health(outgoing), reports.send(report("ok")));
    sent.unwrap();
    let mut answers = answers.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), answers.next()).await.unwrap().unwrap();
    let ended = ended.unwrap_err();
    assert_eq!(
        (ended.code(), reason(&ended).unwrap().as_str()),
        (Code::Unauthenticated, "CERTIFICATE_EXPIRED")
    );
    let refused = client.register_charge_point(register("ok")).await.unwrap_err();
    assert_eq!(reason(&refused).unwrap(), "CERTIFICATE_EXPIRED", "the connection is still there");
    identities.folder(MONITOR);
    client.register_charge_point(register("ok")).await.unwrap();
}

#[tokio::test]
async fn a_role_stays_who_it_is_whatever_is_put_into_its_folder() {
    let identities = Identities::new("madrid.example");
    let folder = identities.folder(MONITOR);
    let monitor = of_folder(folder.clone());
    for name in ["certificate.pem", "key.pem"] {
        fs::copy(identities.folder("admin/ana").join(name), folder.join(name)).unwrap();
    }
    assert_eq!(monitor.own().unwrap().to_string(), MONITOR);
}

#[tokio::test]
async fn who_shows_no_certificate_hears_that_it_needs_one_and_how_the_server_is() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let channel = by_host(&identities, central.address, None).await.unwrap();
    let refused = ChargePointServiceClient::new(channel.clone()).register_charge_point(register("ok")).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).unwrap().as_str()),
        (Code::Unauthenticated, "IDENTITY_REQUIRED")
    );
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn tls_1_2_is_taken_only_where_that_is_said() {
    let identities = Identities::new("madrid.example");
    let core = fs::read_to_string(identities.folder(MONITOR).join("core.pem")).unwrap();
    for tls12 in [false, true] {
        let options =
            SecurityOptions { identity: Some(identities.folder("central/main")), tls12, insecure: false };
        let security = options.open("central", |_| true).unwrap();
        let server = start_with(([127, 0, 0, 1], 0).into(), ServerOptions::default(), &security).await;
        for (version, is_taken) in [(&rustls::version::TLS12, tls12), (&rustls::version::TLS13, true)] {
            let by = strangers::by_versions(&[version], &core, None);
            let connected = strangers::connect(by, server.address, None).await;
            let called = match connected {
                Ok(channel) => HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok(),
                Err(_) => false,
            };
            assert_eq!(called, is_taken, "--tls12 {tls12}, by {version:?}");
        }
    }
}

/// A caller by TLS that is none of ours, and shows a certificate with its key, or nothing.
pub(crate) async fn by_host(
    identities: &Identities,
    address: SocketAddr,
    shown: Option<Shown>,
) -> Result<Channel, transport::Error> {
    let core = fs::read_to_string(identities.folder(MONITOR).join("core.pem")).unwrap();
    strangers::connect(strangers::by_host(&core, shown), address, None).await
}

#[tokio::test]
async fn who_says_nothing_in_a_handshake_is_closed() {
    let identities = Identities::new("madrid.example");
    let central = central(&identities).await;
    let mut silent = TcpStream::connect(central.address).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut [0; 64])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    call(&identities.security(MONITOR), central.address).await.unwrap();
}

#[tokio::test]
async fn plain_text_does_not_leave_this_machine() {
    let said =
        Listener::bind(([0, 0, 0, 0], 0), "central", &Security::Loopback).await.unwrap_err().to_string();
    assert!(
        said.starts_with("central cannot listen on 0.0.0.0:0: without an identity it is plain text"),
        "{said}"
    );
    for way_out in ["--identity DIR", "--insecure"] {
        assert!(said.contains(way_out), "{said}");
    }
    Listener::bind(([0, 0, 0, 0], 0), "central", &Security::Insecure).await.unwrap();
    // Of the addresses that are only written about (RFC 5737): whoever called it would wait.
    let away: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let refused = call(&Security::Loopback, away).await.unwrap_err();
    assert!(refused.message().contains("without an identity it is plain text"), "{refused}");
}
