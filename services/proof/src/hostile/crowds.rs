//! Crowds that mean no harm, alone on the machine since they fill it: ten thousand engines that fall silent at once,
//! beside honest people who must not notice, and two thousand monitors that all come back when central does.

use super::{
    beside_honest_people, in_a_folder,
    liar::Liar,
    network::{HONEST, MICROS_PER_KWH, Network},
    own,
};
use crate::{
    process::{self, eventually},
    stand_in::{Points, Reports, points_client},
};
use anyhow::ensure;
use evmesh_proto::{
    chargepoint::RegisterChargePointRequest,
    network::ChargePointStatus,
    operations::{GetNetworkStatusRequest, operator_service_client::OperatorServiceClient},
};
use mesh::{backoff::Backoff, grpc::Security};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, interval},
};
use tonic::transport::Channel;

/// Thousands at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The executable; the one beside this one by default.
    #[arg(long, value_name = "FILE")]
    evmesh: Option<PathBuf>,
}

/// Central's flags in a network of thousands: its monitors report each [`REPORTS`].
const LARGE: [(&str, &str); 3] =
    [("report-interval", "5"), ("engine-timeout", "4"), ("authorize-timeout", "5")];
const REPORTS: Duration = Duration::from_secs(5);
/// So many engines fall silent, and on average each of them is asked so often while honest people are there.
const SILENT: usize = 10_000;
const ASKED: usize = 3;
/// So many streams go over one connection: well below what a server allows.
const STREAMS_A_CONNECTION: usize = 500;
/// So many register at once, where nothing is measured.
const REGISTERING: usize = 64;
/// Everything that a crowd does is over within this; how often that is looked at.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(120), Duration::from_millis(200));

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let evmesh = process::executable(options.evmesh.as_deref())?;
    in_a_folder("crowds", async |folder| {
        let network = Network::start(&evmesh, &own(folder, "silent")?, &LARGE).await?;
        silent_engines(&network).await?;
        drop(network);
        println!("{:<21} {}", "monitors-back", monitors_back(&evmesh, &own(folder, "back")?).await?);
        Ok(())
    })
}

/// Engines that were there when their charge points registered, and from then on answer no call, not even by a refusal:
/// central asks all of them again and again.
async fn silent_engines(network: &Network) -> anyhow::Result<()> {
    let silent = Liar::start("ANY", "store-of-the-silent").await?;
    let registration = silent.registration(MICROS_PER_KWH);
    {
        let mut inside = silent.inside();
        (inside.anyones, inside.heard) = (true, Some(HashSet::new()));
    }
    let (mut monitors, turns) = (JoinSet::new(), Arc::new(Semaphore::new(REGISTERING)));
    let mut points = points_client(Security::Loopback, network.central);
    for n in 0..SILENT {
        if n.is_multiple_of(STREAMS_A_CONNECTION) {
            points = points_client(Security::Loopback, network.central);
        }
        monitors.spawn(monitor(points.clone(), crowd(&registration, n), turns.clone()));
    }
    counted(network, SILENT, |_| true).await?;
    let asked = Box::pin(asked_again(network, &silent)); // its future is large
    beside_honest_people("silent-engines", network, HONEST, asked).await
}

async fn asked_again(network: &Network, silent: &Liar) -> anyhow::Result<String> {
    let (began, before) = (Instant::now(), silent.inside().calls);
    let enough = before + (ASKED * SILENT) as u64;
    eventually("all are asked again and again", PATIENCE, async || {
        (silent.inside().calls >= enough).then_some(())
    })
    .await?;
    let (asked, seconds) = (silent.inside().calls - before, began.elapsed().as_secs());
    counted(network, SILENT, |status| status == ChargePointStatus::Faulted).await?;
    Ok(format!("{SILENT} engines were silent, and asked {asked} times in {seconds} s; all were faulted"))
}

/// Central is killed, and returns; then each monitor comes back on a connection of its own, all within a second.
async fn monitors_back(evmesh: &Path, folder: &Path) -> anyhow::Result<String> {
    const COUNT: usize = 2_000;
    /// So long after its return every monitor is seen.
    const SEEN: Duration = Duration::from_secs(5);
    let network = Network::start(evmesh, folder, &LARGE).await?;
    let engine = Liar::start("ANY", "store-of-all").await?;
    let registration = engine.registration(MICROS_PER_KWH);
    engine.inside().anyones = true;
    let first = points_client(Security::Loopback, network.central);
    let (mut registered, turns) = (JoinSet::new(), Arc::new(Semaphore::new(REGISTERING)));
    for n in 0..COUNT {
        registered.spawn(register(first.clone(), crowd(&registration, n), turns.clone()));
    }
    registered.join_all().await;
    network.restart_central().await?;
    eventually("central is back", PATIENCE, async || network.charge_points().await.ok()).await?;

    let began = Instant::now();
    let (mut monitors, nobody_waits) = (JoinSet::new(), Arc::new(Semaphore::new(COUNT)));
    let mut pace = interval(Duration::from_secs(1) / COUNT as u32);
    for n in 0..COUNT {
        pace.tick().await;
        let own = points_client(Security::Loopback, network.central);
        monitors.spawn(monitor(own, crowd(&registration, n), nobody_waits.clone()));
    }
    counted(&network, COUNT, |status| status != ChargePointStatus::Disconnected).await?;
    let seen = began.elapsed();
    counted(&network, COUNT, |status| status == ChargePointStatus::Available).await?;
    let free = began.elapsed();
    ensure!(seen < SEEN, "{COUNT} monitors were seen after {seen:?}, and not within {SEEN:?}");
    Ok(format!(
        "{COUNT} monitors came back to a central that had been killed: all seen after {seen:.1?}, all free to be \
         used after {free:.1?}"
    ))
}

/// The nth of a crowd.
fn crowd(registration: &RegisterChargePointRequest, n: usize) -> RegisterChargePointRequest {
    RegisterChargePointRequest { charge_point_id: format!("CROWD-{n:05}"), ..registration.clone() }
}

/// A monitor: it registers and reports, and begins again whenever that ends.
async fn monitor(mut points: Points, registration: RegisterChargePointRequest, turns: Arc<Semaphore>) {
    let mut backoff = Backoff::default();
    loop {
        let epoch = register(points.clone(), registration.clone(), turns.clone()).await;
        if let Ok(reports) = Reports::begin(&mut points, &registration.charge_point_id, epoch).await {
            reports.goes_on(REPORTS).await;
            backoff.reset();
        }
        backoff.wait().await;
    }
}

/// It asks until it is let in.
async fn register(
    mut points: Points,
    registration: RegisterChargePointRequest,
    turns: Arc<Semaphore>,
) -> u64 {
    let mut backoff = Backoff::default();
    loop {
        let turn = turns.acquire().await;
        let answer = points.register_charge_point(registration.clone()).await;
        drop(turn);
        match answer {
            Ok(answer) => return answer.into_inner().epoch,
            Err(_) => backoff.wait().await,
        }
    }
}

/// Waits until so many of the crowd have a status that fits, and says how long that took.
async fn counted(
    network: &Network,
    wanted: usize,
    fits: fn(ChargePointStatus) -> bool,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let operators = network.operators().await?;
    let what = format!("{wanted} are as they should be");
    let all = async || (count(operators.clone(), fits).await? == wanted).then_some(());
    eventually(&what, PATIENCE, all).await?;
    Ok(began.elapsed())
}

/// `None` if central has no place for the question.
async fn count(
    mut operators: OperatorServiceClient<Channel>,
    fits: fn(ChargePointStatus) -> bool,
) -> Option<usize> {
    let (mut count, mut page_token) = (0, String::new());
    loop {
        let page = operators.get_network_status(GetNetworkStatusRequest { page_size: 1000, page_token });
        let page = page.await.ok()?.into_inner();
        let points = page.charge_points.iter().filter_map(|detail| detail.charge_point.as_ref());
        let crowd = points.filter(|point| point.charge_point_id.starts_with("CROWD-"));
        count += crowd.filter(|point| fits(point.status())).count();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Some(count);
        }
    }
}
