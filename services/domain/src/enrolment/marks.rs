//! Marks of revocations: what a registry keeps of them apart from its list, against a list that was lost, or is an
//! older copy.
//!
//! A mark is the whole entry of a role, as it was when it was revoked last, or enrolled anew since: so it takes back
//! what had been given by then, with its keys, and nobody who came later. It is needed while anything that was revoked
//! could be renewed by a registry that does not know; but a clock that is wrong for once must not end it, so it goes
//! only where there are too many.

use super::{Certificate, Change, Enrolled, Enrolments, KeyHash, RENEWABLE_FOR, RolePath};
use crate::Wall;
use std::time::Duration;

/// So much longer than anything that was revoked could be renewed its mark is needed: clocks differ.
const MARK_MARGIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is given online is good for so long. A list that was an older copy when somebody was revoked may not have
/// known the last of it: that had been given by then.
pub const GIVEN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many keys of a role that were revoked are known to its mark beside the entry's own, then the first ones go.
const MAX_KEYS: usize = 100;

/// That somebody was revoked, and who has the name since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When it was revoked last.
    pub revoked: Wall,
    /// Nothing that was revoked can be renewed from then on.
    pub until: Wall,
    pub enrolled: Enrolled,
    /// The keys of before that were revoked, in this order.
    pub keys: Vec<KeyHash>,
}

/// What of a mark has to be as in the list: anything else in it changes with each renewal, and tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gist {
    /// As in [`Mark`].
    pub revoked: Wall,
    /// As in [`Mark`].
    pub until: Wall,
    key: KeyHash,
    is_revoked: bool,
    at_once: bool,
    keys: Vec<KeyHash>,
}

impl Gist {
    /// Of the mark that is due, where there was this one `before`; `None`: nothing of it was revoked.
    pub fn of(enrolled: &Enrolled, before: Option<&Self>) -> Option<Self> {
        let ends = |not_after: Wall| not_after + RENEWABLE_FOR + MARK_MARGIN;
        let revoked = enrolled.all().filter_map(|one| Some((one.revoked?, one.not_after)));
        let all = revoked.map(|(at, not_after)| (at, ends(not_after.max(at + GIVEN_FOR))));
        let later = |one: (Wall, Wall), other: (Wall, Wall)| (one.0.max(other.0), one.1.max(other.1));
        let times = before.map(|before| (before.revoked, before.until));
        let (revoked, until) = all.chain(times).reduce(later)?;
        let (key, is_revoked, at_once) = (enrolled.key, enrolled.is_revoked(), enrolled.revoked_now);
        let keys = before.map(|before| before.revoked_keys(key)).unwrap_or_default();
        Some(Self { revoked, until, key, is_revoked, at_once, keys })
    }

    /// When this key was revoked, or another one after it; `None`: it was not, or has the name again.
    pub fn revoked(&self, key: &KeyHash) -> Option<Wall> {
        let is_own = self.is_revoked && self.key == *key;
        (is_own || self.keys.contains(key)).then_some(self.revoked)
    }

    /// Those that were revoked, but for the one which has the name from here on.
    fn revoked_keys(&self, next: KeyHash) -> Vec<KeyHash> {
        let own = self.is_revoked.then_some(self.key);
        let mut keys: Vec<_> = self.keys.iter().copied().chain(own).filter(|key| *key != next).collect();
        keys.drain(..keys.len().saturating_sub(MAX_KEYS));
        keys
    }
}

impl Mark {
    pub fn new(gist: Gist, enrolled: Enrolled) -> Self {
        Self { revoked: gist.revoked, until: gist.until, enrolled, keys: gist.keys }
    }

    pub fn gist(&self) -> Gist {
        let (key, is_revoked) = (self.enrolled.key, self.enrolled.is_revoked());
        let (revoked, until, at_once) = (self.revoked, self.until, self.enrolled.revoked_now);
        Gist { revoked, until, key, is_revoked, at_once, keys: self.keys.clone() }
    }

    /// Was this key revoked, and has not the name again?
    pub fn has_revoked(&self, key: &KeyHash) -> bool {
        self.gist().revoked(key).is_some()
    }

    /// Is this entry the mark's, or a later one? By what they have in common, whatever the clocks were; by the times
    /// only where that is nothing.
    fn is_known_to(&self, entry: &Enrolled) -> bool {
        let Certificate { serial, revoked, .. } = &self.enrolled.newest;
        let is_later = || entry.issued > revoked.unwrap_or_default().max(self.enrolled.issued);
        !self.takes_back(entry) && (entry.certificate(serial).is_some() || is_later())
    }

    /// Was something revoked that is good in this entry, or its key before another one?
    fn takes_back(&self, entry: &Enrolled) -> bool {
        let of_key = self.has_revoked(&entry.key) && (entry.key != self.enrolled.key || !entry.is_revoked());
        let mut good = entry.all().filter(|one| one.revoked.is_none());
        let own = |one: &Certificate| self.enrolled.certificate(&one.serial);
        of_key || good.any(|one| own(one).is_some_and(|own| own.revoked.is_some()))
    }
}

impl Enrolments {
    /// Of two entries of a role, the list's and its mark's, the later one counts. With an older one of the list go the
    /// tokens of that time. The time now tells only whom the list has forgotten: nobody who was revoked.
    pub fn marked(&mut self, now: Wall, role: RolePath, mark: Mark) -> Vec<Change> {
        let is_known = match self.get(&role) {
            Some(entry) => mark.is_known_to(entry),
            None => !mark.enrolled.is_revoked() && mark.enrolled.is_over(now),
        };
        if is_known {
            return Vec::new();
        }
        let tokens = self.tokens.iter().filter(|(_, token)| token.role == role);
        let mut changes: Vec<_> = tokens.map(|(hash, _)| Change::Token(*hash, None)).collect();
        // First nothing: whatever is kept with an entry was the older one's.
        changes.extend([Change::Identity(role.clone(), None), Change::Identity(role, Some(mark.enrolled))]);
        self.done(changes)
    }
}

#[cfg(test)]
mod tests;
