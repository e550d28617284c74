//! What waits on the engine's disk for Kafka, as it leaves.

use crate::{
    owner::{Engine, Outlet},
    seal::Seal,
};
use mesh::kafka::{Outbox, OutboxRow, StoredOutbox};

/// The outbox, whose rows are in plain text on the engine's own disk, and leave sealed.
pub(crate) struct SealedOutbox {
    pub(crate) rows: StoredOutbox<Engine, Outlet>,
    pub(crate) seal: Seal,
}

impl Outbox for SealedOutbox {
    /// None before there is a key, which wakes the relay. Rows that cannot be sealed, for want of random bytes, end the
    /// page, and come with the next.
    async fn fetch(&self, after: u64, limit: usize) -> Vec<OutboxRow> {
        let sealed = |row: OutboxRow| Some(OutboxRow { payload: self.seal.payload(row.payload)?, ..row });
        self.rows.fetch(after, limit).await.into_iter().map_while(sealed).collect()
    }

    async fn delivered(&self, ids: Vec<u64>) {
        self.rows.delivered(ids).await;
    }
}
