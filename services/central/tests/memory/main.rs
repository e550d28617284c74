//! What callers can make central's memory grow by. In a process of its own, one test after the other: what is measured
//! is that of the process, its clients in it.

#![allow(clippy::unwrap_used)] // a helper of a test may fail it
#![allow(dead_code)] // what the other tests use too

#[path = "../central/engine.rs"]
mod engine;
#[path = "../central/running_central.rs"]
mod running_central;

use bytes::Bytes;
use engine::Engine;
use evmesh_proto::{driver::ListChargePointsResponse, operations::WatchNetworkRequest};
use http_body_util::BodyExt as _;
use mesh::grpc::REQUEST_CODING;
use running_central::{Central, no_kafka, options, registration};
use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::Miser;
use tokio::{sync::Semaphore, task::JoinSet};
use tonic::body::Body;

/// One of these tests at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const MIB: u64 = 1024 * 1024;

/// What this process has in memory now (bytes).
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The most that this process had in memory, above what it has now, until the other is over.
async fn grows<T>(meanwhile: impl Future<Output = T>) -> (u64, T) {
    let (before, mut most) = (memory(), 0);
    let mut often = tokio::time::interval(Duration::from_millis(20));
    tokio::pin!(meanwhile);
    loop {
        tokio::select! {
            done = &mut meanwhile => return (most.max(memory()).saturating_sub(before), done),
            _ = often.tick() => most = most.max(memory()),
        }
    }
}

/// A network of so many charge points, which have registered.
async fn network(folder: &Path, count: usize) -> (Central, Engine) {
    let mut options = options(folder, no_kafka());
    options.engine_timeout = Duration::from_secs(20); // one engine answers for all of them
    let central = Central::with(options).await;
    let engine = Engine::start("store").await;
    let (at_once, mut registering) = (Arc::new(Semaphore::new(64)), JoinSet::new());
    for n in 0..count {
        let mut one = registration("", &engine);
        one.charge_point_id = format!("CP-{n:05}");
        let (mut points, at_once) = (central.points.clone(), at_once.clone());
        registering.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            points.register_charge_point(one).await.unwrap();
        });
    }
    registering.join_all().await;
    (central, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_large_network_that_nobody_reads() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (central, _engine) = network(folder.path(), 3_000).await;
    let (grown, (opened, ended)) = grows(async {
        let (mut misers, mut streams) = (Vec::new(), Vec::new());
        for window in [0, 0, 1, 1] {
            let miser = Miser::connect(central.address, window).await.unwrap();
            for _ in 0..1_000 {
                let watch = "/evmesh.operations.v1.OperatorService/WatchNetwork";
                streams.push(miser.ask(watch, &WatchNetworkRequest::default()).await.unwrap());
            }
            misers.push(miser);
        }
        let mut ended = 0;
        for miser in &mut misers {
            let closed = tokio::time::timeout(Duration::from_secs(60), &mut miser.connection).await;
            ended += usize::from(closed.is_ok());
        }
        (streams.len(), ended)
    })
    .await;
    eprintln!("{opened} unread streams of 3,000 charge points: {} MiB", grown / MIB);
    assert_eq!((opened, ended), (4_000, 4));
    let clients = 16 * MIB; // four thousand streams have another end, which is in this process
    assert!(grown < 64 * MIB + clients, "{} MiB", grown / MIB);
    central.stop().await;
}

/// A field that no request has.
#[derive(Clone, PartialEq, prost::Message)]
struct Junk {
    #[prost(bytes = "vec", tag = "99")]
    junk: Vec<u8>,
}

/// A message of a megabyte, as it is sent: framed, and a thousandth of that by gzip.
async fn bomb() -> Bytes {
    let sent = Arc::new(Mutex::new(Bytes::new()));
    let wire = tower::service_fn({
        let sent = sent.clone();
        move |request: http::Request<Body>| {
            let sent = sent.clone();
            async move {
                *sent.lock().unwrap() = request.into_body().collect().await.unwrap().to_bytes();
                Err::<http::Response<Body>, _>(tonic::Status::cancelled("that was all"))
            }
        }
    });
    let mut grpc = tonic::client::Grpc::new(wire).send_compressed(REQUEST_CODING);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Junk, ListChargePointsResponse>::default();
    let request = tonic::Request::new(Junk { junk: vec![0; 1_000_000] });
    grpc.unary(request, "/any".parse().unwrap(), codec).await.unwrap_err();
    let sent = sent.lock().unwrap().clone();
    assert!((100..10_000).contains(&sent.len()), "{}", sent.len());
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_small_until_they_are_decompressed() {
    let _alone = ALONE.lock().await;
    const PATH: &str = "/evmesh.driver.v1.DriverService/ListChargePoints";
    let folder = tempfile::tempdir().unwrap();
    let (central, _engine) = network(folder.path(), 1).await;
    let bomb = bomb().await;
    let (grown, refused) = grows(async {
        let mut refused = 0;
        for _ in 0..5 {
            let (mut misers, mut answers) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                let miser = Miser::connect(central.address, 65_535).await.unwrap();
                for _ in 0..250 {
                    answers.push(miser.send(PATH, "gzip", bomb.clone()).await.unwrap());
                }
                misers.push(miser);
            }
            for answer in answers {
                refused +=
                    usize::from(tonic::Status::from_header_map(answer.await.unwrap().headers()).is_some());
            }
        }
        refused
    })
    .await;
    eprintln!("{refused} requests of a megabyte each, by gzip, 1,000 at once: {} MiB", grown / MIB);
    assert_eq!(refused, 5_000);
    assert!(grown < 64 * MIB, "{} MiB", grown / MIB);
    central.stop().await;
}
