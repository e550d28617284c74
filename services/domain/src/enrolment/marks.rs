//! Marks of revocations: what a registry keeps of them apart from its list, against a list that was lost, or is an
//! older copy.
//!
//! A mark is the whole entry of a role, as it was when it was revoked last, or enrolled anew since: so it takes back
//! what had been given by then, with its keys, and nobody who came later. It is kept while anything that was revoked
//! could be renewed by a registry that does not know.

use super::{Change, Enrolled, Enrolments, KeyHash, RENEWABLE_FOR, RolePath};
use crate::Wall;
use std::time::Duration;

/// So much longer than anything that was revoked could be renewed its mark is kept: clocks differ.
pub const MARK_MARGIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is given online is good for so long. A list that was an older copy when somebody was revoked may not have
/// known the last of it: that had been given by then.
pub const GIVEN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// That somebody was revoked, and who has the name since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When it was revoked last.
    pub revoked: Wall,
    /// Nothing that was revoked can be renewed from then on.
    pub until: Wall,
    pub enrolled: Enrolled,
}

/// What of a mark has to be as in the list: anything else in it changes with each renewal, and tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gist {
    /// As in [`Mark`].
    pub revoked: Wall,
    /// As in [`Mark`].
    pub until: Wall,
    key: KeyHash,
    is_revoked: bool,
    at_once: bool,
}

impl Gist {
    /// Of the mark that is due, where there was this one `before`; `None`: nothing of it was revoked.
    pub fn of(enrolled: &Enrolled, before: Option<Self>) -> Option<Self> {
        let before = before.map(|before| (before.revoked, before.until));
        let ends = |not_after: Wall| not_after + RENEWABLE_FOR + MARK_MARGIN;
        let revoked = enrolled.all().filter_map(|one| Some((one.revoked?, one.not_after)));
        let all = revoked.map(|(at, not_after)| (at, ends(not_after.max(at + GIVEN_FOR))));
        let later = |one: (Wall, Wall), other: (Wall, Wall)| (one.0.max(other.0), one.1.max(other.1));
        let (revoked, until) = all.chain(before).reduce(later)?;
        let (key, is_revoked, at_once) = (enrolled.key, enrolled.is_revoked(), enrolled.revoked_now);
        Some(Self { revoked, until, key, is_revoked, at_once })
    }
}

impl Mark {
    pub fn new(gist: Gist, enrolled: Enrolled) -> Self {
        Self { revoked: gist.revoked, until: gist.until, enrolled }
    }

    pub fn gist(&self) -> Gist {
        let (key, is_revoked) = (self.enrolled.key, self.enrolled.is_revoked());
        let (revoked, until, at_once) = (self.revoked, self.until, self.enrolled.revoked_now);
        Gist { revoked, until, key, is_revoked, at_once }
    }

    /// Is this entry the mark's, or a later one? By the certificate in it, whatever the clocks were; by the times only
    /// once that has run out.
    fn is_known_to(&self, entry: &Enrolled) -> bool {
        let newest = &self.enrolled.newest;
        match entry.certificate(&newest.serial) {
            Some(held) => held.revoked.is_some() || newest.revoked.is_none(),
            None => entry.issued > newest.revoked.unwrap_or_default().max(self.enrolled.issued),
        }
    }
}

impl Enrolments {
    /// Of two entries of a role, the list's and its mark's, the later one counts. With an older one of the list go the
    /// tokens of that time.
    pub fn marked(&mut self, now: Wall, role: RolePath, mark: Mark) -> Vec<Change> {
        if mark.until <= now || self.get(&role).is_some_and(|entry| mark.is_known_to(entry)) {
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
