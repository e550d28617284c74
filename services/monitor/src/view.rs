//! What a panel shows.

use domain::{ChargePointId, Price, watchdog::Status};
use mesh::grpc::Address;
use std::net::SocketAddr;

#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub charge_point: ChargePointId,
    /// Its place, as this monitor registers it.
    pub location: String,
    /// Its price, as this monitor registers it.
    pub price: Price,
    pub engine: Address,
    pub central: Address,
    pub listen: SocketAddr,
    pub status: Status,
}
