//! The network's authority is followed by another one, while those who were enrolled go on: charge points report,
//! drivers charge, over connections that are open and over new ones. Nobody is refused.

use super::{
    charges::Driver,
    enrolments::{self, Desk, Keys},
    point::{Kind, Point},
    server::{Server, eventually, run},
    side::{ADMIN, Place, Side, believed, client, tickets},
    table::{Bound, Figure},
};
use anyhow::Context as _;
use mesh::grpc::{Peers, Security};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// So many charge points, each with a driver.
const PAIRS: usize = 8;
/// A driver comes with a new connection after so many charges.
const A_CONNECTION: u64 = 10;
/// Between two steps the load goes on for so long at least.
const BETWEEN: Duration = Duration::from_secs(1);

/// Who goes on.
#[derive(Debug)]
struct Load {
    folders: Vec<PathBuf>,
    points: Vec<Point>,
    drivers: JoinSet<anyhow::Result<()>>,
    over: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Load {
    async fn begin(side: &Side, desk: &mut Desk, folder: &Path) -> anyhow::Result<Self> {
        let mut load = Self {
            folders: Vec::new(),
            points: Vec::new(),
            drivers: JoinSet::new(),
            over: Arc::default(),
            calls: Arc::default(),
            connections: Arc::default(),
        };
        for n in 0..PAIRS {
            let (id, point) = (format!("r{n}"), format!("RED-{n:02}"));
            let engine = load.enrolled(desk, folder, &format!("charge-point/{point}/engine")).await?;
            let monitor = load.enrolled(desk, folder, &format!("charge-point/{point}/monitor")).await?;
            let driver = load.enrolled(desk, folder, &format!("driver/{id}")).await?;
            let started = Point::start((point.clone(), Kind::Reserved), side.address, [engine, monitor]);
            load.points.push(started.await?);
            let (over, calls, connections) =
                (load.over.clone(), load.calls.clone(), load.connections.clone());
            let central = side.address;
            let first = client(&Peers::new(driver.clone()), central);
            Driver { client: first, id: id.clone(), point: point.clone() }.begins().await?;
            load.drivers.spawn(async move {
                while !over.load(Relaxed) {
                    let client = client(&Peers::new(driver.clone()), central);
                    connections.fetch_add(1, Relaxed);
                    let mut driver = Driver { client, id: id.clone(), point: point.clone() };
                    for _ in 0..A_CONNECTION {
                        driver.charge().await?;
                        driver.stop().await?;
                        driver.client.list_tickets(tickets(&id)).await?;
                        calls.fetch_add(3, Relaxed);
                    }
                }
                Ok(())
            });
        }
        Ok(load)
    }

    async fn enrolled(&mut self, desk: &mut Desk, folder: &Path, role: &str) -> anyhow::Result<Security> {
        let folder = folder.join(role);
        let security = desk.enrolled(role, &folder).await?;
        self.folders.push(folder);
        Ok(security)
    }

    /// Everybody renews, and believes so many authorities then.
    async fn renew(&self, desk: &Desk, authorities: usize) -> anyhow::Result<()> {
        for folder in &self.folders {
            desk.renew(folder).await?;
            let found = believed(folder);
            anyhow::ensure!(found == authorities, "{} believes {found} authorities", folder.display());
        }
        Ok(())
    }

    /// It goes on for a while, and nobody has been refused so far.
    async fn goes_on(&mut self) -> anyhow::Result<()> {
        let (before, until) = (self.calls.load(Relaxed), Instant::now() + BETWEEN);
        let calls = self.calls.clone();
        let more = async || {
            (Instant::now() >= until && calls.load(Relaxed) >= before + 30 * PAIRS as u64).then_some(())
        };
        tokio::select! {
            more = eventually("calls under way", more) => more,
            Some(ended) = self.drivers.join_next() => ended?.context("a driver was refused"),
        }
    }

    /// How many calls were answered, over how many connections.
    async fn end(mut self) -> anyhow::Result<(u64, u64)> {
        self.over.store(true, Relaxed);
        while let Some(ended) = self.drivers.join_next().await {
            ended?.context("a driver was refused")?;
        }
        for point in self.points {
            let id = point.id.clone();
            if let Some(status) = point.ended().await {
                anyhow::bail!("{id} was refused: {status}");
            }
        }
        Ok((self.calls.load(Relaxed), self.connections.load(Relaxed)))
    }
}

/// The figure.
pub(super) async fn rotation(
    side: &Side,
    (registry, data): (&mut Server, &Path),
    desk: &mut Desk,
    keys: &Keys,
    place: &Place,
) -> anyhow::Result<[Figure; 2]> {
    let folder = place.folder.join("enrolled");
    let mut load = Load::begin(side, desk, &folder).await?;
    let late = desk.enrolled("driver/late", &folder.join("late")).await?; // who does not renew
    load.goes_on().await?;
    let former = std::fs::read_to_string(data.join("network/certificate.pem"))?;
    let all = desk.admin.clone();
    step((&mut *registry, data), "prepare", (side, &mut *desk), place).await?;
    load.renew(desk, 2).await?;
    let (none, first) = enrolments::renew(&all, keys, &former).await?;
    anyhow::ensure!(none == 0, "{none} certificates are of an authority that does not sign yet");
    load.goes_on().await?;
    step((&mut *registry, data), "switch", (side, &mut *desk), place).await?;
    load.renew(desk, 2).await?;
    let (renewed, second) = enrolments::renew(&all, keys, &former).await?;
    load.goes_on().await?;
    step((&mut *registry, data), "forget", (side, &mut *desk), place).await?;
    load.renew(desk, 1).await?;
    load.goes_on().await?;
    let refused = client(&Peers::new(late), side.address).list_tickets(tickets("late")).await;
    anyhow::ensure!(refused.is_err(), "the former authority is believed");
    let (calls, connections) = load.end().await?;
    let took = (first + second).as_secs_f64();
    let renewals = Figure {
        what: "renewals, the authority followed by another",
        plain: String::new(),
        secured: format!("{:.0}/s", 2.0 * keys.len() as f64 / took),
        bound: Some(Bound::Done("all", renewed == keys.len())),
        measured: format!("{renewed} of {} by the next authority", keys.len()),
    };
    let figure = Figure {
        what: "calls meanwhile, prepare, switch and forget",
        plain: String::new(),
        secured: calls.to_string(),
        bound: Some(Bound::Done("0 refused", true)),
        measured: format!(
            "0 refused, over {connections} connections of {PAIRS} drivers, {PAIRS} charge points"
        ),
    };
    Ok([renewals, figure])
}

/// At once, and the registry's restart around it.
async fn step(
    (registry, data): (&mut Server, &Path),
    step: &str,
    (side, desk): (&Side, &mut Desk),
    place: &Place,
) -> anyhow::Result<()> {
    let data = data.display().to_string();
    let words = ["registry", "rotate", step, "--now", "--data", &data];
    registry.restart(|| run(&place.evmesh, &words)).await?;
    side.protection.of(ADMIN)?; // it was given by hand, and so it is renewed
    desk.serves().await
}
