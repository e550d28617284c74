//! A caller that asks and takes nothing, or does not even ask to the end.

use bytes::Bytes;
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::{net::TcpSocket, task::JoinHandle};

/// A connection with hardly any HTTP/2 window: whatever it asks for, it never takes. It answers pings, as a living
/// caller does.
#[derive(Debug)]
pub struct Miser {
    requests: SendRequest<Bytes>,
    /// Ends with the connection.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

impl Drop for Miser {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Miser {
    /// Connects to a gRPC server. It takes so many bytes of each answer, 0 or more: with one the server begins to send.
    pub async fn connect(address: SocketAddr, window: u32) -> io::Result<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST.into(), address, window).await
    }

    /// The same from another address of this host.
    pub async fn connect_from(from: IpAddr, address: SocketAddr, window: u32) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let tcp = socket.connect(address).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).data_frame_budget(usize::MAX); // it minds no frame: it reads none
        let (requests, connection) = builder.handshake(tcp).await.map_err(io::Error::other)?;
        Ok(Self { requests, connection: tokio::spawn(connection) })
    }

    /// Calls a method (`/package.Service/Method`) with one message. The head of the answer comes; its body waits.
    pub async fn ask(&self, path: &str, message: &impl prost::Message) -> Result<ResponseFuture, h2::Error> {
        let message = message.encode_to_vec();
        let length = u32::try_from(message.len()).expect("messages are short");
        let framed = [&[0], &length.to_be_bytes()[..], &message].concat();
        self.send(path, "identity", framed.into()).await
    }

    /// The same with what is sent as it is: framed, and compressed as `coding` says.
    pub async fn send(&self, path: &str, coding: &str, framed: Bytes) -> Result<ResponseFuture, h2::Error> {
        let (answer, mut stream) = self.begin(path, coding).await?;
        stream.send_data(framed, true)?;
        Ok(answer)
    }

    /// The beginning of a call, whose message is still to come.
    pub async fn begin(
        &self,
        path: &str,
        coding: &str,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let request = http::Request::post(format!("http://evmesh{path}"))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", coding)
            .header("te", "trailers")
            .body(())
            .expect("a path makes a request");
        self.requests.clone().ready().await?.send_request(request, false)
    }
}
