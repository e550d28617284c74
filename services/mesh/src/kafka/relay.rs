//! Publishing an outbox: rows that were written with the state they tell of, and are deleted once Kafka has them.

use super::Producer;
use crate::Shutdown;
use std::{future::Future, sync::Arc};
use tokio::sync::Notify;

/// A message that waits on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Rises with each row.
    pub id: u64,
    /// Where to.
    pub topic: String,
    /// Rows of one key stay in order.
    pub key: String,
    /// What.
    pub payload: Vec<u8>,
}

/// Where the rows are.
pub trait Outbox: Send + Sync + 'static {
    /// At most `limit` rows with an id above `after`, by id.
    fn fetch(&self, after: u64, limit: usize) -> impl Future<Output = Vec<OutboxRow>> + Send;

    /// Kafka has these rows: they can be deleted.
    fn delivered(&self, ids: Vec<u64>) -> impl Future<Output = ()> + Send;
}

/// Publishes an outbox in order, each key's next row after the delivery report of the one before.
#[derive(Debug)]
pub struct Relay;

impl Relay {
    /// Publishes until the order to stop; retries for ever. `wake` is notified when there may be new rows. A row may be
    /// published twice after a restart, and never out of its key's order.
    pub async fn run(outbox: impl Outbox, producer: Producer, wake: Arc<Notify>, shutdown: Shutdown) {
        todo!()
    }
}
