//! `evmesh up`: a whole network in one process, for trying out and for tests.

mod announce;
mod broker;
mod charge_points;
mod faults;
mod folder;
mod network;
mod panel;
mod ready;
mod story;

use crate::{
    exit::Failure,
    far::waiting,
    output::{self, Output},
    process::Process,
};
use announce::Addresses;
use broker::Broker;
use domain::DriverId;
use folder::Folder;
use mesh::Shutdown;
use network::Network;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::pin,
    time::Duration,
};
use story::{Says, Story};

/// A whole network in this one process.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where central listens; port 0 takes a free one.
    #[arg(long, env = "EVMESH_UP_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// A Kafka that is already there: one host:port, or several with commas. Without it, an embedded broker is started:
    /// good for trying out, it keeps nothing.
    #[arg(long, env = "EVMESH_UP_KAFKA", value_name = "HOST:PORT")]
    kafka: Option<String>,

    /// Put before every topic's name, so that several networks can share a broker.
    #[arg(
        long,
        env = "EVMESH_UP_KAFKA_TOPIC_PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    kafka_topic_prefix: String,

    /// The charge points, from a file: one a line, its id, its place and its price a kWh, separated by ';', such as
    /// 'MAD-01; Madrid, Atocha; 0.35 EUR'. Empty lines and lines that start with '#' are skipped; at most 500. Without
    /// it, four: MAD-01 and MAD-02 in Madrid, BCN-01 in Barcelona, VLC-01 in Valencia.
    #[arg(long, env = "EVMESH_UP_CHARGE_POINTS", value_name = "FILE")]
    charge_points: Option<PathBuf>,

    /// The first engine's port on 127.0.0.1, the others follow; 0 takes free ones.
    #[arg(long, env = "EVMESH_UP_ENGINE_PORT_BASE", value_name = "PORT", default_value_t = 50061)]
    engine_port_base: u16,

    /// The first monitor's port on 127.0.0.1 (health and reflection), the others follow; 0 takes free ones.
    #[arg(long, env = "EVMESH_UP_MONITOR_PORT_BASE", value_name = "PORT", default_value_t = 0)]
    monitor_port_base: u16,

    /// The folder that keeps the state for the next run. Without it, a temporary folder is removed at the end.
    #[arg(long, env = "EVMESH_UP_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// How many times faster than real time energy flows; readings stay one a real second. At 600, the simulated cars
    /// (40 kWh at 50 kW) are full after 5 s; choose 60 to watch them for a minute.
    #[arg(long, env = "EVMESH_UP_SPEED", value_name = "FACTOR", default_value_t = 600)]
    speed: u32,

    /// How it says what happens: text for people, with a panel on a terminal; json for scripts, one object a line, whose
    /// `event` says what it is: started, waiting, ready, then the driver's events, or each charge_point that changes; with
    /// --requests, the last is the summary.
    #[arg(long, value_enum, env = "EVMESH_UP_OUTPUT", default_value = "text")]
    output: Output,

    #[command(flatten)]
    drive: Drive,

    #[command(flatten)]
    process: Process,
}

/// The driver, if there is one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Requests")]
struct Drive {
    /// A driver asks for the charges of this file, one after the other, once every charge point is available.
    ///
    /// One request a line: a charge point's id, or 'any' for central's choice (cheapest first), or 'any PLACE'. A line may
    /// end with what has to come of it: 'expect=denied', 'expect=denied:REASON', or 'expect=fault', for which the charge
    /// point is broken two seconds into the supply and repaired after the ticket. Any other line has to end in the ticket of
    /// a completed supply. From '#' on it is a comment. See examples/requests.txt.
    #[arg(long, env = "EVMESH_UP_REQUESTS", value_name = "FILE")]
    requests: Option<PathBuf>,

    /// Who asks.
    #[arg(long, env = "EVMESH_UP_DRIVER", value_name = "ID", default_value = "101", value_parser = DriverId::named)]
    driver: DriverId,

    /// End after the last request: exit code 0 if each of them came out as its line says, 1 if not.
    #[arg(long, env = "EVMESH_UP_EXIT", requires = "requests")]
    exit: bool,

    /// Between the end of one request and the next one, in seconds.
    #[arg(long, env = "EVMESH_UP_PAUSE", value_name = "SECONDS", default_value = "4", value_parser = mesh::seconds)]
    pause: Duration,

    /// How long the network may take until every charge point is available for the first request, in seconds.
    #[arg(long, env = "EVMESH_UP_READY_TIMEOUT", value_name = "SECONDS", default_value = "30", value_parser = mesh::seconds)]
    ready_timeout: Duration,
}

impl Options {
    /// The address of the charge point with this index, where the first one has this port.
    fn loopback(&self, base: u16, index: u16) -> Result<SocketAddr, Failure> {
        let port = if base == 0 { Some(0) } else { base.checked_add(index) };
        let port = port.ok_or_else(|| {
            Failure::Usage(format!(
                "there are not enough ports from {base} on; choose a lower first port, or 0"
            ))
        })?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }
}

/// Starts the network, says where it is, and runs it until the order to stop, or to the end of the requests.
pub(crate) async fn run(mut options: Options) -> Result<(), Failure> {
    if options.output == Output::Json {
        // For scripts: no panel comes between the objects.
        options.process = options.process.without_panel();
    }
    let charge_points = charge_points::load(options.charge_points.as_deref())?;
    let folder = Folder::open(options.data.as_deref())?;
    let broker = Broker::open(options.kafka.clone())?;
    let stage = options.process.begin()?;
    let network = Network::bind(&options, charge_points, broker.address(), &folder).await?;
    let has_panel = stage.has_panel();
    let says = if has_panel { Says::InPanel } else { Says::On(options.output) };
    let story = Story::bind(&options, &network, broker.address(), says).await?;
    let addresses = Addresses::of(&network, &broker, &folder);
    match options.output {
        Output::Text => output::print(&addresses.text())?,
        Output::Json => output::json_line(&addresses.json())?,
    }
    let view = panel::View { central: network.central.view(), driver: story.view(), addresses };
    let shutdown = stage.shutdown.clone();
    let mut told = Ok(None);
    let work = Box::pin(async {
        let story = async {
            let ended = story.run(shutdown.clone()).await;
            // A failed story is the end; one that went well may leave the network running.
            if ended.is_err() || options.drive.exit {
                shutdown.start();
            } else if let (Ok(Some(summary)), false) = (&ended, has_panel) {
                story::report(summary, options.output)?;
            }
            ended
        };
        let (ran, ended) = tokio::join!(slow_stop(network.run(shutdown.clone()), &shutdown), story);
        told = ended;
        ran
    });
    stage.run(work, move |_| view).await?;
    match told? {
        None => Ok(()),
        Some(summary) => {
            // At the very end, so that it is the last thing on the screen.
            if has_panel || options.drive.exit {
                story::report(&summary, options.output)?;
            }
            if summary.all_as_expected() { Ok(()) } else { Err(Failure::Told) }
        }
    }
}

/// Runs to the end. When that takes longer than a second after the order to stop, stderr says what goes on.
async fn slow_stop<T>(run: impl Future<Output = T>, stop: &Shutdown) -> T {
    let mut run = pin!(run);
    tokio::select! {
        ended = &mut run => ended,
        () = stop.started() => {
            waiting(|| "stopping in order; a second Ctrl-C stops at once".to_owned(), run).await
        }
    }
}
