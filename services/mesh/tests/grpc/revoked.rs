//! Whose certificate was revoked is refused at each call, on what is open, and as a far side.

use crate::fake::{Running, register, report, stack, start_with};
use evmesh_proto::chargepoint::{
    ReportHealthRequest, ReportHealthResponse, RequestManualSupplyRequest,
    charge_point_service_client::ChargePointServiceClient,
};
use identity::Certified;
use mesh::grpc::{Actor, CALL_TIMEOUT, Expected, Peer, Peers, Security, ServerOptions, reason};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::{sync::Arc, time::Duration};
use testing::{Identities, called_by, known};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Status, Streaming};

/// What is promised.
const WITHIN: Duration = Duration::from_secs(2);
const MONITOR: &str = "charge-point/ok/monitor";
const ENGINE: &str = "charge-point/ok/engine";

/// How a role is protected, and its certificate's number.
fn identity(identities: &Identities, role: &str) -> (Security, Arc<str>) {
    let folder = identities.folder(role);
    let der = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    (testing::of_folder(folder), Certified::read(&der).unwrap().serial.into())
}

async fn central(security: &Security) -> Running {
    start_with(([127, 0, 0, 1], 0).into(), ServerOptions::default(), security).await
}

fn client(security: &Security, central: &Running) -> ChargePointServiceClient<Peer> {
    let peers = Peers::new(security.clone());
    ChargePointServiceClient::new(peers.peer(&central.address.into(), Expected::Central, CALL_TIMEOUT))
}

/// A stream that goes on.
struct Stream {
    reports: mpsc::Sender<ReportHealthRequest>,
    answers: Streaming<ReportHealthResponse>,
}

impl Stream {
    async fn open(client: &mut ChargePointServiceClient<Peer>) -> Self {
        let (reports, outgoing) = mpsc::channel(1);
        let outgoing = ReceiverStream::new(outgoing);
        let (answers, sent) = tokio::join!(client.report_health(outgoing), reports.send(report("ok")));
        sent.unwrap();
        let mut stream = Self { reports, answers: answers.unwrap().into_inner() };
        stream.answers.next().await.unwrap().unwrap();
        stream
    }

    async fn goes_on(&mut self) {
        self.reports.send(report("ok")).await.unwrap();
        self.answers.next().await.unwrap().unwrap();
    }

    /// Why it ends, as soon as is promised.
    async fn end(&mut self) -> Status {
        tokio::time::timeout(WITHIN, self.answers.next()).await.expect("in time").unwrap().unwrap_err()
    }
}

fn is_revoked(refused: &Status) {
    assert_eq!(
        (refused.code(), reason(refused).unwrap().as_str()),
        (Code::Unauthenticated, "IDENTITY_REVOKED")
    );
    assert!(refused.message().contains(&format!("the certificate of {MONITOR} was revoked; enrol again")));
}

#[tokio::test]
async fn a_caller_is_refused_at_each_call_and_on_streams_that_are_open_and_nobody_else_is() {
    let identities = Identities::new("madrid.example");
    let server = identities.security("central/main");
    let central = central(&server).await;
    let (monitor, serial) = identity(&identities, MONITOR);
    let mut caller = client(&monitor, &central);
    let mut stream = Stream::open(&mut caller).await;
    let (another, _) = identity(&identities, "charge-point/other/monitor");
    let mut of_another = Stream::open(&mut client(&another, &central)).await;
    let refused = server.refused().unwrap();
    refused.add(["another".into()]);
    stream.goes_on().await;
    refused.add([serial.clone()]);
    is_revoked(&stream.end().await);
    is_revoked(&caller.register_charge_point(register("ok")).await.unwrap_err());
    is_revoked(&client(&monitor, &central).register_charge_point(register("ok")).await.unwrap_err());
    of_another.goes_on().await;
    // The same name, enrolled again.
    let (anew, _) = identity(&identities, MONITOR);
    client(&anew, &central).register_charge_point(register("ok")).await.unwrap();
    assert!(refused.len() == 2 && refused.clone() == *refused);
}

#[tokio::test]
async fn a_far_side_is_not_called_any_more_and_what_is_open_ends() {
    let identities = Identities::new("madrid.example");
    let (server, serial) = identity(&identities, "central/main");
    let central = central(&server).await;
    let engine = identities.security(ENGINE);
    let mut monitor = client(&identities.security(MONITOR), &central);
    let mut of_one = Stream::open(&mut monitor).await;
    let mut caller = client(&engine, &central);
    let manual = RequestManualSupplyRequest::default;
    caller.request_manual_supply(manual()).await.unwrap();
    engine.refused().unwrap().add([serial.clone()]);
    // On the connection that is open, and on the next.
    caller.request_manual_supply(manual()).await.unwrap_err();
    let refused = caller.request_manual_supply(manual()).await.unwrap_err();
    let said = "its certificate is refused: it was revoked; whatever is there has to be enrolled again";
    assert!(refused.code() == Code::Unavailable && refused.message().contains(said), "{refused}");
    of_one.goes_on().await; // who does not refuse it goes on
}

#[tokio::test]
async fn a_stream_to_a_far_side_that_is_revoked_breaks() {
    let identities = Identities::new("madrid.example");
    let (server, serial) = identity(&identities, "central/main");
    let central = central(&server).await;
    let monitor = identities.security(MONITOR);
    let mut stream = Stream::open(&mut client(&monitor, &central)).await;
    monitor.refused().unwrap().add([serial]);
    stream.end().await;
}

/// What it sends would be heard otherwise, for as long as it does not read what is said.
#[tokio::test]
async fn a_stream_that_is_not_read_ends_too() {
    let actor = known(MONITOR);
    let Actor::Known(monitor) = &actor else { panic!("{actor:?}") };
    let mut client = ChargePointServiceClient::new(called_by(&stack(), &actor));
    let (reports, outgoing) = mpsc::channel(1);
    let unread = client.report_health(ReceiverStream::new(outgoing)).await.unwrap();
    reports.send(report("ok")).await.unwrap();
    monitor.refused.add(monitor.serial.clone());
    tokio::time::timeout(WITHIN, reports.closed()).await.expect("nobody hears it any more");
    is_revoked(&unread.into_inner().next().await.unwrap().unwrap_err());
}
