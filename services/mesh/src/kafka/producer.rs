//! Sending.

use super::{BrokerState, Context, Error, KafkaOptions, polled::Polled, protection::Version, refusal::Act};
use crate::{
    backoff::Backoff,
    trace::{self, TRACEPARENT},
};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message as _, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext},
};
use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

/// The queue holds at most so many messages: seconds of a large network's telemetry. Beyond, senders wait.
const QUEUE_MESSAGES: i32 = 20_000;
/// How often the files that a client was built with are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A client is not given up sooner: what makes one give up may not be over.
const BUILT_FOR: Duration = Duration::from_secs(1);
/// A client with new files waits so long for the queue of the one before. What is in it then fails, and is sent again
/// by whoever waits for it.
const DRAIN: Duration = Duration::from_secs(5);
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
    built: Mutex<Built>,
}

/// The client. librdkafka reads its files once: when they change, a new one is built.
struct Built {
    client: Arc<Polled>,
    at: Instant,
    version: Version,
    /// When the files were last looked at.
    looked: Instant,
    /// Since when a client with other files is due, and waits for this one's queue to be empty, so that no message
    /// overtakes another.
    due: Option<Instant>,
}

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
                let act = || Act::Write(message.topic().to_owned());
                self.options.watch.delivered(&self.options.kafka, act);
                Ok(message.offset())
            }
            Err((error, message)) => {
                self.options.may_be_denied(error, message.topic());
                Err(error.clone())
            }
        };
        match report.0 {
            Some(waiting) => drop(waiting.send(result)), // who gave up waiting does not want it
            None if result.is_err() => dropped(),
            None => {}
        }
    }
}

impl KafkaOptions {
    /// A message to this topic failed.
    fn may_be_denied(&self, error: &KafkaError, topic: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
            self.denied(Act::Write(topic.to_owned()));
        }
    }
}

fn dropped() {
    metrics::counter!("evmesh_kafka_messages_dropped_total").increment(1);
}

impl Producer {
    /// Builds the client. It never blocks and needs no broker.
    pub fn new(options: &KafkaOptions, client_id: &str) -> Result<Self, Error> {
        let built = Mutex::new(Built::new(options, client_id)?);
        let shared = Shared { options: options.clone(), client_id: client_id.to_owned(), built };
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
        loop {
            let again = match self.client()? {
                Some(client) => self.enqueue(&client, record, report)?,
                None => Some(report),
            };
            let Some(again) = again else { break };
            report = again;
            backoff.wait().await; // the queue is full
        }
        Ok(async { delivered.await.map_err(|_| Error::Closed)?.map_err(Error::Delivery) })
    }

    /// Sends as well as it can, at once: while the brokers are away, or the queue is half full, the message is
    /// dropped and counted. For readings and broadcasts, whose next one makes up for the last.
    pub fn send_lossy(&self, topic: &str, key: &str, payload: &[u8]) {
        let (key, payload) = (key.as_bytes(), Some(payload));
        let record = Record { topic, partition: None, key, payload, headers: &[] };
        let reached = self.shared.options.watch.get() != BrokerState::Lost;
        let sent = match self.client() {
            Ok(Some(client)) if reached && client.in_flight_count() < LOSSY_MESSAGES => {
                matches!(self.enqueue(&client, &record, Report(None)), Ok(None))
            }
            _ => false,
        };
        if !sent {
            dropped();
        }
    }

    /// Waits until every message has left, at most so long; was that so?
    pub async fn flush(&self, timeout: Duration) -> bool {
        let client = self.built().client.clone();
        tokio::task::spawn_blocking(move || client.flush(timeout).is_ok()).await.unwrap_or(false)
    }

    /// Whether a broker answers; known without traffic, within about 3 s.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.shared.options.watch.subscribe()
    }

    /// Hands the report back if the queue is full.
    fn enqueue(&self, client: &Polled, record: &Record<'_>, report: Report) -> Result<Option<Report>, Error> {
        let Record { topic, partition, key, payload, headers } = record;
        let trace = trace::current().map(|trace| trace.to_string());
        let trace = trace.iter().map(|trace| (TRACEPARENT, trace.as_str()));
        // A trace is named after its session.
        let is_discreet = self.shared.options.is_discreet();
        let headers = headers.iter().copied().chain(trace);
        let headers = headers
            .filter(|(name, _)| !is_discreet || *name != TRACEPARENT)
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        let topic = self.shared.options.topic(topic);
        let mut record = BaseRecord::with_opaque_to(&topic, Box::new(report)).key(*key).headers(headers);
        (record.partition, record.payload) = (*partition, *payload);
        match client.send(record) {
            Ok(()) => {
                client.sent();
                Ok(None)
            }
            Err((error, record)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                Ok(Some(*record.delivery_opaque))
            }
            Err((error, _)) => {
                // The broker has said so of the topic, and nothing is sent to it.
                self.shared.options.may_be_denied(&error, &topic);
                Err(Error::Delivery(error))
            }
        }
    }

    /// The client, or a new one in its place if it ended itself: an idempotent producer does that rather than break its
    /// order, when a broker has forgotten what it had acknowledged. What was in its queue fails, and its senders know.
    /// So too if the files have changed that it was built with. `None`: for the moment it is as if its queue were full.
    fn client(&self) -> Result<Option<Arc<Polled>>, Error> {
        let Shared { options, client_id, .. } = &*self.shared;
        let (now, mut built) = (Instant::now(), self.built());
        let fatal = built.client.client().fatal_error();
        match &fatal {
            None if !built.is_due(options, now) => return Ok(Some(built.client.clone())),
            None if built.drains(now) => return Ok(None),
            None => {
                tracing::info!(client_id, "the kafka producer's files have changed; a new one takes over")
            }
            Some(_) if now.saturating_duration_since(built.at) < BUILT_FOR => return Ok(None),
            Some((RDKafkaErrorCode::ClusterAuthorizationFailed, _)) => {} // said, for it is in its log
            Some((code, cause)) => {
                tracing::warn!(%code, cause, "the kafka producer gave up; a new one takes over");
            }
        }
        match Built::new(options, client_id) {
            Ok(new) => {
                let old = std::mem::replace(&mut *built, new);
                std::thread::spawn(move || drop(old)); // it waits for its own threads
            }
            Err(error) if fatal.is_some() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, client_id, "the kafka producer goes on as it was");
                (built.version, built.due) = (options.protection.version(), None);
            }
        }
        Ok(Some(built.client.clone()))
    }

    fn built(&self) -> MutexGuard<'_, Built> {
        self.shared.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Built {
    fn new(options: &KafkaOptions, client_id: &str) -> Result<Self, Error> {
        let (at, version) = (Instant::now(), options.protection.version());
        let client = Arc::new(build(options, client_id)?);
        Ok(Self { client, at, version, looked: at, due: None })
    }

    /// Have its files changed?
    fn is_due(&mut self, options: &KafkaOptions, now: Instant) -> bool {
        if now.saturating_duration_since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            if self.version != options.protection.version() {
                self.due.get_or_insert(now);
            }
        }
        self.due.is_some()
    }

    /// Is its queue waited for?
    fn drains(&self, now: Instant) -> bool {
        let waited = self.due.map(|since| now.saturating_duration_since(since));
        waited.is_some_and(|waited| waited < DRAIN) && self.client.in_flight_count() > 0
    }
}

fn build(options: &KafkaOptions, client_id: &str) -> Result<Polled, Error> {
    let queue = QUEUE_MESSAGES.to_string();
    let own = [SETTINGS, &[("queue.buffering.max.messages", queue.as_str())]].concat();
    let config = options.client(client_id, &own)?;
    Polled::new(&config, options.context())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::LogRing;
    use rdkafka::{mocking::MockCluster, types::RDKafkaRespErr};
    use tracing_subscriber::layer::SubscriberExt as _;

    /// A client that looks at a topic by chance just then sends nothing more there.
    #[tokio::test]
    async fn a_topic_that_may_not_be_written_any_more_is_said_where_nothing_is_sent_either() {
        const TOPIC: &str = "cp_telemetry";
        let cluster = MockCluster::new(1).unwrap();
        let mut options = KafkaOptions::at(cluster.bootstrap_servers());
        options.kafka_properties.push("topic.metadata.refresh.interval.ms=100".parse().unwrap());
        let producer = Producer::new(&options, "test").unwrap();
        let send = || producer.send(TOPIC, "CP00", b"1", &[]);
        send().await.unwrap();
        cluster.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
        let deadline = Instant::now() + Duration::from_secs(15);
        while send().await.is_ok() {
            assert!(Instant::now() < deadline, "it does not notice");
        }
        options.watch.allowed(|| Act::Write(TOPIC.to_owned())); // whoever said so
        let log = LogRing::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(log.clone());
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        assert!(send().await.is_err());
        let log = log.worst_first(99);
        assert!(log.iter().any(|(_, line)| line.contains("write topic cp_telemetry")), "{log:?}");
    }
}
