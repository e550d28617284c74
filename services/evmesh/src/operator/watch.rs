//! `operator watch`: the network as it changes, a line a charge point.

use crate::{
    exit::Failure,
    far::Far,
    output::{self, Output},
    view,
};
use evmesh_proto::operator::{WatchNetworkRequest, operator_service_client::OperatorServiceClient};

/// Prints until central ends the stream, which is a failure: central is gone.
pub(crate) async fn follow(central: &Far, output: Output) -> Result<(), Failure> {
    let stream = OperatorServiceClient::new(central.peer.clone())
        .watch_network(WatchNetworkRequest {})
        .await;
    let mut stream = stream.map_err(|status| central.failed(&status))?.into_inner();
    while let Some(message) = stream.message().await.map_err(|status| central.failed(&status))? {
        for detail in message.charge_points {
            let charge_point = view::ChargePoint::from(detail);
            match output {
                Output::Text => output::line(&view::charge_point_line(&charge_point))?,
                Output::Json => output::json_line(&charge_point)?,
            }
        }
    }
    Err(central.ended())
}
