//! What a panel shows.

use crate::Options;
use domain::watchdog::Status;
use std::net::SocketAddr;

#[derive(Debug, Clone)]
pub struct View {
    /// What this monitor was told: its charge point, and where everything is.
    pub options: Options,
    /// Where it listens: the port is known here even if it was given as 0.
    pub listen: SocketAddr,
    pub status: Status,
}
