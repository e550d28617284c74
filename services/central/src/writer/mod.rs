//! The one writer: the rules of the network, and what of their state is written. [`mesh::group_commit`] gives it its
//! store, its thread and its one commit a step (INV-6). Deliberately absent: waiting, gRPC, Kafka's clients.

mod card_keys;
mod changelog;
mod forgetting;
mod handle;
mod opening;
mod outlet;
mod revocations;
mod served;
mod telemetry;
mod thread;
mod tick;
mod told_cards;
mod told_gateways;
mod trusted;
mod waiting;
mod watch;

pub use crate::{changelog::Found, messages::Incoming, store::RowKind};
use card_keys::CardKeys;
pub use changelog::Lag;
pub use handle::Handle;
pub(crate) use handle::stopping;
pub use outlet::Outlets;
pub(crate) use revocations::ToRefuse;
pub(crate) use served::Served;
#[cfg(test)]
pub(crate) use thread::tests as running;
pub use thread::{Inboxes, Running, queues, spawn};

use crate::{
    Error,
    changelog::{Marks, Refill, Standing},
    last_seen::LastSeen,
    messages,
    signing::Keys,
    store::{
        Rows, Snapshot, StoreArchive, codec, codec::KnownKey, keys, past, put_cards, put_offset, put_past,
        put_session,
    },
    told::People,
};
use domain::network::{Broker, Changes, Command, Effect, Event, Level, Network, Source};
use domain::revocations::{News, Revocations};
use domain::{ChargePointId, Deed, Mono, Now, Wall, cards, gateways};
use evmesh_proto::store::StoredMeta;
use identity::CardKey;
use mesh::{
    audit::Chain,
    group_commit::{Rules, Step},
    store::{Batch, Store},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often readings and offsets are saved, and what came to nothing long ago goes.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// So many sessions' readings are saved at a time: 500 take some milliseconds, all 100,000 would stall for a second.
const CHECKPOINT_SESSIONS: usize = 500;
/// Where more have readings to save, that is done as much more often that all are within this: no more of Kafka is
/// read again after a start.
const SAVED_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something that happened, or is asked for.
    Command(Command),
    /// Messages on `cp_telemetry`, in order.
    Messages(Vec<Incoming>),
    /// Kafka is another cluster than before, or the first ever.
    NewCluster(String),
    /// Kafka has these rows.
    Delivered(RowKind, Vec<u64>),
    /// Kafka has these versions of the changelog.
    Published(Vec<u64>),
    /// The changelog's publisher has looked at it: may it write?
    Changelog(Found),
    /// What was signed with these keys is central's word, the operator says: who that is, and how.
    Trust(Vec<KnownKey>, Deed),
    /// What the server refused for who asked, and how many more there were.
    Refused { deeds: Vec<Deed>, more: u64 },
    /// The registry says whom it has revoked.
    Registry(News),
    /// The registry says which cards there are; with their key first.
    Cards(Option<CardKey>, cards::held::News),
    /// The registry says what gateways serve.
    Gateways(gateways::News),
}

#[derive(Debug)]
pub struct Writer {
    network: Network,
    meta: StoredMeta,
    notifications: Rows,
    dead_letters: Rows,
    /// Which rows the changelog lacks; `None` where none is kept.
    marks: Option<Marks>,
    refill: Refill,
    standing: Standing,
    keys: Arc<Keys>,
    revocations: Revocations,
    /// Of these, what engines are to refuse of people.
    people: Arc<People>,
    to_refuse: ToRefuse,
    card_key: CardKeys,
    served: Served,
    last_seen: LastSeen,
    /// How often all monitors were to report, when they were told last.
    interval_told: Duration,
    /// The registry has told of gateways in this step.
    moves_told: bool,
    audit: Chain,
    /// Are drivers told on Kafka, and dead letters sent there?
    tells_kafka: bool,
    /// What is wrong with how the broker keeps the changelog.
    unkept: Option<String>,
    /// As they are on disk.
    offsets: BTreeMap<i32, i64>,
    checkpointed: Mono,
    /// When readings were last saved.
    saved: Mono,
}

impl Rules for Writer {
    type Input = Input;
    type Effect = Effect;
    type Error = Error;

    fn apply(
        &mut self,
        now: Now,
        store: &dyn Store,
        input: Input,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        match input {
            Input::Command(Command::Tick) => self.tick(now, store, step)?,
            Input::Command(command) => self.commanded(now, store, command, step)?,
            Input::Messages(all) => self.messages(now, store, all, step)?,
            Input::NewCluster(id) => self.new_cluster(now, store, id, step)?,
            Input::Delivered(kind, numbers) => self.rows(kind).delivered(&numbers, &mut step.batch),
            Input::Published(versions) => self.published(now, store, &versions, step)?,
            Input::Changelog(found) => self.judge(now, store, found, step)?,
            Input::Trust(keys, deed) => self.trust(now, store, &keys, deed, step)?,
            Input::Refused { deeds, more } => {
                deeds.into_iter().for_each(|deed| self.audit.write(deed, now, &mut step.batch));
                self.audit.counts(more, now.wall);
            }
            Input::Registry(news) => self.registry_told(now, store, news, step)?,
            Input::Cards(key, news) => self.cards_told(now, store, (key, news), step)?,
            Input::Gateways(news) => self.gateways_told(now, store, news, step)?,
        }
        Ok(())
    }

    fn seal(&mut self, now: Now, store: &dyn Store, step: &mut Step<Effect>) -> Result<(), Error> {
        let checkpoint = now.mono.since(self.checkpointed) >= CHECKPOINT_INTERVAL;
        self.moves_count(now, store, checkpoint, step)?;
        for id in self.put_changes(now, &mut step.batch) {
            self.cut_forgotten(now, id, step);
        }
        self.audit.minute_is_over(now.mono, &mut step.batch);
        self.mark_old_rows(now, store, &mut step.batch)?;
        if checkpoint {
            self.checkpointed = now.mono;
            self.forget_sessions(now.wall, store, &mut step.batch)?;
            self.audit.drop_old(now.wall, store, &mut step.batch)?;
        }
        if let Some(marks) = &mut self.marks {
            marks.write(&mut step.batch);
        }
        if now.mono.since(self.saved) >= saved_every(self.network.unsaved()) {
            self.saved = now.mono;
            self.checkpoint(CHECKPOINT_SESSIONS, &mut step.batch);
        }
        self.put_ends(&mut step.batch);
        self.put_past(&mut step.batch);
        Ok(())
    }

    fn save_all(&mut self, batch: &mut Batch) {
        self.put_changes(Now { mono: Mono::default(), wall: Wall::default() }, batch); // the step before left none
        self.audit.write_count(batch);
        if let Some(marks) = &mut self.marks {
            marks.write(batch);
        }
        self.checkpoint(usize::MAX, batch);
        self.put_ends(batch);
        self.put_past(batch);
    }
}

impl Writer {
    /// The state as it is on disk and, where readings are ahead of it, in memory.
    pub fn snapshot<'a>(&'a self, store: &'a dyn Store) -> Snapshot<'a> {
        Snapshot { network: &self.network, store }
    }

    /// How many rows wait for Kafka.
    pub(crate) fn rows_waiting(&self, kind: RowKind) -> usize {
        match kind {
            RowKind::Notification => self.notifications.waiting(),
            RowKind::DeadLetter => self.dead_letters.waiting(),
        }
    }

    /// Without Kafka's ear nothing is put down for it: what waited before goes on waiting.
    pub(crate) fn tells_kafka(&mut self, tells: bool) {
        self.tells_kafka = tells;
    }

    fn rows(&mut self, kind: RowKind) -> &mut Rows {
        match kind {
            RowKind::Notification => &mut self.notifications,
            RowKind::DeadLetter => &mut self.dead_letters,
        }
    }

    /// Applies one command. `letter` is the message behind it, should it fit nothing.
    fn command(
        &mut self,
        now: Now,
        store: &dyn Store,
        command: Command,
        letter: Option<&Incoming>,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let archive = StoreArchive::new(store);
        let decided = self.network.apply(now, &archive, command);
        archive.into_result()?;
        for effect in decided {
            self.take(now, effect, letter, step);
        }
        Ok(())
    }

    /// Takes what the rules want done, after a command or, `letter`, a message.
    fn take(&mut self, now: Now, effect: Effect, letter: Option<&Incoming>, step: &mut Step<Effect>) {
        match effect {
            Effect::DeadLetter(_) | Effect::Notify(_) | Effect::NotifyAtOnce(_) if !self.tells_kafka => {}
            Effect::DeadLetter(reason) => {
                // Only messages go to the dead letters.
                let letter = letter.map(|incoming| self.dead_letter(incoming, reason, &mut step.batch));
                step.effects.extend(letter);
            }
            // It would overtake what waits on disk for its driver, the `AUTH_OK` of its session perhaps.
            Effect::NotifyAtOnce(notice)
                if notice.session.is_some() && self.notifications.any_of(notice.driver.as_str()) => {}
            effect => {
                match &effect {
                    Effect::Notify(notice) => self.notifications.push(messages::row(notice), &mut step.batch),
                    Effect::Cut(id) => self.cut(now, id, &mut step.batch),
                    _ => {}
                }
                step.effects.push(effect);
            }
        }
    }

    /// The offsets were another cluster's: whatever is known of them goes, and every engine is asked.
    fn new_cluster(
        &mut self,
        now: Now,
        store: &dyn Store,
        id: String,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let known = !self.meta.cluster_id.is_empty();
        self.meta.cluster_id = id;
        step.batch.put(keys::META, codec::encode(&self.meta));
        // Readings that were to be read again from the old cluster are saved now: there is nothing to read them from.
        for session in self.network.checkpoint(usize::MAX) {
            put_session(&session, &mut step.batch);
        }
        self.network.resume_at([]);
        for partition in std::mem::take(&mut self.offsets).into_keys() {
            step.batch.delete(keys::offset(partition));
        }
        if !known {
            return Ok(());
        }
        let text =
            "kafka is another cluster than before: it is read from its beginning, and every engine is asked";
        let (level, name, text) = (Level::Warn, "kafka_clusters_changed", text.to_owned());
        step.effects.push(Effect::Happened(Event { level, name, text }));
        self.command(now, store, Command::Broker(Broker::Gap), None, step)
    }

    /// Writes who did what; and what changed, in an order in which nothing comes before what it rests on: so the
    /// changelog has it, too. Gives the charge points that are forgotten.
    fn put_changes(&mut self, now: Now, batch: &mut Batch) -> Vec<ChargePointId> {
        let Changes { charge_points, forgotten_points, sessions, answers, expired_answers, cards, deeds } =
            self.network.take_changes();
        deeds.into_iter().for_each(|deed| self.audit.write(deed, now, batch));
        let mut changed = Vec::new();
        let known = charge_points.iter().map(|point| &point.id);
        known.chain(&forgotten_points).for_each(|id| self.last_seen.has_news(id));
        for id in &forgotten_points {
            let key = keys::charge_point(id);
            batch.delete(key.clone());
            changed.push(key);
        }
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
        changed.extend(put_cards(&cards, batch));
        if let Some(marks) = &mut self.marks {
            changed.iter().for_each(|key| marks.mark(key, now.wall));
        }
        forgotten_points
    }

    /// Where the audit's chain begins and ends, with its rows.
    fn put_ends(&mut self, batch: &mut Batch) {
        if let Some(ends) = self.audit.news() {
            self.meta.audit = Some(ends);
            batch.put(keys::META, codec::encode(&self.meta));
        }
    }

    /// It costs no commit of its own: where nothing was written, nothing rests on it.
    fn put_past(&mut self, batch: &mut Batch) {
        let known = self.network.past();
        if !batch.is_empty() && known.is_news(&past(&self.meta)) {
            put_past(&mut self.meta, known, batch);
        }
    }

    fn checkpoint(&mut self, sessions: usize, batch: &mut Batch) {
        for session in self.network.checkpoint(sessions) {
            put_session(&session, batch);
        }
        for Source { partition, offset } in self.network.offsets() {
            if self.offsets.insert(partition, offset) != Some(offset) {
                put_offset(partition, offset, batch);
            }
        }
    }
}

/// How often some readings are saved where so many sessions have one to save.
fn saved_every(unsaved: usize) -> Duration {
    let times = unsaved.div_ceil(CHECKPOINT_SESSIONS).max(1);
    (SAVED_WITHIN / u32::try_from(times).unwrap_or(u32::MAX)).min(CHECKPOINT_INTERVAL)
}

#[cfg(test)]
mod tests;
