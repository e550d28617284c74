//! Calls whose message never comes whole, against callers beside them.

use crate::fake::*;
use evmesh_proto::chargepoint::charge_point_service_client::ChargePointServiceClient;
use http::HeaderName;
use mesh::grpc::{ServerOptions, reason};
use prost::Message as _;
use std::{net::IpAddr, sync::atomic::Ordering, time::Duration};
use testing::{Miser, eventually};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

const SOON: Duration = Duration::from_secs(10);
const REGISTER: &str = "/evmesh.chargepoint.v1.ChargePointService/RegisterChargePoint";

async fn miser(host: u8, running: &Running) -> Miser {
    Miser::connect_from(IpAddr::from([127, 0, 0, host]), running.address, 0).await.unwrap()
}

/// Whether a call from another address is served.
async fn answered(host: u8, running: &Running) -> Result<(), String> {
    let endpoint = Channel::from_shared(format!("http://{}", running.address)).unwrap();
    let endpoint = endpoint.local_address(Some(IpAddr::from([127, 0, 0, host])));
    let mut client = ChargePointServiceClient::new(endpoint.connect_lazy());
    let answer = client.register_charge_point(register("ok")).await;
    answer.map(drop).map_err(|status| reason(&status).unwrap_or_default())
}

#[tokio::test]
async fn calls_that_are_never_sent_whole_keep_nobody_out_and_end_soon() {
    let running = start(ServerOptions { max_concurrent_requests: 16, ..Default::default() }).await;
    let (mut misers, mut bodies, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    // The last ones are of an address that stands for many.
    for host in (2..=20).chain([1; 20]) {
        let miser = miser(host, &running).await;
        for _ in 0..20 {
            let (answer, body) = miser.begin(REGISTER, "identity").await.unwrap();
            answers.push(answer);
            bodies.push(body);
        }
        let health = miser.ask("/grpc.health.v1.Health/Check", &HealthCheckRequest::default()).await;
        health.unwrap().await.expect("what came before it on this connection is begun");
        misers.push(miser);
    }
    for host in [1, 2, 30] {
        assert_eq!(answered(host, &running).await, Ok(()), "from 127.0.0.{host}");
    }
    for answer in answers {
        let ended = timeout(ServerOptions::default().request_timeout / 2, answer).await.expect("it is ended");
        let status = Status::from_header_map(ended.unwrap().headers()).unwrap();
        assert_eq!(reason(&status).as_deref(), Some("DEADLINE_EXCEEDED"), "{status:?}");
    }
}

#[tokio::test]
async fn a_call_that_comes_in_pieces_is_served() {
    let running = start(ServerOptions::default()).await;
    let miser = Miser::connect(running.address, 65_535).await.unwrap();
    let (answer, mut body) = miser.begin(REGISTER, "identity").await.unwrap();
    let message = register("ok").into_inner().encode_to_vec();
    let framed = [&[0, 0, 0, 0, message.len() as u8], &message[..]].concat();
    for piece in framed.chunks(1) {
        body.send_data(piece.to_vec().into(), false).unwrap();
        tokio::task::yield_now().await;
    }
    body.send_trailers([(HeaderName::from_static("x-end"), "1".parse().unwrap())].into_iter().collect())
        .unwrap();
    let answer = timeout(SOON, answer).await.expect("it is answered").unwrap();
    assert!(Status::from_header_map(answer.headers()).is_none(), "{answer:?}");
    assert_eq!(running.fake.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn slow_calls_of_one_address_leave_places_for_the_others() {
    let running = start(ServerOptions { max_concurrent_requests: 64, ..Default::default() }).await;
    let (mut misers, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let miser = miser(2, &running).await;
        for _ in 0..3 {
            answers.push(miser.ask(REGISTER, register("slow").get_ref()).await.unwrap());
        }
        misers.push(miser);
    }
    let refused = || async { (answered(2, &running).await == Err("OVERLOADED".into())).then_some(()) };
    eventually("its address has all that it may have", SOON, refused).await;
    assert_eq!(answered(3, &running).await, Ok(()));
}

/// What is sent of a message that never comes whole: its head, which says how long it is, and so many bytes of it.
async fn begun(method: &str, length: u32, sent: usize, running: &Running) -> Status {
    let miser = Miser::connect(running.address, 65_535).await.unwrap();
    let (answer, mut body) = miser.begin(method, "identity").await.unwrap();
    let head = [&[0][..], &length.to_be_bytes()].concat();
    body.send_data([head, vec![0; sent]].concat().into(), false).unwrap();
    let answer = timeout(SOON, answer).await.expect("it is ended").unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let trailers = timeout(SOON, answer.into_body().trailers()).await.expect("it is ended");
    Status::from_header_map(&trailers.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_never_sent_whole_ends_and_what_is_too_long_is_not_waited_for() {
    let request_timeout = Duration::from_millis(300);
    let running = start(ServerOptions { request_timeout, ..Default::default() }).await;
    for method in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        REGISTER,
    ] {
        let ended = begun(method, 900, 899, &running).await;
        assert_eq!(reason(&ended).as_deref(), Some("DEADLINE_EXCEEDED"), "{method}: {ended:?}");
        let refused = begun(method, 4 * 1024 * 1024 - 1, 900, &running).await;
        // Reflection ends its stream without a word.
        let told = refused.code() == Code::Ok || reason(&refused).as_deref() == Some("REQUEST_TOO_LARGE");
        assert!(told, "{method}: {refused:?}");
    }
}

#[tokio::test]
async fn a_stream_of_reflection_goes_on_while_it_is_asked_and_ends_when_it_is_not() {
    let request_timeout = Duration::from_millis(600);
    let running = start(ServerOptions { request_timeout, ..Default::default() }).await;
    let (ask, asked) = mpsc::channel(1);
    let channel = Channel::from_shared(format!("http://{}", running.address)).unwrap().connect_lazy();
    let mut client = ServerReflectionClient::new(channel);
    let list = || ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    ask.send(list()).await.unwrap();
    let mut answers = client.server_reflection_info(ReceiverStream::new(asked)).await.unwrap().into_inner();
    let began = Instant::now();
    while began.elapsed() < 2 * request_timeout {
        answers.message().await.unwrap().expect("it is answered");
        ask.send(list()).await.unwrap();
    }
    answers.message().await.unwrap().expect("it is answered");
    let ended = timeout(SOON, answers.message()).await.expect("it ends").unwrap_err();
    assert_eq!(reason(&ended).as_deref(), Some("DEADLINE_EXCEEDED"), "{ended:?}");
}
