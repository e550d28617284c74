//! What was given out by hand is taken into the list, from its copies in the registry's folder.

use super::{Registry, write};
use crate::{data::Copied, storage};
use domain::Now;
use mesh::store::Batch;
use std::time::Duration;

/// So long after its end the copy of a certificate is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

impl Registry {
    /// What was given out by hand since this was looked at last is known from here on.
    pub(crate) fn take_in_issued(&mut self, now: Now, batch: &mut Batch) {
        let read = self.copies.look(&self.data);
        tracing::debug!(read, "copies of what was given out by hand");
        self.offer_issued(now, batch, None);
    }

    /// What was found of it, or of one role, without a look at the folder.
    pub(super) fn offer_issued(&mut self, now: Now, batch: &mut Batch, only: Option<&str>) {
        let mut copies = std::mem::take(&mut self.copies);
        let wanted = copies.in_order().into_iter().filter(|copy| only.is_none_or(|role| *copy.role == *role));
        wanted.for_each(|copy| self.offer(now, batch, copy));
        self.copies = copies;
    }

    fn offer(&mut self, now: Now, batch: &mut Batch, copy: &mut Copied) {
        let (role, serial) = (copy.role.clone(), copy.certificate.serial.clone());
        let who = (role.clone(), copy.hosts.clone());
        let was_told = self.enrolments.get(&role).is_some_and(|enrolled| enrolled.is_told(now.wall));
        let (key, certificate) = ((copy.key, self.marks.revoked(&role, &copy.key)), copy.certificate.clone());
        let taken = self.enrolments.issued(now.wall, self.limits, who, key, copy.made, certificate);
        let enrolled = self.enrolments.get(&role);
        match taken {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                write(batch, &changes);
                if enrolled.is_some_and(|enrolled| enrolled.newest.serial == serial) {
                    match copy.chain() {
                        Ok(chain) => storage::write_chain(batch, &role, &chain),
                        Err(error) => {
                            tracing::warn!(%role, serial, %error, "the copy of a certificate cannot be read again");
                        }
                    }
                }
                let listed = enrolled.and_then(|one| one.certificate(&serial));
                let revoked = listed.is_some_and(|one| one.revoked.is_some());
                if was_told || enrolled.is_some_and(|enrolled| enrolled.is_told(now.wall)) {
                    self.changed(&role);
                }
                self.audit.issued(&role, (&serial, revoked), now, batch);
                self.mark(now.wall, &role);
            }
            Err(_) if copy.was_said => {}
            Err(why) if copy.certificate.revoked.is_some() => {
                copy.was_said = true;
                tracing::error!(%role, serial, "was revoked, and others are not told to refuse it: {why}");
            }
            Err(why) => {
                copy.was_said = true;
                tracing::warn!(%role, serial, "what was given out by hand is not in the list: {why}");
            }
        }
        // A clock that is wrong costs no copy of who is not known elsewhere.
        let certificate = &copy.certificate;
        let is_known = self.enrolments.get(&role).is_some_and(|one| {
            one.newest.not_after > certificate.not_after || one.certificate(&serial).is_some()
        });
        if is_known && certificate.not_after + KEPT <= now.wall {
            copy.remove();
        }
    }
}

#[cfg(test)]
mod tests;
