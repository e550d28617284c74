//! `operator watch`: the network as it changes, a line a charge point.

use super::Desk;
use crate::{
    exit::Failure,
    output::{self, Output},
    view,
};
use evmesh_proto::operator::WatchNetworkRequest;

/// Prints until central ends the stream, which is a failure: central is gone.
pub(super) async fn watch(desk: &Desk) -> Result<(), Failure> {
    let stream = desk.client().watch_network(WatchNetworkRequest {}).await;
    let mut stream = stream.map_err(|status| desk.far.failed(&status))?.into_inner();
    while let Some(message) = stream
        .message()
        .await
        .map_err(|status| desk.far.failed(&status))?
    {
        for detail in message.charge_points {
            let charge_point = view::ChargePoint::from(detail);
            match desk.output {
                Output::Text => output::line(&view::charge_point_line(&charge_point))?,
                Output::Json => output::json_line(&charge_point)?,
            }
        }
    }
    Err(desk.far.ended())
}
