//! Publishing an outbox: rows that were written with the state they tell of, and are deleted once Kafka has them.

use super::Producer;
use crate::{
    Shutdown,
    backoff::Backoff,
    group_commit::{Order, Queue, Rules},
    store::Store,
};
use evmesh_proto::store::StoredMessage;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::Arc,
};
use tokio::sync::Notify;

/// So many rows are read at a time.
const PAGE: usize = 256;
/// So many rows wait in memory behind one of their key that is under way; those beyond stay on disk, and are read
/// again.
const BEHIND: usize = 256;
/// So many keys have a row under way: as long as no more than these hang on partitions that nobody leads, every other
/// key's rows go on. It is well below what the producer's queue takes, and some MB.
const KEYS_UNDER_WAY: usize = 16_384;

/// A message that waits on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Rises with each row.
    pub id: u64,
    pub topic: String,
    /// Rows of one key stay in order.
    pub key: String,
    pub payload: Vec<u8>,
    /// Its headers, `traceparent` among them.
    pub headers: Vec<(String, String)>,
}

impl OutboxRow {
    /// A row as a store keeps it.
    pub fn stored(id: u64, message: StoredMessage) -> Self {
        let StoredMessage { topic, key, payload, headers } = message;
        Self { id, topic, key, payload, headers: headers.into_iter().collect() }
    }
}

pub trait Outbox: Send + Sync + 'static {
    /// At most `limit` rows with an id above `after`, by id.
    fn fetch(&self, after: u64, limit: usize) -> impl Future<Output = Vec<OutboxRow>> + Send;

    /// Kafka has these rows: they can be deleted.
    fn delivered(&self, ids: Vec<u64>) -> impl Future<Output = ()> + Send;
}

/// Reads at most so many rows with an id above this one, by id.
pub type ReadRows<E> = fn(&dyn Store, u64, usize) -> Result<Vec<OutboxRow>, E>;

/// An outbox in the store of an owner, which alone reads and deletes its rows.
#[derive(Debug)]
pub struct StoredOutbox<R: Rules, O> {
    pub owner: Queue<R, O>,
    pub read: ReadRows<R::Error>,
    /// What the rules take in when Kafka has these rows: they delete them.
    pub delivered: fn(Vec<u64>) -> R::Input,
}

impl<R: Rules, O: 'static> Outbox for StoredOutbox<R, O> {
    /// None once the owner has ended: the relay is about to.
    async fn fetch(&self, after: u64, limit: usize) -> Vec<OutboxRow> {
        let read = self.read;
        self.owner.ask(None, move |_, store| read(store, after, limit)).await.unwrap_or_default()
    }

    async fn delivered(&self, ids: Vec<u64>) {
        self.owner.give(Order::input((self.delivered)(ids))).await;
    }
}

/// Publishes an outbox in order, each key's next row after the delivery report of the one before.
#[derive(Debug)]
pub struct Relay;

/// Topic and key.
type Lane = (String, String);

/// A key with a row under way.
#[derive(Debug, Default)]
struct Busy {
    /// The rows behind it that are in memory, in order.
    behind: VecDeque<OutboxRow>,
    /// The newest row that is under way or in memory.
    newest: u64,
    /// The first of its rows that was left on disk.
    left: Option<u64>,
}

/// What is known of the outbox, beside the rows themselves.
#[derive(Debug)]
struct Known {
    lanes: BTreeMap<Lane, Busy>,
    /// Rows in memory, those under way apart.
    behind: usize,
    /// Everything up to this row was looked at.
    after: u64,
    /// Is there more to look at?
    more: bool,
}

impl Known {
    /// Takes a page of rows; returns those that can be published now.
    fn take(&mut self, rows: Vec<OutboxRow>) -> Vec<(Lane, OutboxRow)> {
        self.more = rows.len() == PAGE; // a full page: there may be another
        let mut free = Vec::new();
        for row in rows {
            self.after = self.after.max(row.id);
            let lane = (row.topic.clone(), row.key.clone());
            match self.lanes.get_mut(&lane) {
                Some(busy) if row.id <= busy.newest => {} // seen before
                // A key's rows stay in order: behind one that was left, all are.
                Some(busy) if busy.left.is_some() || self.behind >= BEHIND => {
                    busy.left.get_or_insert(row.id);
                }
                Some(busy) => {
                    busy.newest = row.id;
                    busy.behind.push_back(row);
                    self.behind += 1;
                }
                None => {
                    self.lanes.insert(lane.clone(), Busy { newest: row.id, ..Busy::default() });
                    free.push((lane, row));
                }
            }
        }
        free
    }

    /// A row of this key is with Kafka, and deleted; returns the next one.
    fn done(&mut self, lane: Lane) -> Option<(Lane, OutboxRow)> {
        if let Some(row) = self.lanes.get_mut(&lane).and_then(|busy| busy.behind.pop_front()) {
            self.behind -= 1;
            return Some((lane, row));
        }
        if let Some(left) = self.lanes.remove(&lane).and_then(|busy| busy.left) {
            self.after = self.after.min(left.saturating_sub(1));
            self.more = true;
        }
        None
    }
}

impl Relay {
    /// Publishes until the order to stop; retries for ever. `wake` is notified (`notify_one`) when there may be new
    /// rows. A row may be published twice after a restart, and never out of its key's order. Keys whose rows cannot
    /// be delivered hold up no other key.
    pub async fn run(outbox: impl Outbox, producer: Producer, wake: Arc<Notify>, shutdown: Shutdown) {
        let mut known = Known { lanes: BTreeMap::new(), behind: 0, after: 0, more: true };
        let mut under_way = FuturesUnordered::new();
        loop {
            if known.more && under_way.len() < KEYS_UNDER_WAY {
                let rows = outbox.fetch(known.after, PAGE).await;
                for (lane, row) in known.take(rows) {
                    under_way.push(publish(&producer, lane, row));
                }
            }
            let look_on = known.more && under_way.len() < KEYS_UNDER_WAY;
            tokio::select! {
                biased;
                () = shutdown.started() => return,
                Some(first) = under_way.next() => {
                    let mut done = vec![first];
                    // Whatever is delivered by now goes with it: one write of the outbox for all.
                    while let Some(Some(next)) = under_way.next().now_or_never() {
                        done.push(next);
                    }
                    let (lanes, mut ids): (Vec<Lane>, Vec<u64>) = done.into_iter().unzip();
                    ids.sort_unstable();
                    // First deleted: what is read again below is not sent again.
                    outbox.delivered(ids).await;
                    for (lane, row) in lanes.into_iter().filter_map(|lane| known.done(lane)) {
                        under_way.push(publish(&producer, lane, row));
                    }
                }
                () = wake.notified() => known.more = true,
                () = std::future::ready(()), if look_on => {}
            }
        }
    }
}

/// Publishes one row, for ever if need be.
async fn publish(producer: &Producer, lane: Lane, row: OutboxRow) -> (Lane, u64) {
    let mut backoff = Backoff::default();
    loop {
        let headers: Vec<(&str, &str)> =
            row.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sending = producer.send(&row.topic, &row.key, &row.payload, &headers);
        let Err(error) = sending.await else { break };
        if error.is_permanent() {
            // It would hold up every later row of its key for ever.
            tracing::error!(%error, topic = row.topic, key = row.key, id = row.id, "kafka will never take this \
              message; it is dropped");
            metrics::counter!("evmesh_outbox_rows_dropped_total").increment(1);
            break;
        }
        tracing::debug!(%error, topic = row.topic, key = row.key, id = row.id, "not delivered; tried again");
        backoff.wait().await;
    }
    (lane, row.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, key: &str) -> OutboxRow {
        OutboxRow { id, topic: "t".into(), key: key.into(), payload: Vec::new(), headers: Vec::new() }
    }

    fn ids(rows: &[(Lane, OutboxRow)]) -> Vec<u64> {
        rows.iter().map(|(_, row)| row.id).collect()
    }

    #[test]
    fn a_key_that_hangs_leaves_its_rows_on_disk_and_gets_them_in_order() {
        let mut known = Known { lanes: BTreeMap::new(), behind: 0, after: 0, more: true };
        // One key has more rows than memory takes, and its first one hangs.
        let rows: Vec<OutboxRow> = (1..=1000).map(|id| row(id, "hangs")).collect();
        let page =
            |from: u64| rows.iter().filter(|row| row.id > from).take(PAGE).cloned().collect::<Vec<_>>();
        assert_eq!(ids(&known.take(page(0))), [1]);
        while known.more {
            let after = known.after;
            assert!(known.take(page(after)).is_empty());
        }
        assert_eq!((known.behind, known.after), (BEHIND, 1000));
        // Another key's rows go out all the same.
        assert_eq!(ids(&known.take(vec![row(1001, "free")])), [1001]);
        assert!(known.done(("t".into(), "free".into())).is_none());
        // It hangs no more: its rows follow in order, those left on disk too, each once.
        let (mut sent, mut next) = (vec![1], None);
        loop {
            next = known.done(("t".into(), "hangs".into())).or(next);
            let Some((_, row)) = next.take() else {
                if !known.more {
                    break;
                }
                let after = known.after;
                next = known.take(page(after)).pop();
                sent.extend(next.iter().map(|(_, row)| row.id));
                continue;
            };
            sent.push(row.id);
        }
        sent.dedup();
        assert_eq!(sent, (1..=1000).collect::<Vec<u64>>());
        assert_eq!((known.lanes.len(), known.behind), (0, 0));
    }
}
