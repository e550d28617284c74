//! The writer's part in the changelog: which rows it lacks, and whether it is this store's to write.

use super::Writer;
use crate::{
    Error,
    changelog::{AHEAD, Copied, END_KEY, End, Found, Marks, Reach, Refill, Standing, WHOLE_KEY, Written},
    store::{codec, keys},
};
use domain::network::{Command, Effect, Event, Level};
use domain::{Now, Wall};
use evmesh_proto::{
    store::StoredMeta,
    topics::{AuditAnchor, AuditAnchorType},
};
use mesh::{
    convert::hex,
    group_commit::Step,
    store::{Batch, Store},
};

/// So many rows of before the changelog are marked a step, for a store that had none: some milliseconds.
const OLD_ROWS_A_STEP: usize = 500;
/// With so many marks waiting, no more old rows are marked: they would only fill the memory.
const ENOUGH_MARKS: usize = 10_000;

/// So far is the marking of every row once all are marked: no row has a key like this.
const ALL_MARKED: &[u8] = b"\xff";

/// How far the changelog is behind the store.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lag {
    /// How many rows it lacks as they are now.
    pub(crate) rows: usize,
    /// For how long the oldest has waited.
    pub(crate) seconds: f64,
    pub(crate) standing: Standing,
}

impl Writer {
    /// The store's id, by which the changelog and the audit's anchors know it.
    pub(crate) fn store_id(&self) -> &str {
        &self.meta.store_id
    }

    /// What ends the changelog, if there ever was one of this store's or of its predecessor's.
    pub(crate) fn changelog_end(&self, store: &impl Store) -> Result<Option<End>, Error> {
        let StoredMeta { store_id, predecessor_id, .. } = &self.meta;
        // Kafka may have more than it was heard of: what was marked before, too.
        let version = Marks::of(store, &self.meta)?.highest();
        Ok((version > 0).then(|| End { stores: [store_id.clone(), predecessor_id.clone()], version }))
    }

    /// How far the audit's chain is, as it is on disk.
    pub(super) fn anchor(&self, now: Wall) -> AuditAnchor {
        let (number, newest) = self.audit.newest();
        AuditAnchor {
            kind: AuditAnchorType::Anchor,
            store_id: self.meta.store_id.clone(),
            number,
            hash: hex(newest),
            timestamp: now.seconds(),
        }
    }

    /// How far the changelog is behind.
    pub(crate) fn lag(&self, now: Wall) -> Lag {
        // That it is whole again is one of them.
        let whole = usize::from(self.meta.marked_to.is_some());
        let waiting = |marks: &Marks| (marks.len() + whole, marks.oldest_seconds(now));
        let (rows, seconds) = self.marks.as_ref().map_or((0, 0.0), waiting);
        Lag { rows, seconds, standing: self.standing }
    }

    /// Kafka has rows: engines may forget the sessions among them, if nothing else is missing.
    pub(super) fn published(
        &mut self,
        now: Now,
        store: &dyn Store,
        versions: &[u64],
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let (Some(marks), Some(highest)) = (&mut self.marks, versions.iter().max()) else {
            return Ok(());
        };
        let settled = marks.published(versions);
        let own = keys::signing_key(&self.keys.own().key);
        if settled.iter().any(|key| **key == *own) {
            self.keys.is_copied();
        }
        self.meta.changelog_version = self.meta.changelog_version.max(*highest);
        step.batch.put(keys::META, codec::encode(&self.meta));
        let sessions: Vec<_> = settled.iter().filter_map(|key| keys::session_of(key)).collect();
        if sessions.is_empty() || self.meta.marked_to.is_some() {
            return Ok(());
        }
        self.command(now, store, Command::Copied(sessions), None, step)
    }

    /// The next rows, at most so many, as they are on disk; or, by itself, what ends the log, or says that it is whole.
    pub(super) fn next_rows(&mut self, store: &dyn Store, limit: usize) -> Result<Vec<Copied>, Error> {
        let is_refilled = self.is_refilled();
        let Some(marks) = &mut self.marks else { return Ok(Vec::new()) };
        let sign = match self.refill {
            Refill::ToEnd => Some(END_KEY),
            Refill::Behind(_) if is_refilled => Some(WHOLE_KEY),
            Refill::Behind(_) | Refill::Done => None,
        };
        if let Some(key) = sign {
            let (version, key) = (marks.highest(), key.to_vec());
            return Ok(vec![Copied { version, value: Some(key.clone()), key }]);
        }
        let copied = marks.take(limit).into_iter().map(|(version, key)| {
            let value = store.get(&key)?;
            Ok(Copied { version, key: key.to_vec(), value })
        });
        copied.collect()
    }

    /// Does the log have every row behind its end?
    fn is_refilled(&self) -> bool {
        let Refill::Behind(version) = self.refill else { return false };
        let is_published = |marks: &Marks| marks.are_published_to(version);
        self.meta.marked_to.as_deref() == Some(ALL_MARKED) && self.marks.as_ref().is_some_and(is_published)
    }

    /// Whose the changelog is, as it was last judged.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// The highest version that the log may have of this store.
    fn given_to(&self) -> u64 {
        self.marks.as_ref().map_or(0, Marks::highest)
    }

    /// Whose a log is that has this as its last message.
    fn standing_by(&self, last: Option<&Written>, disturbed: bool) -> Standing {
        let StoredMeta { store_id, predecessor_id, .. } = &self.meta;
        match last {
            None => Standing::Ours,
            Some(last) if last.store == *store_id && last.version > self.given_to() => Standing::Ahead,
            Some(last) if last.store == *store_id => Standing::Ours,
            Some(last) if !last.store.is_empty() && last.store == *predecessor_id && !disturbed => {
                Standing::Ours
            }
            Some(_) => Standing::Foreign,
        }
    }

    /// Says whether the changelog may be written, and makes it whole where it lacks what it once had.
    pub(super) fn judge(
        &mut self,
        now: Now,
        store: &dyn Store,
        found: Found,
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        let Found { cluster, last, disturbed, reach, unkept } = found;
        let mut happened = |name, level, text: String| {
            step.effects.push(Effect::Happened(Event { level, name, text }));
        };
        let standing = self.standing_by(last.as_ref(), disturbed);
        if standing != std::mem::replace(&mut self.standing, standing) {
            match standing {
                Standing::Foreign => happened(
                    "changelogs_foreign",
                    Level::Error,
                    "the changelog on Kafka is another store's, so it is not written: to go on with that store, \
                     stop central, move the data folder away and start with --rebuild; to go on with this one, \
                     delete the topic, or choose another --kafka-topic-prefix"
                        .into(),
                ),
                Standing::Ahead => happened("changelogs_ahead", Level::Error, AHEAD.into()),
                Standing::Ours | Standing::Unknown => {}
            }
        }
        if unkept.is_some() && unkept != self.unkept {
            let text = format!(
                "{}: the changelog forgets rows, and a lost store could not be rebuilt; change the topic",
                unkept.as_deref().unwrap_or_default()
            );
            happened("changelogs_not_compacted", Level::Error, text);
        }
        self.unkept = unkept;
        // Nobody but this process knows that nothing is missing before such a message.
        let is_whole = reach == Reach::WholeAgain && !disturbed && self.is_refilled();
        self.refill = Refill::Done;
        // What is marked while it is not written is newer than the log, and would say nothing at the next start.
        let given_to = (standing != Standing::Ours).then(|| self.given_to());
        let was_given_to = std::mem::replace(&mut self.meta.changelog_given_to, given_to);
        if standing != Standing::Ours {
            if given_to != was_given_to {
                step.batch.put(keys::META, codec::encode(&self.meta));
            }
            return Ok(());
        }
        let another = self.meta.changelog_cluster_id != cluster;
        let lacks = (another || last.is_none() || disturbed) && self.meta.changelog_version > 0
            || reach == Reach::Refilled && self.meta.marked_to.is_none();
        if is_whole {
            self.meta.marked_to = None;
        } else if lacks || reach == Reach::Ended {
            self.meta.marked_to = Some(Vec::new());
        }
        if let Some(marked_to) = &self.meta.marked_to {
            // One that has not begun may follow a time without the log, of which the end knew nothing.
            let goes_on =
                reach == Reach::Ended || reach == Reach::Refilled && !lacks && !marked_to.is_empty();
            let behind = Refill::Behind(self.marks.as_ref().map_or(0, Marks::last));
            self.refill = if goes_on { behind } else { Refill::ToEnd };
        }
        if reach == Reach::Ended {
            let text = "the changelog lacks rows, or may have older ones: every row is published again";
            happened("changelogs_refilled", Level::Warn, text.into());
        }
        self.meta.changelog_cluster_id = cluster;
        step.batch.put(keys::META, codec::encode(&self.meta));
        if is_whole {
            let is_marked = |key: Vec<u8>| self.marks.as_ref().is_some_and(|marks| marks.has(&key));
            let ids = self.network.sessions().map(|session| session.id.clone());
            let copied = ids.filter(|id| !is_marked(keys::session(id))).collect();
            self.command(now, store, Command::Copied(copied), None, step)?;
        }
        Ok(())
    }

    /// Marks some of the rows that no change will mark, where there are any, once what was in the log has ended.
    pub(super) fn mark_old_rows(
        &mut self,
        now: Now,
        store: &dyn Store,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let (Some(marks), Some(from)) = (&mut self.marks, &self.meta.marked_to) else { return Ok(()) };
        let Refill::Behind(behind) = &mut self.refill else { return Ok(()) };
        if marks.len() >= ENOUGH_MARKS || from == ALL_MARKED {
            return Ok(());
        }
        let mut next = ALL_MARKED.to_vec();
        for prefix in keys::LOGGED {
            let page = store.range(from, prefix, OLD_ROWS_A_STEP)?;
            page.iter().for_each(|(key, _)| marks.mark(key, now.wall));
            if let Some((last, _)) = page.into_iter().next_back() {
                next = keys::after(last);
                break;
            }
        }
        self.meta.marked_to = Some(next);
        *behind = marks.last();
        batch.put(keys::META, codec::encode(&self.meta));
        Ok(())
    }
}
