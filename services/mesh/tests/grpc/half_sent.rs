//! Calls whose message never comes whole, against callers beside them.

use crate::fake::*;
use evmesh_proto::chargepoint::{
    RegisterChargePointRequest, charge_point_service_client::ChargePointServiceClient,
};
use mesh::{
    grpc::{ServerOptions, reason},
    testing::eventually,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::net::TcpSocket;
use tonic::transport::Channel;

const SOON: Duration = Duration::from_secs(10);
const REGISTER: &str = "/evmesh.chargepoint.v1.ChargePointService/RegisterChargePoint";

/// Connections of one address, each with so many calls under way whose message never comes whole.
async fn half_sent(host: u8, connections: usize, calls: usize, running: &Running) -> Vec<HalfSent> {
    let mut all = Vec::new();
    for _ in 0..connections {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
        let (client, connection) =
            h2::client::handshake(socket.connect(running.address).await.unwrap()).await.unwrap();
        let running_on = tokio::spawn(async move { connection.await.is_ok() });
        let mut client = client.ready().await.unwrap();
        let mut bodies = Vec::new();
        for _ in 0..calls {
            let request = http::Request::post(format!("http://{}{REGISTER}", running.address))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .unwrap();
            bodies.push(client.send_request(request, false).unwrap());
        }
        all.push(HalfSent { _bodies: bodies, _connection: running_on });
    }
    all
}

struct HalfSent {
    _bodies: Vec<(h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>)>,
    _connection: tokio::task::JoinHandle<bool>,
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
