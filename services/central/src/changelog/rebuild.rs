//! A store out of its changelog: durable in chunks, and served only once it is whole.

use super::{CENTRAL_CHANGELOG, Marks, WHOLE_KEY, Written, marks::date_of};
use crate::{
    Error,
    store::{codec, delete_session, keys, meta, new_meta, put_session, stored},
};
use domain::Now;
use domain::network::{Config, Session};
use evmesh_proto::{
    store::{StoredAudit, StoredMeta},
    topics::AuditAnchor,
};
use mesh::{
    Shutdown,
    convert::unhex,
    kafka::{KafkaOptions, Origin, Reader, ReaderEvent},
    store::{Batch, Store},
};
use std::{
    collections::BTreeMap,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::Duration,
};

/// So many rows are written at a time: some milliseconds each.
const ROWS_AT_ONCE: usize = 1000;
/// So many messages may wait for the disk.
const QUEUE: usize = 2000;
/// How often its progress is told, and how soon an order to stop is heard.
const TELL_EVERY: Duration = Duration::from_secs(5);
const LISTEN_EVERY: Duration = Duration::from_millis(200);
/// Names the reader in lag dashboards.
const GROUP: &str = "evmesh-central-rebuild";

/// What a rebuild needs to know.
#[derive(Debug)]
pub(crate) struct Rebuild {
    pub(crate) kafka: KafkaOptions,
    pub(crate) config: Config,
    /// The offset of the last message that was there when it was decided on: the end is not before it.
    pub(crate) last: i64,
    /// The newest anchor of the audit that is on Kafka.
    pub(crate) anchor: Option<AuditAnchor>,
    pub(crate) shutdown: Shutdown,
}

/// Deletes every row, and begins a store that must not be served before [`rebuild`] has ended.
pub(crate) fn discard(store: &mut impl Store) -> Result<(), Error> {
    let meta = StoredMeta { rebuilding: true, ..new_meta() };
    let mut batch = Batch::default();
    batch.put(keys::META, codec::encode(&meta));
    store.commit(batch)?;
    for prefix in keys::ALL {
        loop {
            let page = store.range(prefix, prefix, ROWS_AT_ONCE)?;
            if page.is_empty() {
                break;
            }
            let mut batch = Batch::default();
            page.into_iter().for_each(|(key, _)| batch.delete(key));
            store.commit(batch)?;
        }
    }
    Ok(())
}

/// What has been read so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    cluster: String,
    /// Of the last message.
    written: Option<Written>,
    /// The highest version of any.
    pub(crate) version: u64,
    read_to: Option<i64>,
    rows: u64,
    unusable: u64,
    /// It has ended, and is not whole again so far.
    ended: bool,
    /// The sessions without a ticket so far, by their keys: these may be deleted further on.
    unbilled: BTreeMap<Vec<u8>, Session>,
    anchor: Option<AuditAnchor>,
    batch: Batch,
}

/// Reads the changelog to its end into the store. False: stopped before that; the next start begins anew. Blocks.
pub(crate) fn rebuild(store: &mut impl Store, what: &Rebuild) -> Result<bool, Error> {
    discard(store)?;
    tracing::warn!("the store is rebuilt from the changelog; central serves once that is done");
    let (events, told) = sync_channel(QUEUE);
    let origin = Origin::Stored { cluster_id: None, offsets: BTreeMap::new() };
    let _reader = Reader::spawn(&what.kafka, CENTRAL_CHANGELOG, GROUP, origin, move |event| {
        events.send(event).is_ok()
    })?;
    let mut progress = Progress { anchor: what.anchor.clone(), ..Progress::default() };
    let mut tell_at = mesh::now().mono + TELL_EVERY;
    loop {
        if what.shutdown.is_started() {
            return Ok(false);
        }
        match told.recv_timeout(LISTEN_EVERY) {
            Ok(event) => {
                if progress.take(event, what.last, store)? {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false), // the reader has said why
        }
        if progress.batch.len() >= ROWS_AT_ONCE {
            store.commit(std::mem::take(&mut progress.batch))?;
        }
        if mesh::now().mono >= tell_at {
            tell_at = mesh::now().mono + TELL_EVERY;
            tracing::info!(
                rows = progress.rows,
                of = what.last + 1,
                "rebuilding the store from the changelog"
            );
        }
    }
    if progress.ended {
        // Of before anybody noticed that it has: a row that was under way when another process ended it.
        let (topic, kafka) = (what.kafka.topic(CENTRAL_CHANGELOG), what.kafka.kafka.clone());
        return Err(Error::ChangelogEnded { topic, kafka });
    }
    progress.finish(store, &what.config, mesh::now())?;
    Ok(true)
}

impl Progress {
    /// Takes what the reader tells; true: that was all.
    fn take(&mut self, event: ReaderEvent, last: i64, store: &mut impl Store) -> Result<bool, Error> {
        match event {
            ReaderEvent::Message(message) => {
                let written = Written::of(&message);
                self.read_to = self.read_to.max(Some(message.offset));
                if written.format == 0 {
                    self.unusable(&message.key, "it does not say its format");
                    return Ok(false);
                }
                codec::check_format(written.format)?;
                self.version = self.version.max(written.version);
                self.written = Some(written);
                if super::is_end(&message) {
                    // Some of it may have been deleted before all was told again.
                    (self.rows, self.unbilled, self.batch) = Default::default();
                    self.ended = true;
                    discard(store)?;
                } else if message.key == WHOLE_KEY {
                    self.ended = false;
                } else {
                    self.row(message.key, message.payload);
                }
            }
            ReaderEvent::ReadToEnd { .. } => return Ok(self.read_to >= Some(last)),
            ReaderEvent::NewCluster { id, .. } => self.cluster = id,
            ReaderEvent::Away => tracing::warn!("kafka is away; the rebuild waits for it"),
            ReaderEvent::Gap { .. } | ReaderEvent::Pause => {} // it is read from its beginning again, in order
        }
        Ok(false)
    }

    /// A row, and what leads to it. What cannot be read is left out, loudly: the rest is still worth having.
    pub(crate) fn row(&mut self, key: Vec<u8>, value: Vec<u8>) {
        metrics::counter!("evmesh_central_rows_rebuilt_total").increment(1);
        self.rows += 1;
        if !keys::LOGGED.iter().any(|prefix| key.starts_with(prefix)) {
            return self.unusable(&key, "no row of a store has such a key");
        }
        if value.is_empty() {
            if let Some(session) = self.unbilled.remove(&key) {
                delete_session(&session, &mut self.batch);
            }
            return self.batch.delete(key);
        }
        let read = if key.starts_with(keys::SESSIONS) {
            codec::session(&value).map(|session| {
                put_session(&session, &mut self.batch);
                match session.ticket() {
                    Some(_) => self.unbilled.remove(&key),
                    None => self.unbilled.insert(key.clone(), session),
                };
            })
        } else if key.starts_with(keys::SIGNING_KEYS) {
            codec::signing_key(&value).map(|_| self.batch.put(key.clone(), value))
        } else if key.starts_with(keys::CHARGE_POINTS) {
            codec::charge_point(&value).map(|_| self.batch.put(key.clone(), value))
        } else if key.starts_with(keys::REVOKED) {
            codec::revoked(&value).map(|_| self.batch.put(key.clone(), value))
        } else if key.starts_with(keys::CARD_BLOCKS) {
            codec::card_block(&value).map(|_| self.batch.put(key.clone(), value))
        } else {
            codec::answered(&value).map(|_| self.batch.put(key.clone(), value))
        };
        if let Err(why) = read {
            self.unusable(&key, &why.to_string());
        }
    }

    fn unusable(&mut self, key: &[u8], why: &str) {
        self.unusable += 1;
        tracing::error!(key = %key.escape_ascii(), %why, "a row of the changelog cannot be used; it is left out");
        metrics::counter!("evmesh_central_changelog_rows_unusable_total").increment(1);
    }

    /// The rows are of different moments: makes them fit, and the store ready to be opened.
    pub(crate) fn finish(self, store: &mut impl Store, config: &Config, now: Now) -> Result<(), Error> {
        let Self { cluster, written, version, rows, unusable, anchor, batch, .. } = self;
        store.commit(batch)?;
        let mut stored = stored(store)?;
        stored.mend(config, now);
        let mut marks = Marks::restore(store, version)?;
        for points in stored.charge_points.chunks(ROWS_AT_ONCE) {
            let mut batch = Batch::default();
            for point in points {
                let key = keys::charge_point(&point.id);
                marks.mark(&key, now.wall);
                batch.put(key, codec::charge_point_value(point));
            }
            marks.write(&mut batch);
            store.commit(batch)?;
        }
        for sessions in stored.sessions.chunks(ROWS_AT_ONCE) {
            let mut batch = Batch::default();
            for session in sessions {
                let key = keys::session(&session.id);
                // Most are as they were.
                if store.get(&key)?.as_deref() != Some(codec::session_value(session).as_slice()) {
                    marks.mark(&key, now.wall);
                    put_session(session, &mut batch);
                }
            }
            marks.write(&mut batch);
            store.commit(batch)?;
        }
        let mut batch = Batch::default();
        let latest = date_of(version);
        let predecessor_id = written.map(|written| written.store).unwrap_or_default();
        let page = StoredMeta {
            audit: goes_on_behind(anchor, &predecessor_id),
            predecessor_id,
            changelog_cluster_id: cluster,
            changelog_version: version,
            rebuilt_ms: now.wall.0.max(1),
            latest_ms: latest.0,
            // What the log lacks of so long ago cannot be told from what is gone. By this clock: the one before may
            // have been ahead once.
            forgotten_to_ms: now.wall.0.saturating_sub(millis(config.nothing_ttl)),
            ..meta(store)?
        };
        batch.put(keys::META, codec::encode(&StoredMeta { rebuilding: false, ..page }));
        store.commit(batch)?;
        let sessions = stored.sessions.len();
        tracing::warn!(
            rows,
            unusable,
            charge_points = stored.charge_points.len(),
            unsettled_sessions = sessions,
            "the store is rebuilt; every engine is asked for what is younger"
        );
        Ok(())
    }
}

/// The audit itself is not in the log: its chain goes on behind what is known of it elsewhere.
fn goes_on_behind(anchor: Option<AuditAnchor>, store: &str) -> Option<StoredAudit> {
    let anchor = anchor.filter(|anchor| anchor.store_id == store);
    let behind = anchor.and_then(|anchor| Some(mesh::audit::behind(anchor.number, unhex(&anchor.hash)?)));
    match &behind {
        Some(ends) => tracing::warn!(
            entry = ends.newest,
            "the audit's entries are lost with the store; its chain goes on behind the last anchor"
        ),
        None => tracing::warn!(
            "the audit's entries are lost with the store, and so is what there is on kafka of them; its chain begins \
             anew"
        ),
    }
    behind
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
