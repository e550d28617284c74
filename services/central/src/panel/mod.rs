//! Central's panel: the charge points, the requests under way, and the messages of the system, errors first.

mod tiles;

use crate::{
    events::{Line, Ring},
    roster::Roster,
};
use domain::network::Level;
use mesh::{kafka::BrokerState, observability::LogRing};
use ratatui::{Frame, layout::Rect};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use ui::Panel;

/// What the panel shows.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) address: SocketAddr,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) messages: watch::Receiver<Ring>,
    pub(crate) broker: watch::Receiver<BrokerState>,
    pub(crate) log: Option<LogRing>,
}

impl View {
    /// The charge points as they were a moment ago, collected about once a second.
    pub fn roster(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.clone()
    }

    /// Shows this log, which has the messages of the system in it, instead of these messages alone.
    pub fn with_log(self, log: LogRing) -> Self {
        Self { log: Some(log), ..self }
    }

    /// The messages of the system.
    pub fn messages(&self) -> watch::Receiver<Ring> {
        self.messages.clone()
    }

    /// At most so many messages for the screen, errors first.
    fn worst_first(&self, most: usize) -> Vec<(tracing::Level, String)> {
        match &self.log {
            Some(log) => log.worst_first(most).into_iter().map(|line| (line.level, line.text)).collect(),
            None => self.messages.borrow().worst_first().into_iter().take(most).map(shown).collect(),
        }
    }
}

/// A message with the time of day, in UTC.
fn shown(line: &Line) -> (tracing::Level, String) {
    let level = match line.level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    let second = line.at.0.div_euclid(1000).rem_euclid(86_400);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    (level, format!("{hour:02}:{minute:02}:{:02}  {}", second % 60, line.text))
}

impl Panel for View {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        tiles::draw(frame, area, self);
    }

    async fn changed(&mut self) {
        tokio::select! {
            () = ui::changed(&mut self.roster) => {}
            () = ui::changed(&mut self.messages) => {}
        }
    }
}
