//! Who attends the engine: the stream with the highest epoch, while it is not silent for longer than the grace.

use super::{effect::StaleEpoch, input::Ping};
use crate::Mono;
use std::time::Duration;

/// No copy of a call comes so late: central does not wait so long for its answer.
const NAMED_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// The highest epoch that central has named since the process started, and when it last did.
    named: (u64, Mono),
    /// The highest epoch seen of those that central has named.
    newest_epoch: u64,
    watcher: Option<Watcher>,
}

#[derive(Debug, Clone)]
struct Watcher {
    link: u64,
    epoch: u64,
    heard: Mono,
    /// Its stream has ended; the grace runs on, and any newer stream may take its place.
    gone: bool,
    central_reachable: bool,
}

impl Watch {
    /// Central has called, and named the epoch of its registration. A higher one that was not named for
    /// [`NAMED_FOR`] was nobody's, or of a store of central's that was lost: its monitor keeps no other out.
    pub(super) fn named(&mut self, at: Mono, epoch: u64) {
        let (named, last) = self.named;
        if epoch >= named || at.since(last) > NAMED_FOR {
            self.named = (epoch, at);
            self.newest_epoch = self.newest_epoch.min(epoch);
        }
    }

    /// A ping.
    ///
    /// An epoch that central has not named may be anybody's invention, and would keep the honest monitor that comes
    /// after it out: it counts as 0. Central calls within a moment of each registration.
    ///
    /// Epoch 0 is a monitor that has not registered yet: it is answered, so that it learns the instance it is to
    /// register, but never takes the place of one that has. A ping on an older stream of the same epoch is answered and
    /// counts for nothing (INV-8).
    pub(super) fn ping(&mut self, at: Mono, ping: Ping) -> Result<(), StaleEpoch> {
        let Ping { link, epoch, central_reachable } = ping;
        let epoch = if epoch > self.named.0 { 0 } else { epoch };
        if epoch != 0 && epoch < self.newest_epoch {
            return Err(StaleEpoch { epoch, newest: self.newest_epoch });
        }
        self.newest_epoch = self.newest_epoch.max(epoch);
        let (takes, known) = match &self.watcher {
            None => (true, 0),
            Some(Watcher { gone: true, .. }) => (true, 0),
            Some(same) if same.link == link => (true, same.epoch),
            Some(other) => (epoch > other.epoch || (epoch == other.epoch && link > other.link), 0),
        };
        if takes {
            self.watcher =
                Some(Watcher { link, epoch: epoch.max(known), heard: at, gone: false, central_reachable });
        }
        Ok(())
    }

    /// A stream ended. Only the grace decides that its monitor is lost: it may be reconnecting.
    pub(super) fn ended(&mut self, link: u64) {
        if let Some(watcher) = self.watcher.as_mut().filter(|watcher| watcher.link == link) {
            watcher.gone = true;
        }
    }

    pub(super) fn is_attended(&self) -> bool {
        self.watcher.is_some()
    }

    pub(super) fn central_reachable(&self) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| watcher.central_reachable)
    }

    /// When the monitor counts as lost, if it stays silent.
    pub(super) fn lost_at(&self, grace: Duration) -> Option<Mono> {
        self.watcher.as_ref().map(|watcher| watcher.heard + grace)
    }

    /// It was silent for the grace.
    pub(super) fn lose(&mut self) {
        self.watcher = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_epoch_and_then_the_newest_stream_attends() {
        let ping = |link, epoch| Ping { link, epoch, central_reachable: true };
        // (link, epoch, accepted, the link that attends afterwards)
        let mut watch = Watch::default();
        watch.named(Mono(0), 4);
        for (link, epoch, accepted, attends) in [
            (1, 0, true, 1),
            (2, 0, true, 2),  // the same monitor came back on a new stream
            (1, 0, true, 2),  // its old stream counts for nothing
            (2, 3, true, 2),  // it registered
            (3, 0, true, 2),  // another one, not registered: answered, and no more
            (4, 2, false, 2), // an older registration
            (5, 4, true, 5),  // a newer one
            (2, 3, false, 5), // the older one is told
            (5, 4, true, 5),
            (6, 1 << 53, true, 5), // nobody's: central has named none above 4
            (5, 4, true, 5),
        ] {
            assert_eq!(watch.ping(Mono(link), ping(link, epoch)).is_ok(), accepted, "{link} {epoch}");
            assert_eq!(watch.watcher.as_ref().unwrap().link, attends, "{link} {epoch}");
        }
        watch.ended(2);
        assert!(!watch.watcher.as_ref().unwrap().gone, "the end of an older stream touches nothing");
        watch.ended(5);
        watch.ping(Mono(9), Ping { central_reachable: false, ..ping(7, 0) }).unwrap();
        assert_eq!(
            watch.watcher.as_ref().unwrap().link,
            7,
            "a restarted monitor takes the place of its dead stream"
        );
        assert!(!watch.central_reachable());
    }
}
