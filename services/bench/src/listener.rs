//! Whoever reads a topic while it is measured, and nothing else: a bare consumer on a thread of its own.

use crate::error::{Doing as _, Error};
use mesh::kafka::{KafkaOptions, bare_consumer};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, message::BorrowedMessage};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Names it in lag dashboards.
const GROUP: &str = "evmesh-bench";
/// It hears its end after this.
const POLL: Duration = Duration::from_millis(100);

/// Where to begin: the offset of each partition, or the beginning of all.
pub(crate) type From = BTreeMap<i32, i64>;

/// It ends with this, or once `heard` returns false.
#[derive(Debug)]
pub(crate) struct Listener {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub(crate) fn begin(
        kafka: &KafkaOptions,
        topic: &str,
        from: &From,
        mut heard: impl FnMut(&BorrowedMessage<'_>) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let client = bare_consumer(kafka, GROUP)?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..kafka.kafka_partitions {
            let offset = from.get(&partition).map_or(Offset::Beginning, |offset| Offset::Offset(*offset));
            let added = partitions.add_partition_offset(&kafka.topic(topic), partition, offset);
            added.map_err(|error| Error::Lacks(error.to_string()))?;
        }
        client.assign(&partitions).map_err(|error| Error::Lacks(error.to_string()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let listening = move || {
            while !stopped.load(Ordering::Relaxed) {
                // What is no message is the end of a partition, or a broker that is away for now.
                if let Some(Ok(message)) = client.poll(POLL)
                    && !heard(&message)
                {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("bench-listener".to_owned()).spawn(listening);
        Ok(Self { stop, thread: Some(thread.doing("no thread to listen on")?) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // had it panicked, it would have said so
        }
    }
}
