//! `operator watch`: the network as it changes. A panel on a terminal, a line a change elsewhere.

use super::{
    network::{Network, follow, keep, open},
    watch_panel::WatchPanel,
};
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    remote::Remote,
    tables,
};
use mesh::Shutdown;
use tokio::sync::watch;

/// Without a panel.
pub(super) async fn print(central: &Remote, output: Output) -> Result<(), Failure> {
    let stream = central.waited(open(central)).await?;
    let say = |one| match output {
        Output::Text => output::line(&tables::charge_point_line(&one)),
        Output::Json => output::json_line(&json::of(&one)),
    };
    follow(central, stream, say).await
}

/// Shows a panel until `q`, Ctrl-C or the order to stop; or until central is gone, which is a failure.
pub(super) async fn show(central: &Remote, shutdown: &Shutdown) -> Result<(), Failure> {
    let stream = central.waited(open(central)).await?;
    let (network, seen) = watch::channel(Network::new());
    let panel = WatchPanel::new(central.peer.address().to_string(), seen);
    tokio::select! {
        failed = keep(central, stream, &network) => failed,
        closed = ui::show(panel, shutdown.started()) => closed.map_err(|error| Failure::terminal(&error)),
    }
}
