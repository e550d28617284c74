//! Who reports, and when each was last seen: a report that says what the one before said is noted here, and answered as
//! that one was. The writer hears of such reports at its next tick, all at once; of whatever it changed meanwhile that
//! an answer may say, the stream hears here, and its next report goes to the writer. So do all once no tick came for
//! too long: a writer that hangs acknowledges nothing.

use domain::network::Seen;
use domain::{ChargePointId, Mono};
use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The writer ticks several times a second: without a tick for so long it hangs, and a monitor's three intervals have
/// just passed where they are shortest.
const HANGS_AFTER: Duration = Duration::from_secs(3);

/// The charge points that are reported of. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastSeen {
    table: Arc<Mutex<Table>>,
    /// When the writer last took what was seen (milliseconds on the monotonic clock); 0: it has not yet.
    taken_at: Arc<AtomicU64>,
}

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
    pub(crate) fn take(&self, now: Mono) -> Vec<Seen> {
        self.taken_at.store(now.0, Ordering::Relaxed);
        mem::take(&mut self.table().seen)
    }

    fn hangs(&self, now: Mono) -> bool {
        now.since(Mono(self.taken_at.load(Ordering::Relaxed))) >= HANGS_AFTER
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
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// May the next answer say something else than the last one, or be none at all?
    pub(crate) fn has_news(&self, now: Mono) -> bool {
        self.news.load(Ordering::Relaxed) || self.last_seen.hangs(now)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_the_writer_has_not_ticked_for_too_long_every_report_is_for_it() {
        let last_seen = LastSeen::default();
        let holds = last_seen.hold("MAD-01".parse().unwrap(), 1).unwrap();
        holds.hears();
        assert!(holds.has_news(Mono(3_000)), "it has not begun to tick");
        last_seen.take(Mono(10_000));
        assert!(!holds.has_news(Mono(12_999)));
        assert!(holds.has_news(Mono(13_000)), "it hangs");
        last_seen.take(Mono(13_001));
        assert!(!holds.has_news(Mono(13_002)), "it is back");
    }
}
