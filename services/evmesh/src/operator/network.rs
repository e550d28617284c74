//! The network as central tells it: every charge point, and then each that changes.

use crate::{exit::Failure, remote::Remote};
use evmesh_proto::{
    network::ChargePointDetail,
    operations::{WatchNetworkRequest, WatchNetworkResponse, operator_service_client::OperatorServiceClient},
};
use std::collections::BTreeMap;
use tokio::sync::watch;
use tonic::Streaming;

/// Each charge point by its id, as central told it last.
pub(crate) type Network = BTreeMap<String, ChargePointDetail>;

pub(crate) async fn open(central: &Remote) -> Result<Streaming<WatchNetworkResponse>, Failure> {
    let mut client = OperatorServiceClient::new(central.peer.clone());
    central.answer(client.watch_network(WatchNetworkRequest {}).await)
}

/// Tells everything until central ends the stream, which is a failure: central is gone.
pub(crate) async fn follow(
    central: &Remote,
    mut stream: Streaming<WatchNetworkResponse>,
    tell: impl Fn(ChargePointDetail) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let message = stream.message().await.map_err(|status| central.failed(&status))?;
        message.ok_or_else(|| central.ended())?.charge_points.into_iter().try_for_each(&tell)?;
    }
}

/// The same, for those who look at the whole network.
pub(crate) async fn keep(
    central: &Remote,
    stream: Streaming<WatchNetworkResponse>,
    network: &watch::Sender<Network>,
) -> Result<(), Failure> {
    let take = |one: ChargePointDetail| {
        let id = one.charge_point.as_ref().map(|one| one.charge_point_id.clone());
        network.send_modify(|network| _ = network.insert(id.unwrap_or_default(), one));
        Ok(())
    };
    follow(central, stream, take).await
}
