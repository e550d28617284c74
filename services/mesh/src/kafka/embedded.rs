//! A broker in this process, for trying out and for tests: librdkafka's mock cluster.
//!
//! It listens on a port of its own choice on 127.0.0.1 and keeps 5 MB a partition in memory, dropping the oldest:
//! never for keeping.

use super::Error;
use rdkafka::{
    error::KafkaError,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

/// How librdkafka names such clusters.
pub(super) const CLUSTER_ID_PREFIX: &str = "mockCluster";

/// The only broker of the cluster.
const ONLY: i32 = 1;

/// The embedded broker; it ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    bootstrap_servers: String,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of the cluster does with it, and answers.
type Order = Box<dyn FnOnce(&Cluster) + Send>;
type Cluster = MockCluster<'static, DefaultProducerContext>;

impl Broker {
    /// Starts it, with these topics (name, partitions); others are created when they are first used, with 4 partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, Error> {
        let (orders, inbox) = sync_channel(1); // each waits for its answer
        let (ready, started) = sync_channel(1);
        // The cluster's handle may not leave its thread.
        let thread = std::thread::Builder::new()
            .name("kafka-embedded".into())
            .spawn(move || run(&ready, &inbox))
            .map_err(Error::Thread)?;
        let bootstrap_servers = started.recv().map_err(|_| Error::Closed)?.map_err(Error::Embedded)?;
        let broker = Self { bootstrap_servers, orders: Some(orders), thread: Some(thread) };
        for (topic, partitions) in topics {
            broker.create_topic(topic, *partitions)?;
        }
        Ok(broker)
    }

    /// Its address, `host:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        let topic = topic.to_owned();
        self.order(move |cluster| cluster.create_topic(&topic, partitions, 1))
    }

    /// Takes a partition's leader away, or gives it back: without one nothing is written to it, and the others go on.
    pub fn lead(&self, topic: &str, partition: i32, led: bool) -> Result<(), Error> {
        let topic = topic.to_owned();
        self.order(move |cluster| cluster.partition_leader(&topic, partition, led.then_some(ONLY)))
    }

    /// Closes every connection and takes no new one, as if it had died. What it holds stays.
    pub fn down(&self) -> Result<(), Error> {
        self.order(|cluster| cluster.broker_down(ONLY))
    }

    /// Takes connections again.
    pub fn up(&self) -> Result<(), Error> {
        self.order(|cluster| cluster.broker_up(ONLY))
    }

    /// Refuses so many writes from now on, to whatever topic, as a broker does where the right to write is missing.
    pub fn refuse_writes(&self, count: usize) -> Result<(), Error> {
        self.order(move |cluster| {
            cluster.clear_request_errors(RDKafkaApiKey::Produce);
            let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
            cluster.request_errors(RDKafkaApiKey::Produce, &vec![refused; count]);
            Ok(())
        })
    }

    fn order(
        &self,
        order: impl FnOnce(&Cluster) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        let order: Order = Box::new(move |cluster| {
            let _ = reply.send(order(cluster)); // whoever ordered it may have given up
        });
        self.orders.as_ref().ok_or(Error::Closed)?.send(order).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?.map_err(Error::Embedded)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.orders = None; // its thread ends when no order can come any more
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it panicked, or it ended: it is gone either way
        }
    }
}

fn run(ready: &SyncSender<Result<String, KafkaError>>, inbox: &Receiver<Order>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = ready.send(Err(error)); // whoever started it waits for this
            return;
        }
    };
    let _ = ready.send(Ok(cluster.bootstrap_servers()));
    inbox.iter().for_each(|order| order(&cluster));
}
