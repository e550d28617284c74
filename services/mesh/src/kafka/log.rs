//! A log: a topic of which one partition is used, so that all that is in it has one order. It is compacted, so that the
//! newest message of each key stays for ever; or every message does.

use super::{
    Error, KafkaOptions, Message, Producer, Record,
    consumer::{self, Client},
    refusal::Act,
    topics::{self, TIMEOUT, blocking, denied_by},
};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{NewTopic, ResourceSpecifier, TopicReplication},
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::Message as _,
};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// The one partition, whatever a topic that is there already has.
const PARTITION: i32 = 0;
/// The last message is looked for so long at most.
const LOOK_FOR: Duration = Duration::from_secs(10);
/// How a topic of ours is kept. What comes first of it must be so.
type Kept = &'static [(&'static str, &'static str)];
/// The newest message of each key for ever; in segments of 64 MiB, since only those that are full are compacted.
const NEWEST: Kept =
    &[("cleanup.policy", "compact"), ("segment.bytes", "67108864"), ("min.cleanable.dirty.ratio", "0.3")];
/// Every message for ever. A topic that is compacted too, which nobody makes by oversight, is not looked for.
const EVERYTHING: Kept = &[("retention.ms", "-1"), ("cleanup.policy", "delete"), ("retention.bytes", "-1")];

/// A log by its topic's name. Cheap to clone; nothing is open.
#[derive(Debug, Clone)]
pub struct Log {
    options: KafkaOptions,
    topic: &'static str,
    kept: Kept,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The cluster that it is on.
    pub cluster: String,
    /// Its last message; `None`: the log is empty, or not there.
    pub last: Option<Message>,
}

impl Log {
    /// The log under this name, with the options' prefix, of which the newest message of each key is kept.
    pub fn new(options: &KafkaOptions, topic: &'static str) -> Self {
        Self { options: options.clone(), topic, kept: NEWEST }
    }

    /// The same, of which every message is kept.
    pub fn of_everything(options: &KafkaOptions, topic: &'static str) -> Self {
        Self { options: options.clone(), topic, kept: EVERYTHING }
    }

    /// The topic's name without the prefix.
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// Creates the topic where it is missing. Returns what is wrong with how the broker keeps it, if anything is. It is
    /// never wrong on the embedded broker, which keeps nothing anyway.
    pub async fn create(&self) -> Result<Option<String>, Error> {
        let name = self.options.topic(self.topic);
        let Some(admin) = topics::admin(&self.options, vec![name.clone()]).await? else { return Ok(None) };
        let replicas = TopicReplication::Fixed(self.options.kafka_replicas);
        let topic = self
            .kept
            .iter()
            .fold(NewTopic::new(&name, 1, replicas), |topic, (key, value)| topic.set(key, value));
        topics::create_with(&self.options, &admin, vec![topic]).await?;
        let asked = [ResourceSpecifier::Topic(&name)];
        let described = admin.describe_configs(&asked, &topics::limit()).await.map_err(Error::Ask)?;
        let found = described.into_iter().next().ok_or(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopic));
        let Ok(found) = found.map_err(Error::Ask)? else {
            return Ok(None); // we may not look, so nobody can say
        };
        // A broker may not know yet how a topic is kept that has just been created: then we made it as it must be.
        let Some((setting, must)) = self.kept.first() else { return Ok(None) };
        let Some(is) = found.get(setting).and_then(|entry| entry.value.clone()).filter(|is| !is.is_empty())
        else {
            return Ok(None);
        };
        Ok((is != *must).then(|| format!("topic {name} has {setting}={is}; it must be {must}")))
    }

    /// Puts a message at the end, as [`Producer::delivery`] does.
    pub async fn append(
        &self,
        producer: &Producer,
        key: &[u8],
        payload: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Result<impl Future<Output = Result<i64, Error>> + Send + use<>, Error> {
        let record = Record { topic: self.topic, partition: Some(PARTITION), key, payload, headers };
        producer.delivery(&record).await
    }

    /// The last message, or the last before an offset, and whose log it is. An error if the broker does not answer
    /// within seconds.
    pub async fn tail(&self, before: Option<i64>) -> Result<Tail, Error> {
        let (options, topic) = (self.options.clone(), self.options.topic(self.topic));
        // What this client finds out of the broker counts for nothing.
        let client = consumer::build(&options, "evmesh-log", &[("statistics.interval.ms", "0")])?;
        blocking(move || {
            let tail = tail(&options, &client, &topic, before);
            std::thread::spawn(move || drop(client)); // which takes 100 ms, and whoever asked waits for the answer
            tail
        })
        .await
    }
}

fn tail(options: &KafkaOptions, client: &Client, topic: &str, before: Option<i64>) -> KafkaResult<Tail> {
    let until = Instant::now() + LOOK_FOR;
    let timed_out = || KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
    let metadata = client.fetch_metadata(Some(topic), TIMEOUT)?;
    if denied_by(&metadata, topic) {
        options.denied(Act::Read(topic.to_owned())); // which is not to say that it is empty
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed));
    }
    let cluster = client.client().fetch_cluster_id(TIMEOUT).ok_or_else(timed_out)?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    if !found.flat_map(|found| found.partitions()).any(|partition| partition.id() == PARTITION) {
        return Ok(Tail { cluster, last: None });
    }
    let (first, end) = client.fetch_watermarks(topic, PARTITION, TIMEOUT)?;
    let end = end.min(before.unwrap_or(end));
    // Compaction may have taken what stood just before the end: look further back, twice as far each time.
    let mut back = 1;
    loop {
        if first >= end {
            return Ok(Tail { cluster, last: None });
        }
        let from = (end - back).max(first);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, PARTITION, Offset::Offset(from))?;
        client.assign(&list)?;
        let last = last_message(client, end, until).ok_or_else(timed_out)??;
        if last.is_some() || from == first {
            return Ok(Tail { cluster, last });
        }
        back *= 2;
    }
}

/// Reads to the end; `None` if that takes too long.
fn last_message(client: &Client, end: i64, until: Instant) -> Option<KafkaResult<Option<Message>>> {
    let mut last = None;
    while Instant::now() < until {
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() >= end => return Some(Ok(last)),
            Some(Ok(message)) if message.offset() + 1 == end => {
                return Some(Ok(Some(Message::from(&message))));
            }
            Some(Ok(message)) => last = Some(Message::from(&message)),
            Some(Err(KafkaError::PartitionEOF(PARTITION))) => return Some(Ok(last)),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
    }
    None
}
