//! The client that reads.

use super::{Context, Error, KafkaOptions};
use rdkafka::{
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, ConsumerContext},
};

const SETTINGS: &[(&str, &str)] = &[
    // The offsets are the service's: librdkafka neither keeps nor chooses any.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // A topic that a reader is the first to ask for would get the broker's number of partitions.
    ("allow.auto.create.topics", "false"),
    ("enable.partition.eof", "true"),
    // What waits in memory to be read; the topic keeps the rest.
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.queue.backoff.ms", "100"),
    ("fetch.error.backoff.ms", "200"),
    // A broker answers one connection's requests in turn: each question of a probe waits for a fetch that is under way.
    // At the default of 500 ms, four partitions' questions hold up the messages for seconds.
    ("fetch.wait.max.ms", "50"),
];

/// A client as a service's reader has, and nothing around it: for whoever measures what reading by itself costs.
///
/// # Errors
///
/// If the client cannot be built of these options.
pub fn bare_consumer(
    options: &KafkaOptions,
    group: &str,
) -> Result<BaseConsumer<impl ConsumerContext + use<>>, Error> {
    build(options, group, &[])
}

pub(super) type Client = BaseConsumer<Context>;

/// A client that reads what is assigned to it; `more` are settings over the usual ones.
pub(super) fn build(options: &KafkaOptions, group: &str, more: &[(&str, &str)]) -> Result<Client, Error> {
    let own: Vec<(&str, &str)> = SETTINGS.iter().chain(&[("group.id", group)]).chain(more).copied().collect();
    let config = options.client(group, &own)?;
    Client::from_config_and_context(&config, options.context()).map_err(Error::Client)
}
