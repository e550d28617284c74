//! What a reader asks the broker each second: whose cluster it is, and where each partition begins and ends.

use super::{consumer::Client, topics::denied_by};
use crate::clock;
use domain::Mono;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender},
    time::Duration,
};
use tokio::time::Instant;

/// How often the broker is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A broker that does not answer within this is away for now.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the broker says of the topic.
pub(super) struct Probe {
    pub(super) as_of: Mono,
    pub(super) cluster: String,
    /// The first offset that is there, and the next that will be, of each partition.
    pub(super) ranges: BTreeMap<i32, (i64, i64)>,
}

/// When it was asked, and what it said.
pub(super) type Answer = (Instant, KafkaResult<Probe>);

/// Asks the broker on and on. On a thread of its own: behind a waiting fetch an answer takes a while, and reading
/// goes on.
pub(super) fn ask_on(client: &Client, topic: &str, answers: &SyncSender<Answer>, until_done: &Receiver<()>) {
    while answers.send((Instant::now(), ask(client, topic))).is_ok() {
        if until_done.recv_timeout(PROBE_EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn ask(client: &Client, topic: &str) -> KafkaResult<Probe> {
    let as_of = clock::now().mono;
    let metadata = client.fetch_metadata(Some(topic), PROBE_TIMEOUT)?;
    if denied_by(&metadata, topic) {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed));
    }
    let partitions =
        metadata.topics().iter().filter(|found| found.name() == topic).flat_map(|found| found.partitions());
    let partitions: Vec<i32> = partitions.map(|partition| partition.id()).collect();
    let offsets = |which: Offset| -> KafkaResult<BTreeMap<i32, i64>> {
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, which)?;
        }
        let found = client.offsets_for_times(list, PROBE_TIMEOUT)?;
        let found = found.elements().into_iter().map(|element| {
            element.error()?;
            Ok((element.partition(), element.offset().to_raw().unwrap_or_default()))
        });
        found.collect()
    };
    let mut ranges = BTreeMap::new();
    if !partitions.is_empty() {
        let (firsts, ends) = (offsets(Offset::Beginning)?, offsets(Offset::End)?);
        let range = |(partition, first): (i32, i64)| Some((partition, (first, *ends.get(&partition)?)));
        ranges = firsts.into_iter().filter_map(range).collect();
    }
    // It came with the metadata: this does not wait.
    let cluster = client.client().fetch_cluster_id(PROBE_TIMEOUT).unwrap_or_default();
    Ok(Probe { as_of, cluster, ranges })
}
