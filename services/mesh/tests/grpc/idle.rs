//! What a connection costs on which there is nothing to do, and what becomes of it.

use crate::fake::*;
use mesh::grpc::{CALL_TIMEOUT, ServerOptions};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::timeout,
};

/// The caller asks a silent far side for a sign of life each second.
const THREE_TIMES: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(60);

/// HTTP/2's first word, and the head of a frame: its length, its type, its flags.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const PING: u8 = 6;
const ACK: u8 = 1;

/// A relay in plain sight: it counts the pings that ask, of either side.
struct Wire {
    address: SocketAddr,
    pings: watch::Receiver<usize>,
}

impl Wire {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, pings) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(relay(near_in, far_out, PREFACE_BYTES, seen.clone()));
                tokio::spawn(relay(far_in, near_out, 0, seen.clone()));
            }
        });
        Self { address, pings }
    }
}

/// Until one of them closes.
async fn relay(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    before: usize,
    pings: watch::Sender<usize>,
) -> Option<()> {
    let mut bytes = vec![0; before];
    from.read_exact(&mut bytes).await.ok()?;
    loop {
        to.write_all(&bytes).await.ok()?;
        bytes.resize(HEAD_BYTES, 0);
        from.read_exact(&mut bytes).await.ok()?;
        if bytes[3] == PING && bytes[4] & ACK == 0 {
            pings.send_modify(|pings| *pings += 1);
        }
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        bytes.resize(HEAD_BYTES + length, 0);
        from.read_exact(&mut bytes[HEAD_BYTES..]).await.ok()?;
    }
}

#[tokio::test]
async fn only_a_far_side_with_a_call_open_is_asked_for_signs_of_life() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let mut client = client(wire.address, CALL_TIMEOUT);
    client.register_charge_point(register("ok")).await.unwrap();
    let before = *wire.pings.borrow();
    let asked = timeout(THREE_TIMES, wire.pings.wait_for(|pings| *pings > before)).await.is_ok();
    assert!(!asked, "nobody waits for it");

    let _stream = client.report_health(tokio_stream::pending()).await.unwrap();
    let asked = timeout(SOON, wire.pings.wait_for(|pings| *pings > before + 2)).await.is_ok();
    assert!(asked, "again and again");
}
