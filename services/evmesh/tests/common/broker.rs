//! The broker of a test, behind a door on a port that is known before it opens, so that a test can start everything else
//! first.

use mesh::testing::{self, TestBroker};
use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

/// A broker that can appear late: the Apache Kafka that `EVMESH_TEST_KAFKA` names, or else an embedded one.
pub struct Broker {
    broker: TestBroker,
    address: String,
}

impl Broker {
    /// A broker that is there.
    pub fn open() -> Self {
        let broker = testing::broker();
        Self { address: broker.options().kafka, broker }
    }

    /// A broker behind a door that is still closed: connections to its address are refused.
    pub fn closed() -> Self {
        Self { broker: testing::broker(), address: super::free_address() }
    }

    /// The embedded broker even where a real one is named: this test takes it away.
    pub fn embedded() -> Self {
        let broker = testing::embedded_broker();
        Self { address: broker.options().kafka, broker }
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
        let listener = TcpListener::bind(&self.address).expect("the port is still free");
        let behind = self.broker.options().kafka;
        // It ends with the test's process: clients need the door only until they know the broker's own address.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(broker) = TcpStream::connect(&behind) {
                    join(client, broker);
                }
            }
        });
    }
}

fn join(client: TcpStream, broker: TcpStream) {
    if let (Ok(client_too), Ok(broker_too)) = (client.try_clone(), broker.try_clone()) {
        thread::spawn(move || pass(client, broker));
        thread::spawn(move || pass(broker_too, client_too));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Either side may go away at any time: that is the end of it.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
