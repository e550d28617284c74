//! Time passes.

use super::Writer;
use crate::{Error, last_seen::LastSeen};
use domain::Now;
use domain::network::{Command, Effect};
use mesh::{group_commit::Step, store::Store};

/// Monitors are told to report more seldom once that is by one part in so many: each hears it by a report that the
/// writer answers.
const NEWS: u32 = 8;

impl Writer {
    /// It takes what was seen from there, and says there whose next report it wants to hear.
    pub(super) fn shares_last_seen(&mut self, with: &LastSeen) {
        self.last_seen.share(with);
    }

    /// First come the reports that were answered beside the writer: nobody is taken for silent who was seen.
    pub(super) fn tick(&mut self, now: Now, store: &dyn Store, step: &mut Step<Effect>) -> Result<(), Error> {
        let seen = self.last_seen.take(now.mono);
        if !seen.is_empty() {
            self.command(now, store, Command::Seen(seen), None, step)?;
        }
        let interval = self.network.report_interval();
        if interval > self.interval_told + self.interval_told / NEWS {
            self.last_seen.have_news();
            self.interval_told = interval;
        }
        self.interval_told = self.interval_told.min(interval); // of a network that shrinks, for when it grows again
        self.commanded(now, store, Command::Tick, step)
    }
}
