//! Real processes on a real Kafka, killed, frozen and cut off at random; then everything that is known is held against
//! everything else.
//!
//! `world` has the processes and links, `plan` the faults that a seed stands for, `strike` carries them out. Meanwhile
//! `clients` and `hands` are the drivers, the operator and the people at the charge points, `watch` looks at central,
//! and the `journal` keeps what was answered and seen. After a quiet phase `topics` reads Kafka and `check` compares.

mod check;
mod clients;
mod hands;
mod journal;
mod kafka;
mod observe;
mod plan;
mod quiet;
mod report;
mod roles;
mod strike;
mod topics;
mod watch;
mod words;
mod world;

use crate::process;
use anyhow::Context as _;
use clients::{Client, Desk};
use journal::Journal;
use plan::plan;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use strike::Striker;
use tokio::{sync::watch as channel, task::JoinSet};
use watch::Watch;
use world::World;

/// How real processes are disturbed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long the faults last (minutes); starting before, and settling after, takes about a minute more.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,

    /// What the faults and the drivers' choices follow from; without it a random one, which is printed (number).
    #[arg(long)]
    seed: Option<u64>,

    /// The executable; the one beside this one by default.
    #[arg(long, value_name = "FILE")]
    evmesh: Option<PathBuf>,

    /// The folder with Apache Kafka's jars; what '.ci/kafka' has fetched by default.
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,

    /// Where the run's data and logs go: a new folder in the system's temporary one by default, removed after a run
    /// that found nothing.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Write the tallies here: JSON if the name ends so, text otherwise.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Drivers of the run's own, besides the driver processes.
const CLIENTS: usize = 7;
/// How often it says where it is.
const PROGRESS: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            outcome = Box::pin(whole(options)) => outcome,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            _ = end.recv() => anyhow::bail!("told to end"),
        }
    });
    runtime.shutdown_background();
    outcome
}

async fn whole(options: &Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let evmesh = process::executable(options.evmesh.as_deref())?;
    let jars = kafka::jars(options.kafka_home.as_deref())?;
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("evmesh-faults-{seed}-{}", std::process::id())),
    };
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let folder = folder.canonicalize()?;
    anyhow::ensure!(
        fs::read_dir(&folder)?.next().is_none(),
        "{} is not empty: a run begins with nothing; name another folder",
        folder.display()
    );
    println!("seed {seed}, {} minutes, folder {}", options.minutes, folder.display());

    let mut random = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::new(&evmesh, &jars, &folder, &mut random).await?);
    let journal = Arc::new(Journal::default());
    let lasts = Duration::from_secs_f64(options.minutes * 60.0);
    phases(&world, &journal, &mut random, lasts).await?;
    let facts = journal.facts();
    let missing = report::idle(&facts, options.minutes);
    let head = format!(
        "evmesh faults: seed {seed}, {} minutes of faults on Apache Kafka, {} charge points",
        options.minutes,
        world.points.len()
    );
    let text = report::text(&facts, &head, &missing);
    println!("\n{text}");
    for violation in &facts.violations {
        println!("{}", report::violation(&facts, violation));
    }
    if let Some(file) = &options.report {
        let machine = report::machine(&facts, seed, options.minutes, &missing);
        let json = file.extension().is_some_and(|extension| extension == "json");
        fs::write(file, if json { format!("{machine:#}\n") } else { text })
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let good = facts.violations.is_empty() && missing.is_empty();
    drop(facts);
    drop(world);
    finish(good, seed, options, &folder)
}

fn finish(good: bool, seed: u64, options: &Options, folder: &Path) -> anyhow::Result<ExitCode> {
    if good {
        println!("no promise was broken");
        if options.folder.is_none() {
            fs::remove_dir_all(folder).with_context(|| format!("{} stays", folder.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    println!("FAILED; the logs are in {}; again with --seed {seed}", folder.display());
    Ok(ExitCode::FAILURE)
}

/// Start, faults, quiet, check.
async fn phases(
    world: &Arc<World>,
    journal: &Arc<Journal>,
    random: &mut fastrand::Rng,
    lasts: Duration,
) -> anyhow::Result<()> {
    let (close, closing) = channel::channel(false);
    let watch = Arc::new(Watch::new(world.clone(), journal.clone()));
    let desk = Desk { world: world.clone(), journal: journal.clone(), closing };
    let striker = Striker { desk: desk.clone(), watch: watch.clone() };
    for slot in world.slots() {
        let mut life = slot.take().await;
        striker.start(slot, &mut life).await;
    }
    quiet::ready(world, &watch).await?;
    println!("{} everything is up", crate::process::clock(mesh::now().wall.0));

    // In the background for all of the run: it ends with these.
    let mut background = JoinSet::new();
    let (looking, supervising, showing) = (watch.clone(), striker.clone(), journal.clone());
    background.spawn(async move { looking.run().await });
    background.spawn(async move { supervising.supervise().await });
    background.spawn(async move { progress(&showing).await });
    for (index, _) in world.points.iter().enumerate().filter(|(_, point)| point.by_hand) {
        background.spawn(hands::plug_in_by_hand(desk.clone(), index, random.fork()));
    }
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        clients.spawn(Client::new(desk.clone(), format!("client-{number}"), random.fork()).run());
    }
    clients.spawn(hands::operator(desk.clone(), random.fork()));
    clients.spawn(hands::people(desk.clone(), random.fork()));

    let began = tokio::time::Instant::now();
    let mut faults = JoinSet::new();
    for (number, (at, fault)) in plan(random, lasts).into_iter().enumerate() {
        let (striker, random) = (striker.clone(), random.fork());
        let mut client = Client::new(desk.clone(), format!("caught-{number}"), random);
        faults.spawn(async move {
            tokio::time::sleep_until(began + at).await;
            striker.strike(fault, &mut client).await;
        });
    }
    while let Some(done) = faults.join_next().await {
        done.context("a fault's task failed")?;
    }
    close.send_replace(true);
    println!("{} no more faults; everything settles", crate::process::clock(mesh::now().wall.0));
    quiet::settle(world, journal, &watch, &mut clients).await?;
    drop(background);

    let began = tokio::time::Instant::now();
    let broker = world.kafka.direct;
    loop {
        let topics = tokio::task::spawn_blocking(move || topics::read(broker)).await??;
        // The check itself says what is missing, if that stays so.
        if check::complete(journal, &topics) || began.elapsed() > quiet::PUBLISHED {
            check::check(world, journal, &topics);
            return Ok(());
        }
    }
}

/// A line now and then, so that nobody has to wonder.
async fn progress(journal: &Journal) {
    let mut every = tokio::time::interval(PROGRESS);
    loop {
        every.tick().await;
        let facts = journal.facts();
        let killed: u64 = facts.killed.values().sum();
        let each = facts.killed.iter().map(|(kind, count)| format!("{} {count}", kind.word()));
        println!(
            "{} {killed} kills ({}), {} sessions, {} tickets, {} violations",
            crate::process::clock(mesh::now().wall.0),
            each.collect::<Vec<_>>().join(", "),
            facts.sessions.len(),
            facts.tickets.len(),
            facts.violations.len()
        );
    }
}
