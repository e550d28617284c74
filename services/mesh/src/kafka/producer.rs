//! Sending.

use super::{BrokerState, Context, Error, KafkaOptions, statistics::Reach};
use crate::{
    backoff::Backoff,
    trace::{self, TRACEPARENT},
};
use rdkafka::{
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message as _, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    fmt,
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// The queue holds at most so many messages: seconds of a large network's telemetry. Beyond, senders wait.
const QUEUE_MESSAGES: i32 = 20_000;
/// Best-effort messages fill at most half of the queue, so that they never keep out the others.
const LOSSY_MESSAGES: i32 = QUEUE_MESSAGES / 2;

const SETTINGS: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    // Other clients' messages with the same key land on the same partition.
    ("partitioner", "murmur2_random"),
    // Never given up: durable messages wait for the broker, for ever.
    ("message.timeout.ms", "0"),
    ("request.timeout.ms", "10000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("linger.ms", "5"),
];

/// Sends messages. Cheap to clone; all clones share one client and its bounded queue.
///
/// Dropping the last clone drops what is still in the queue: [`Producer::flush`] first.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: &'a str,
    /// `None`: by its key.
    pub partition: Option<i32>,
    pub key: &'a [u8],
    /// Its value; `None`: a compacted topic forgets the key.
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, &'a str)],
}

struct Shared {
    options: KafkaOptions,
    client_id: String,
    client: RwLock<Arc<Client>>,
}

type Client = ThreadedProducer<Context>;

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(&self.shared.client_id).finish()
    }
}

/// Who hears of a message's delivery: nobody, if it is best effort.
pub(super) struct Report(Option<oneshot::Sender<Result<i64, KafkaError>>>);

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let result = match result {
            Ok(message) => {
                self.watch.observe(&self.kafka, &Reach::Reached);
                Ok(message.offset())
            }
            Err((error, _)) => Err(error.clone()),
        };
        match report.0 {
            Some(waiting) => drop(waiting.send(result)), // who gave up waiting does not want it
            None if result.is_err() => dropped(),
            None => {}
        }
    }
}

fn dropped() {
    metrics::counter!("evmesh_kafka_messages_dropped_total").increment(1);
}

impl Producer {
    /// Builds the client. It never blocks and needs no broker.
    pub fn new(options: &KafkaOptions, client_id: &str) -> Result<Self, Error> {
        let client = RwLock::new(Arc::new(build(options, client_id)?));
        let shared = Shared { options: options.clone(), client_id: client_id.to_owned(), client };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends, and returns once the brokers have the message; while they are away, it waits for them for ever.
    /// Dropping the future does not take the message back.
    pub async fn send(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<(), Error> {
        let (key, payload) = (key.as_bytes(), Some(payload));
        self.delivery(&Record { topic, partition: None, key, payload, headers }).await?.await.map(drop)
    }

    /// Puts a message into the queue, behind all that were put there before, and waits only while the queue is full.
    /// The future that it returns waits for the brokers to have it, and gives its offset.
    pub async fn delivery(
        &self,
        record: &Record<'_>,
    ) -> Result<impl Future<Output = Result<i64, Error>> + Send + use<>, Error> {
        let (report, delivered) = oneshot::channel();
        let mut report = Report(Some(report));
        let mut backoff = Backoff::default();
        while let Some(again) = self.enqueue(record, report)? {
            report = again;
            backoff.wait().await; // the queue is full
        }
        Ok(async { delivered.await.map_err(|_| Error::Closed)?.map_err(Error::Delivery) })
    }

    /// Sends as well as it can, at once: while the brokers are away, or the queue is half full, the message is
    /// dropped and counted. For readings and broadcasts, whose next one makes up for the last.
    pub fn send_lossy(&self, topic: &str, key: &str, payload: &[u8]) {
        let fits = self.shared.options.watch.get() != BrokerState::Lost
            && self.client().is_ok_and(|client| client.in_flight_count() < LOSSY_MESSAGES);
        let (key, payload) = (key.as_bytes(), Some(payload));
        let record = Record { topic, partition: None, key, payload, headers: &[] };
        if !fits || !matches!(self.enqueue(&record, Report(None)), Ok(None)) {
            dropped();
        }
    }

    /// Waits until every message has left, at most so long; was that so?
    pub async fn flush(&self, timeout: Duration) -> bool {
        let Ok(client) = self.client() else { return false };
        tokio::task::spawn_blocking(move || client.flush(timeout).is_ok()).await.unwrap_or(false)
    }

    /// Whether a broker answers; known without traffic, within about 3 s.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.shared.options.watch.subscribe()
    }

    /// Hands the report back if the queue is full.
    fn enqueue(&self, record: &Record<'_>, report: Report) -> Result<Option<Report>, Error> {
        let Record { topic, partition, key, payload, headers } = record;
        let trace = trace::current().map(|trace| trace.to_string());
        let trace = trace.iter().map(|trace| (TRACEPARENT, trace.as_str()));
        let headers =
            headers.iter().copied().chain(trace).fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let topic = self.shared.options.topic(topic);
        let mut record = BaseRecord::with_opaque_to(&topic, Box::new(report)).key(*key).headers(headers);
        (record.partition, record.payload) = (*partition, *payload);
        match self.client()?.send(record) {
            Ok(()) => Ok(None),
            Err((error, record)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                Ok(Some(*record.delivery_opaque))
            }
            Err((error, _)) => Err(Error::Delivery(error)),
        }
    }

    /// The client, or a new one in its place if it ended itself: an idempotent producer does that rather than break its
    /// order, when a broker has forgotten what it had acknowledged. What was in its queue fails, and its senders know.
    fn client(&self) -> Result<Arc<Client>, Error> {
        let current = self.shared.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((code, cause)) = current.client().fatal_error() else {
            return Ok(current);
        };
        let mut slot = self.shared.client.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&slot, &current) {
            tracing::warn!(%code, cause, "the kafka producer gave up; a new one takes over");
            let new = Arc::new(build(&self.shared.options, &self.shared.client_id)?);
            let old = std::mem::replace(&mut *slot, new);
            std::thread::spawn(move || drop((old, current))); // it waits for its own threads
            return Ok(slot.clone());
        }
        Ok(slot.clone())
    }
}

fn build(options: &KafkaOptions, client_id: &str) -> Result<Client, Error> {
    let queue = QUEUE_MESSAGES.to_string();
    let own = [SETTINGS, &[("queue.buffering.max.messages", queue.as_str())]].concat();
    let config = options.client(client_id, &own);
    Client::from_config_and_context(&config, options.context()).map_err(Error::Client)
}
