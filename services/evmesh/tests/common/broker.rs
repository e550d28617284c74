//! The broker of a test, behind a door on a port that is known before it opens, so that a test can start everything
//! else first.

use std::sync::OnceLock;
use testing::{self, Proxy, TestBroker};
use tokio::runtime::Runtime;

/// A broker that can appear late: the Apache Kafka that `EVMESH_TEST_KAFKA` names, or else an embedded one.
pub struct Broker {
    broker: TestBroker,
    address: String,
    door: OnceLock<(Proxy, Runtime)>,
}

impl Broker {
    /// A broker that is there.
    pub fn open() -> Self {
        let broker = testing::broker();
        Self { address: broker.options().kafka, broker, door: OnceLock::new() }
    }

    /// A broker behind a door that is still closed: connections to its address are refused.
    pub fn closed() -> Self {
        Self { broker: testing::broker(), address: super::free_address(), door: OnceLock::new() }
    }

    /// The embedded broker even where a real one is named: this test takes it away.
    pub fn embedded() -> Self {
        let broker = testing::embedded_broker();
        Self { address: broker.options().kafka, broker, door: OnceLock::new() }
    }

    /// Goes away as if it had died; what it holds stays.
    pub fn down(&self) {
        self.broker.embedded().expect("the embedded one").down().expect("it goes down");
    }

    /// Is there again.
    pub fn up(&self) {
        self.broker.embedded().expect("the embedded one").up().expect("it comes back");
    }

    /// How a test's own client reaches it.
    pub fn options(&self) -> mesh::kafka::KafkaOptions {
        self.broker.options()
    }

    /// The flags by which a role reaches it, with topics of this test's own.
    pub fn flags(&self) -> [String; 4] {
        let prefix = self.broker.options().kafka_topic_prefix;
        ["--kafka".into(), self.address.clone(), "--kafka-topic-prefix".into(), prefix]
    }

    /// Opens the door: from now on the broker is reached.
    pub fn appear(&self) {
        let runtime = Runtime::new().expect("a runtime");
        let address = |text: &str| text.parse().expect("an address");
        let behind = self.broker.options().kafka;
        let door = runtime.block_on(Proxy::start_at(address(&self.address), address(&behind)));
        assert!(self.door.set((door, runtime)).is_ok(), "it has appeared already");
    }
}
