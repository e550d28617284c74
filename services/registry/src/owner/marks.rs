//! The marks of revocations that are kept, each in a file.

use crate::Data;
use domain::{
    Wall,
    enrolment::{Enrolled, Gist, KeyHash, Mark, RolePath},
};
use std::collections::{BTreeMap, BTreeSet};

/// At most so many are kept, in a small file each.
const MAX_MARKS: usize = 50_000;

/// The marks that are kept, and what of them is not written yet.
#[derive(Debug)]
pub(super) struct Marks {
    kept: BTreeMap<RolePath, Gist>,
    by_end: BTreeSet<(Wall, RolePath)>,
    unwritten: Vec<(RolePath, Option<Mark>)>,
    pub(super) most: usize,
}

impl Default for Marks {
    fn default() -> Self {
        let (kept, by_end, unwritten) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Self { kept, by_end, unwritten, most: MAX_MARKS }
    }
}

impl Marks {
    /// The mark of a role is this one from here on, if it is another one than before. Where there are too many, that
    /// one goes which ends first: no other does, since a clock that is ahead for once would end them all.
    pub(super) fn keep(&mut self, now: Wall, role: &RolePath, enrolled: &Enrolled) {
        let before = self.kept.get(role);
        let Some(gist) = Gist::of(enrolled, before).filter(|gist| before != Some(gist)) else { return };
        if before.is_none() && self.kept.len() >= self.most {
            let first = self.by_end.first().filter(|(until, _)| *until < gist.until);
            let (until, goes) = first.cloned().unwrap_or((gist.until, role.clone()));
            if until > now {
                tracing::error!(
                    role = %goes, most = self.most,
                    "too many marks of revocations: that this one was revoked is in the store alone"
                );
            }
            if goes == *role {
                return;
            }
            self.drop_first();
        }
        self.put(role, gist.clone());
        self.unwritten.push((role.clone(), Some(Mark::new(gist, enrolled.clone()))));
    }

    /// As [`Gist::revoked`] of this role's.
    pub(super) fn revoked(&self, role: &str, key: &KeyHash) -> Option<Wall> {
        self.kept.get(role)?.revoked(key)
    }

    pub(super) fn put(&mut self, role: &RolePath, gist: Gist) {
        let until = gist.until;
        if let Some(before) = self.kept.insert(role.clone(), gist) {
            self.by_end.remove(&(before.until, role.clone()));
        }
        self.by_end.insert((until, role.clone()));
    }

    fn drop_first(&mut self) {
        if let Some((_, role)) = self.by_end.pop_first() {
            self.kept.remove(&role);
            self.unwritten.push((role, None));
        }
    }

    /// Writes what has changed, once that is on disk in the store.
    pub(super) fn write(&mut self, data: &Data) -> impl FnOnce() + Send + use<> {
        let (unwritten, data) = (std::mem::take(&mut self.unwritten), data.clone());
        move || {
            for (role, mark) in unwritten {
                if let Err(error) = data.write_mark(&role, mark.as_ref()) {
                    tracing::error!(
                        %role, %error,
                        "no mark can be written: until the registry's next start the store alone has its revocation"
                    );
                }
            }
        }
    }
}
