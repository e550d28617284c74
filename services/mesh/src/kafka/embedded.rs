//! A broker in this process, for trying out and for tests: librdkafka's mock cluster.
//!
//! It listens on a port of its own choice on 127.0.0.1 and keeps 5 MB a partition in memory, dropping the oldest: never for
//! keeping.

use super::Error;
use rdkafka::mocking::MockCluster;
use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

/// The embedded broker; it ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    bootstrap_servers: String,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    Create { topic: String, partitions: i32 },
    Down,
    Up,
}

type Answer = Result<(), rdkafka::error::KafkaError>;

impl Broker {
    /// Starts it, with these topics (name, partitions); others are created when they are first used, with 4 partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, Error> {
        todo!()
    }

    /// Its address, `host:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        todo!()
    }

    /// Closes every connection and takes no new one, as if it had died. What it holds stays.
    pub fn down(&self) -> Result<(), Error> {
        todo!()
    }

    /// Takes connections again.
    pub fn up(&self) -> Result<(), Error> {
        todo!()
    }
}
