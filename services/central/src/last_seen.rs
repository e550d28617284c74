//! Who reports, and when each was last seen: a report that says what the one before said is noted here, and answered as
//! that one was. The writer hears of such reports at its next tick, all at once; of whatever it changed meanwhile that
//! an answer may say, the stream hears here, and its next report goes to the writer.

use domain::ChargePointId;
use domain::network::Seen;
use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The charge points that are reported of. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastSeen(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// The streams of each charge point, by the epochs of its registrations: is there news for them?
    streams: HashMap<ChargePointId, Vec<(u64, Arc<AtomicBool>)>>,
    /// Since the writer's last tick.
    seen: Vec<Seen>,
}

impl LastSeen {
    /// One stream a registration: a second one would end the first one's charge point with its own end.
    pub(crate) fn hold(&self, charge_point: ChargePointId, epoch: u64) -> Option<Holds> {
        let mut table = self.table();
        let streams = table.streams.entry(charge_point.clone()).or_default();
        if streams.iter().any(|(held, _)| *held == epoch) {
            return None;
        }
        let news = Arc::new(AtomicBool::new(true));
        streams.push((epoch, news.clone()));
        Some(Holds { charge_point, epoch, news, last_seen: self.clone() })
    }

    pub(crate) fn note(&self, seen: Seen) {
        self.table().seen.push(seen);
    }

    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        mem::take(&mut self.table().seen)
    }

    /// What the next report of this charge point is answered may be another than the last one was.
    pub(crate) fn has_news(&self, charge_point: &ChargePointId) {
        let table = self.table();
        let streams = table.streams.get(charge_point).into_iter().flatten();
        streams.for_each(|(_, news)| news.store(true, Ordering::Relaxed));
    }

    /// What everybody's is.
    pub(crate) fn have_news(&self) {
        let table = self.table();
        table.streams.values().flatten().for_each(|(_, news)| news.store(true, Ordering::Relaxed));
    }

    /// Whoever has `with` shares this one from now on.
    pub(crate) fn share(&mut self, with: &Self) {
        *self = with.clone();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one stream reports of.
#[derive(Debug)]
pub(crate) struct Holds {
    pub(crate) charge_point: ChargePointId,
    /// Of its registration.
    pub(crate) epoch: u64,
    news: Arc<AtomicBool>,
    last_seen: LastSeen,
}

impl Holds {
    /// May the next answer say something else than the last one?
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Relaxed)
    }

    /// The next report is about to go to the writer: its answer says all that came before.
    pub(crate) fn hears(&self) {
        self.news.store(false, Ordering::Relaxed);
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        let mut table = self.last_seen.table();
        if let Some(streams) = table.streams.get_mut(&self.charge_point) {
            streams.retain(|(epoch, _)| *epoch != self.epoch);
            if streams.is_empty() {
                table.streams.remove(&self.charge_point);
            }
        }
    }
}
