//! What central deletes: of its sessions those that came to nothing, once their time is over, and no others (INV-1).
//! None of them comes back on its engine's word (INV-10).

use super::{super::world::World, ms};
use domain::SessionId;

/// Central looks at what is over once a second (ms).
const LATE: u64 = 5_000;

impl World {
    /// A row is gone from central's disk.
    pub(in crate::simulate) fn central_deleted(&mut self, key: &[u8]) {
        self.truth.rows.remove(key);
        if let Some(id) = key.strip_prefix(b"c").map(String::from_utf8_lossy) {
            self.truth.forgets(&id); // by the operator's order
        }
        if let Some(partition) = key.strip_prefix(b"k").and_then(|key| key.try_into().ok()) {
            self.truth.offsets.remove(&i32::from_be_bytes(partition)); // of another cluster
        }
        let id = key.strip_prefix(b"s").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        if let Some(id) = id {
            self.session_deleted(id);
        }
    }

    fn session_deleted(&mut self, id: SessionId) {
        let known = self.truth.sessions.get(&id);
        let nothing = known.is_some_and(|session| session.came_to_nothing().is_some());
        let (late, lost) = (self.truth.given_up.contains(&id), self.truth.is_lost(&id));
        let supplied = self.truth.supplies.contains_key(&id) && !late && !lost;
        self.expect("INV-1", nothing && !supplied, || {
            format!("session {id} is deleted, and has not come to nothing")
        });
        let ended = self.truth.ended.get(&id).copied().unwrap_or(self.at);
        let kept = self.at + 1_000 >= ended + ms(self.plan.config.nothing_ttl);
        let unsure = self.truth.jumped.is_some();
        self.expect("INV-6", kept || unsure, || format!("session {id} is deleted too early"));
        self.tally.count("sessions forgotten");
        self.truth.forgotten.insert(id);
    }

    pub(in crate::simulate) fn check_not_forgotten(&mut self, id: &SessionId) {
        let forgotten = self.truth.forgotten.contains(id);
        self.expect("INV-10", !forgotten, || format!("session {id} is back, though central had let it go"));
    }

    /// In the end nothing is kept for ever.
    pub(in crate::simulate) fn check_all_forgotten(&mut self) {
        let now = self.central.clock.now(self.at).wall;
        let ttl = i64::try_from(ms(self.plan.config.nothing_ttl) + LATE).unwrap_or(i64::MAX);
        let sessions =
            self.truth.sessions.values().filter(|session| !self.truth.forgotten.contains(&session.id));
        let over = |since: domain::Wall| since.0.saturating_add(ttl) <= now.0;
        let mut kept = sessions.filter(|session| session.came_to_nothing().is_some_and(over));
        let kept = kept.next().map(|session| session.id.clone());
        self.expect("liveness", kept.is_none(), || format!("session {kept:?} came to nothing, and is kept"));
    }
}
