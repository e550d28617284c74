//! What a panel shows.

use domain::{ChargePointId, Price, watchdog::Status};
use mesh::grpc::Address;
use std::net::SocketAddr;

/// What a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The charge point.
    pub charge_point: ChargePointId,
    /// Its place, as this monitor registers it.
    pub location: String,
    /// Its price, as this monitor registers it.
    pub price: Price,
    /// Where its engine is.
    pub engine: Address,
    /// Where central is.
    pub central: Address,
    /// Where this monitor listens.
    pub listen: SocketAddr,
    /// What is known.
    pub status: Status,
}
