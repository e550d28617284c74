//! The marks of revocations are kept as the list is: who is in one of them and not in the other is known all the same.

use super::{Registry, write};
use crate::DataError;
use domain::{Wall, enrolment::Gist};
use mesh::{convert::timestamp, store::Batch};

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

    /// Whoever the store says was revoked has a mark, while that is needed: a crash came before it, or an older version
    /// wrote none.
    pub(super) fn mark_all(&mut self, now: Wall) {
        let all = self.enrolments.after("").filter_map(|(role, enrolled)| {
            let gist = Gist::of(enrolled, None).filter(|gist| gist.until > now)?;
            Some((gist.until, role.clone()))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by(|one, other| other.cmp(one)); // that those which are kept are written once
        all.iter().for_each(|(_, role)| self.mark(now, role));
    }

    /// Something of this one has changed: so does its mark, if it was revoked, or ever was.
    pub(super) fn mark(&mut self, now: Wall, role: &str) {
        if let Some((role, enrolled)) = self.enrolments.get_key_value(role) {
            self.marks.keep(now, role, enrolled);
        }
    }
}

#[cfg(test)]
mod tests;
