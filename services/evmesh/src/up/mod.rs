//! `evmesh up`: a whole network in one process, for trying out and for tests.

mod announce;
mod broker;
mod charge_points;
mod faults;
mod folder;
mod network;
mod options;
mod panel;
mod protection;
mod ready;
mod scenario;

pub(crate) use options::Options;

use crate::{
    exit::Failure,
    output::{self, Output},
    remote::waiting,
};
use announce::Addresses;
use broker::Broker;
use folder::Folder;
use mesh::{Shutdown, kafka::KafkaOptions};
use network::Network;
use protection::Protection;
use scenario::{Says, Scenario};
use std::pin::pin;

/// Starts the network, says where it is, and runs it until the order to stop, or to the end of the requests.
pub(crate) async fn run(mut options: Options) -> Result<(), Failure> {
    if options.output == Output::Json {
        // For scripts: no panel comes between the objects.
        options.process = options.process.without_panel();
    }
    let charge_points = charge_points::load(options.charge_points.as_deref())?;
    // Signals are heard before there is a folder that goes at the end.
    let stage = options.process.begin()?;
    let folder = Folder::open(options.data.as_deref())?;
    let broker = Broker::open(options.kafka.clone())?;
    let protection = Protection::open(&options, &folder)?;
    let stage = stage.under(protection.warning());
    KafkaOptions::at(broker.address()).warn_if_exposed();
    let network = Box::pin(Network::bind(&options, charge_points, broker.address(), &folder, &protection));
    let Some(network) = stage.begins(network).await? else { return Ok(()) };
    let has_panel = stage.has_panel();
    let says = if has_panel { Says::InPanel } else { Says::On(options.output) };
    let scenario = Scenario::bind(&options, &network, broker.address(), &protection, says).await?;
    let addresses = Addresses::of(&network, &broker, &folder, &protection);
    match options.output {
        Output::Text => output::print(&addresses.text)?,
        Output::Json => output::json_line(&addresses.json)?,
    }
    let view = panel::View { central: network.central.view(), driver: scenario.view(), addresses };
    let shutdown = stage.shutdown.clone();
    let mut told = Ok(None);
    let work = Box::pin(async {
        let scenario = async {
            let ended = scenario.run(shutdown.clone()).await;
            // A failed scenario is the end; one that went well may leave the network running.
            if ended.is_err() || options.drive.exit {
                shutdown.start();
            } else if let (Ok(Some(summary)), false) = (&ended, has_panel) {
                scenario::report(summary, options.output)?;
            }
            ended
        };
        let (ran, ended) = tokio::join!(slow_stop(network.run(shutdown.clone()), &shutdown), scenario);
        told = ended;
        ran
    });
    stage.run(work, move |_| view).await?;
    match told? {
        None => Ok(()),
        Some(summary) => {
            // At the very end, so that it is the last thing on the screen.
            if has_panel || options.drive.exit {
                scenario::report(&summary, options.output)?;
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
