//! The relay of an outbox.

use domain::Trace;
use mesh::{
    Shutdown,
    kafka::{KafkaOptions, Origin, Outbox, OutboxRow, Producer, Reader, ReaderEvent, Relay, ensure_topics},
    trace::TRACEPARENT,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::{TestBroker, broker, embedded_broker, eventually};
use tokio::{sync::Notify, task::JoinHandle};

const TOPIC: &str = "driver_notifications";
const SOON: Duration = Duration::from_secs(20);

/// An outbox in memory; while it is `stuck`, what was delivered is not deleted.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rows: BTreeMap<u64, OutboxRow>,
    stuck: bool,
    delivered: BTreeSet<u64>,
}

impl Rows {
    fn add(&self, ids: std::ops::RangeInclusive<u64>) {
        for id in ids {
            let key = format!("driver-{}", id % 7);
            let row = OutboxRow {
                id,
                topic: TOPIC.into(),
                key,
                payload: id.to_string().into_bytes(),
                headers: vec![(TRACEPARENT.into(), Trace::of(&id.to_string()).to_string())],
            };
            self.0.lock().unwrap().rows.insert(id, row);
        }
    }
}

impl Outbox for Rows {
    async fn fetch(&self, after: u64, limit: usize) -> Vec<OutboxRow> {
        self.0.lock().unwrap().rows.range(after + 1..).take(limit).map(|(_, row)| row.clone()).collect()
    }

    async fn delivered(&self, ids: Vec<u64>) {
        let mut state = self.0.lock().unwrap();
        for id in ids {
            state.delivered.insert(id);
            if !state.stuck {
                state.rows.remove(&id).expect("delivered once");
            }
        }
    }
}

struct World {
    broker: TestBroker,
    options: KafkaOptions,
    rows: Rows,
    wake: Arc<Notify>,
    read: Arc<Mutex<Vec<(String, u64)>>>,
    _reader: Reader,
}

impl World {
    async fn new(broker: TestBroker) -> Self {
        let options = broker.options();
        tokio::time::timeout(SOON, ensure_topics(options.clone(), &[TOPIC], Shutdown::new())).await.unwrap();
        let read = Arc::<Mutex<Vec<_>>>::default();
        let log = read.clone();
        let sink = move |event| {
            if let ReaderEvent::Message(message) = event {
                let id = String::from_utf8(message.payload).unwrap();
                assert_eq!(message.trace.map(Trace::id), Some(Trace::of(&id).id()), "its header came along");
                let id = id.parse().unwrap();
                log.lock().unwrap().push((String::from_utf8(message.key).unwrap(), id));
            }
            true
        };
        let origin = Origin::Stored { cluster_id: None, offsets: BTreeMap::new() };
        let reader = Reader::spawn(&options, TOPIC, "test-group", origin, sink).unwrap();
        Self { broker, options, rows: Rows::default(), wake: Arc::default(), read, _reader: reader }
    }

    fn start(&self) -> (Shutdown, JoinHandle<()>) {
        let producer = Producer::new(&self.options, "test").unwrap();
        let shutdown = Shutdown::new();
        let relay = Relay::run(self.rows.clone(), producer, self.wake.clone(), shutdown.clone());
        (shutdown, tokio::spawn(relay))
    }

    async fn until_empty(&self) {
        let empty = || async { self.rows.0.lock().unwrap().rows.is_empty().then_some(()) };
        eventually("the outbox is empty", SOON, empty).await;
    }

    async fn until_read(&self, count: usize) {
        let read = || async { (self.read.lock().unwrap().len() >= count).then_some(()) };
        eventually("the messages are read", SOON, read).await;
    }

    /// Each key's ids, in the order in which they were read.
    fn lanes(&self) -> BTreeMap<String, Vec<u64>> {
        let mut lanes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (key, id) in self.read.lock().unwrap().iter() {
            lanes.entry(key.clone()).or_default().push(*id);
        }
        lanes
    }
}

#[tokio::test]
async fn rows_leave_in_their_keys_order_and_are_deleted() {
    let world = World::new(broker()).await;
    world.rows.add(1..=1000);
    let (shutdown, relay) = world.start();
    world.until_empty().await;
    world.rows.add(1001..=1010);
    world.wake.notify_one();
    world.until_empty().await;
    world.until_read(1010).await;
    for ids in world.lanes().values() {
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
    assert_eq!(world.read.lock().unwrap().len(), 1010, "each once");
    shutdown.start();
    relay.await.unwrap();
}

#[tokio::test]
async fn a_restart_publishes_again_what_was_not_deleted() {
    let world = World::new(broker()).await;
    world.rows.add(1..=10);
    world.rows.0.lock().unwrap().stuck = true;
    let (_, relay) = world.start();
    let delivered = || async { (world.rows.0.lock().unwrap().delivered.len() == 10).then_some(()) };
    eventually("all are delivered", SOON, delivered).await;
    relay.abort(); // killed before the outbox was written
    world.rows.0.lock().unwrap().stuck = false;
    let (_shutdown, _relay) = world.start();
    world.until_empty().await;
    world.until_read(20).await;
    for (key, ids) in world.lanes() {
        let (first, second) = ids.split_at(ids.len() / 2);
        assert!(first == second && first.is_sorted(), "{key}: {ids:?}");
    }
}

#[tokio::test]
async fn a_partition_that_hangs_holds_up_no_other_one() {
    let world = World::new(embedded_broker()).await;
    let broker = world.broker.embedded().unwrap();
    // More rows than memory takes, for every key: those of one partition hang.
    let topic = world.options.topic(TOPIC);
    broker.lead(&topic, 0, false).unwrap();
    world.rows.add(1..=2000);
    let (_shutdown, _relay) = world.start();
    let hanging = || async {
        let rows = world.rows.0.lock().unwrap().rows.clone();
        let keys: BTreeSet<String> = rows.values().map(|row| row.key.clone()).collect();
        let whole = keys.iter().all(|key| rows.values().filter(|row| row.key == *key).count() >= 285);
        (rows.len() < 2000 && whole).then_some(keys)
    };
    let keys = eventually("only the hanging partition's rows are left, all of them", SOON, hanging).await;
    assert!(!keys.is_empty() && keys.len() < 7, "{keys:?}");
    broker.lead(&topic, 0, true).unwrap();
    world.until_empty().await;
    world.until_read(2000).await;
    for ids in world.lanes().values() {
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_keeps_the_rows_and_their_order() {
    let world = World::new(embedded_broker()).await;
    let broker = world.broker.embedded().unwrap();
    let (_shutdown, _relay) = world.start();
    world.rows.add(1..=20);
    world.wake.notify_one();
    world.until_empty().await;
    broker.down().unwrap();
    world.rows.add(21..=60);
    world.wake.notify_one();
    // The relay has them in hand, and cannot be rid of them.
    assert!(!world.rows.0.lock().unwrap().rows.is_empty());
    broker.up().unwrap();
    world.until_empty().await;
    world.until_read(60).await;
    for ids in world.lanes().values() {
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}
