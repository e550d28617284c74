//! `operator watch`: the network as it changes. A panel on a terminal, a line a change elsewhere.

use super::watch_panel::{Network, WatchPanel};
use crate::{
    exit::Failure,
    json,
    output::{self, Output},
    remote::Remote,
    tables,
};
use evmesh_proto::{
    network::ChargePointDetail,
    operations::{WatchNetworkRequest, WatchNetworkResponse, operator_service_client::OperatorServiceClient},
};
use mesh::Shutdown;
use tokio::sync::watch;
use tonic::Streaming;

/// Says every charge point, and then each that changes, until central ends the stream, which is a failure: central is gone.
pub(crate) async fn follow(
    central: &Remote,
    say: impl Fn(ChargePointDetail) -> Result<(), Failure>,
) -> Result<(), Failure> {
    tell(central, open(central).await?, say).await
}

async fn open(central: &Remote) -> Result<Streaming<WatchNetworkResponse>, Failure> {
    let mut client = OperatorServiceClient::new(central.peer.clone());
    central.answer(central.waited(client.watch_network(WatchNetworkRequest {})).await)
}

async fn tell(
    central: &Remote,
    mut stream: Streaming<WatchNetworkResponse>,
    say: impl Fn(ChargePointDetail) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let message = stream.message().await.map_err(|status| central.failed(&status))?;
        message.ok_or_else(|| central.ended())?.charge_points.into_iter().try_for_each(&say)?;
    }
}

/// `operator watch` without a panel.
pub(super) async fn print(central: &Remote, output: Output) -> Result<(), Failure> {
    let say = |one| match output {
        Output::Text => output::line(&tables::charge_point_line(&one)),
        Output::Json => output::json_line(&json::of(&one)),
    };
    follow(central, say).await
}

/// Shows a panel until `q`, Ctrl-C or the order to stop; or until central is gone, which is a failure.
pub(super) async fn show(central: &Remote, shutdown: &Shutdown) -> Result<(), Failure> {
    let stream = open(central).await?;
    let (network, seen) = watch::channel(Network::new());
    let take = |one: ChargePointDetail| {
        let id = one.charge_point.as_ref().map(|one| one.charge_point_id.clone());
        network.send_modify(|network| _ = network.insert(id.unwrap_or_default(), one));
        Ok(())
    };
    let panel = WatchPanel::new(central.peer.address().to_string(), seen);
    tokio::select! {
        failed = tell(central, stream, take) => failed,
        closed = ui::show(panel, shutdown.started()) => closed.map_err(|error| Failure::terminal(&error)),
    }
}
