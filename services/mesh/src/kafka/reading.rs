//! The reader's thread.

use super::{
    Error, KafkaOptions,
    consumer::{self, Client},
    message::{Message, Origin, ReaderEvent},
    probe::{Answer, Probe, ask_on},
    protection::Version,
    refusal::Act,
    statistics::Reach,
    watchdog::Watchdog,
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The service hears that Kafka is away once it has been for so long.
const AWAY_AFTER: Duration = Duration::from_millis(1500);
/// How long one poll waits; the reader hears its end after this.
const POLL: Duration = Duration::from_millis(100);
/// So many messages are told at most before it looks at anything else.
const TOGETHER: usize = 1024;
/// How often lag dashboards learn how far it has read.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// The service wants no more.
struct Stop;

/// Whom the reader tells; false ends it.
pub(super) type Sink = Box<dyn FnMut(ReaderEvent) -> bool + Send>;

/// What lives as long as the reader: clients come and go.
pub(super) struct Reading {
    topic: String,
    group: String,
    options: KafkaOptions,
    sink: Sink,
    stop: Arc<AtomicBool>,
    origin: Origin,
    /// Whose the positions are, once a broker was reached.
    cluster: Option<String>,
    /// The next offset to read of each partition.
    positions: BTreeMap<i32, i64>,
    missed_since: Option<Instant>,
    away: bool,
    /// Of the files that the client was built with.
    version: Version,
    /// What was last denied to it.
    denied: Option<Act>,
}

struct Progress {
    watchdog: Watchdog,
    /// The partitions that it reads.
    assigned: BTreeSet<i32>,
    /// The positions when the running probe began.
    before: BTreeMap<i32, i64>,
    /// To be told once they are reached.
    ends: Option<Probe>,
    /// Partitions that librdkafka read to their end.
    at_end: BTreeSet<i32>,
    /// Ends behind which there is no message to come.
    tails: BTreeMap<i32, i64>,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self {
            watchdog: Watchdog::new(now),
            assigned: BTreeSet::new(),
            before: BTreeMap::new(),
            ends: None,
            at_end: BTreeSet::new(),
            tails: BTreeMap::new(),
        }
    }
}

impl Reading {
    pub(super) fn new(
        options: &KafkaOptions,
        topic: &str,
        group: &str,
        origin: Origin,
        stop: Arc<AtomicBool>,
        sink: Sink,
    ) -> Self {
        Self {
            topic: options.topic(topic),
            group: group.to_owned(),
            options: options.clone(),
            sink,
            stop,
            origin,
            cluster: None,
            positions: BTreeMap::new(),
            missed_since: None,
            away: false,
            version: options.protection.version(),
            denied: None,
        }
    }

    pub(super) fn build(&self) -> Result<Client, Error> {
        consumer::build(&self.options, &self.group, &[])
    }

    pub(super) fn run(mut self, first: Client) {
        let mut client = first;
        while let ControlFlow::Continue(()) = self.read(&client) {
            metrics::counter!("evmesh_kafka_clients_rebuilt_total", "topic" => self.topic.clone())
                .increment(1);
            self.version = self.options.protection.version();
            match self.build() {
                Ok(new) => client = new,
                // They were right at the start: their files have become wrong since.
                Err(error) => {
                    tracing::error!(%error, topic = self.topic, "the kafka client goes on as it was")
                }
            }
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
        let mut progress = Progress::new(Instant::now());
        let mut commit_at = Instant::now() + COMMIT_EVERY;
        while !self.stop.load(Ordering::SeqCst) {
            let go_on = match answers.try_recv() {
                Err(TryRecvError::Empty) => true,
                Err(TryRecvError::Disconnected) => false, // it panicked
                Ok(_) if self.version != self.options.protection.version() => false,
                Ok((asked_at, Err(error))) => {
                    tracing::debug!(%error, topic = self.topic, "kafka does not answer");
                    self.look_for_denial(&error);
                    progress.ends = None;
                    self.missed(asked_at)?;
                    true
                }
                Ok((_, Ok(probe))) => self.probed(client, &mut progress, probe)?,
            };
            if !go_on {
                return Ok(()); // with a new client again
            }
            self.take(client, &mut progress)?;
            if !self.reached(&mut progress)? {
                return Ok(());
            }
            if commit_at <= Instant::now() {
                commit_at = Instant::now() + COMMIT_EVERY;
                self.commit(client);
            }
        }
        Err(Stop)
    }

    /// Waits for a message, and takes those that are there behind it.
    fn take(&mut self, client: &Client, progress: &mut Progress) -> Result<(), Stop> {
        let Some(mut next) = client.poll(POLL) else { return Ok(()) };
        let (mut came, mut partitions) = (Instant::now(), BTreeSet::new());
        for _ in 0..TOGETHER {
            match next {
                Ok(message) => {
                    let message = Message::from(&message);
                    if let Some(act @ Act::Read(_)) = &self.denied {
                        self.options.watch.allowed(|| act.clone());
                        self.denied = None;
                    }
                    progress.at_end.remove(&message.partition);
                    partitions.insert(message.partition);
                    self.positions.insert(message.partition, message.offset + 1);
                    self.tell(ReaderEvent::Message(message))?;
                }
                Err(KafkaError::PartitionEOF(partition)) => drop(progress.at_end.insert(partition)),
                // Only what dashboards see is the group's.
                Err(error) if matches!(self.look_for_denial(&error), Some(Act::Group(_))) => {}
                Err(error) => {
                    // Out of range, most likely: the next probe finds it, and assigns the partitions anew.
                    tracing::debug!(%error, topic = self.topic, "kafka refuses to be read");
                    progress.assigned.clear();
                }
            }
            match client.poll(Duration::ZERO) {
                Some(more) => next = more,
                None => break,
            }
        }
        self.tell(ReaderEvent::Pause)?;
        let told = Instant::now(); // the service may have held it back
        for partition in partitions {
            progress.watchdog.told(partition, came, told);
            came = told; // it did so once
        }
        Ok(())
    }

    /// The broker answered a probe; says whether this client can go on.
    fn probed(&mut self, client: &Client, progress: &mut Progress, probe: Probe) -> Result<bool, Stop> {
        if self.missed_since.take().is_some() {
            progress.watchdog.restart(Instant::now()); // nothing could come while it was away
        }
        self.away = false;
        // That there is no such topic any address of --kafka can say.
        if !probe.ranges.is_empty() {
            self.options.watch.observe(&self.options.kafka, &Reach::Reached);
        }
        if self.cluster.as_ref() != Some(&probe.cluster) {
            if self.meet(&probe)? {
                return Ok(false); // a client knows one cluster only
            }
            progress.before = self.positions.clone();
        }
        if self.reconcile(&probe, &progress.before)? || !probe.ranges.keys().eq(progress.assigned.iter()) {
            progress.assigned = probe.ranges.keys().copied().collect();
            self.assign(client);
            progress.watchdog.restart(Instant::now());
            progress.ends = None;
        }
        progress.before = self.positions.clone();
        // Ends that are not reached yet stand: with new ones each second, a reader that falls behind would never
        // reach any.
        if progress.ends.is_none() {
            progress.watchdog.restart(Instant::now());
            progress.ends = Some(probe);
        }
        Ok(true)
    }

    /// Tells the service once the ends are reached; says whether this client can go on.
    fn reached(&mut self, progress: &mut Progress) -> Result<bool, Stop> {
        let Some(probe) = &progress.ends else { return Ok(true) };
        let lags = |(partition, (_, end)): (&i32, &(i64, i64))| {
            let read = self.positions.get(partition).max(progress.tails.get(partition));
            (read < Some(end)).then_some((*partition, *end))
        };
        let lagging: Vec<(i32, i64)> = probe.ranges.iter().filter_map(lags).collect();
        if lagging.is_empty() {
            let as_of = probe.as_of;
            progress.ends = None;
            self.tell(ReaderEvent::ReadToEnd { as_of })?;
            return Ok(true);
        }
        let now = Instant::now();
        let hangs = |(partition, _): &(i32, i64)| progress.watchdog.hangs(*partition, now);
        let hanging: Vec<(i32, i64)> = lagging.into_iter().filter(hangs).collect();
        // The end of a partition may hold no message but marks of a transaction; else the client hangs, and some of
        // its hangs heal in no other way than with a new one.
        if hanging.iter().any(|(partition, _)| !progress.at_end.contains(partition)) {
            tracing::warn!(
                topic = self.topic,
                partitions = ?hanging,
                "messages are there and none comes; a new client reads on"
            );
            return Ok(false);
        }
        progress.tails.extend(hanging);
        Ok(true)
    }

    /// Is it for want of an ACL? Says so.
    fn look_for_denial(&mut self, error: &KafkaError) -> Option<&Act> {
        let act = match error.rdkafka_error_code()? {
            RDKafkaErrorCode::TopicAuthorizationFailed => Act::Read(self.topic.clone()),
            RDKafkaErrorCode::GroupAuthorizationFailed => Act::Group(self.group.clone()),
            _ => return None,
        };
        self.options.denied(act.clone());
        Some(self.denied.insert(act))
    }

    fn missed(&mut self, asked_at: Instant) -> Result<(), Stop> {
        self.options.watch.observe(&self.options.kafka, &Reach::Away);
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
                self.positions =
                    probe.ranges.iter().map(|(partition, (_, end))| (*partition, *end)).collect();
                self.tell(ReaderEvent::NewCluster { id, from: self.positions.clone() })?;
            }
            Origin::Latest => self.tell(ReaderEvent::NewCluster { id, from: BTreeMap::new() })?,
            Origin::Stored { cluster_id, offsets } if before.is_none() && *cluster_id == self.cluster => {
                self.positions = offsets.clone();
            }
            Origin::Stored { cluster_id, .. } => {
                if before.is_some() || cluster_id.is_some() {
                    tracing::warn!(
                        cluster = id,
                        topic = self.topic,
                        "another kafka cluster: it is read from the beginning"
                    );
                }
                self.tell(ReaderEvent::NewCluster { id, from: BTreeMap::new() })?;
            }
        }
        Ok(before.is_some())
    }

    /// Brings the positions into the range of what is there; says whether one moved. `before` are the positions of
    /// before the probe: messages that came since may lie beyond its ends.
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
            && let Err(error) = self.offsets().and_then(|offsets| client.commit(&offsets, CommitMode::Async))
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
