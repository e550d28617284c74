//! The one writer: it owns the network and the store.
//!
//! [`Writer::step`] applies a batch of inputs, writes what they changed in one transaction, and only then gives back what
//! may leave (INV-6). It is a plain function over a [`Store`], so that a test drives the very code that runs; the thread that
//! runs it is [`thread`]. Deliberately absent: waiting, gRPC, Kafka.

mod copies;
mod handle;
mod restore;
mod rows;
mod thread;
mod waiting;

pub use copies::Lag;
pub(crate) use copies::Round;
pub use handle::Handle;
pub(crate) use handle::stopping;
pub(crate) use restore::{Begun, begun, meta, new_meta, stored};
pub(crate) use rows::{Row, RowKind, read as read_rows};
pub use thread::{Outlets, Running, spawn};

use crate::{
    Error,
    changelog::{Found, Marks, Standing},
    codec,
    history::{Snapshot, StoreArchive},
    keys, notifications,
    telemetry::Incoming,
};
use domain::network::{Broker, Changes, Command, Effect, Event, Facts, Level, Network, Session, Source};
use domain::{Mono, Now, Wall};
use evmesh_proto::store::{StoredMeta, StoredOffset};
use mesh::store::{Batch, Store};
use rows::Rows;
use std::{collections::BTreeMap, time::Duration};

/// How often readings and offsets are saved.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// So many sessions' readings are saved at a time: 500 take some milliseconds, all 100,000 would stall for a second.
const CHECKPOINT_SESSIONS: usize = 500;
/// So many dead letters may wait for Kafka. They come from Kafka, so it is there; beyond, one is only counted.
const MAX_DEAD_LETTERS: usize = 10_000;

/// A question to the whole state, answered after the commit of its batch.
pub(crate) type Query = Box<dyn FnOnce(&Snapshot<'_>) + Send>;

/// What comes to the writer.
pub(crate) enum Input {
    /// Something that happened, or is asked for.
    Command(Command),
    /// A message on `cp_telemetry`.
    Message(Incoming),
    /// Kafka is another cluster than before, or the first ever.
    NewCluster(String),
    /// Kafka has these rows.
    Delivered(RowKind, Vec<u64>),
    /// Kafka has these rows of the changelog, and its publisher wants more.
    Copies(Round),
    /// The publisher has looked at the changelog, and asks whether it may write.
    Changelog(Found, tokio::sync::oneshot::Sender<Standing>),
    /// A question.
    Query(Query),
}

/// The one writer.
pub struct Writer<S> {
    network: Network,
    store: S,
    meta: StoredMeta,
    notifications: Rows,
    dead_letters: Rows,
    /// Which rows the changelog lacks; `None` where none is kept.
    marks: Option<Marks>,
    standing: Standing,
    /// What is wrong with how the broker keeps the changelog.
    unkept: Option<String>,
    /// As they are on disk.
    offsets: BTreeMap<i32, i64>,
    checkpointed: Mono,
}

impl<S> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<S: Store> Writer<S> {
    /// Applies the inputs in order, writes what changed in one transaction, answers the queries, and gives back what may
    /// leave. An error is fatal: what this batch decided is nowhere but perhaps on disk.
    pub(crate) fn step(
        &mut self,
        now: Now,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<Vec<Effect>, Error> {
        let mut batch = Batch::default();
        let mut effects = Vec::new();
        let (mut queries, mut rounds, mut standings) = (Vec::new(), Vec::new(), Vec::new());
        for input in inputs {
            match input {
                Input::Command(command) => self.apply(now, command, None, &mut batch, &mut effects)?,
                Input::Message(incoming) => self.message(now, incoming, &mut batch, &mut effects)?,
                Input::NewCluster(id) => self.new_cluster(now, id, &mut batch, &mut effects)?,
                Input::Delivered(kind, numbers) => self.rows(kind).delivered(&numbers, &mut batch),
                Input::Copies(round) => {
                    self.published(now, &round, &mut batch, &mut effects)?;
                    rounds.push(round);
                }
                Input::Changelog(found, reply) => {
                    self.judge(found, &mut batch, &mut effects);
                    standings.push(reply);
                }
                Input::Query(query) => queries.push(query),
            }
        }
        self.put_changes(now.wall, &mut batch);
        self.mark_old_rows(now, &mut batch)?;
        if let Some(marks) = &mut self.marks {
            marks.write(&mut batch);
        }
        if now.mono.since(self.checkpointed) >= CHECKPOINT_INTERVAL {
            self.checkpointed = now.mono;
            self.checkpoint(CHECKPOINT_SESSIONS, &mut batch);
        }
        self.store.commit(batch)?;
        for query in queries {
            query(&self.snapshot());
        }
        for round in rounds {
            self.next_round(round)?;
        }
        for reply in standings {
            let _ = reply.send(self.standing); // a publisher that left does not ask
        }
        Ok(effects)
    }

    /// The state as it is on disk and, where readings are ahead of it, in memory.
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { network: &self.network, store: &self.store }
    }

    /// Writes what only lives in memory: the last thing before the end.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        let mut batch = Batch::default();
        self.put_changes(Wall::default(), &mut batch); // the step before left none
        if let Some(marks) = &mut self.marks {
            marks.write(&mut batch);
        }
        self.checkpoint(usize::MAX, &mut batch);
        Ok(self.store.commit(batch)?)
    }

    /// How many rows wait for Kafka.
    pub(crate) fn rows_waiting(&self, kind: RowKind) -> usize {
        match kind {
            RowKind::Notification => self.notifications.waiting(),
            RowKind::DeadLetter => self.dead_letters.waiting(),
        }
    }

    fn rows(&mut self, kind: RowKind) -> &mut Rows {
        match kind {
            RowKind::Notification => &mut self.notifications,
            RowKind::DeadLetter => &mut self.dead_letters,
        }
    }

    /// Applies one command. `letter` is the message behind it, should it fit nothing.
    fn apply(
        &mut self,
        now: Now,
        command: Command,
        letter: Option<&Incoming>,
        batch: &mut Batch,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Error> {
        let archive = StoreArchive::new(&self.store);
        let decided = self.network.apply(now, &archive, command);
        archive.into_result()?;
        for effect in decided {
            match effect {
                Effect::DeadLetter(reason) => {
                    // Only messages go to the dead letters.
                    effects.extend(letter.map(|incoming| self.dead_letter(incoming, reason, batch)));
                }
                effect => {
                    if let Effect::Notify(notice) = &effect {
                        self.notifications.push(notifications::row(notice), batch);
                    }
                    effects.push(effect);
                }
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        now: Now,
        mut incoming: Incoming,
        batch: &mut Batch,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Error> {
        let source = incoming.source;
        match incoming.take_message() {
            Ok(message) => {
                let command = Command::Telemetry { message, source: Some(source) };
                self.apply(now, command, Some(&incoming), batch, effects)
            }
            Err(reason) => {
                let text = format!(
                    "a message at offset {} of partition {} cannot be read: {reason}",
                    source.offset, source.partition
                );
                effects.push(Effect::Happened(Event {
                    level: Level::Warn,
                    name: "messages_unreadable",
                    text,
                }));
                effects.push(self.dead_letter(&incoming, reason, batch));
                self.apply(now, Command::Unreadable { source }, None, batch, effects)
            }
        }
    }

    fn dead_letter(&mut self, incoming: &Incoming, reason: String, batch: &mut Batch) -> Effect {
        if self.dead_letters.waiting() >= MAX_DEAD_LETTERS {
            let text = format!(
                "{MAX_DEAD_LETTERS} dead letters wait for Kafka already; one more is only counted: {reason}"
            );
            return Effect::Happened(Event { level: Level::Error, name: "dead_letters_dropped", text });
        }
        self.dead_letters.push(incoming.dead_letter(&reason), batch);
        Effect::DeadLetter(reason)
    }

    /// The offsets were another cluster's: whatever is known of them goes, and every engine is asked.
    fn new_cluster(
        &mut self,
        now: Now,
        id: String,
        batch: &mut Batch,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Error> {
        let known = !self.meta.cluster_id.is_empty();
        self.meta.cluster_id = id;
        batch.put(keys::META, codec::encode(&self.meta));
        // Readings that were to be read again from the old cluster are saved now: there is nothing to read them from.
        for session in self.network.checkpoint(usize::MAX) {
            put_session(&session, batch);
        }
        self.network.resume_at([]);
        for partition in std::mem::take(&mut self.offsets).into_keys() {
            batch.delete(keys::offset(partition));
        }
        if !known {
            return Ok(());
        }
        let text =
            "kafka is another cluster than before: it is read from its beginning, and every engine is asked";
        let (level, name, text) = (Level::Warn, "kafka_clusters_changed", text.to_owned());
        effects.push(Effect::Happened(Event { level, name, text }));
        self.apply(now, Command::Broker(Broker::Gap), None, batch, effects)
    }

    /// Writes what changed, in an order in which nothing comes before what it rests on: so the changelog has it, too.
    fn put_changes(&mut self, now: Wall, batch: &mut Batch) {
        let Changes { charge_points, sessions, answers, expired_answers } = self.network.take_changes();
        let mut changed = Vec::new();
        for point in &charge_points {
            let key = keys::charge_point(&point.id);
            batch.put(key.clone(), codec::charge_point_value(point));
            changed.push(key);
        }
        for session in &sessions {
            put_session(session, batch);
            changed.push(keys::session(&session.id));
        }
        for (key, answered) in &answers {
            let value = codec::answered_value(key, answered);
            let key = keys::answer(&codec::request_key_bytes(key));
            batch.put(key.clone(), value);
            changed.push(key);
        }
        for key in &expired_answers {
            let key = keys::answer(&codec::request_key_bytes(key));
            batch.delete(key.clone());
            changed.push(key);
        }
        if let Some(marks) = &mut self.marks {
            changed.iter().for_each(|key| marks.mark(key, now));
        }
    }

    fn checkpoint(&mut self, sessions: usize, batch: &mut Batch) {
        for session in self.network.checkpoint(sessions) {
            put_session(&session, batch);
        }
        for Source { partition, offset } in self.network.offsets() {
            if self.offsets.insert(partition, offset) != Some(offset) {
                batch.put(keys::offset(partition), codec::encode(&StoredOffset { next: offset }));
            }
        }
    }
}

/// A session with all that leads to it. What did not change costs sled nothing.
pub(crate) fn put_session(session: &Session, batch: &mut Batch) {
    let Facts { id, driver, charge_point, .. } = &**session;
    let entry = if session.ticket().is_some() { keys::WITH_TICKET } else { b"" };
    batch.put(keys::session(id), codec::session_value(session));
    batch.put(keys::under(&keys::of_driver(driver), id), entry);
    batch.put(keys::under(&keys::of_charge_point(charge_point), id), entry);
    if session.closed() {
        batch.delete(keys::active(id));
    } else {
        batch.put(keys::active(id), b"");
    }
}

#[cfg(test)]
mod tests;
