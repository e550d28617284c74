//! Kafka as plain data: logs with offsets, a broker that goes away, is replaced or forgets; and the two ways to it.
//!
//! The reader follows `mesh::kafka`'s: offsets of its service, a question each second for the cluster and the ends.

use super::{
    checks::reading_of,
    world::{Event, Place, World, say},
};
use central::{
    store::{RowKind, read_rows},
    writer::{Incoming, Input},
};
use domain::network::{Broker as News, Command, Source};
use domain::{Mono, SessionId};
use std::collections::{BTreeMap, VecDeque};

/// Kafka counts as away after so long without an answer (ms).
const AWAY_AFTER: u64 = 1_500;
/// Between two questions for the ends of the partitions (ms).
const PROBE: u64 = 1_000;

/// A message of `cp_telemetry`.
pub(super) type Message = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
pub(super) struct Partition {
    first: i64,
    log: VecDeque<Message>,
}

impl Partition {
    fn end(&self) -> i64 {
        self.first + i64::try_from(self.log.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn get(&self, offset: i64) -> Option<&Message> {
        self.log.get(usize::try_from(offset - self.first).ok()?)
    }
}

#[derive(Debug)]
pub(super) struct Broker {
    cluster: u64,
    pub(super) away_until: u64,
    pub(super) partitions: Vec<Partition>,
}

impl Broker {
    pub(super) fn new(partitions: usize) -> Self {
        let partitions = (0..partitions).map(|_| Partition::default()).collect();
        Self { cluster: 1, away_until: 0, partitions }
    }

    pub(super) fn id(&self) -> String {
        format!("cluster-{}", self.cluster)
    }

    pub(super) fn is_up(&self, at: u64) -> bool {
        at >= self.away_until
    }

    fn append(&mut self, key: Vec<u8>, payload: Vec<u8>) {
        let hash =
            key.iter().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let count = self.partitions.len();
        self.partitions[hash % count].log.push_back((key, payload));
    }

    /// Is there a message of this session, of those that are still there?
    pub(super) fn tells_of(&self, session: &SessionId) -> bool {
        let mut messages = self.partitions.iter().flat_map(|partition| &partition.log);
        messages.any(|(_, payload)| reading_of(payload).is_some_and(|(id, ..)| id == *session))
    }

    /// Everything is gone, and the cluster is another one.
    pub(super) fn replaced(&mut self) {
        self.cluster += 1;
        self.partitions.iter_mut().for_each(|partition| *partition = Partition::default());
    }

    /// The oldest messages are gone.
    pub(super) fn forgets(&mut self, share: u64) {
        for partition in &mut self.partitions {
            let count = partition.log.len() * usize::try_from(share).unwrap_or(0) / 100;
            partition.log.drain(..count);
            partition.first += i64::try_from(count).unwrap_or(0);
        }
    }
}

/// Central's reader of `cp_telemetry`.
#[derive(Debug)]
pub(super) struct Reader {
    stored: (Option<String>, BTreeMap<i32, i64>),
    pub(super) cluster: Option<String>,
    positions: BTreeMap<i32, i64>,
    missed_since: Option<u64>,
    away: bool,
    probed: Option<u64>,
    /// To be told once they are reached.
    ends: Option<(Mono, Vec<i64>)>,
}

impl Reader {
    pub(super) fn new(stored: (Option<String>, BTreeMap<i32, i64>)) -> Self {
        Self {
            stored,
            cluster: None,
            positions: BTreeMap::new(),
            missed_since: None,
            away: false,
            probed: None,
            ends: None,
        }
    }
}

impl World {
    pub(super) fn reader_polls(&mut self, life: u64) {
        if self.central_of(life).is_none() {
            return;
        }
        let there = self.broker.is_up(self.at) && self.reaches(Place::Central, Place::Broker);
        for input in if there { self.reader_reads() } else { self.reader_misses() } {
            self.central_takes(input);
        }
        let pause = if self.faults && self.random.one_in(20) { self.random.below(3_000) } else { 100 };
        self.after(pause.max(20), move |world| world.reader_polls(life));
    }

    fn reader_misses(&mut self) -> Vec<Input> {
        let at = self.at;
        let Some(running) = &mut self.central.up else { return Vec::new() };
        let reader = &mut running.reader;
        reader.ends = None;
        let since = *reader.missed_since.get_or_insert(at);
        if reader.away || at - since < AWAY_AFTER {
            return Vec::new();
        }
        reader.away = true;
        say!(self, "kafka is away, central finds");
        vec![Input::Command(Command::Broker(News::Away))]
    }

    fn reader_reads(&mut self) -> Vec<Input> {
        let (at, mono) = (self.at, self.central.clock.mono(self.at));
        let most = self.random.between(1, 60);
        let Some(running) = &mut self.central.up else { return Vec::new() };
        let (reader, broker) = (&mut running.reader, &self.broker);
        let mut inputs = Vec::new();
        reader.missed_since = None;
        if reader.probed.is_none_or(|probed| at - probed >= PROBE) {
            reader.probed = Some(at);
            reader.away = false;
            inputs.extend(reader.probe(broker));
            let ends = broker.partitions.iter().map(Partition::end).collect();
            reader.ends.get_or_insert((mono, ends));
        }
        for _ in 0..most {
            let next = reader.positions.iter_mut().find_map(|(n, position)| {
                let message = broker.partitions.get(usize::try_from(*n).ok()?)?.get(*position)?;
                *position += 1;
                Some((Source { partition: *n, offset: *position - 1 }, message.clone()))
            });
            let Some((source, (key, payload))) = next else { break };
            inputs.push(Input::Messages(vec![Incoming::new(source, key, payload, None)]));
        }
        let reached = reader.ends.take_if(|(_, ends)| {
            let position = |n| i32::try_from(n).ok().and_then(|n| reader.positions.get(&n)).copied();
            ends.iter().enumerate().all(|(n, end)| position(n).is_some_and(|position| position >= *end))
        });
        if let Some((as_of, _)) = reached {
            inputs.push(Input::Command(Command::Broker(News::ReadTo(as_of))));
        }
        inputs
    }

    // --- producing ---

    /// An engine's message is on its way; `acked` hears if it arrived.
    pub(super) fn publish(&mut self, p: usize, key: Vec<u8>, payload: Vec<u8>, acked: Option<Event>) {
        let from = Place::Engine(p);
        if let Some(ms) = self.copy(from, Place::Broker) {
            // A request of an earlier try, or of a process that died meanwhile.
            let (key, payload) = (key.clone(), payload.clone());
            self.after(ms, move |world| world.arrives_at_broker(key, payload));
        }
        let Some(ms) = self.delay(from, Place::Broker) else { return };
        self.after(ms, move |world| {
            if !world.broker.is_up(world.at) {
                return;
            }
            world.arrives_at_broker(key, payload);
            if let Some(acked) = acked
                && let Some(ms) = world.delay(Place::Broker, from)
            {
                world.after(ms, acked);
            }
        });
    }

    pub(super) fn arrives_at_broker(&mut self, key: Vec<u8>, payload: Vec<u8>) {
        if self.broker.is_up(self.at) {
            self.broker.append(key, payload);
            self.tally.count("telemetry published");
        }
    }

    // --- central's outbox ---

    pub(super) fn central_relays(&mut self, life: u64) {
        if self.central_of(life).is_some() {
            self.central_relays_once(life);
            self.central_sends_letters();
            self.after(700, move |world| world.central_relays(life));
        }
    }

    /// Sends the first row of each driver that has none on its way.
    pub(super) fn central_relays_once(&mut self, life: u64) {
        let Some(running) = self.central_of(life) else { return };
        let rows = match read_rows(&running.central.store, RowKind::Notification, 0, 256) {
            Ok(rows) => rows,
            Err(error) => return self.broken("INV-7", format!("central cannot read its outbox: {error}")),
        };
        running.delivered.retain(|number| rows.iter().any(|(row, _)| row == number));
        let mut first = Vec::new();
        for (number, row) in rows {
            if !running.delivered.contains(&number) && !running.lanes.contains_key(&row.key) {
                running.lanes.insert(row.key.clone(), number);
                first.push((number, row));
            }
        }
        for (number, row) in first {
            self.central_sends(life, number, row.key, row.payload);
        }
    }

    /// Dead letters go in any order; whether one comes twice is nobody's concern.
    fn central_sends_letters(&mut self) {
        if !self.broker.is_up(self.at) || !self.reaches(Place::Central, Place::Broker) {
            return;
        }
        let Some(running) = &mut self.central.up else { return };
        match read_rows(&running.central.store, RowKind::DeadLetter, 0, 100) {
            Ok(letters) if letters.is_empty() => {}
            Ok(letters) => {
                self.tally.add("dead letters", letters.len() as u64);
                let numbers = letters.into_iter().map(|(number, _)| number).collect();
                self.central_takes(Input::Delivered(RowKind::DeadLetter, numbers));
            }
            Err(error) => self.broken("INV-7", format!("central cannot read its dead letters: {error}")),
        }
    }

    fn central_sends(&mut self, life: u64, number: u64, driver: String, payload: Vec<u8>) {
        let again = (driver.clone(), payload.clone());
        let arrives = self.delay(Place::Central, Place::Broker).filter(|_| self.broker.is_up(self.at));
        if let Some(ms) = arrives {
            let lane = driver.clone();
            let acked = self.delay(Place::Broker, Place::Central);
            self.after(ms, move |world| {
                if !world.broker.is_up(world.at) {
                    return world.central_sends_again(life, number, driver, payload);
                }
                world.notified(&driver, &payload, true);
                let Some(ms) = acked else { return };
                world.after(ms, move |world| world.central_delivered(life, number, &lane));
            });
            if acked.is_some() {
                return;
            }
        }
        self.central_sends_again(life, number, again.0, again.1);
    }

    /// Not delivered, or nobody knows.
    fn central_sends_again(&mut self, life: u64, number: u64, driver: String, payload: Vec<u8>) {
        let pause = self.random.between(100, 2_500);
        self.after(pause, move |world| {
            if world.central_of(life).is_some_and(|running| running.lanes.get(&driver) == Some(&number)) {
                world.central_sends(life, number, driver, payload);
            }
        });
    }

    fn central_delivered(&mut self, life: u64, number: u64, driver: &str) {
        let Some(running) = self.central_of(life) else { return };
        running.delivered.insert(number);
        running.lanes.remove(driver);
        self.central_takes(Input::Delivered(RowKind::Notification, vec![number]));
        self.central_relays_once(life);
    }
}

impl Reader {
    /// The cluster and the ranges, as they are now.
    fn probe(&mut self, broker: &Broker) -> Vec<Input> {
        let mut inputs = Vec::new();
        let id = broker.id();
        if self.cluster.as_ref() != Some(&id) {
            let first = self.cluster.replace(id.clone()).is_none();
            self.ends = None;
            self.positions.clear();
            if first && self.stored.0.as_ref() == Some(&id) {
                self.positions.clone_from(&self.stored.1);
            } else {
                inputs.push(Input::NewCluster(id));
            }
        }
        for (n, partition) in broker.partitions.iter().enumerate() {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            let position = self.positions.get(&n).copied();
            if position.is_some_and(|position| (partition.first..=partition.end()).contains(&position)) {
                continue;
            }
            self.positions.insert(n, partition.first);
            if position.is_some() {
                self.ends = None;
                inputs.push(Input::Command(Command::Broker(News::Gap)));
            }
        }
        inputs
    }
}
