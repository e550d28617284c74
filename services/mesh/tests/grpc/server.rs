//! The server stack, against a client that has none of ours.

use crate::fake::*;
use evmesh_proto::chargepoint::{charge_point_service_client::ChargePointServiceClient, *};
use mesh::grpc::{REQUEST_CODING, Security, ServerOptions, reason, retry_after};
use std::{net::IpAddr, time::Duration};
use testing::eventually;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tonic_types::StatusExt as _;

const SOON: Duration = Duration::from_secs(5);

async fn channel(running: &Running) -> Channel {
    Channel::from_shared(format!("http://{}", running.address)).unwrap().connect().await.unwrap()
}

async fn plain(running: &Running) -> ChargePointServiceClient<Channel> {
    ChargePointServiceClient::new(channel(running).await)
}

/// Calls a method with a message of the test's own.
async fn raw(running: &Running, path: &'static str, message: RawRequest) -> Status {
    let grpc = tonic::client::Grpc::new(channel(running).await);
    send(grpc, path, tonic::Request::new(message)).await.expect_err("it is refused")
}

async fn send(
    mut grpc: tonic::client::Grpc<Channel>,
    path: &'static str,
    request: tonic::Request<RawRequest>,
) -> Result<(), Status> {
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<RawRequest, RegisterChargePointResponse>::default();
    grpc.unary(request, path.parse().unwrap(), codec).await.map(|_| ())
}

/// The first field as bytes, that need not be UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct RawRequest {
    #[prost(bytes = "vec", tag = "1")]
    charge_point_id: Vec<u8>,
}

const REGISTER: &str = "/evmesh.chargepoint.v1.ChargePointService/RegisterChargePoint";

#[tokio::test]
async fn every_refusal_has_one_form_and_the_next_call_is_served() {
    let running = start(ServerOptions { max_message_bytes: 1000, ..Default::default() }).await;
    let mut client = plain(&running).await;
    let raw_request = |charge_point_id: &[u8]| RawRequest { charge_point_id: charge_point_id.to_vec() };
    for (status, code, why) in [
        (
            raw(&running, REGISTER, raw_request(&[0xff, 0xfe])).await,
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
        ),
        (
            raw(&running, REGISTER, raw_request(&[b'x'; 2000])).await,
            Code::InvalidArgument,
            "REQUEST_TOO_LARGE",
        ),
        (
            raw(&running, "/evmesh.chargepoint.v1.ChargePointService/Nothing", raw_request(b"x")).await,
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        (
            raw(&running, "/nothing.Here/AtAll", raw_request(b"x")).await,
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        (client.register_charge_point(register("panic")).await.unwrap_err(), Code::Internal, "INTERNAL"),
        (client.register_charge_point(register("secret")).await.unwrap_err(), Code::Internal, "INTERNAL"),
        (client.register_charge_point(register("refused")).await.unwrap_err(), Code::Aborted, "EPOCH_STALE"),
    ] {
        assert_eq!((status.code(), reason(&status).as_deref()), (code, Some(why)), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().domain, "evmesh");
        assert!(!status.message().is_empty() && !format!("{status:?}").contains("secret"), "{status:?}");
        client.register_charge_point(register("ok")).await.unwrap();
    }
    let large = raw(&running, REGISTER, raw_request(&[b'x'; 2000])).await;
    assert_eq!(large.message(), "the request has 2003 bytes; at most 1000 are allowed");

    // At the end of a stream too.
    let reports = tokio_stream::iter([report("ok"), report("secret")]);
    let mut answers = client.report_health(reports).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), reason(&status).as_deref()), (Code::Internal, Some("INTERNAL")));
    assert!(!format!("{status:?}").contains("secret"), "{status:?}");
}

#[tokio::test]
async fn gzip_is_taken_up_to_the_same_bound_and_no_other_coding() {
    let running = start(ServerOptions::default()).await; // a quarter of a megabyte
    let channel = channel(&running).await;
    let compressed = |charge_point_id: Vec<u8>| {
        let grpc = tonic::client::Grpc::new(channel.clone()).send_compressed(REQUEST_CODING);
        send(grpc, REGISTER, tonic::Request::new(RawRequest { charge_point_id }))
    };
    compressed(b"ok".to_vec()).await.unwrap();
    // A bomb: a thousandth of what it becomes, which is more than what is allowed.
    let bomb = compressed(vec![b'x'; 3_000_000]).await.unwrap_err();
    assert_eq!((bomb.code(), reason(&bomb).as_deref()), (Code::InvalidArgument, Some("REQUEST_TOO_LARGE")));
    assert_eq!(
        bomb.message(),
        "the request has more than 262144 bytes when it is decompressed; at most 262144 are allowed"
    );
    for coding in ["deflate", "zstd", "br"] {
        let mut request = tonic::Request::new(RawRequest { charge_point_id: b"ok".to_vec() });
        request.metadata_mut().insert("grpc-encoding", coding.parse().unwrap());
        let grpc = tonic::client::Grpc::new(channel.clone());
        let status = send(grpc, REGISTER, request).await.unwrap_err();
        assert_eq!(reason(&status).as_deref(), Some("COMPRESSION_UNSUPPORTED"), "{coding}: {status:?}");
    }
    compressed(b"ok".to_vec()).await.unwrap();
    // Health and reflection too.
    let mut health = HealthClient::new(channel.clone()).send_compressed(REQUEST_CODING);
    health.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_deadline_exceeded() {
    let running =
        start(ServerOptions { request_timeout: Duration::from_millis(200), ..Default::default() }).await;
    // Without tonic's own timer at the client, the answer is the server's.
    let mut client = plain(&running).await;
    let status = client.register_charge_point(register("slow")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::DeadlineExceeded, Some("DEADLINE_EXCEEDED"))
    );

    // The caller's limit counts where it is shorter; handlers see what is left.
    let left = client.register_charge_point(register("deadline")).await.unwrap().into_inner().epoch;
    assert!((1..=200).contains(&left), "{left}");
    for _ in 0..20 {
        let started = Instant::now();
        let status = call_without_timer(&running, "slow", "30m").await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(reason(&status).as_deref(), Some("DEADLINE_EXCEEDED"));
        assert!(started.elapsed() < Duration::from_millis(190), "{:?}", started.elapsed());
    }
}

/// Registers with a time limit that only the server knows of: tonic's channel would cancel the call by itself.
async fn call_without_timer(running: &Running, charge_point_id: &str, grpc_timeout: &str) -> Status {
    let tcp = tokio::net::TcpStream::connect(running.address).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}{REGISTER}", running.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", grpc_timeout)
        .body(())
        .unwrap();
    let message = prost::Message::encode_to_vec(register(charge_point_id).get_ref());
    let mut body = vec![0, 0, 0, 0, message.len() as u8];
    body.extend(message);
    let (answer, mut stream) = send.send_request(request, false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    Status::from_header_map(answer.await.unwrap().headers()).unwrap()
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back() {
    let running =
        start(ServerOptions { max_concurrent_requests: 2, max_streams: 1, ..Default::default() }).await;
    let mut client = plain(&running).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.register_charge_point(register("held")).await })
        })
        .collect();
    let calls =
        || async { (running.fake.calls.load(std::sync::atomic::Ordering::SeqCst) == 2).then_some(()) };
    eventually("two calls are held", SOON, calls).await;
    let status = client.register_charge_point(register("ok")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_deref()), (Code::ResourceExhausted, Some("OVERLOADED")));
    assert!(retry_after(&status).is_some());

    // Whoever asks for its health is told all the same.
    let mut health = HealthClient::new(channel(&running).await);
    health.check(HealthCheckRequest::default()).await.unwrap();

    // Streams are counted apart, for as long as they are open.
    let (reports, receiver) = tokio::sync::mpsc::channel(1);
    let reports_stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let open = client.report_health(reports_stream).await.unwrap();
    let status = client.report_health(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(reason(&status).as_deref(), Some("OVERLOADED"));
    let watched = health.watch(HealthCheckRequest::default()).await;
    assert!(watched.is_ok(), "monitors' streams keep no watcher out: {watched:?}");
    drop((open, reports));
    let again = || {
        let mut client = client.clone();
        async move { client.report_health(tokio_stream::pending()).await.ok() }
    };
    eventually("the stream's place is free", SOON, again).await;

    running.fake.release.notify_waiters();
    for held in held {
        held.await.unwrap().unwrap();
    }
    client.register_charge_point(register("ok")).await.unwrap();
}

#[tokio::test]
async fn a_trace_goes_on_in_the_handler() {
    let running = start(ServerOptions::default()).await;
    let mut client = plain(&running).await;
    let mut request = register("trace");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    let answer = client.register_charge_point(request).await.unwrap().into_inner();
    assert_eq!(answer.location, "4bf92f3577b34da6a3ce929d0e0e4736");
    let other = client.register_charge_point(register("trace")).await.unwrap().into_inner();
    assert_eq!(other.location.len(), 32, "a trace of its own");
}

#[tokio::test]
async fn health_is_told_and_changes() {
    let running = start(ServerOptions::default()).await;
    let mut health = HealthClient::new(channel(&running).await);
    let check = |service: &str| HealthCheckRequest { service: service.into() };
    let name = "evmesh.chargepoint.v1.ChargePointService";
    for service in ["", name] {
        let answer = health.check(check(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = health.check(check("nothing")).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_deref()), (Code::NotFound, Some("NOT_FOUND")));
    let mut followed = health.watch(check(name)).await.unwrap().into_inner();
    assert_eq!(followed.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    running.shutdown.start();
    assert_eq!(followed.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn a_server_without_a_place_for_its_callers_lives_and_is_not_ready() {
    for (max_concurrent_requests, ready) in [(0, false), (1, true), (usize::MAX, true)] {
        let running = start(ServerOptions { max_concurrent_requests, ..Default::default() }).await;
        let mut health = HealthClient::new(channel(&running).await);
        let check = |service: &str| HealthCheckRequest { service: service.into() };
        let lives = health.check(check("")).await.unwrap().into_inner();
        assert_eq!(lives.status(), ServingStatus::Serving);
        match health.check(check("ready")).await {
            Ok(answer) => assert_eq!((ready, answer.into_inner().status()), (true, ServingStatus::Serving)),
            Err(refused) => assert_eq!((ready, reason(&refused).as_deref()), (false, Some("OVERLOADED"))),
        }
    }
}

#[tokio::test]
async fn both_reflections_list_what_is_served() {
    let running = start(ServerOptions::default()).await;
    let mut expected =
        vec!["evmesh.chargepoint.v1.ChargePointService".to_owned(), "grpc.health.v1.Health".into()];
    macro_rules! list {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let ask =
                |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
            let asked = tokio_stream::iter([
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(
                    "evmesh.chargepoint.v1.RegisterChargePointRequest".into(),
                )),
            ]);
            let mut client = ServerReflectionClient::new(channel(&running).await);
            let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
            let Some(MessageResponse::ListServicesResponse(list)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("no list");
            };
            let Some(MessageResponse::FileDescriptorResponse(_)) =
                answers.next().await.unwrap().unwrap().message_response
            else {
                panic!("no file");
            };
            let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
            names.sort();
            expected.truncate(2);
            expected.push(concat!("grpc.reflection.", stringify!($version), ".ServerReflection").into());
            assert_eq!(names, expected);
        }};
    }
    list!(v1);
    list!(v1alpha);
}

#[tokio::test]
async fn a_stop_is_ordered_and_bounded() {
    let options = ServerOptions { drain_timeout: Duration::from_millis(500), ..Default::default() };
    let running = start(options).await;
    let mut client = plain(&running).await;
    let mut health = HealthClient::new(channel(&running).await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut stream = client.report_health(tokio_stream::pending()).await.unwrap().into_inner();
    let spawn = |id: &'static str| {
        let mut client = client.clone();
        tokio::spawn(async move { client.register_charge_point(register(id)).await })
    };
    let (held, slow) = (spawn("held"), spawn("slow"));
    let calls =
        || async { (running.fake.calls.load(std::sync::atomic::Ordering::SeqCst) == 2).then_some(()) };
    eventually("both calls run", SOON, calls).await;

    running.shutdown.start();
    // Not serving first, and streams end with a reason.
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for status in [watch.next().await.unwrap().map(|_| ()), stream.next().await.unwrap().map(|_| ())] {
        let status = status.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_deref()), (Code::Unavailable, Some("SHUTTING_DOWN")));
        assert!(retry_after(&status).is_some());
    }
    // No new connection.
    let refused = || async { tokio::net::TcpStream::connect(running.address).await.is_err().then_some(()) };
    eventually("the port is closed", SOON, refused).await;
    // A running call is finished, and one that never ends is cut.
    running.fake.release.notify_waiters();
    held.await.unwrap().unwrap();
    let status = slow.await.unwrap().unwrap_err();
    assert_eq!(reason(&status).as_deref(), Some("SHUTTING_DOWN"));
    tokio::time::timeout(SOON, running.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_one_plain_sentence() {
    let running = start(ServerOptions::default()).await;
    let error =
        mesh::grpc::Listener::bind(running.address, "central", &Security::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "central cannot listen on {}: the address is in use; stop the other process or choose another port \
             with --listen",
            running.address
        )
    );
}

/// Streams from one address, as many as it gets.
async fn streams_from(host: u8, running: &Running) -> (Vec<tonic::Streaming<HealthCheckResponse>>, Status) {
    let endpoint = Channel::from_shared(format!("http://{}", running.address)).unwrap();
    let from = endpoint.local_address(Some(IpAddr::from([127, 0, 0, host])));
    let mut health = HealthClient::new(from.connect().await.unwrap());
    let mut open = Vec::new();
    loop {
        match health.watch(HealthCheckRequest::default()).await {
            Ok(watch) => open.push(watch.into_inner()),
            Err(full) => return (open, full),
        }
    }
}

#[tokio::test]
async fn an_address_has_a_tenth_of_the_streams_unless_it_stands_for_many() {
    let running = start(ServerOptions { max_streams: 20, ..Default::default() }).await;
    let (open, full) = streams_from(2, &running).await;
    assert_eq!((open.len(), reason(&full).as_deref()), (2, Some("OVERLOADED")));
    assert_eq!(
        full.message(),
        "127.0.0.2 has as many streams open as one address may; close some, or have it named by --many-callers where \
         it stands for many"
    );
    assert!(retry_after(&full).is_some());
    let (others, _) = streams_from(3, &running).await;
    assert_eq!(others.len(), 2, "who has fewer is served");
    // This machine may be a proxy's, as far as anybody knows: it is bounded by what is left for others.
    drop(others);
    let (many, full) = streams_from(1, &running).await;
    assert!((16..=18).contains(&many.len()), "{}", many.len());
    assert_eq!(reason(&full).as_deref(), Some("OVERLOADED"));
    drop((open, many));
    let again = || async {
        let (open, _) = streams_from(2, &running).await;
        (open.len() == 2).then_some(())
    };
    eventually("its places are free", SOON, again).await;
}
