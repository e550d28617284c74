//! Calls whose message never comes whole, against callers beside them.

use crate::fake::*;
use evmesh_proto::chargepoint::{
    RegisterChargePointRequest, charge_point_service_client::ChargePointServiceClient,
};
use mesh::{
    grpc::{ServerOptions, reason},
    testing::{Miser, eventually},
};
use std::{net::IpAddr, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

const SOON: Duration = Duration::from_secs(10);
const REGISTER: &str = "/evmesh.chargepoint.v1.ChargePointService/RegisterChargePoint";

/// Connections of one address, each with so many calls under way whose message never comes whole.
async fn half_sent(host: u8, connections: usize, calls: usize, running: &Running) -> impl Sized {
    let (mut misers, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        let from = IpAddr::from([127, 0, 0, host]);
        let miser = Miser::connect_from(from, running.address, 0).await.unwrap();
        for _ in 0..calls {
            bodies.push(miser.begin(REGISTER, "identity").await.unwrap());
        }
        misers.push(miser);
    }
    (misers, bodies)
}

#[tokio::test]
async fn half_sent_calls_of_one_address_leave_places_for_the_others() {
    let running = start(ServerOptions { max_concurrent_requests: 64, ..Default::default() }).await;
    let _held = half_sent(2, 40, 3, &running).await;
    let from = |host: u8| {
        let endpoint = Channel::from_shared(format!("http://{}", running.address)).unwrap();
        let endpoint = endpoint.local_address(Some(IpAddr::from([127, 0, 0, host])));
        ChargePointServiceClient::new(endpoint.connect_lazy())
    };
    let refused = || async {
        let answer = from(2).register_charge_point(RegisterChargePointRequest::default()).await;
        answer.is_err_and(|status| reason(&status).as_deref() == Some("OVERLOADED")).then_some(())
    };
    eventually("its address has all that it may have", SOON, refused).await;
    let other = from(3).register_charge_point(RegisterChargePointRequest::default()).await;
    assert_ne!(other.err().and_then(|status| reason(&status)).as_deref(), Some("OVERLOADED"));
}

/// What is sent of a message that never comes whole: its head, which says how long it is, and so many bytes of it.
async fn begun(method: &str, length: u32, sent: usize, running: &Running) -> Status {
    let miser = Miser::connect(running.address, 65_535).await.unwrap();
    let (answer, mut body) = miser.begin(method, "identity").await.unwrap();
    let head = [&[0][..], &length.to_be_bytes()].concat();
    body.send_data([head, vec![0; sent]].concat().into(), false).unwrap();
    let answer = tokio::time::timeout(SOON, answer).await.expect("it is ended").unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let trailers = tokio::time::timeout(SOON, answer.into_body().trailers()).await.expect("it is ended");
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
    let ended = tokio::time::timeout(SOON, answers.message()).await.expect("it ends").unwrap_err();
    assert_eq!(reason(&ended).as_deref(), Some("DEADLINE_EXCEEDED"), "{ended:?}");
}
