//! Central's panel: the charge points, the requests under way, and the messages of the system, errors first.

mod tiles;

use crate::roster::Roster;
use mesh::{kafka::BrokerState, observability::LogRing};
use ratatui::{Frame, layout::Rect};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use ui::Panel;

#[derive(Debug, Clone)]
pub struct View {
    pub(crate) address: SocketAddr,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) broker: watch::Receiver<BrokerState>,
    /// The messages of the system, or the whole log.
    pub(crate) log: LogRing,
}

impl View {
    /// The charge points as they were a moment ago, collected about once a second.
    pub fn roster(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.clone()
    }

    /// Shows this log, which has the messages of the system in it, instead of these messages alone.
    pub fn with_log(self, log: LogRing) -> Self {
        Self { log, ..self }
    }
}

impl Panel for View {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        tiles::draw(frame, area, self);
    }

    async fn changed(&mut self) {
        ui::changed(&mut self.roster).await;
    }
}
