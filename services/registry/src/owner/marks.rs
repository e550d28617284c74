//! The marks of revocations are kept as the list is: who is in one of them and not in the other is known all the same.

use super::{Registry, write};
use crate::{Data, DataError};
use domain::{
    Wall,
    enrolment::{Enrolled, Gist, Mark, RolePath},
};
use mesh::{convert::timestamp, store::Batch};
use std::collections::{BTreeMap, BTreeSet};

/// At most so many are kept, in a small file each.
const MAX_MARKS: usize = 50_000;

/// The marks that are kept, and what of them is not written yet.
#[derive(Debug)]
pub(super) struct Marks {
    kept: BTreeMap<RolePath, Gist>,
    by_end: BTreeSet<(Wall, RolePath)>,
    unwritten: Vec<(RolePath, Option<Mark>)>,
    most: usize,
}

impl Default for Marks {
    fn default() -> Self {
        let (kept, by_end, unwritten) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Self { kept, by_end, unwritten, most: MAX_MARKS }
    }
}

impl Marks {
    /// The mark of a role is this one from here on, if it is another one than before. Where there are too many, that
    /// one goes which ends first.
    fn keep(&mut self, role: &RolePath, enrolled: &Enrolled) {
        let before = self.kept.get(role).copied();
        let Some(gist) = Gist::of(enrolled, before).filter(|gist| before != Some(*gist)) else { return };
        if before.is_none() && self.kept.len() >= self.most {
            let first = self.by_end.first().filter(|(until, _)| *until < gist.until);
            let goes = first.map_or(role, |(_, first)| first).clone();
            tracing::error!(
                role = %goes, most = self.most,
                "too many marks of revocations: that this one was revoked is in the store alone"
            );
            if goes == *role {
                return;
            }
            self.drop_first();
        }
        self.put(role, gist);
        self.unwritten.push((role.clone(), Some(Mark::new(gist, enrolled.clone()))));
    }

    fn put(&mut self, role: &RolePath, gist: Gist) {
        if let Some(before) = self.kept.insert(role.clone(), gist) {
            self.by_end.remove(&(before.until, role.clone()));
        }
        self.by_end.insert((gist.until, role.clone()));
    }

    fn drop_first(&mut self) {
        if let Some((_, role)) = self.by_end.pop_first() {
            self.kept.remove(&role);
            self.unwritten.push((role, None));
        }
    }

    /// Those that are over are kept no more.
    fn drop_over(&mut self, now: Wall) {
        while self.by_end.first().is_some_and(|(until, _)| *until <= now) {
            self.drop_first();
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
                        "that this one was revoked is in the store alone until the registry's next start: no mark can be written"
                    );
                }
            }
        }
    }
}

impl Registry {
    /// What the marks know, and the store does not since it was lost or is an older copy, is known from here on.
    pub(super) fn take_in_marks(&mut self, now: Wall, batch: &mut Batch) -> Result<(), DataError> {
        let mut news = 0;
        for (role, mark) in self.data.marks()? {
            if mark.revoked > now {
                tracing::warn!(
                    %role, revoked = %timestamp(mark.revoked),
                    "was revoked at a time to come: the clock is wrong, or was; what is issued by hand until then \
                     counts as revoked: enrol it with a token"
                );
            }
            self.marks.put(&role, mark.gist());
            let changes = self.enrolments.marked(now, role, mark);
            news += usize::from(!changes.is_empty());
            write(batch, &changes);
        }
        if news > 0 {
            tracing::warn!(
                news,
                "the store was lost, or is an older copy: who was revoked since is known by the marks"
            );
        }
        Ok(())
    }

    /// Whoever the store says was revoked has a mark: a crash came before it, or an older version wrote none.
    pub(super) fn mark_all(&mut self, now: Wall) {
        let all = self.enrolments.after("").filter_map(|(role, enrolled)| {
            let gist = Gist::of(enrolled, None).filter(|gist| gist.until > now)?;
            Some((gist.until, role.clone()))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by(|one, other| other.cmp(one)); // that those which are kept are written once
        all.iter().for_each(|(_, role)| self.mark(now, role));
        self.marks.drop_over(now);
    }

    /// Something of this one has changed: so does its mark, if it was revoked, or ever was.
    pub(super) fn mark(&mut self, now: Wall, role: &str) {
        self.marks.drop_over(now);
        if let Some((role, enrolled)) = self.enrolments.get_key_value(role) {
            self.marks.keep(role, enrolled);
        }
    }
}

#[cfg(test)]
mod tests;
