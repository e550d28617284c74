//! `evmesh point`: what a person does at a charge point, from a shell.

use crate::{
    card_number,
    exit::Failure,
    json,
    output::{self, Output},
    remote::{Remote, order, security},
    tables,
};
use domain::DriverId;
use evmesh_proto::engine::{
    ClearFaultRequest, GetPanelRequest, InjectFaultRequest, Panel, PlugInRequest, StartManualSupplyRequest,
    UnplugRequest, engine_panel_service_client::EnginePanelServiceClient,
};
use mesh::{
    Shutdown,
    grpc::{Address, SecurityOptions},
};
use std::path::PathBuf;
use tonic::Status;

/// What a person does at a charge point: plug in, unplug, ask for a supply, break it, mend it, look at its screen.
///
/// Each command prints the charge point's panel as it is afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The charge point's engine: HOST:PORT, or http://HOST:PORT.
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "EVMESH_POINT_ENGINE",
        default_value = mesh::flags::ENGINE
    )]
    engine: Address,

    #[command(flatten)]
    security: SecurityOptions,

    /// Sentences for people, or one JSON document for scripts.
    #[arg(long, global = true, value_enum, env = "EVMESH_POINT_OUTPUT", default_value = "text")]
    output: Output,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The car's cable goes in; with an authorisation waiting, the supply starts.
    Plug,

    /// The cable comes out; a running supply ends, completed.
    Unplug,

    /// Asks central for a supply here, and waits for its answer.
    Supply {
        /// Whose supply it is; without it, a guest's (INVITADO).
        #[arg(long, value_name = "ID")]
        driver: Option<DriverId>,

        /// Shows a card: its number is the first line of this file; of '-', of standard input. Where central asks for
        /// identities, this says whose the supply is, and '--driver' does not.
        #[arg(long, value_name = "FILE", conflicts_with = "driver")]
        card: Option<PathBuf>,
    },

    /// Breaks the charge point: a running supply ends with AVERIADO, new ones are refused.
    Fault {
        /// What is said to have broken, at most 256 characters.
        #[arg(default_value = "injected fault")]
        reason: String,
    },

    /// Mends the charge point.
    Repair,

    /// Shows the panel, and changes nothing.
    Show,
}

/// Does it, and prints the panel.
pub(crate) async fn run(options: Options, shutdown: Shutdown) -> Result<(), Failure> {
    // Before anything is waited for: somebody may type it.
    let card = match &options.command {
        Command::Supply { card: Some(file), .. } => card_number::read(file)?.reveal(),
        _ => String::new(),
    };
    let remote = Remote::engine(&options.engine, security(&options.security)?);
    let panel = tokio::select! {
        panel = remote.waited(act(&remote, options.command, card)) => panel.map_err(|status| remote.failed(&status))?,
        () = shutdown.started() => return Ok(()),
    };
    let panel = panel.unwrap_or_default();
    match options.output {
        Output::Text => output::print(&tables::panel(&panel, ui::width())),
        Output::Json => output::json(&json::of(&panel)),
    }
}

async fn act(remote: &Remote, command: Command, card: String) -> Result<Option<Panel>, Status> {
    let mut engine = EnginePanelServiceClient::new(remote.peer.clone());
    Ok(match command {
        Command::Plug => engine.plug_in(PlugInRequest {}).await?.into_inner().panel,
        Command::Unplug => engine.unplug(UnplugRequest {}).await?.into_inner().panel,
        Command::Supply { driver, .. } => {
            let driver_id = driver.map(|driver| driver.to_string()).unwrap_or_default();
            let supply = order(|request_id| StartManualSupplyRequest { driver_id, request_id, card });
            engine.start_manual_supply(supply).await?.into_inner().panel
        }
        Command::Fault { reason } => {
            engine.inject_fault(InjectFaultRequest { reason }).await?.into_inner().panel
        }
        Command::Repair => engine.clear_fault(ClearFaultRequest {}).await?.into_inner().panel,
        Command::Show => engine.get_panel(GetPanelRequest {}).await?.into_inner().panel,
    })
}
