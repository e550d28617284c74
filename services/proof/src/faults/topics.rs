//! The topics, read from their beginning to their end.

use anyhow::Context as _;
use evmesh_proto::topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, Notification, Telemetry};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use serde::de::DeserializeOwned;
use std::{net::SocketAddr, time::Duration};

/// A question to the broker, which is up by now.
const ASK: Duration = Duration::from_secs(15);
/// Without a message for so long, the rest is not going to come.
const SILENCE: Duration = Duration::from_secs(15);

/// A message, with the key that it was sent under.
#[derive(Debug)]
pub(super) struct Sent<T> {
    pub(super) key: String,
    pub(super) body: T,
}

/// All that is on the topics. Within a partition, and so within a key, in order.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) telemetry: Vec<Sent<Telemetry>>,
    pub(super) notifications: Vec<Sent<Notification>>,
    /// What central could not use: key and text.
    pub(super) dead: Vec<Sent<String>>,
    /// Messages that are not what their topic has.
    pub(super) unreadable: Vec<String>,
}

/// Reads them all. Blocks.
pub(super) fn read(broker: SocketAddr) -> anyhow::Result<Topics> {
    let mut topics = Topics::default();
    let mut unreadable = Vec::new();
    topics.telemetry = parsed(CP_TELEMETRY, raw(broker, CP_TELEMETRY)?, &mut unreadable);
    topics.notifications = parsed(DRIVER_NOTIFICATIONS, raw(broker, DRIVER_NOTIFICATIONS)?, &mut unreadable);
    let text =
        |sent: Sent<Vec<u8>>| Sent { key: sent.key, body: String::from_utf8_lossy(&sent.body).into_owned() };
    topics.dead = raw(broker, CP_TELEMETRY_DLQ)?.into_iter().map(text).collect();
    topics.unreadable = unreadable;
    Ok(topics)
}

fn parsed<T: DeserializeOwned>(
    topic: &str,
    raw: Vec<Sent<Vec<u8>>>,
    unreadable: &mut Vec<String>,
) -> Vec<Sent<T>> {
    let mut all = Vec::new();
    for sent in raw {
        match serde_json::from_slice(&sent.body) {
            Ok(body) => all.push(Sent { key: sent.key, body }),
            Err(error) => {
                unreadable.push(format!("{topic}: {error}: {}", String::from_utf8_lossy(&sent.body)));
            }
        }
    }
    all
}

fn raw(broker: SocketAddr, topic: &str) -> anyhow::Result<Vec<Sent<Vec<u8>>>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.to_string())
        .set("group.id", "proof")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ASK).context("Kafka does not answer")?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect();
    let mut all = Vec::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ASK)?;
        if low >= high {
            continue;
        }
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(low))?;
        consumer.assign(&assignment)?;
        loop {
            let message =
                consumer.poll(SILENCE).with_context(|| format!("{topic}/{partition} fell silent"))??;
            let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            all.push(Sent { key, body: message.payload().unwrap_or_default().to_vec() });
            if message.offset() + 1 >= high {
                break;
            }
        }
    }
    Ok(all)
}
