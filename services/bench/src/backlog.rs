//! Messages that were written beforehand, and that central sees all at once: in one transaction, whose commit lets them
//! be read. So nothing but reading is measured: no start, and no monitors that come back.
//!
//! In each partition the first message and the last one are marks that central can make nothing of: it puts them into
//! the dead letters, whose times say when it has read them.

use crate::{
    error::Error,
    listener::{From, Listener},
    readings::{Producer, Taken, Told, broken, producer, queued},
};
use evmesh_proto::topics::{CP_TELEMETRY, CP_TELEMETRY_DLQ, Telemetry, TelemetryType};
use mesh::kafka::{KafkaOptions, bare_consumer};
use rdkafka::{
    Message as _,
    consumer::Consumer as _,
    message::BorrowedMessage,
    producer::{BaseRecord, Producer as _},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

/// A broker answers within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// All of it is read within this.
const READ_WITHIN: Duration = Duration::from_secs(600);
/// A transaction may be open so long (milliseconds): what brokers allow at most.
const OPEN_MS: &str = "900000";
/// So many messages are written before others have their turn.
const AT_ONCE: u64 = 500;
/// While a queue is full, or is emptied, it is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How messages are batched that came while nobody read.
pub(crate) const IN_LARGE: &[(&str, &str)] = &[("linger.ms", "50")];
const FIRST: &str = "first of";
const LAST: &str = "last of";

/// Messages that wait for their commit.
pub(crate) struct Backlog {
    kafka: KafkaOptions,
    producer: Arc<Producer>,
    /// Of its marks.
    name: String,
    messages: u64,
    from: From,
}

/// One that was read to its end.
#[derive(Debug)]
pub(crate) struct Read {
    /// From the first mark to the last one.
    pub(crate) time: Duration,
}

impl Backlog {
    /// So many messages, one of each supply by turns; `settings` say how they are batched.
    pub(crate) async fn write(
        kafka: &KafkaOptions,
        told: &mut [Told],
        messages: u64,
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let name = format!("backlog-{:016x}", fastrand::u64(..));
        let id = format!("{}{name}", kafka.kafka_topic_prefix);
        let own = [settings, &[("transactional.id", &id), ("transaction.timeout.ms", OPEN_MS)]].concat();
        let (producer, topic) =
            (Arc::new(producer(kafka, &Taken::default(), &own)?), kafka.topic(CP_TELEMETRY));
        let from = ends(kafka).await?;
        let backlog = Self { kafka: kafka.clone(), producer, name, messages, from };
        backlog.blocking(|producer| producer.init_transactions(PATIENCE)).await?;
        backlog.producer.begin_transaction().map_err(broken)?;
        backlog.mark(&topic, FIRST).await?;
        let mut buffer = Vec::new();
        for written in 0..messages {
            let next = (written % told.len() as u64) as usize;
            while !told[next].tell(&backlog.producer, &topic, &mut buffer)? {
                sleep(LOOK_EVERY).await;
            }
            if written % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        // A mark that is put behind all is in a batch of its own.
        while backlog.producer.in_flight_count() > 0 {
            sleep(LOOK_EVERY).await;
        }
        backlog.mark(&topic, LAST).await?;
        Ok(backlog)
    }

    async fn mark(&self, topic: &str, which: &str) -> Result<(), Error> {
        let mark = format!("{which} {}", self.name).into_bytes();
        for partition in 0..self.kafka.kafka_partitions {
            let record = || BaseRecord::<(), Vec<u8>>::to(topic).partition(partition).payload(&mark);
            while !queued(&self.producer, record())? {
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Lets it be read.
    pub(crate) async fn commit(&self) -> Result<(), Error> {
        self.blocking(|producer| producer.commit_transaction(PATIENCE)).await
    }

    /// Lets it be read, and waits until central has.
    pub(crate) async fn read_by_central(&self) -> Result<Read, Error> {
        let (first, last) = (format!("{FIRST} {}", self.name), format!("{LAST} {}", self.name));
        let partitions = self.kafka.kafka_partitions as usize;
        let (done, is_done) = oneshot::channel();
        let (mut done, mut began, mut ended) = (Some(done), Vec::new(), Vec::new());
        let _listener = Listener::begin(&self.kafka, CP_TELEMETRY_DLQ, &From::new(), move |message| {
            let at = message.timestamp().to_millis().unwrap_or_default();
            match message.payload() {
                Some(payload) if payload == first.as_bytes() => began.push(at),
                Some(payload) if payload == last.as_bytes() => ended.push(at),
                _ => {}
            }
            if began.len() < partitions || ended.len() < partitions {
                return true;
            }
            let time = ended.iter().max().zip(began.iter().min()).map_or(0, |(end, begin)| end - begin);
            let time = Duration::from_millis(u64::try_from(time).unwrap_or_default());
            done.take().map(|done| done.send(Read { time }));
            false
        })?;
        self.commit().await?;
        within("central has read what was written", is_done).await
    }

    /// Reads it with a bare consumer, which decodes and counts what central has read: messages a second.
    pub(crate) async fn read_by_the_barest(&self) -> Result<f64, Error> {
        let (first, last) = (format!("{FIRST} {}", self.name), format!("{LAST} {}", self.name));
        let (mut began, mut missing, done) = (None, self.kafka.kafka_partitions, oneshot::channel());
        let (mut done, is_done) = (Some(done.0), done.1);
        let mut readings = 0_u64;
        let _listener = Listener::begin(&self.kafka, CP_TELEMETRY, &self.from, move |message| {
            match message.payload() {
                Some(payload) if payload == first.as_bytes() => drop(began.get_or_insert(Instant::now())),
                Some(payload) if payload == last.as_bytes() => missing -= 1,
                _ => readings += u64::from(is_reading(message)),
            }
            if missing > 0 {
                return true;
            }
            let time = began.map_or(Duration::ZERO, |began| began.elapsed());
            done.take().map(|done| done.send((readings, time)));
            false
        })?;
        let (readings, time) = within("a bare consumer has read what was written", is_done).await?;
        if readings != self.messages {
            let written = self.messages;
            return Err(Error::Lacks(format!(
                "{written} messages were written, and a bare consumer read {readings}: run it again"
            )));
        }
        Ok(readings as f64 / time.as_secs_f64())
    }

    /// librdkafka waits in its own way, off the runtime's threads.
    async fn blocking(
        &self,
        work: impl FnOnce(&Producer) -> rdkafka::error::KafkaResult<()> + Send + 'static,
    ) -> Result<(), Error> {
        let producer = self.producer.clone();
        let worked = tokio::task::spawn_blocking(move || work(&producer)).await;
        worked.unwrap_or(Ok(())).map_err(broken)
    }
}

/// Decoded as whoever reads it has to: what engines tell besides of a beginning is none.
fn is_reading(message: &BorrowedMessage<'_>) -> bool {
    let told = message.payload().and_then(|payload| serde_json::from_slice::<Telemetry>(payload).ok());
    told.is_some_and(|told| told.kind == TelemetryType::Consumption)
}

async fn within<T>(what: &str, done: oneshot::Receiver<T>) -> Result<T, Error> {
    let late = || Error::Late { what: what.to_owned(), within: READ_WITHIN.as_secs() };
    timeout(READ_WITHIN, done).await.map_err(|_| late())?.map_err(|_| late())
}

/// Where each partition ends now.
async fn ends(kafka: &KafkaOptions) -> Result<From, Error> {
    let (client, topic) = (bare_consumer(kafka, "evmesh-bench")?, kafka.topic(CP_TELEMETRY));
    let partitions = kafka.kafka_partitions;
    let asked = tokio::task::spawn_blocking(move || {
        let end = |partition| Ok((partition, client.fetch_watermarks(&topic, partition, PATIENCE)?.1));
        (0..partitions).map(end).collect::<Result<From, _>>()
    });
    asked.await.map_err(|_| Error::Interrupted)?.map_err(broken)
}
