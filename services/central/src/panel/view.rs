//! What central's panel shows, as it was a moment ago.

use crate::roster::Roster;
use mesh::{kafka::BrokerState, observability::LogRing};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub struct View {
    pub(crate) address: SocketAddr,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) broker: watch::Receiver<BrokerState>,
    /// The messages of the system, or the whole log.
    pub(crate) log: LogRing,
}

impl View {
    /// Shows this log, which has the messages of the system in it, instead of these messages alone.
    pub fn with_log(self, log: LogRing) -> Self {
        Self { log, ..self }
    }
}
