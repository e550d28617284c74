//! The topics as any client reads and writes them: rdkafka alone, so that nothing of ours stands between.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use mesh::kafka::KafkaOptions;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::Headers as _,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{collections::BTreeMap, time::Duration};

/// How long the broker, which is in this process, may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message as it is on the broker.
#[derive(Debug, Clone)]
pub struct Message {
    pub key: String,
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

impl Message {
    /// Its payload; what is no JSON, as a text.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload)
            .unwrap_or_else(|_| String::from_utf8_lossy(&self.payload).into_owned().into())
    }

    /// By which key it is sealed.
    pub fn kid(&self) -> Option<String> {
        let head = self.payload.split(|byte| *byte == b'.').next()?;
        let head: serde_json::Value = serde_json::from_slice(&BASE64.decode(head).ok()?).ok()?;
        head["kid"].as_str().map(str::to_owned)
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// All that a topic has now, partition by partition: each key's messages are in order.
pub fn read(options: &KafkaOptions, topic: &str) -> Vec<Message> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.kafka).set("group.id", "same-outside");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    // What is there is all that is wanted: nothing is waited for.
    config.set("fetch.wait.max.ms", "5");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let topic = options.topic(topic);
    let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE).expect("metadata");
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|it| it.id()).collect();
    let mut assignment = TopicPartitionList::new();
    for &partition in &partitions {
        assignment.add_partition_offset(&topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&assignment).expect("assigned");
    let mut found: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
    let mut at_end = 0;
    while at_end < partitions.len() {
        match consumer.poll(PATIENCE).expect("the broker answers") {
            Ok(message) => {
                let headers = message.headers().into_iter().flat_map(|all| all.iter());
                found.entry(message.partition()).or_default().push(Message {
                    key: text(message.key()),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: headers.map(|one| (one.key.to_owned(), text(one.value))).collect(),
                });
            }
            Err(KafkaError::PartitionEOF(_)) => at_end += 1,
            Err(error) => panic!("{topic}: {error}"),
        }
    }
    found.into_values().flatten().collect()
}

/// Publishes messages, in their order, and returns once they are there.
pub fn write(options: &KafkaOptions, topic: &str, messages: &[(&str, Vec<u8>)]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.kafka).set("partitioner", "murmur2_random");
    let producer: BaseProducer = config.create().expect("a producer");
    let topic = options.topic(topic);
    for (key, payload) in messages {
        producer.send(BaseRecord::to(&topic).key(*key).payload(payload)).expect("its queue has room");
    }
    producer.flush(PATIENCE).expect("they are written");
}
