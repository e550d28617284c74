//! Sending.

use super::{BrokerState, Error, KafkaOptions};
use std::time::Duration;
use tokio::sync::watch;

/// Sends messages. Cheap to clone; all clones share one client and its bounded queue.
#[derive(Clone)]
pub struct Producer {
    state: watch::Receiver<BrokerState>,
}

impl Producer {
    /// Builds the client. It never blocks and needs no broker.
    pub fn new(options: &KafkaOptions, client_id: &str) -> Result<Self, Error> {
        todo!()
    }

    /// Sends, and returns once the brokers have the message; while they are away, it waits for them for ever.
    /// Dropping the future does not take the message back.
    pub async fn send(&self, topic: &str, key: &str, payload: Vec<u8>) -> Result<(), Error> {
        todo!()
    }

    /// Like [`Producer::send`], with headers.
    pub async fn send_with_headers(
        &self,
        topic: &str,
        key: &str,
        payload: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Result<(), Error> {
        todo!()
    }

    /// Sends as well as it can, at once: while the brokers are away, or the queue is half full, the message is dropped and
    /// counted. For readings and broadcasts, whose next one makes up for the last.
    pub fn send_lossy(&self, topic: &str, key: &str, payload: &[u8]) {
        todo!()
    }

    /// Waits until every message has left, at most so long; was that so?
    pub async fn flush(&self, timeout: Duration) -> bool {
        todo!()
    }

    /// Whether a broker answers; known without traffic within 3 s.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }
}
