//! The outbox as the relay sees it.

use crate::{Point, owner::Command};
use domain::supply::Input;
use mesh::kafka::{Outbox, OutboxRow};
use tokio::sync::oneshot;

/// The rows that the owner keeps.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) Point);

impl Outbox for Rows {
    /// None once the owner has ended: the relay is about to.
    async fn fetch(&self, after: u64, limit: usize) -> Vec<OutboxRow> {
        let (reply, rows) = oneshot::channel();
        self.0.send(Command::Rows { after, limit, reply }).await;
        rows.await.unwrap_or_default()
    }

    async fn delivered(&self, ids: Vec<u64>) {
        self.0.tell(Input::Delivered(ids)).await;
    }
}
