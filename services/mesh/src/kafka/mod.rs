//! Kafka: one idempotent producer, a reader that owns its offsets, the relay of an outbox, and an embedded broker.
//!
//! Nothing here blocks or fails because no broker is there: clients are built without one, and work once it appears.
//! Deliberately absent: consumer groups (partitions are assigned, offsets belong to the service) and transactions.

pub mod embedded;
mod producer;
mod reader;
mod relay;
mod topics;

pub use producer::Producer;
pub use reader::{Message, Origin, Reader, ReaderEvent};
pub use relay::{Outbox, OutboxRow, Relay};
pub use topics::ensure_topics;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use std::str::FromStr;

/// Where Kafka is, and how its clients behave.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaOptions {
    /// Kafka's brokers: one host:port, or several with commas.
    #[arg(
        long,
        env = "EVMESH_KAFKA",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092"
    )]
    pub kafka: String,

    /// How many partitions a topic gets where it has to be created (count, from 1).
    #[arg(long, env = "EVMESH_KAFKA_PARTITIONS", default_value_t = 4, value_name = "COUNT",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub kafka_partitions: i32,

    /// How many replicas a topic gets where it has to be created; -1 is the broker's default.
    #[arg(long, env = "EVMESH_KAFKA_REPLICAS", default_value_t = -1, value_name = "COUNT", allow_hyphen_values = true)]
    pub kafka_replicas: i32,

    /// Put before every topic's name, so that several networks can share a broker; empty by default.
    #[arg(
        long,
        env = "EVMESH_KAFKA_TOPIC_PREFIX",
        default_value = "",
        value_name = "TEXT"
    )]
    pub kafka_topic_prefix: String,

    /// A setting of librdkafka, as key=value; may be repeated. It goes over ours, so it can break what evmesh promises.
    #[arg(
        long = "kafka-property",
        env = "EVMESH_KAFKA_PROPERTIES",
        value_name = "KEY=VALUE",
        value_delimiter = ';'
    )]
    pub kafka_properties: Vec<Property>,
}

/// A setting of librdkafka.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    key: String,
    value: String,
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.key) // the value may be a password
    }
}

impl FromStr for Property {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("must be key=value, such as security.protocol=ssl"),
        }
    }
}

impl KafkaOptions {
    /// The defaults, at these brokers.
    pub fn at(brokers: impl Into<String>) -> Self {
        Self {
            kafka: brokers.into(),
            kafka_partitions: 4,
            kafka_replicas: -1,
            kafka_topic_prefix: String::new(),
            kafka_properties: Vec::new(),
        }
    }

    /// The name that a topic has on the broker.
    pub fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.kafka_topic_prefix)
    }

    /// What every client has in common. The caller adds its own, then [`KafkaOptions::overrides`].
    fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka)
            .set("client.id", client_id)
            // A broker that is back is found within these, so a service is ready 10 s later at most (INV-9).
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.connection.setup.timeout.ms", "3000")
            // A connection that fell silent is found after this; the default is a minute.
            .set("socket.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true")
            // A topic that appears is seen soon.
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("topic.metadata.refresh.fast.interval.ms", "250")
            .set("allow.auto.create.topics", "true")
            .set_log_level(RDKafkaLogLevel::Error);
        config
    }

    fn overrides(&self, config: &mut ClientConfig) {
        for property in &self.kafka_properties {
            config.set(&property.key, &property.value);
        }
    }
}

/// Why Kafka could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client cannot be built: a setting is wrong.
    #[error("the Kafka client cannot be built; check --kafka and every --kafka-property")]
    Client(#[source] rdkafka::error::KafkaError),
    /// The message was not delivered.
    #[error("Kafka did not take the message")]
    Delivery(#[source] rdkafka::error::KafkaError),
    /// The producer was closed while the message was under way.
    #[error("the Kafka producer was closed before the message was delivered")]
    Closed,
    /// The embedded broker failed.
    #[error("the embedded Kafka broker failed")]
    Embedded(#[source] rdkafka::error::KafkaError),
    /// A thread could not be started.
    #[error("a thread for Kafka cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Whether a broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BrokerState {
    /// Not tried for long enough to say.
    #[default]
    Unknown,
    /// A broker answers.
    Reached,
    /// None does.
    Lost,
}
