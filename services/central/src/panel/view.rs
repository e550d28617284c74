//! What central's panel shows, as it was a moment ago.

use crate::{api::view, roster::Roster};
use evmesh_proto::network::ChargePointStatus;
use mesh::{kafka::BrokerState, observability::LogRing};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use ui::Browse;

#[derive(Debug, Clone)]
pub struct View {
    pub(crate) address: SocketAddr,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) broker: watch::Receiver<BrokerState>,
    /// The messages of the system, or the whole log.
    pub(crate) log: LogRing,
    /// What a person looks at.
    pub(crate) browse: Browse,
}

impl View {
    /// Of every charge point, by id.
    pub(super) fn statuses(&self) -> Vec<ChargePointStatus> {
        self.roster.borrow().entries.iter().map(|entry| view::status(entry.detail.status)).collect()
    }

    /// Shows this log, which has the messages of the system in it, instead of these messages alone.
    pub fn with_log(self, log: LogRing) -> Self {
        Self { log, ..self }
    }
}
