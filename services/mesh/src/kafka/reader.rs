//! Reading a topic, with offsets that belong to the reader's service.
//!
//! The reader owns a thread and polls on it. Each second another asks the broker for the cluster's id and for the beginning and the
//! end of every partition: so the reader knows without traffic whether the broker is there, whose offsets it holds, whether they are
//! in range, and whether everything has been read.

use super::{BrokerState, Context, Error, KafkaOptions};
use crate::{
    clock,
    trace::{TRACEPARENT, Trace},
};
use domain::Mono;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    client::ClientContext,
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers as _},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// How often the broker is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A broker that does not answer within this is away for now.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The service hears that Kafka is away once it has been for so long.
const AWAY_AFTER: Duration = Duration::from_millis(1500);
/// How long one poll waits; the reader hears its end after this.
const POLL: Duration = Duration::from_millis(100);
/// With messages missing for so long and none coming, the client is built anew: some of its hangs heal in no other way.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often lag dashboards learn how far it has read.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// The consumer's own settings.
const SETTINGS: &[(&str, &str)] = &[
    // The offsets are the service's: librdkafka neither keeps nor chooses any.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // A topic that a reader is the first to ask for would get the broker's number of partitions.
    ("allow.auto.create.topics", "false"),
    ("enable.partition.eof", "true"),
    // What waits in memory to be read; the topic keeps the rest.
    ("queued.max.messages.kbytes", "16384"),
    // The broker holds a fetch that finds nothing for so long, and every question behind it on the connection.
    ("fetch.wait.max.ms", "100"),
    ("fetch.queue.backoff.ms", "100"),
    ("fetch.error.backoff.ms", "200"),
    // A broker answers one connection's requests in turn: each question of a probe waits for a fetch that is under way.
    // At the default of 500 ms, four partitions' questions hold up the messages for seconds.
    ("fetch.wait.max.ms", "50"),
];

/// Where a reader starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// With what is published from its first contact on.
    Latest,
    /// At the service's own offsets.
    Stored {
        /// The cluster that they are of; `None` where there is none yet.
        cluster_id: Option<String>,
        /// The next offset of each partition; partitions that are missing are read from their beginning.
        offsets: BTreeMap<i32, i64>,
    },
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its offset; the next one to read is at least one above.
    pub offset: i64,
    /// Its key; empty without one.
    pub key: Vec<u8>,
    /// Its value; empty without one.
    pub payload: Vec<u8>,
    /// What caused it, by its header `traceparent`.
    pub trace: Option<Trace>,
}

/// What a reader tells its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderEvent {
    /// A message, in order within its partition.
    Message(Message),
    /// Everything that was published before `as_of` has been told. About once a second while that is so.
    ReadToEnd {
        /// When the ends of the partitions were asked for.
        as_of: Mono,
    },
    /// Kafka cannot be reached. Once each time, and once at the start if it isn't there.
    Away,
    /// The cluster is another than the stored one, or the first ever. It is read from the beginning; the service keeps
    /// the id, and forgets the other one's offsets. Not told under [`Origin::Latest`].
    NewCluster {
        /// The new one's.
        id: String,
    },
    /// The offset of a partition is out of range, so messages are missing. It is read from the beginning.
    Gap {
        /// Which.
        partition: i32,
    },
}

/// Reads one topic on a thread of its own, until it is dropped or its sink returns false.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    state: watch::Receiver<BrokerState>,
}

impl Reader {
    /// Starts to read. It never blocks and needs no broker.
    ///
    /// `group` names the reader in lag dashboards, nothing else: no partition is shared out by it. `sink` runs on the
    /// reader's thread and may block: that holds the reader back. It returns false to end the reader.
    pub fn spawn(
        options: &KafkaOptions,
        topic: &str,
        group: &str,
        origin: Origin,
        sink: impl FnMut(ReaderEvent) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let reading = Reading {
            topic: options.topic(topic),
            group: group.to_owned(),
            options: options.clone(),
            sink: Box::new(sink),
            stop: stop.clone(),
            origin,
            cluster: None,
            positions: BTreeMap::new(),
            missed_since: None,
            away: false,
        };
        let first = reading.build()?; // a wrong setting is an error here and now
        std::thread::Builder::new()
            .name(format!("kafka-{topic}"))
            .spawn(move || reading.run(first))
            .map_err(Error::Thread)?;
        Ok(Self {
            stop,
            state: options.watch.subscribe(),
        })
    }

    /// Whether a broker answers; known without traffic, within about 3 s.
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct ConsumerSide(Context);

impl ClientContext for ConsumerSide {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }
}

impl ConsumerContext for ConsumerSide {}

type Client = BaseConsumer<ConsumerSide>;

/// What the broker says of the topic.
struct Probe {
    as_of: Mono,
    cluster: String,
    /// The first offset that is there, and the next that will be, of each partition.
    ranges: BTreeMap<i32, (i64, i64)>,
}

/// When it was asked, and what it said.
type Answer = (Instant, KafkaResult<Probe>);

/// The service wants no more.
struct Stop;

/// What lives as long as the reader: clients come and go.
struct Reading {
    topic: String,
    group: String,
    options: KafkaOptions,
    sink: Box<dyn FnMut(ReaderEvent) -> bool + Send>,
    stop: Arc<AtomicBool>,
    origin: Origin,
    /// Whose the positions are, once a broker was reached.
    cluster: Option<String>,
    /// The next offset to read of each partition.
    positions: BTreeMap<i32, i64>,
    missed_since: Option<Instant>,
    away: bool,
}

impl Reading {
    fn build(&self) -> Result<Client, Error> {
        let own: Vec<(&str, &str)> = SETTINGS
            .iter()
            .copied()
            .chain([("group.id", self.group.as_str())])
            .collect();
        let config = self.options.client(&self.group, &own);
        Client::from_config_and_context(&config, ConsumerSide(self.options.context())).map_err(Error::Client)
    }

    fn run(mut self, first: Client) {
        let mut client = first;
        while let ControlFlow::Continue(()) = self.read(&client) {
            metrics::counter!("evmesh_kafka_clients_rebuilt_total", "topic" => self.topic.clone())
                .increment(1);
            client = match self.build() {
                Ok(client) => client,
                Err(error) => {
                    tracing::error!(%error, topic = self.topic, "the topic is read no more");
                    return;
                }
            };
        }
    }

    fn tell(&mut self, event: ReaderEvent) -> Result<(), Stop> {
        let goes_on = !self.stop.load(Ordering::SeqCst) && (self.sink)(event);
        if goes_on { Ok(()) } else { Err(Stop) }
    }

    /// Reads with one client, until the service wants no more (break) or a new client is needed (continue).
    fn read(&mut self, client: &Client) -> ControlFlow<()> {
        let topic = self.topic.clone();
        std::thread::scope(|threads| {
            // The prober waits in `send` until its answer is taken: what it asks next is never older than that.
            let (answers, answered) = sync_channel(0);
            let (done, until_done) = sync_channel(0);
            threads.spawn(move || ask_on(client, &topic, &answers, &until_done));
            let read = self.read_on(client, &answered);
            drop(done);
            match read {
                Ok(()) => ControlFlow::Continue(()),
                Err(Stop) => ControlFlow::Break(()),
            }
        })
    }

    fn read_on(&mut self, client: &Client, answers: &Receiver<Answer>) -> Result<(), Stop> {
        let start = Instant::now();
        let (mut commit_at, mut progress) = (start + COMMIT_EVERY, start);
        let mut assigned = BTreeSet::new();
        let mut before = BTreeMap::new(); // the positions when the running probe began
        let mut ends: Option<Probe> = None; // told once they are reached
        let mut at_end = BTreeSet::new(); // partitions that librdkafka read to their end
        let mut tails: BTreeMap<i32, i64> = BTreeMap::new(); // ends behind which there is no message to come
        while !self.stop.load(Ordering::SeqCst) {
            match answers.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()), // it panicked: with a new client again
                Ok((asked_at, Err(error))) => {
                    tracing::debug!(%error, topic = self.topic, "kafka does not answer");
                    ends = None;
                    self.missed(asked_at)?;
                }
                Ok((_, Ok(probe))) => {
                    if self.missed_since.take().is_some() {
                        progress = Instant::now(); // nothing could come while it was away
                    }
                    self.away = false;
                    self.options.watch.observe(true);
                    if self.cluster.as_ref() != Some(&probe.cluster) {
                        if self.meet(&probe)? {
                            return Ok(()); // a client knows one cluster only
                        }
                        before = self.positions.clone();
                    }
                    if self.reconcile(&probe, &before)? || !probe.ranges.keys().eq(assigned.iter()) {
                        assigned = probe.ranges.keys().copied().collect();
                        self.assign(client);
                        progress = Instant::now();
                    }
                    before = self.positions.clone();
                    ends = Some(probe);
                }
            }
            match client.poll(POLL) {
                Some(Ok(message)) => {
                    let message = owned(&message);
                    at_end.remove(&message.partition);
                    self.positions.insert(message.partition, message.offset + 1);
                    self.tell(ReaderEvent::Message(message))?;
                    progress = Instant::now(); // the service may have held it back
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(at_end.insert(partition)),
                Some(Err(error)) => {
                    // Out of range, most likely: the next probe finds it, and assigns the partitions anew.
                    tracing::debug!(%error, topic = self.topic, "kafka refuses to be read");
                    assigned.clear();
                }
                None => {}
            }
            if let Some(probe) = &ends {
                let lags = |(partition, (_, end)): (&i32, &(i64, i64))| {
                    let read = self.positions.get(partition).max(tails.get(partition));
                    (read < Some(end)).then_some((*partition, *end))
                };
                let lagging: Vec<(i32, i64)> = probe.ranges.iter().filter_map(lags).collect();
                if lagging.is_empty() {
                    let as_of = probe.as_of;
                    (ends, progress) = (None, Instant::now());
                    self.tell(ReaderEvent::ReadToEnd { as_of })?;
                } else if progress.elapsed() >= STALLED_AFTER {
                    // The end of a partition may hold no message but marks of a transaction; else the client hangs.
                    if lagging.iter().any(|(partition, _)| !at_end.contains(partition)) {
                        tracing::warn!(
                            topic = self.topic,
                            "messages are there and none comes; a new client reads on"
                        );
                        return Ok(());
                    }
                    tails.extend(lagging);
                }
            }
            if commit_at <= Instant::now() {
                commit_at = Instant::now() + COMMIT_EVERY;
                self.commit(client);
            }
        }
        Err(Stop)
    }

    fn missed(&mut self, asked_at: Instant) -> Result<(), Stop> {
        self.options.watch.observe(false);
        let since = *self.missed_since.get_or_insert(asked_at);
        if !self.away && since.elapsed() >= AWAY_AFTER {
            self.away = true;
            self.tell(ReaderEvent::Away)?;
        }
        Ok(())
    }

    /// The cluster is another than before; says whether there was one before.
    fn meet(&mut self, probe: &Probe) -> Result<bool, Stop> {
        let id = probe.cluster.clone();
        let before = self.cluster.replace(id.clone());
        self.positions.clear();
        match &self.origin {
            // What appeared since this process began is new: of another cluster everything.
            Origin::Latest if before.is_none() => {
                self.positions = probe
                    .ranges
                    .iter()
                    .map(|(partition, (_, end))| (*partition, *end))
                    .collect();
            }
            Origin::Latest => {}
            Origin::Stored { cluster_id, offsets } if before.is_none() && *cluster_id == self.cluster => {
                self.positions = offsets.clone();
            }
            Origin::Stored { .. } => {
                tracing::info!(
                    cluster = id,
                    topic = self.topic,
                    "another kafka cluster: it is read from the beginning"
                );
                self.tell(ReaderEvent::NewCluster { id })?;
            }
        }
        Ok(before.is_some())
    }

    /// Brings the positions into the range of what is there; says whether one moved. `before` are the positions of before
    /// the probe: messages that came since may lie beyond its ends.
    fn reconcile(&mut self, probe: &Probe, before: &BTreeMap<i32, i64>) -> Result<bool, Stop> {
        let mut moved = false;
        for (&partition, &(first, end)) in &probe.ranges {
            let position = self.positions.get(&partition).copied();
            let in_range =
                |position: i64| first <= position && *before.get(&partition).unwrap_or(&position) <= end;
            if position.is_some_and(in_range) {
                continue;
            }
            self.positions.insert(partition, first);
            moved = true;
            if position.is_some() {
                let topic = &self.topic;
                tracing::warn!(
                    topic,
                    partition,
                    position,
                    first,
                    end,
                    "messages are missing; reading from the beginning"
                );
                self.tell(ReaderEvent::Gap { partition })?;
            }
        }
        Ok(moved)
    }

    fn assign(&self, client: &Client) {
        if let Err(error) = self.offsets().and_then(|offsets| client.assign(&offsets)) {
            tracing::error!(%error, topic = self.topic, "partitions cannot be assigned");
        }
    }

    /// For lag dashboards only: nothing reads it back, and nothing waits for it.
    fn commit(&self, client: &Client) {
        if !self.positions.is_empty()
            && let Err(error) = self
                .offsets()
                .and_then(|offsets| client.commit(&offsets, CommitMode::Async))
        {
            tracing::debug!(%error, topic = self.topic, "offsets for dashboards were not kept");
        }
    }

    fn offsets(&self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, position) in &self.positions {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*position))?;
        }
        Ok(list)
    }
}

/// Asks the broker on and on. On a thread of its own: behind a waiting fetch an answer takes a while, and reading goes on.
fn ask_on(client: &Client, topic: &str, answers: &SyncSender<Answer>, until_done: &Receiver<()>) {
    while answers.send((Instant::now(), ask(client, topic))).is_ok() {
        if until_done.recv_timeout(PROBE_EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn ask(client: &Client, topic: &str) -> KafkaResult<Probe> {
    let as_of = clock::now().mono;
    let metadata = client.fetch_metadata(Some(topic), PROBE_TIMEOUT)?;
    let partitions = metadata
        .topics()
        .iter()
        .filter(|found| found.name() == topic)
        .flat_map(|found| found.partitions());
    let partitions: Vec<i32> = partitions.map(|partition| partition.id()).collect();
    let offsets = |which: Offset| -> KafkaResult<BTreeMap<i32, i64>> {
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, which)?;
        }
        let found = client.offsets_for_times(list, PROBE_TIMEOUT)?;
        let found = found.elements().into_iter().map(|element| {
            element.error()?;
            Ok((element.partition(), element.offset().to_raw().unwrap_or_default()))
        });
        found.collect()
    };
    let mut ranges = BTreeMap::new();
    if !partitions.is_empty() {
        let (firsts, ends) = (offsets(Offset::Beginning)?, offsets(Offset::End)?);
        let range = |(partition, first): (i32, i64)| Some((partition, (first, *ends.get(&partition)?)));
        ranges = firsts.into_iter().filter_map(range).collect();
    }
    // It came with the metadata: this does not wait.
    let cluster = client
        .client()
        .fetch_cluster_id(PROBE_TIMEOUT)
        .unwrap_or_default();
    Ok(Probe {
        as_of,
        cluster,
        ranges,
    })
}

fn owned(message: &BorrowedMessage<'_>) -> Message {
    let trace = message.headers().and_then(|headers| {
        let header = headers.iter().find(|header| header.key == TRACEPARENT)?;
        std::str::from_utf8(header.value?).ok()?.parse().ok()
    });
    Message {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        payload: message.payload().unwrap_or_default().to_vec(),
        trace,
    }
}
