//! The client stack, against a far side that is dead, slow, half-open, or back again.

use crate::fake::*;
use evmesh_proto::chargepoint::charge_point_service_client::ChargePointServiceClient;
use mesh::{
    grpc::{CALL_TIMEOUT, Deadline, Expected, Peers, ServerOptions, reason, with_request_id},
    trace,
};
use std::{sync::atomic::Ordering, time::Duration};
use testing::{Proxy, eventually, free_address};
use tokio::{net::TcpListener, time::Instant};
use tokio_stream::StreamExt as _;
use tonic::Code;

const SOON: Duration = Duration::from_secs(8);
/// Found within keep-alive interval + timeout, and a margin for a busy machine.
const HALF_OPEN_FOUND: Duration = Duration::from_millis(4500);

const PATIENT: Duration = Duration::from_secs(60);

/// Calls `ok`; why it failed.
async fn why(client: &mut Client, id: &str) -> String {
    let status = client.register_charge_point(register(id)).await.unwrap_err();
    reason(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}

#[tokio::test]
async fn a_dead_far_side_opens_the_circuit_and_is_found_again() {
    let address = free_address();
    let mut client = client(address, CALL_TIMEOUT);
    for _ in 0..5 {
        let status = client.register_charge_point(register("ok")).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_deref()),
            (Code::Unavailable, Some("PEER_UNREACHABLE"))
        );
        assert!(status.message().contains(&address.to_string()), "{}", status.message());
    }
    let started = Instant::now();
    assert_eq!(why(&mut client, "ok").await, "CIRCUIT_OPEN");
    assert!(started.elapsed() < Duration::from_millis(50), "refused at once");

    let running = start_at(address, ServerOptions::default()).await;
    let back = Instant::now();
    let call = || {
        let mut client = client.clone();
        async move { client.register_charge_point(register("ok")).await.ok() }
    };
    eventually("the far side is reached again", SOON, call).await;
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    for _ in 0..10 {
        client.register_charge_point(register("ok")).await.unwrap();
    }
    assert!(running.fake.calls.load(Ordering::SeqCst) >= 11);
}

#[tokio::test]
async fn a_slow_far_side_is_deadline_exceeded_and_opens_the_circuit() {
    let running =
        start(ServerOptions { request_timeout: Duration::from_secs(60), ..Default::default() }).await;
    let mut client = client(running.address, Duration::from_millis(600));
    for _ in 0..5 {
        let started = Instant::now();
        let status = client.register_charge_point(register("slow")).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_deref()),
            (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED"))
        );
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(why(&mut client, "ok").await, "CIRCUIT_OPEN");
}

#[tokio::test]
async fn a_hurried_caller_does_not_open_the_circuit() {
    let running = start(ServerOptions::default()).await;
    let mut client = client(running.address, CALL_TIMEOUT);
    client.register_charge_point(register("ok")).await.unwrap();
    for _ in 0..8 {
        let mut request = register("slow");
        request.set_timeout(Duration::from_millis(20));
        let status = client.register_charge_point(request).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    client.register_charge_point(register("ok")).await.unwrap();
}

#[tokio::test]
async fn a_far_side_that_accepts_and_says_nothing_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let started = Instant::now();
    assert_eq!(why(&mut client(address, PATIENT), "ok").await, "PEER_UNREACHABLE");
    assert!(started.elapsed() < HALF_OPEN_FOUND, "{:?}", started.elapsed());
    // A caller with less patience is not kept.
    let started = Instant::now();
    let hasty = Duration::from_millis(300);
    assert_eq!(why(&mut client(address, hasty), "ok").await, "DEADLINE_EXCEEDED");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_found_and_healed() {
    let running =
        start(ServerOptions { request_timeout: Duration::from_secs(60), ..Default::default() }).await;
    let proxy = Proxy::start(running.address).await;
    let mut client = client(proxy.address(), PATIENT);
    client.register_charge_point(register("ok")).await.unwrap();
    let mut stream = client.report_health(tokio_stream::pending()).await.unwrap().into_inner();

    proxy.set_silent(true);
    let started = Instant::now();
    assert_eq!(why(&mut client, "ok").await, "PEER_UNREACHABLE");
    assert!(stream.next().await.unwrap().is_err(), "an idle stream hears of it too");
    assert!(started.elapsed() < HALF_OPEN_FOUND, "{:?}", started.elapsed());

    proxy.set_silent(false);
    let back = Instant::now();
    let call = || {
        let mut client = client.clone();
        async move { client.register_charge_point(register("ok")).await.ok() }
    };
    eventually("the connection is healed", SOON, call).await;
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
}

#[tokio::test]
async fn only_marked_calls_are_repeated_and_only_within_the_budget() {
    let running = start(ServerOptions::default()).await;
    let fails = |count| running.fake.failures.store(count, Ordering::SeqCst);
    let calls = || running.fake.calls.swap(0, Ordering::SeqCst);
    let mut client = client(running.address, CALL_TIMEOUT);

    fails(1);
    assert_eq!(why(&mut client, "flaky").await, "STARTING");
    assert_eq!(calls(), 1, "not marked: not repeated");

    fails(2);
    client.register_charge_point(with_request_id(register("flaky"), "r1")).await.unwrap();
    assert_eq!(calls(), 3);

    fails(100);
    client.register_charge_point(with_request_id(register("flaky"), "r2")).await.unwrap_err();
    assert_eq!(calls(), 3, "at most three tries");

    fails(1000);
    for n in 0..20 {
        client.register_charge_point(with_request_id(register("flaky"), &format!("b{n}"))).await.unwrap_err();
    }
    let calls = calls();
    assert!((20..=32).contains(&calls), "{calls}: the budget of retries runs out");
}

#[tokio::test]
async fn other_errors_are_not_repeated() {
    let running = start(ServerOptions::default()).await;
    let mut client = client(running.address, CALL_TIMEOUT);
    let request = with_request_id(register("refused"), "r1");
    let status = client.register_charge_point(request).await.unwrap_err();
    assert_eq!(reason(&status).as_deref(), Some("EPOCH_STALE"), "the far side's own reason arrives");
    assert_eq!(running.fake.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_inbound_deadline_and_trace_are_passed_on() {
    let running = start(ServerOptions::default()).await;
    let peer = Peers::default().peer(&running.address.into(), Expected::Anyone, CALL_TIMEOUT);
    let inbound = Some(Deadline::after(Duration::from_millis(800)));
    let mut client = ChargePointServiceClient::new(peer.with_deadline(inbound));
    let left = client.register_charge_point(register("deadline")).await.unwrap().into_inner().epoch;
    assert!((1..=800).contains(&left), "{left}");
    let mut own = ChargePointServiceClient::new(peer.clone());
    let left = own.register_charge_point(register("deadline")).await.unwrap().into_inner().epoch;
    assert!((801..=5000).contains(&left), "{left}");

    let trace = trace::root();
    let answer =
        trace::scope(trace, own.register_charge_point(register("trace"))).await.unwrap().into_inner();
    assert_eq!(answer.location, trace.id());

    let mut late = ChargePointServiceClient::new(peer.with_deadline(Some(Deadline::after(Duration::ZERO))));
    assert_eq!(why(&mut late, "ok").await, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn streams_outlive_every_timeout() {
    let running =
        start(ServerOptions { request_timeout: Duration::from_millis(100), ..Default::default() }).await;
    let options = Duration::from_millis(100);
    let mut client = client(running.address, options);
    let (reports, receiver) = tokio::sync::mpsc::channel(1);
    let reports_stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.report_health(reports_stream).await.unwrap().into_inner();
    // A call on the same connection is cut by both timeouts in the meantime.
    assert_eq!(why(&mut client, "slow").await, "DEADLINE_EXCEEDED");
    reports.send(report("ok")).await.unwrap();
    answers.next().await.unwrap().unwrap();
}
