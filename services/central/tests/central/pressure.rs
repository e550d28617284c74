//! What many, slow or silent others do to central: as little as possible to everybody else.

use crate::{
    engine::{Engine, Mood},
    running_central::{Central, PATIENCE, REGISTERING, no_kafka, options, registration},
};
use central::Options;
use evmesh_proto::{
    chargepoint::{self, charge_point_service_client::ChargePointServiceClient},
    driver::{self, driver_service_client::DriverServiceClient},
    network::ChargePointStatus,
    operations::{self, operator_service_client::OperatorServiceClient},
};
use futures_util::stream;
use mesh::{backoff::Backoff, grpc::reason};
use std::{error::Error as _, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

/// One of these tests at a time: each fills the machine.
pub(crate) static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// How long a silent engine holds up whoever waits for it.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(4);
/// What a caller of a healthy charge point waits for at most, whatever happens elsewhere (INV-7). A debug build runs
/// beside all other tests, with every client in its own process: there it is enough that nobody has waited for a
/// silent engine.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
/// So many streams go over one connection: well below what a server allows.
const STREAMS_A_CONNECTION: usize = 500;

/// Without the short intervals of the other tests: thousands of charge points would spend the time on heartbeats.
fn large(folder: &std::path::Path) -> Options {
    let mut options = options(folder, no_kafka());
    options.rules.report_interval = Duration::from_secs(5);
    options.engine_timeout = ENGINE_TIMEOUT;
    options.rules.authorize_timeout = Duration::from_secs(5);
    options
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// A monitor: it registers and reports once an interval, and begins again whenever that ends, as a monitor does.
async fn monitor(
    channel: Channel,
    registration: chargepoint::RegisterChargePointRequest,
    registering: Arc<Semaphore>,
) {
    let mut points = ChargePointServiceClient::new(channel);
    let mut backoff = Backoff::default();
    loop {
        let turn = registering.acquire().await.unwrap();
        let answer = points.register_charge_point(registration.clone()).await;
        drop(turn);
        if let Ok(answer) = answer {
            let epoch = answer.into_inner().epoch;
            report(&mut points, registration.charge_point_id.clone(), epoch).await;
            backoff.reset();
        }
        backoff.wait().await;
    }
}

/// Reports until the stream ends.
async fn report(points: &mut ChargePointServiceClient<Channel>, id: String, epoch: u64) {
    let mut reports = tokio::time::interval(Duration::from_secs(5));
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reports = stream::unfold(reports, move |mut reports| {
        let charge_point_id = id.clone();
        async move {
            reports.tick().await;
            let health = chargepoint::EngineHealth::Ok.into();
            let report =
                chargepoint::ReportHealthRequest { charge_point_id, epoch, health, reason: String::new() };
            Some((report, reports))
        }
    });
    if let Ok(answers) = points.report_health(reports).await {
        let mut answers = answers.into_inner();
        while let Ok(Some(_)) = answers.message().await {}
    }
}

/// How many charge points have a status that fits.
async fn count(central: &Central, fits: impl Fn(ChargePointStatus) -> bool) -> usize {
    let (mut count, mut page_token) = (0, String::new());
    loop {
        let page = page(central, page_token).await;
        let points = page.charge_points.iter().filter_map(|detail| detail.charge_point.as_ref());
        count += points.filter(|point| fits(point.status())).count();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return count;
        }
    }
}

/// A page of the network's status. It is asked for again where central has no place for it, and where the connection
/// was lost: central and all its clients
/// share this process, and beside a compiler a first word, or a sign of life, waits behind the others' work for longer
/// than a server waits for it.
async fn page(central: &Central, page_token: String) -> operations::GetNetworkStatusResponse {
    let request = operations::GetNetworkStatusRequest { page_size: 1000, page_token };
    testing::eventually("central answers its operator", PATIENCE * 6, || async {
        match central.operators.clone().get_network_status(request.clone()).await {
            Ok(page) => Some(page.into_inner()),
            Err(status) if is_lost(&status) || is_asked_again(&status) => None,
            Err(status) => panic!("{status:?}"),
        }
    })
    .await
}

/// All places were taken, by those who come back: it is to try again.
fn is_asked_again(status: &Status) -> bool {
    mesh::grpc::reason(status).as_deref() == Some("OVERLOADED")
}

/// Its connection ended before the answer: central said nothing of the call.
fn is_lost(status: &Status) -> bool {
    status.source().is_some_and(|cause| cause.is::<tonic::transport::Error>())
}

/// Ten thousand in a release build (`cargo test --release -p central --test central pressure`). A debug build, which
/// has the clients of all of them in the same process, would be measured itself.
const SILENT: usize = if cfg!(debug_assertions) { 300 } else { 10_000 };

/// As many of them as this process has files for: both ends of an engine's connection are here, and a tenth is for the
/// rest.
fn silent_engines() -> usize {
    let (_, files) = rlimit::Resource::NOFILE.get().unwrap(); // central raises its own limit to this
    usize::try_from(files / 10 * 9 / 2).unwrap_or(SILENT).min(SILENT)
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_time_out_at_once_hold_up_nobody() {
    let _alone = ALONE.lock().await;
    let engines = silent_engines();
    let folder = tempfile::tempdir().unwrap();
    let central = Central::with(large(folder.path())).await;
    let (_engine, _monitor) = central.charge_point("A-WELL").await;
    // They are there when they register. From then on calls get no answer, not even a refusal.
    let silent = Engine::start("silent").await;
    silent.set(Mood::SilentOnceHeard);
    let mut monitors = JoinSet::new();
    let registering = Arc::new(Semaphore::new(REGISTERING)); // so that what is measured is the engines'
    let mut channel = endpoint(central.address).connect_lazy();
    for n in 0..engines {
        if n % STREAMS_A_CONNECTION == 0 {
            channel = endpoint(central.address).connect_lazy();
        }
        let mut one = registration("", &silent);
        one.charge_point_id = format!("CP-{n:05}");
        monitors.spawn(monitor(channel.clone(), one, registering.clone()));
    }
    all(engines + 1, &central, |_| true).await;
    // While they are asked for their state, and time out, again and again: a query, and a whole request.
    let (mut slowest, mut rounds, start) = (Duration::ZERO, 0, Instant::now());
    let mut faulted = 0;
    while (faulted < engines || rounds < 10) && start.elapsed() < PATIENCE * 4 {
        let asked = Instant::now();
        let session = central.request("101", "A-WELL").await.expect("it is granted");
        let stop = driver::StopChargeRequest { driver_id: "101".into(), ..Default::default() };
        central.session("101", &session.session_id).await.expect("it is there");
        slowest = slowest.max(asked.elapsed());
        central.drivers.clone().stop_charge(stop).await.expect("it is stopped");
        central.status("A-WELL", ChargePointStatus::Available).await;
        rounds += 1;
        faulted = count(&central, |status| status == ChargePointStatus::Faulted).await;
    }
    eprintln!(
        "{faulted} engines silent after {:?}; {rounds} requests and queries meanwhile, the slowest {slowest:?}",
        start.elapsed()
    );
    assert_eq!(faulted, engines, "every silent engine is found");
    assert!(rounds > 3 && slowest < SOON, "{slowest:?} in {rounds} rounds");
    drop(monitors);
    central.stop().await;
}

/// So long after central's return every monitor is seen. A debug build has 2,000 clients in its own process.
const SEEN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 180 } else { 5 });

/// Waits until so many charge points have a status that fits.
async fn all(wanted: usize, central: &Central, fits: fn(ChargePointStatus) -> bool) {
    testing::eventually("all are there", PATIENCE * 6, || async {
        (count(central, fits).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_monitors_come_back_within_a_second_and_all_are_seen() {
    let _alone = ALONE.lock().await;
    const COUNT: usize = 2000;
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start("store").await;
    let central = Central::with(large(folder.path())).await;
    central.register(COUNT, &engine).await;
    central.stop().await;

    let storm = async |address: SocketAddr| {
        let mut monitors = JoinSet::new();
        let nobody_waits = Arc::new(Semaphore::new(COUNT));
        let mut pace = tokio::time::interval(Duration::from_secs(1) / COUNT as u32);
        for n in 0..COUNT {
            pace.tick().await;
            let mut one = registration("", &engine);
            one.charge_point_id = format!("CP-{n:05}");
            // Each with a connection of its own.
            monitors.spawn(monitor(endpoint(address).connect_lazy(), one, nobody_waits.clone()));
        }
        monitors
    };
    let central = Central::with(large(folder.path())).await;
    let start = Instant::now();
    let monitors = storm(central.address).await;
    all(COUNT, &central, |status| status != ChargePointStatus::Disconnected).await;
    let seen = start.elapsed();
    all(COUNT, &central, |status| status == ChargePointStatus::Available).await;
    eprintln!(
        "{COUNT} monitors back: all seen after {seen:?}, all free to be used after {:?}",
        start.elapsed()
    );
    assert!(seen < SEEN, "{seen:?}");
    drop(monitors);
    central.stop().await;
}

/// A connection whose streams take a few bytes, unless they are read.
fn narrow(central: &Central) -> Channel {
    endpoint(central.address).initial_stream_window_size(32).connect_lazy()
}

/// Reads a stream to its end, which has to be a clear word to a slow reader.
async fn is_told<T: std::fmt::Debug>(mut stream: tonic::Streaming<T>) {
    let reading = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => break status,
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, reading).await.expect("it has ended");
    let why = reason(&ended);
    assert_eq!((ended.code(), why.as_deref()), (Code::ResourceExhausted, Some("SLOW_READER")), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_a_stream_is_dropped_with_a_clear_status_and_keeps_no_place() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), no_kafka());
    options.server.slow_reader_timeout = Duration::from_millis(400);
    options.server.max_streams = 2; // and the monitor's, which is counted apart
    let central = Central::with(options).await;
    let (engine, _monitor) = central.charge_point("MAD-01").await;
    let session_id = central.request("101", "MAD-01").await.unwrap().session_id;
    let session = driver::WatchSessionRequest { driver_id: "101".into(), session_id };
    let network = operations::WatchNetworkRequest {};
    let unread = DriverServiceClient::new(narrow(&central)).watch_session(session.clone()).await.unwrap();
    let unread_too = OperatorServiceClient::new(narrow(&central)).watch_network(network).await.unwrap();
    let refused = central.drivers.clone().watch_session(session.clone()).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("OVERLOADED"), "every place is taken: {refused:?}");

    // Their places are free once they are dropped, although they have not read a word of it.
    let energy_wh = std::sync::atomic::AtomicU64::new(0);
    let mut watches = testing::eventually("there is room for two", PATIENCE, || async {
        engine.supply(energy_wh.fetch_add(1, std::sync::atomic::Ordering::Relaxed)); // there is news for them
        let session = central.drivers.clone().watch_session(session.clone()).await.ok()?.into_inner();
        let network = central.operators.clone().watch_network(network).await.ok()?.into_inner();
        Some((session, network))
    })
    .await;
    is_told(unread.into_inner()).await;
    is_told(unread_too.into_inner()).await;
    // Who reads is not dropped, however little there is to read.
    assert!(watches.0.message().await.unwrap().is_some() && watches.1.message().await.unwrap().is_some());
    let quiet = tokio::time::timeout(Duration::from_millis(1500), watches.0.message()).await;
    assert!(!matches!(quiet, Ok(Err(_) | Ok(None))), "{quiet:?}");
    central.stop().await;
}
