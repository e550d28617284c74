//! What identities cost: each figure in plain text and secured, by turns, at processes of the executable's over real
//! sockets. All that calls them is this one process.
//!
//! `side` is one of the two networks, `point` a charge point that costs next to nothing; `calls`, `charges` and
//! `intake` measure, `enrolments` and `rotation` show that a registry keeps up, and that nobody is refused.

mod calls;
mod charges;
mod enrolments;
mod intake;
mod point;
mod rotation;
mod server;
mod side;
mod table;

use crate::process::{self, Group};
use anyhow::Context as _;
use enrolments::Desk;
use server::Server;
use side::{ADMIN, Place, Protection, Side};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use table::Figure;
use testing::{embedded_broker, free_address};

/// So often each of the two is measured, by turns: the machine does other things too, and the median forgets them.
const ROUNDS: u32 = 8;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many charge points are enrolled, each with a token of its own (count, 1 to 200000)
    #[arg(long, value_name = "COUNT", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=200_000))]
    enrolments: u32,

    /// How long connections, calls and authorisations are measured, together, and sealing again (seconds)
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = mesh::seconds)]
    seconds: Duration,

    /// The machine does other things too: a bound of time that is broken is told, and is no failure
    #[arg(long)]
    busy: bool,

    /// The executable; the one beside this one by default
    #[arg(long, value_name = "FILE")]
    evmesh: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let evmesh = process::executable(options.evmesh.as_deref())?;
    let folder = std::env::temp_dir().join(format!("evmesh-identity-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let place = Place { evmesh, folder, group: Group::start()? };
    let measured = runtime.block_on(Box::pin(measure(options, &place)));
    runtime.shutdown_background();
    match &measured {
        Ok(_) => std::fs::remove_dir_all(&place.folder)?,
        Err(_) => println!("the logs are in {}", place.folder.display()),
    }
    let broken = measured?.iter().filter(|figure| figure.is_broken(options.busy)).count();
    if broken > 0 {
        println!("{broken} of these bounds are broken");
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each figure is printed as soon as it is there.
async fn measure(options: &Options, place: &Place) -> anyhow::Result<Vec<Figure>> {
    let broker = embedded_broker();
    let (data, at) = (place.folder.join("registry"), free_address());
    let folder = data.display().to_string();
    server::run(
        &place.evmesh,
        &["registry", "init", "--trust-domain", "figures.example", "--data", &folder],
    )?;
    let words =
        ["registry", "run", "--plain", "--log", "warn", "--data", &folder, "--listen", &at.to_string()];
    let log = place.folder.join("registry.log");
    let words = words.map(str::to_owned).into();
    let mut registry = Server::start((&place.evmesh, &log), words, &place.group)?;
    let plain = Side::start("plain", place, Protection::Plain, &broker.options()).await?;
    let protection = Protection::Secured { data: data.clone(), registry: at };
    let secured = Side::start("secured", place, protection, &broker.options()).await?;
    let mut desk = Desk::of(secured.protection.of(ADMIN)?, at);
    desk.serves().await?;

    let mut all = Vec::new();
    let mut tell = |figure: Figure| {
        println!("{figure}");
        all.push(figure);
    };
    println!("{}", table::head());
    let sides = [&plain, &secured];
    tell(calls::handshakes(sides, options.seconds.mul_f64(0.2)).await?);
    tell(calls::over_open_connections(sides, options.seconds.mul_f64(0.2)).await?);
    let charges = charges::authorisations(sides, options.seconds.mul_f64(0.6), &place.folder).await?;
    charges.into_iter().for_each(&mut tell);
    tell(intake::sealing(&secured, options.seconds).await?);
    let (keys, enrolled) = enrolments::enrol(&desk, options.enrolments).await?;
    tell(enrolled);
    let rotated = rotation::rotation(&secured, (&mut registry, &data), &mut desk, &keys, place).await?;
    rotated.into_iter().for_each(tell);
    Ok(all)
}
