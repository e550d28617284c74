//! Reading and writing the topics as others do.

use mesh::kafka::{KafkaOptions, Origin, Producer, Reader, ReaderEvent};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long a message may take: topics are created, brokers found.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything on a topic, from its beginning.
pub(crate) struct Topic {
    messages: Arc<Mutex<Vec<(String, Value)>>>,
    _reader: Reader,
}

impl Topic {
    pub(crate) fn read(options: &KafkaOptions, topic: &str) -> Self {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let sink = messages.clone();
        let origin = Origin::Stored { cluster_id: None, offsets: BTreeMap::new() };
        let reader = Reader::spawn(options, topic, "test", origin, move |event| {
            if let ReaderEvent::Message(message) = event {
                let value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                sink.lock().unwrap().push((String::from_utf8(message.key).unwrap(), value));
            }
            true
        });
        Self { messages, _reader: reader.unwrap() }
    }

    /// Every message so far, with its key.
    pub(crate) fn all(&self) -> Vec<(String, Value)> {
        self.messages.lock().unwrap().clone()
    }

    /// Waits for a message that is as wanted, and returns the first, with its key.
    pub(crate) async fn first(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> (String, Value) {
        testing::eventually(what, PATIENCE, || async {
            self.messages.lock().unwrap().iter().find(|(_, value)| wanted(value)).cloned()
        })
        .await
    }

    /// Waits for a message of this type.
    pub(crate) async fn of_type(&self, kind: &str) -> (String, Value) {
        self.first(kind, |value| value["type"] == kind).await
    }

    /// How many messages of this type there are.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.all().iter().filter(|(_, value)| value["type"] == kind).count()
    }
}

/// Publishes a message as it is.
pub(crate) async fn publish(producer: &Producer, key: &str, payload: impl ToString) {
    let payload = payload.to_string().into_bytes();
    producer.send(evmesh_proto::topics::CP_TELEMETRY, key, &payload, &[]).await.unwrap();
}

/// Payloads with one of their headers; empty where it is missing.
pub(crate) type Letters = Arc<Mutex<Vec<(Vec<u8>, String)>>>;

/// Everything on a topic with this header, read by a client that is not ours, until the test ends.
pub(crate) fn with_header(options: &KafkaOptions, topic: &str, name: &'static str) -> Letters {
    use rdkafka::{
        ClientConfig, Message as _, Offset, TopicPartitionList,
        consumer::{BaseConsumer, Consumer as _},
        message::Headers as _,
    };
    let letters = Letters::default();
    let (sink, topic) = (Arc::downgrade(&letters), options.topic(topic));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.kafka)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest");
    config.set("topic.metadata.refresh.fast.interval.ms", "100").set("allow.auto.create.topics", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..options.kafka_partitions {
        partitions.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    std::thread::spawn(move || {
        while let Some(letters) = sink.upgrade() {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else {
                continue;
            };
            let header = message.headers().and_then(|all| all.iter().find(|header| header.key == name));
            let value =
                header.and_then(|header| header.value).map(String::from_utf8_lossy).unwrap_or_default();
            letters
                .lock()
                .unwrap()
                .push((message.payload().unwrap_or_default().to_vec(), value.into_owned()));
        }
    });
    letters
}
