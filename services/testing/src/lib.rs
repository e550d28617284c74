//! What the tests of every crate share, and the proofs: a broker, free ports, a network to break, identities, waiting
//! for a predicate.

mod actors;
#[cfg(feature = "contract")]
pub mod contract;
pub mod flags;
mod identities;
mod miser;
mod proxy;
pub mod strangers;

pub use actors::{CalledBy, called_by, known, known_by_token, refusal};
pub use identities::{Identities, of_folder};
pub use mesh::process::free_address;
pub use miser::Miser;
pub use proxy::{Mode, Proxy};

use mesh::kafka::{KafkaOptions, embedded};
use std::{future::Future, time::Duration};

/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A broker for one test: the Apache Kafka that `EVMESH_TEST_KAFKA` names, or else an embedded one.
#[derive(Debug)]
pub struct TestBroker {
    options: KafkaOptions,
    embedded: Option<embedded::Broker>,
}

impl TestBroker {
    /// How to reach it: its address, and a prefix of this test's own for the topics.
    pub fn options(&self) -> KafkaOptions {
        self.options.clone()
    }

    /// The embedded broker, which a test may take down; `None` on a real one.
    pub fn embedded(&self) -> Option<&embedded::Broker> {
        self.embedded.as_ref()
    }
}

/// A broker for one test, see [`TestBroker`].
pub fn broker() -> TestBroker {
    if let Some(address) = std::env::var("EVMESH_TEST_KAFKA").ok().filter(|address| !address.is_empty()) {
        return TestBroker { options: prefixed(address), embedded: None };
    }
    embedded_broker()
}

/// The embedded broker even where `EVMESH_TEST_KAFKA` names a real one: for tests that take it down.
pub fn embedded_broker() -> TestBroker {
    let broker = embedded::Broker::start(&[]).expect("the embedded broker starts");
    TestBroker { options: prefixed(broker.bootstrap_servers()), embedded: Some(broker) }
}

/// A prefix of its own for each test, so that tests on one broker do not disturb each other.
fn prefixed(address: impl Into<String>) -> KafkaOptions {
    let prefix = format!("test-{:016x}-", fastrand::u64(..));
    let mut options = KafkaOptions::at(address);
    options.kafka_topic_prefix = prefix;
    options
}

/// Looks until the predicate gives something, and returns it; panics after the deadline, naming `what`.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut predicate: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = predicate().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(deadline, looking).await {
        Ok(found) => found,
        Err(_) => panic!("not within {deadline:?}: {what}"),
    }
}
