//! The attacks. A scene gives a sentence of what it did; it fails where it was let do more than its bound.

mod engines;
pub(super) mod identities;
mod newcomers;
mod places;
mod requests;
mod words;

use super::network::{HONEST, Network};
use anyhow::Context as _;
use evmesh_proto::{
    chargepoint::{ReportHealthRequest, charge_point_service_client::ChargePointServiceClient},
    driver::ListChargePointsRequest,
    engine::GetEngineStateRequest,
    operations::WatchNetworkRequest,
    topics::CP_TELEMETRY,
};
use mesh::kafka::{Origin, Producer, Reader, ReaderEvent};
use serde_json::{Value, json};
use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};
use testing::Miser;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};
use tonic::{Status, codegen::tokio_stream::wrappers::ReceiverStream};

type Played<'a> = Pin<Box<dyn Future<Output = anyhow::Result<String>> + 'a>>;

/// One attack, on such a network.
pub(super) struct Scene<N> {
    /// As `--scene` names it.
    pub(super) name: &'static str,
    /// It waits for most of its time: where all are played, it is played beside the others.
    pub(super) slow: bool,
    /// Where the honest driver charges meanwhile.
    pub(super) charges_at: &'static str,
    pub(super) play: for<'a> fn(&'a N) -> Played<'a>,
}

const fn scene<N>(name: &'static str, play: for<'a> fn(&'a N) -> Played<'a>) -> Scene<N> {
    Scene { name, slow: false, charges_at: HONEST, play }
}

pub(super) static SCENES: [Scene<Network>; 22] = [
    scene("untaken-answers", |network| Box::pin(untaken_answers(network))),
    scene("untaken-at-engine", |network| Box::pin(untaken_at_engine(network))),
    scene("half-sent-calls", |network| Box::pin(places::half_sent_calls(network))),
    scene("unread-streams", |network| Box::pin(unread_streams(network))),
    scene("idle-streams", |network| Box::pin(idle_streams(network))),
    scene("silent-connections", |network| Box::pin(silent_connections(network))),
    scene("forged-telemetry", |network| Box::pin(forged_telemetry(network))),
    scene("garbage", |network| Box::pin(places::garbage(network))),
    scene("invented-records", |network| Box::pin(engines::invented_records(network))),
    Scene { slow: true, ..scene("ignored-stops", |network| Box::pin(engines::ignored_stops(network))) },
    scene("implausible-readings", |network| Box::pin(engines::implausible_readings(network))),
    scene("guessed-sessions", |network| Box::pin(engines::guessed_sessions(network))),
    scene("impossible-numbers", |network| Box::pin(engines::impossible_numbers(network))),
    scene("made-up-registrations", |network| Box::pin(newcomers::made_up_registrations(network))),
    scene("denied-requests", |network| Box::pin(requests::denied_requests(network))),
    scene("reserve-and-cancel", |network| Box::pin(requests::reserve_and_cancel(network))),
    scene("cheap-and-silent", |network| Box::pin(requests::cheap_and_silent(network))),
    scene("hurried-callers", |network| Box::pin(requests::hurried_callers(network))),
    scene("in-an-engines-name", |network| Box::pin(requests::in_an_engines_name(network))),
    scene("wild-clocks", |network| Box::pin(words::wild_clocks(network))),
    scene("unreadable-text", |network| Box::pin(words::unreadable_text(network))),
    scene("open-files", |network| Box::pin(places::open_files(network))),
];

/// Where strangers call from whose address is bounded: honest people are at another one.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// What a connection may have open at once (its calls and streams).
const OPEN_AT_ONCE: usize = 1_000;

/// Calls whose answers nobody takes, on connections without a window, held open.
async fn untaken_answers(network: &Network) -> anyhow::Result<String> {
    let list = ListChargePointsRequest::default();
    untaken(network.central, "/evmesh.driver.v1.DriverService/ListChargePoints", &list).await
}

/// The same at the engine where the honest driver charges.
async fn untaken_at_engine(network: &Network) -> anyhow::Result<String> {
    // It answers whoever asks for another one with all that it knows.
    let state = GetEngineStateRequest { instance_id: "another".into(), ..Default::default() };
    untaken(network.engines[0], "/evmesh.engine.v1.EngineService/GetEngineState", &state).await
}

/// Calls of one connection that are under way at once.
const AT_A_TIME: usize = 20;

async fn untaken(server: SocketAddr, method: &str, message: &impl prost::Message) -> anyhow::Result<String> {
    let (mut misers, mut bodies, mut refused) = (Vec::new(), Vec::new(), 0);
    for window in [0, 0, 1, 1] {
        let miser = Miser::connect(server, window).await?;
        for _ in 0..OPEN_AT_ONCE / AT_A_TIME {
            let mut answers = Vec::new();
            for _ in 0..AT_A_TIME {
                answers.push(miser.ask(method, message).await?);
            }
            for answer in answers {
                let (head, body) = answer.await?.into_parts();
                match Status::from_header_map(&head.headers) {
                    Some(_) => refused += 1,
                    None => bodies.push(body),
                }
            }
        }
        misers.push(miser);
    }
    sleep(Duration::from_secs(3)).await;
    let untaken = bodies.len();
    anyhow::ensure!(untaken > OPEN_AT_ONCE, "only {untaken} answers waited");
    Ok(format!("{untaken} answers were not taken, on 4 connections ({refused} more refused)"))
}

/// What central may grow by under unread streams (bytes).
const UNREAD_STREAMS_COST: u64 = 64 * 1024 * 1024;
/// A slow reader's time, and some for the closing.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// Streams of the whole network that nobody reads, until their connections are closed.
async fn unread_streams(network: &Network) -> anyhow::Result<String> {
    let before = network.memory_of_central().await?;
    let (mut misers, mut streams) = (Vec::new(), Vec::new());
    for window in [0, 0, 1, 1] {
        let miser = Miser::connect(network.central, window).await?;
        for _ in 0..OPEN_AT_ONCE {
            let watch = "/evmesh.operations.v1.OperatorService/WatchNetwork";
            streams.push(miser.ask(watch, &WatchNetworkRequest::default()).await?);
        }
        misers.push(miser);
    }
    let mut most = before;
    for miser in &mut misers {
        let closed = timeout(CLOSED_WITHIN, &mut miser.connection).await;
        let _ = closed.context("a connection that reads nothing stays open")?;
        most = most.max(network.memory_of_central().await?);
    }
    let grown = most.saturating_sub(before);
    anyhow::ensure!(grown < UNREAD_STREAMS_COST, "central grew by {grown} bytes");
    let (opened, mib) = (streams.len(), grown / 1024 / 1024);
    Ok(format!(
        "{opened} streams were not read, on 4 connections, which were closed; central grew by {mib} MiB"
    ))
}

/// Streams of reports on which no report comes, while a watcher comes.
async fn idle_streams(network: &Network) -> anyhow::Result<String> {
    /// Each ends after 5 s; on a busy machine a little later.
    const ENDS: Duration = Duration::from_secs(8);
    const BY_ONE: usize = 250;
    let (mut open, began) = (JoinSet::new(), Instant::now());
    for _ in 0..4 {
        let channel = network.connect_from(Some(STRANGER)).await?;
        for n in 0..BY_ONE {
            if n.is_multiple_of(10) {
                sleep(Duration::from_millis(5)).await; // strangers and honest callers are one process here
            }
            let mut client = ChargePointServiceClient::new(channel.clone());
            open.spawn(async move {
                let (reports, stream) = mpsc::channel::<ReportHealthRequest>(1);
                let ended = match client.report_health(ReceiverStream::new(stream)).await {
                    Ok(answers) => answers.into_inner().message().await.err(),
                    Err(refused) => Some(refused),
                };
                drop(reports);
                ended.is_some_and(|status| mesh::grpc::reason(&status).as_deref() == Some("REPORTS_MISSING"))
            });
        }
    }
    let watch = network.operators().await?.watch_network(WatchNetworkRequest {}).await;
    let first = timeout(Duration::from_secs(1), watch?.into_inner().message()).await;
    first.context("a watcher waits longer than a second")??;
    let mut ended = 0;
    while let Some(idle) = timeout(ENDS, open.join_next()).await.context("an idle stream stays open")? {
        ended += usize::from(idle?);
    }
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(ended == 4 * BY_ONE, "only {ended} streams ended for saying nothing");
    Ok(format!("{ended} streams of reports said nothing, on 4 connections, and ended within {seconds:.1} s"))
}

/// Connections on which nothing comes.
async fn silent_connections(network: &Network) -> anyhow::Result<String> {
    const COUNT: usize = 500;
    let mut silent = Vec::new();
    for _ in 0..COUNT {
        silent.push(TcpStream::connect(network.central).await?);
    }
    for connection in &mut silent {
        let mut nothing = Vec::new();
        let closed = timeout(CLOSED_WITHIN, connection.read_to_end(&mut nothing)).await;
        let _ = closed.context("a silent connection stays open")?; // reset or ended, it is gone
    }
    Ok(format!("{COUNT} connections said nothing, and were closed"))
}

/// A writer on the topic who reads along: for each message of a session it sends an end of the same session with more
/// energy than there is, under the right key and under another; and five times a second a bare fault of a charge point.
async fn forged_telemetry(network: &Network) -> anyhow::Result<String> {
    const KWH: f64 = 9_999.0;
    let producer = Producer::new(&network.kafka, "stranger")?;
    let (seen, mut told) = mpsc::channel(1_000);
    let _reader = Reader::spawn(&network.kafka, CP_TELEMETRY, "stranger", Origin::Latest, move |event| {
        if let ReaderEvent::Message(message) = event
            && let Ok(message) = serde_json::from_slice::<Value>(&message.payload)
            && message["session_id"].is_string()
            && message["kwh"] != KWH
        {
            let _ = seen.try_send(message); // there will be others
        }
        true
    })?;
    let (mut ends, mut faults) = (0, 0);
    let (over, mut often) =
        (sleep_until(Instant::now() + Duration::from_secs(8)), interval(Duration::from_millis(200)));
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(message) = told.recv() => {
                for key in [message["cp_id"].as_str().unwrap_or_default(), "VLC-99"] {
                    let seq = message["seq"].as_u64().unwrap_or_default() + 1;
                    let mut forged = message.clone();
                    let event_id = format!("forged-{ends}");
                    let end = json!({ "type": "SUPPLY_END", "kwh": KWH, "seq": seq, "event_id": event_id });
                    forged.as_object_mut().context("an object")?.extend(end.as_object().cloned().unwrap_or_default());
                    producer.send_lossy(CP_TELEMETRY, key, &serde_json::to_vec(&forged)?);
                    ends += 1;
                }
            }
            _ = often.tick() => {
                let reason = "a stranger says so";
                let fault = json!({ "type": "AVERIADO", "cp_id": "MAD-01", "reason": reason, "timestamp": 1.0 });
                producer.send_lossy(CP_TELEMETRY, "MAD-01", &serde_json::to_vec(&fault)?);
                faults += 1;
            }
        }
    }
    anyhow::ensure!(ends >= 4 && faults >= 30, "only {ends} ends and {faults} faults were forged");
    Ok(format!(
        "{ends} ends of running sessions with {KWH} kWh, and {faults} faults, were forged on the topic"
    ))
}
