//! Kafka: one idempotent producer, a reader that owns its offsets, the relay of an outbox, and an embedded broker.
//!
//! Nothing here blocks or fails because no broker is there: clients are built without one, and work once it appears.
//! Deliberately absent: consumer groups (partitions are assigned, offsets belong to the service) and transactions.

mod check;
mod clear;
mod consumer;
pub mod embedded;
mod log;
mod message;
mod polled;
mod probe;
mod producer;
mod protection;
mod reader;
mod reading;
mod refusal;
mod relay;
mod state;
mod statistics;
mod topics;
mod watchdog;

pub use check::check;
pub use consumer::bare_consumer;
pub use log::{Log, Tail};
pub use message::{Message, Origin, ReaderEvent};
pub use producer::{Producer, Record};
pub use protection::{KafkaProtection, ProtectionError};
pub use reader::Reader;
pub use relay::{Outbox, OutboxRow, ReadRows, Relay, StoredOutbox};
pub use state::BrokerState;
pub use topics::{ensure_topics, remove_topics};

use clear::Reach;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use refusal::{Act, Told};
use state::BrokerWatch;
use std::{net::IpAddr, path::Path, str::FromStr};

/// Where Kafka is, and how its clients behave.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaOptions {
    /// Kafka's brokers: one host:port, or several with commas.
    #[arg(long, env = "EVMESH_KAFKA", value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub kafka: String,

    /// How many partitions a topic gets where it has to be created (count, from 1).
    #[arg(long, env = "EVMESH_KAFKA_PARTITIONS", default_value_t = 4, value_name = "COUNT",
          value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub kafka_partitions: i32,

    /// How many replicas a topic gets where it has to be created; -1 is the broker's default.
    #[arg(long, env = "EVMESH_KAFKA_REPLICAS", default_value_t = -1, value_name = "COUNT", allow_hyphen_values = true)]
    pub kafka_replicas: i32,

    /// Put before every topic's name, so that several networks can share a broker; empty by default.
    #[arg(long, env = "EVMESH_KAFKA_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub kafka_topic_prefix: String,

    /// A setting of librdkafka, as key=value; may be repeated. It goes over ours, so it can break what evmesh promises.
    #[arg(
        long = "kafka-property",
        env = "EVMESH_KAFKA_PROPERTIES",
        value_name = "KEY=VALUE",
        value_delimiter = ';'
    )]
    pub kafka_properties: Vec<Property>,

    #[command(flatten)]
    pub protection: KafkaProtection,

    /// Tells and hears everything on Kafka though it is reached in plain text: who charges, where and how much, and
    /// the copy of central's store. Without it, a role with --identity leaves that out unless Kafka has TLS.
    #[arg(long, env = "EVMESH_KAFKA_IN_CLEAR", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, action = clap::ArgAction::Set)]
    pub kafka_in_clear: bool,

    /// Has the role an identity of its own?
    #[arg(skip)]
    has_identity: bool,

    /// What all clients of these options, and of their clones, find out together.
    #[arg(skip)]
    watch: BrokerWatch,
}

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
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("must be key=value, such as security.protocol=ssl"),
        }
    }
}

/// Is one of them beyond this machine?
fn is_exposed(brokers: &str) -> bool {
    let here = |broker: &str| {
        let host = broker.trim().rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    !brokers.split(',').all(here)
}

impl KafkaOptions {
    /// The defaults, at these brokers.
    pub fn at(brokers: impl Into<String>) -> Self {
        Self { kafka: brokers.into(), ..crate::flags::defaults(&[]) }
    }

    /// How it is reached, by whoever has an identity or not.
    fn reach(&self) -> Reach {
        Reach {
            has_identity: self.has_identity,
            in_plain_text: !self.is_tls(),
            in_clear: self.kafka_in_clear,
        }
    }

    /// Is it TLS, by the setting that counts? The last property does, over what our own flags say; in capitals, too.
    fn is_tls(&self) -> bool {
        let set = self.kafka_properties.iter().rfind(|property| property.key == "security.protocol");
        let protocol = set.map_or(self.protection.protocol(), |property| property.value.trim());
        ["ssl", "sasl_ssl"].iter().any(|tls| protocol.eq_ignore_ascii_case(tls))
    }

    /// Does Kafka get less than there is to tell, since others could read it? After [`KafkaOptions::protect`].
    pub fn is_discreet(&self) -> bool {
        self.reach().is_discreet()
    }

    /// May Kafka have what is told on this topic, and may it be read there? After [`KafkaOptions::protect`].
    pub fn may_have(&self, topic: &str) -> bool {
        self.reach().may_have(topic)
    }

    /// Says in the log that these brokers are reached in plain text over a network; they belong to others, who may have
    /// protected it.
    pub fn warn_if_exposed(&self) {
        let kafka = &self.kafka;
        if self.reach().in_plain_text && is_exposed(kafka) {
            tracing::warn!(
                kafka,
                "Kafka is reached in plain text: whoever is on the way reads all, and may write"
            );
        }
    }

    /// Reads what Kafka is shown of who this is, and settles what it may have: `identity` is the folder of the role's
    /// own, if it has one. Before the first client is built.
    ///
    /// # Errors
    ///
    /// If what the flags say cannot be, a file cannot be used, or TLS to Kafka is not built in.
    pub fn protect(&mut self, identity: Option<&Path>) -> Result<(), Error> {
        self.protection.open(identity)?;
        self.has_identity = identity.is_some();
        if self.reach().tells_all() {
            tracing::warn!(
                kafka = self.kafka,
                "all is told to Kafka in plain text (--kafka-in-clear): whoever is on the way, or reads there, learns \
                 who charges, where and how much"
            );
        }
        Ok(())
    }

    /// The name that a topic has on the broker.
    pub fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.kafka_topic_prefix)
    }

    /// The same for a reader that nobody waits for: it asks the broker four times a second, where others do twenty.
    pub fn unhurried(&self) -> Self {
        let wait = Property { key: "fetch.wait.max.ms".to_owned(), value: "250".to_owned() };
        let kafka_properties = [wait].into_iter().chain(self.kafka_properties.iter().cloned()).collect();
        Self { kafka_properties, ..self.clone() }
    }

    /// What every client has in common, with what one kind of client adds, and what the user sets over both.
    fn client(&self, client_id: &str, own: &[(&str, &str)]) -> Result<ClientConfig, Error> {
        let common = [
            // A broker that is back is found within these, so a service is ready 10 s later at most (INV-9).
            ("reconnect.backoff.ms", "100"),
            ("reconnect.backoff.max.ms", "2000"),
            ("socket.connection.setup.timeout.ms", "3000"),
            // A connection that fell silent is found after this; the default is a minute.
            ("socket.timeout.ms", "10000"),
            ("socket.keepalive.enable", "true"),
            // A topic that appears is seen soon.
            ("topic.metadata.refresh.interval.ms", "10000"),
            ("topic.metadata.refresh.fast.interval.ms", "250"),
            // Each second the client says whether it is connected, without any traffic.
            ("statistics.interval.ms", "1000"),
        ];
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka).set("client.id", client_id);
        // That a connection is ended at once, as one in plain text that should be TLS, is no error to it.
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in common.iter().chain(own) {
            config.set(*key, *value);
        }
        self.protection.set(&mut config)?;
        for property in &self.kafka_properties {
            config.set(&property.key, &property.value);
        }
        Ok(config)
    }

    fn context(&self) -> Context {
        Context { options: self.clone() }
    }

    /// A broker does not let us do this.
    fn denied(&self, act: Act) {
        let sentence = act.denied(&self.kafka, &self.protection);
        self.watch.denied(act, sentence);
    }
}

/// What librdkafka tells a client of ours.
struct Context {
    options: KafkaOptions,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // It repeats itself for as long as a broker is away; the watch says that once.
        tracing::debug!(target: "librdkafka", ?level, facility, message);
        let KafkaOptions { kafka, protection, .. } = &self.options;
        match refusal::told(kafka, protection, facility, message) {
            Some(Told::WantsTls) if self.options.is_tls() => {}
            Some(Told::Refused(sentence)) => self.options.watch.refused(sentence),
            Some(Told::WantsTls) => self.options.watch.wants_tls(),
            Some(Told::Denied(act)) => self.options.denied(act),
            None => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.options.watch.observe(&self.options.kafka, &statistics::reach(statistics));
    }
}

impl rdkafka::consumer::ConsumerContext for Context {}

/// Why Kafka could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Protection(#[from] ProtectionError),
    #[error("the Kafka client cannot be built; check --kafka and every --kafka-property")]
    Client(#[source] KafkaError),
    #[error("Kafka did not answer")]
    Ask(#[source] KafkaError),
    #[error("Kafka did not take the message")]
    Delivery(#[source] KafkaError),
    #[error("the Kafka producer was closed before the message was delivered")]
    Closed,
    #[error("the embedded Kafka broker failed")]
    Embedded(#[source] KafkaError),
    #[error("a thread for Kafka cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// Would every further try fail too? The message itself is at fault.
    pub fn is_permanent(&self) -> bool {
        let Self::Delivery(error) = self else { return false };
        matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidMessage
                    | RDKafkaErrorCode::InvalidMessageSize
                    | RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::InvalidRecord
            )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_that_counts_says_whether_it_is_tls() {
        let is_tls = |flags: &[&str]| crate::flags::defaults::<KafkaOptions>(flags).is_tls();
        let [plain, tls, capitals] = ["plaintext", "ssl", "SASL_SSL"]
            .map(|protocol| format!("--kafka-property=security.protocol={protocol}"));
        for flags in [&["--kafka-tls"][..], &["--kafka-ca", "ca.pem"], &[&tls], &[&capitals], &[&plain, &tls]]
        {
            assert!(is_tls(flags), "{flags:?}");
        }
        let no_tls = "--kafka-property=security.protocol=sasl_plaintext";
        for flags in
            [&[][..], &["--kafka-tls", &plain], &[&capitals, no_tls], &["--kafka-property=ssl.ca.location=a"]]
        {
            assert!(!is_tls(flags), "{flags:?}");
        }
    }

    #[test]
    fn only_a_broker_of_this_machine_is_out_of_others_reach() {
        for here in ["127.0.0.1:9092", "localhost:9092, [::1]:9092", "127.0.0.2:1"] {
            assert!(!is_exposed(here), "{here}");
        }
        for away in ["10.0.0.1:9092", "kafka:9092", "127.0.0.1:9092,kafka:9092", "[fd00::1]:9092"] {
            assert!(is_exposed(away), "{away}");
        }
    }
}
