//! What a connection costs on which there is nothing to do, and what becomes of it.

use crate::fake::*;
use evmesh_proto::chargepoint::charge_point_service_client::ChargePointServiceClient;
use futures_util::FutureExt as _;
use mesh::grpc::{CALL_TIMEOUT, Expected, Peers, ServerOptions, reason};
use std::{net::SocketAddr, time::Duration};
use testing::free_address;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{self, timeout},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, body::Body};

/// The caller asks a silent far side for a sign of life each second.
const THREE_TIMES: Duration = Duration::from_secs(3);
/// A connection that nobody uses is closed after this.
const IDLE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(60);

/// HTTP/2's first word, and the head of a frame: its length, its type, its flags.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
const PING: u8 = 6;
const ACK: u8 = 1;

/// What a relay has seen.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// Connections that were opened, and that are.
    opened: usize,
    open: usize,
    /// Pings that ask, of either side.
    pings: usize,
}

/// A relay that looks at what passes.
struct Wire {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    /// On so many, the first, nothing passes any more.
    stuck: watch::Sender<usize>,
}

impl Wire {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sees, seen) = watch::channel(Seen::default());
        let (stuck, are_stuck) = watch::channel(0);
        tokio::spawn(async move {
            for number in 1.. {
                let Ok((near, _)) = listener.accept().await else { return };
                sees.send_modify(|seen| (seen.opened, seen.open) = (seen.opened + 1, seen.open + 1));
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                let (sees, are_stuck) = (sees.clone(), are_stuck.clone());
                tokio::spawn(async move {
                    let passes = || *are_stuck.borrow() < number;
                    tokio::join!(
                        relay(near_in, far_out, PREFACE_BYTES, &sees, passes),
                        relay(far_in, near_out, 0, &sees, passes)
                    );
                    sees.send_modify(|seen| seen.open -= 1);
                });
            }
        });
        Self { address, seen, stuck }
    }

    async fn sees(&mut self, what: &str, is: impl FnMut(&Seen) -> bool) {
        let seen = timeout(SOON, self.seen.wait_for(is)).await.is_ok();
        assert!(seen, "{what}: {:?}", self.seen.borrow());
    }

    /// How many connections were opened, and are open.
    fn connections(&self) -> (usize, usize) {
        let seen = *self.seen.borrow();
        (seen.opened, seen.open)
    }
}

/// As if so much time had passed, in which nothing came.
async fn pass(span: Duration) {
    time::pause();
    time::advance(span).await;
    time::resume();
}

/// One direction, until either side closes.
async fn relay(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    before: usize,
    sees: &watch::Sender<Seen>,
    passes: impl Fn() -> bool,
) -> Option<()> {
    let mut bytes = vec![0; before];
    from.read_exact(&mut bytes).await.ok()?;
    while passes() {
        to.write_all(&bytes).await.ok()?;
        bytes.resize(HEAD_BYTES, 0);
        from.read_exact(&mut bytes).await.ok()?;
        if bytes[3] == PING && bytes[4] & ACK == 0 {
            sees.send_modify(|seen| seen.pings += 1);
        }
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        bytes.resize(HEAD_BYTES + length, 0);
        from.read_exact(&mut bytes[HEAD_BYTES..]).await.ok()?;
    }
    std::future::pending().await
}

#[tokio::test]
async fn only_a_far_side_with_a_call_open_is_asked_for_signs_of_life() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let mut client = client(wire.address, CALL_TIMEOUT);
    client.register_charge_point(register("ok")).await.unwrap();
    let before = wire.seen.borrow().pings;
    let asked = timeout(THREE_TIMES, wire.seen.wait_for(|seen| seen.pings > before)).await.is_ok();
    assert!(!asked, "nobody waits for it");

    let _stream = client.report_health(tokio_stream::pending()).await.unwrap();
    wire.sees("it is asked again and again", |seen| seen.pings > before + 2).await;
}

#[tokio::test]
async fn who_hears_from_its_far_side_all_the_time_sends_no_pings_and_leaves_a_connection_that_is_silent() {
    let running = start(ServerOptions::default()).await;
    let wire = Wire::to(running.address).await;
    let peers = Peers::default().without_pings();
    let mut client =
        ChargePointServiceClient::new(peers.peer(&wire.address.into(), Expected::Anyone, CALL_TIMEOUT));
    let mut open = client.report_health(tokio_stream::pending()).await.unwrap().into_inner();
    let before = wire.seen.borrow().pings;
    assert!(timeout(THREE_TIMES, open.next()).await.is_err(), "nothing comes");
    assert_eq!(wire.seen.borrow().pings, before);

    // As if the far side had it no more: no beginning of a stream is answered.
    wire.stuck.send_replace(1);
    let begun = timeout(THREE_TIMES, client.report_health(tokio_stream::pending())).await;
    assert!(begun.is_err(), "nobody answers");
    client.report_health(tokio_stream::pending()).await.unwrap();
    assert_eq!(wire.seen.borrow().opened, 2);
}

#[tokio::test]
async fn a_connection_is_closed_after_an_idle_minute_and_the_next_call_opens_another() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let mut client = client(wire.address, CALL_TIMEOUT);
    // More often than a circuit takes to open.
    for opened in 1..=7 {
        for _ in 0..2 {
            client.register_charge_point(register("ok")).await.unwrap();
            assert_eq!(wire.connections(), (opened, 1));
            pass(IDLE - Duration::from_secs(5)).await;
        }
        pass(IDLE).await;
        wire.sees("it is closed", |seen| seen.open == 0).await;
    }
}

#[tokio::test]
async fn with_many_connections_an_idle_one_is_closed_sooner() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let peers = Peers::default();
    let client = |address: SocketAddr| {
        ChargePointServiceClient::new(peers.peer(&address.into(), Expected::Anyone, CALL_TIMEOUT))
    };
    let nobody = free_address();
    let mut others = Vec::new();
    for _ in 0..1024 {
        let mut other = client(nobody);
        other.register_charge_point(register("ok")).await.unwrap_err();
        others.push(other);
    }
    let mut last = client(wire.address);
    last.register_charge_point(register("ok")).await.unwrap();
    pass(Duration::from_secs(6)).await;
    wire.sees("it is closed", |seen| seen.open == 0).await;
}

#[tokio::test]
async fn a_stream_keeps_its_connection_which_is_that_of_further_calls() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let mut client = client(wire.address, CALL_TIMEOUT);
    let (reports, sent) = tokio::sync::mpsc::channel(1);
    let mut answers = client.report_health(ReceiverStream::new(sent)).await.unwrap().into_inner();
    for _ in 0..3 {
        pass(IDLE).await;
        reports.send(report("ok")).await.unwrap();
        answers.next().await.unwrap().unwrap();
        client.register_charge_point(register("ok")).await.unwrap();
    }
    assert_eq!(wire.connections(), (1, 1));
    drop((reports, answers));
    pass(IDLE).await; // a look finds it in use, or a moment ago
    pass(IDLE).await;
    wire.sees("it is closed", |seen| seen.open == 0).await;
}

#[tokio::test]
async fn those_at_one_place_have_one_connection_and_each_its_own_circuit() {
    let running = start(ServerOptions::default()).await;
    let wire = Wire::to(running.address).await;
    let first = Peers::default().peer(&wire.address.into(), Expected::Anyone, Duration::from_millis(600));
    assert!(!first.has_others());
    let mut clients = [(); 3].map(|()| ChargePointServiceClient::new(first.beside()));
    assert!(first.has_others());
    let [hangs, answers, _] = &mut clients;
    for _ in 0..5 {
        // While others are answered there, it is not the connection.
        let (late, answered) = tokio::join!(hangs.register_charge_point(register("slow")), async {
            answers.register_charge_point(register("ok")).await
        });
        assert_eq!(reason(&late.unwrap_err()).as_deref(), Some("DEADLINE_EXCEEDED"));
        answered.unwrap();
    }
    let refused = hangs.register_charge_point(register("ok")).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("CIRCUIT_OPEN"));
    for client in &mut clients[1..] {
        client.register_charge_point(register("ok")).await.unwrap();
    }
    assert_eq!(wire.connections(), (1, 1));
    drop(clients);
    assert!(!first.has_others());
}

#[tokio::test]
async fn where_nobody_is_answered_the_next_call_goes_over_another_connection() {
    let running = start(ServerOptions::default()).await;
    let mut wire = Wire::to(running.address).await;
    let mut client = client(wire.address, Duration::from_millis(600));
    client.register_charge_point(register("slow")).await.unwrap_err();
    client.register_charge_point(register("ok")).await.unwrap();
    assert_eq!(wire.seen.borrow().opened, 2);
    wire.sees("the first is closed", |seen| seen.open == 1).await;
}

#[tokio::test]
async fn a_connection_that_is_being_made_is_no_callers_to_give_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap(); // it shakes nobody's hand
    let address = listener.local_addr().unwrap();
    let pin = identity::Pin { trust_domain: "network".parse().unwrap(), core: [0; 32] };
    let peer = Peers::enrolling(pin).peer(&address.into(), Expected::Registry, Duration::from_millis(600));
    let mut client = ChargePointServiceClient::new(peer);
    for _ in 0..2 {
        let late = client.register_charge_point(register("ok")).await.unwrap_err();
        assert_eq!(reason(&late).as_deref(), Some("DEADLINE_EXCEEDED"), "{late:?}");
    }
    let first = listener.accept().await.unwrap();
    assert!(listener.accept().now_or_never().is_none(), "both calls waited for one connection");
    drop(first);
}

#[test]
fn a_stream_takes_little_memory_while_it_has_little_to_say() {
    let wire = |_| async { Ok::<_, Status>(http::Response::new(Body::empty())) };
    let mut client = ChargePointServiceClient::new(tower::service_fn(wire));
    let mut stream = None;
    let begun = allocation_counter::measure(|| {
        stream = client.report_health(tokio_stream::pending()).now_or_never();
    });
    stream.unwrap().unwrap();
    assert!(begun.bytes_max < 4096, "{begun:?}");
}
