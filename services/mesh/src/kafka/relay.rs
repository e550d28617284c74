//! Publishing an outbox: rows that were written with the state they tell of, and are deleted once Kafka has them.

use super::Producer;
use crate::{Shutdown, backoff::Backoff, trace::Trace};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::Arc,
};
use tokio::sync::Notify;

/// So many rows are taken from the outbox and not yet delivered: enough to fill a batch, few enough for memory.
const WINDOW: usize = 256;

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
    /// What caused it: its header `traceparent`.
    pub trace: Option<Trace>,
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

type Lane = (String, String);

impl Relay {
    /// Publishes until the order to stop; retries for ever. `wake` is notified (`notify_one`) when there may be new rows. A
    /// row may be published twice after a restart, and never out of its key's order.
    pub async fn run(outbox: impl Outbox, producer: Producer, wake: Arc<Notify>, shutdown: Shutdown) {
        let mut lanes: BTreeMap<Lane, VecDeque<OutboxRow>> = BTreeMap::new(); // rows behind one that is under way
        let mut under_way = FuturesUnordered::new();
        let (mut after, mut waiting, mut more) = (0, 0, true);
        loop {
            let room = WINDOW.saturating_sub(waiting + under_way.len());
            if more && room > 0 {
                let rows = outbox.fetch(after, room).await;
                more = rows.len() == room; // a full page: there may be another
                for row in rows {
                    after = after.max(row.id);
                    let lane = (row.topic.clone(), row.key.clone());
                    match lanes.get_mut(&lane) {
                        Some(behind) => {
                            behind.push_back(row);
                            waiting += 1;
                        }
                        None => {
                            lanes.insert(lane.clone(), VecDeque::new());
                            under_way.push(publish(&producer, lane, row));
                        }
                    }
                }
            }
            tokio::select! {
                () = shutdown.started() => return,
                () = wake.notified() => more = true,
                Some(first) = under_way.next() => {
                    let mut done = vec![first];
                    // Whatever is delivered by now goes with it: one write of the outbox for all.
                    while let Some(Some(next)) = futures_util::FutureExt::now_or_never(under_way.next()) {
                        done.push(next);
                    }
                    let mut ids = Vec::with_capacity(done.len());
                    for (lane, id) in done {
                        ids.push(id);
                        match lanes.get_mut(&lane).and_then(VecDeque::pop_front) {
                            Some(row) => {
                                waiting -= 1;
                                under_way.push(publish(&producer, lane, row));
                            }
                            None => drop(lanes.remove(&lane)),
                        }
                    }
                    ids.sort_unstable();
                    outbox.delivered(ids).await;
                }
            }
        }
    }
}

/// Publishes one row, for ever if need be.
async fn publish(producer: &Producer, lane: Lane, row: OutboxRow) -> (Lane, u64) {
    let mut backoff = Backoff::new();
    loop {
        let sending = producer.send(&row.topic, &row.key, row.payload.clone());
        let sent = match row.trace {
            Some(trace) => trace.scope(sending).await,
            None => sending.await,
        };
        let Err(error) = sent else { break };
        if error.is_permanent() {
            // It would hold up every later row of its key for ever.
            tracing::error!(%error, topic = row.topic, key = row.key, id = row.id, "kafka will never take this message; it is dropped");
            metrics::counter!("evmesh_outbox_rows_dropped_total").increment(1);
            break;
        }
        tracing::debug!(%error, topic = row.topic, key = row.key, id = row.id, "not delivered; tried again");
        backoff.wait().await;
    }
    (lane, row.id)
}
