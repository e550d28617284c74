//! What engines tell each second, made by the bench: as many messages as one likes, of supplies that run.

use crate::error::Error;
use evmesh_proto::topics::{CP_TELEMETRY, Telemetry, TelemetryType};
use fleet::Supplying;
use mesh::{kafka::KafkaOptions, trace::TRACEPARENT};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders, ToBytes},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// So many engines' sites have producers of their own.
const PRODUCERS: usize = 20;
/// A producer looks so often what is due.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The last messages have so long to leave.
const FLUSH: Duration = Duration::from_secs(30);
/// A batch is at most so large, and waits so long for more: 20 producers send 2,000 a second and more, to four
/// partitions.
const BATCHES: [(&str, &str); 2] = [("batch.num.messages", "50"), ("linger.ms", "40")];
/// The number of its next message is so far above what its engine answers in the meantime.
const AHEAD: u64 = 100_000;
/// A watt-hour costs so much everywhere in a fleet, in euros.
const A_WATT_HOUR: f64 = 0.3 / 1e3;

/// A supply, as its engine tells of it.
#[derive(Debug)]
pub(crate) struct Told {
    reading: Telemetry,
    session: String,
    watt_hours: u64,
    /// What its engine puts beside each reading.
    trace: String,
}

impl Told {
    pub(crate) fn of(supply: &Supplying) -> Self {
        let (mut reading, session) = (supply.reading(), supply.record.session.to_string());
        reading.seq = reading.seq.map(|seq| seq + AHEAD);
        let trace = supply.record.trace.unwrap_or_else(mesh::trace::root).to_string();
        Self { reading, session, watt_hours: supply.record.energy.wh(), trace }
    }

    /// One that no engine has authorised: of whoever does not ask.
    pub(crate) fn made_up(number: u32) -> Self {
        let session = format!("session-{number:06}");
        let reading = Telemetry {
            kind: TelemetryType::Consumption,
            cp_id: format!("FLEET-{number:06}"),
            user_id: Some(format!("driver-{number:06}")),
            session_id: Some(session.clone()),
            kw: Some(7.4),
            currency: Some("EUR".to_owned()),
            ..Telemetry::default()
        };
        Self { reading, session, watt_hours: 0, trace: mesh::trace::root().to_string() }
    }

    /// Puts its next reading into a producer's queue, a watt-hour above the last one. `false`: that is full.
    pub(crate) fn tell(
        &mut self,
        producer: &Producer,
        topic: &str,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let (seq, watt_hours) = (self.reading.seq.unwrap_or_default() + 1, self.watt_hours + 1);
        self.reading.kwh = Some(watt_hours as f64 / 1e3);
        self.reading.importe = Some(watt_hours as f64 * A_WATT_HOUR);
        self.reading.timestamp = Some(mesh::now().wall.seconds());
        self.reading.event_id = Some(format!("{}-{seq}", self.session));
        self.reading.seq = Some(seq);
        buffer.clear();
        serde_json::to_writer(&mut *buffer, &self.reading)
            .map_err(|error| Error::Lacks(error.to_string()))?;
        let trace = Header { key: TRACEPARENT, value: Some(&self.trace) };
        let headers = OwnedHeaders::new_with_capacity(1).insert(trace);
        let record = BaseRecord::to(topic).key(&self.reading.cp_id).payload(buffer).headers(headers);
        let is_told = queued(producer, record)?;
        if is_told {
            self.watt_hours = watt_hours;
        } else {
            self.reading.seq = Some(seq - 1);
        }
        Ok(is_told)
    }
}

/// Counts what brokers have taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken(Arc<AtomicU64>);

impl Taken {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ClientContext for Taken {}

impl ProducerContext for Taken {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) type Producer = ThreadedProducer<Taken>;

/// A producer of an engine's; `more` are settings besides the usual.
pub(crate) fn producer(
    kafka: &KafkaOptions,
    taken: &Taken,
    more: &[(&str, &str)],
) -> Result<Producer, Error> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.kafka)
        .set("client.id", "evmesh-bench")
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "262144");
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create_with_context(taken.clone()).map_err(broken)
}

/// Puts a message into the queue. `false`: that is full.
pub(crate) fn queued<K: ToBytes + ?Sized>(
    producer: &Producer,
    record: BaseRecord<'_, K, Vec<u8>>,
) -> Result<bool, Error> {
    match producer.send(record) {
        Ok(()) => Ok(true),
        Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => Ok(false),
        Err((error, _)) => Err(broken(error)),
    }
}

pub(crate) fn broken(error: KafkaError) -> Error {
    Error::Kafka(mesh::kafka::Error::Delivery(error))
}

/// A reading a second of each supply, until [`Readings::end`].
pub(crate) struct Readings {
    pub(crate) taken: Taken,
    producers: Vec<Arc<Producer>>,
    tasks: JoinSet<Result<(), Error>>,
}

impl Readings {
    pub(crate) fn begin(kafka: &KafkaOptions, supplies: &[Supplying]) -> Result<Self, Error> {
        let (taken, mut producers, mut tasks) = (Taken::default(), Vec::new(), JoinSet::new());
        for of_one in supplies.chunks(supplies.len().div_ceil(PRODUCERS).max(1)) {
            let producer = Arc::new(producer(kafka, &taken, &BATCHES)?);
            let told: Vec<Told> = of_one.iter().map(Told::of).collect();
            tasks.spawn(each_second(producer.clone(), kafka.topic(CP_TELEMETRY), told));
            producers.push(producer);
        }
        Ok(Self { taken, producers, tasks })
    }

    /// Ends, once what was told has left. Why it ended before, if it did.
    pub(crate) async fn end(mut self) -> Result<(), Error> {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap_or(Ok(()))?; // none but those that were told to end
        }
        let producers = std::mem::take(&mut self.producers);
        let flushed = move || producers.iter().try_for_each(|producer| producer.flush(FLUSH));
        let flushed = tokio::task::spawn_blocking(flushed).await;
        flushed.unwrap_or(Ok(())).map_err(broken)
    }
}

/// Each of them once a second, one after the other. What the queue has no room for is told when it has.
async fn each_second(producer: Arc<Producer>, topic: String, mut told: Vec<Told>) -> Result<(), Error> {
    let (began, mut sent, mut buffer) = (Instant::now(), 0_u64, Vec::new());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let due = (began.elapsed().as_secs_f64() * told.len() as f64) as u64;
        while sent < due {
            let next = (sent % told.len() as u64) as usize;
            if !told[next].tell(&producer, &topic, &mut buffer)? {
                break;
            }
            sent += 1;
        }
    }
}
