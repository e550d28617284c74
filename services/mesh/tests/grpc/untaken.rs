//! Callers that take nothing, or say nothing, against callers beside them.

use crate::fake::*;
use evmesh_proto::chargepoint::RegisterChargePointResponse;
use mesh::grpc::{ServerOptions, reason};
use std::time::Duration;
use testing::{Miser, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};

const SOON: Duration = Duration::from_secs(10);
const REGISTER: &str = "/evmesh.chargepoint.v1.ChargePointService/RegisterChargePoint";
const REPORT: &str = "/evmesh.chargepoint.v1.ChargePointService/ReportHealth";

/// Registers. The head of the answer comes whatever is taken, and says what was refused.
async fn ask(miser: &mut Miser, charge_point_id: &str) -> (Option<Status>, h2::RecvStream) {
    let answer = miser.ask(REGISTER, register(charge_point_id).get_ref()).await.unwrap();
    let (head, body) = answer.await.unwrap().into_parts();
    (Status::from_header_map(&head.headers), body)
}

#[tokio::test]
async fn answers_that_nobody_takes_hold_no_place() {
    let running = start(ServerOptions { max_concurrent_requests: 16, ..Default::default() }).await;
    let mut miser = Miser::connect(running.address, 0).await.unwrap();
    let mut untaken = Vec::new();
    for _ in 0..200 {
        let (refused, body) = ask(&mut miser, "ok").await;
        assert!(refused.is_none(), "{refused:?}");
        untaken.push(body);
    }
    let mut honest = client(running.address, SOON);
    for _ in 0..20 {
        honest.register_charge_point(register("ok")).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_takes_nothing_gets_no_more_than_a_megabyte() {
    for window in [0, 1] {
        takes_nothing(window).await;
    }
}

async fn takes_nothing(window: u32) {
    let running = start(ServerOptions::default()).await;
    let mut miser = Miser::connect(running.address, window).await.unwrap();
    let mut untaken = Vec::new();
    let refused = loop {
        match ask(&mut miser, "long").await {
            (Some(status), _) => break status,
            (None, body) => untaken.push(body),
        }
        assert!(untaken.len() <= 11, "each is 100 KiB");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused).as_deref(), Some("ANSWERS_UNTAKEN"));
    let taken: RegisterChargePointResponse =
        client(running.address, SOON).register_charge_point(register("long")).await.unwrap().into_inner();
    assert_eq!(taken.location.len(), 100 * 1024, "others have theirs");

    drop(untaken); // it gives them up
    let miser = tokio::sync::Mutex::new(miser);
    eventually("it is served again", SOON, || async {
        ask(&mut *miser.lock().await, "long").await.0.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_that_nobody_reads_end_and_many_end_their_connection() {
    let options = ServerOptions {
        slow_reader_timeout: Duration::from_millis(200),
        max_streams: 10,
        ..Default::default()
    };
    let running = start(options).await;
    let mut reader = client(running.address, SOON);
    let (reports, receiver) = tokio::sync::mpsc::channel(1);
    reports.send(report("ok")).await.unwrap();
    let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = reader.report_health(receiver).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();

    let mut miser = Miser::connect(running.address, 0).await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..9 {
        unread.push(miser.ask(REPORT, &report("ok")).await.unwrap());
    }
    let ended = tokio::time::timeout(SOON, &mut miser.connection).await;
    let _ = ended.expect("the connection is closed").unwrap(); // h2 takes that for an end like any other

    // Who reads is not disturbed, and their places are free.
    reports.send(report("ok")).await.unwrap();
    answers.message().await.unwrap().unwrap();
    let other = Miser::connect(running.address, 0).await.unwrap();
    let answer = other.ask(REPORT, &report("ok")).await.unwrap();
    assert!(Status::from_header_map(answer.await.unwrap().headers()).is_none());
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed() {
    let running = start(ServerOptions::default()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for first_word in [&b""[..], &preface[..1], &preface[..]] {
        let mut silent = tokio::net::TcpStream::connect(running.address).await.unwrap();
        silent.write_all(first_word).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(SOON, silent.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "it is still open after {SOON:?} and {first_word:?}");
    }
    client(running.address, SOON).register_charge_point(register("ok")).await.unwrap();
}
