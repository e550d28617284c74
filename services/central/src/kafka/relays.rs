//! Sends what waits on disk for Kafka: what drivers are told, each driver's in order, and dead letters.

use crate::{
    Error,
    store::{RowKind, read_rows},
    writer::{Handle, Input},
};
use mesh::{
    Shutdown,
    kafka::{OutboxRow, Producer, Relay, StoredOutbox},
    store::Store,
};
use std::sync::Arc;
use tokio::sync::Notify;

/// Sends the notifications until the order to stop.
pub(crate) async fn send_notifications(handle: Handle, to: Producer, wake: Arc<Notify>, stop: Shutdown) {
    let outbox = StoredOutbox {
        owner: handle.orders(),
        read: |store, after, limit| rows(store, RowKind::Notification, after, limit),
        delivered: |ids| Input::Delivered(RowKind::Notification, ids),
    };
    Relay::run(outbox, to, wake, stop).await;
}

/// Sends the dead letters, each with its reason, until the order to stop.
pub(crate) async fn send_dead_letters(handle: Handle, to: Producer, wake: Arc<Notify>, stop: Shutdown) {
    let outbox = StoredOutbox {
        owner: handle.orders(),
        read: |store, after, limit| rows(store, RowKind::DeadLetter, after, limit),
        delivered: |ids| Input::Delivered(RowKind::DeadLetter, ids),
    };
    Relay::run(outbox, to, wake, stop).await;
}

fn rows(store: &dyn Store, kind: RowKind, after: u64, limit: usize) -> Result<Vec<OutboxRow>, Error> {
    let rows = read_rows(store, kind, after, limit)?;
    Ok(rows.into_iter().map(|(id, message)| OutboxRow::stored(id, message)).collect())
}
