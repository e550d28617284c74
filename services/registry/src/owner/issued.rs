//! What was given out by hand is taken into the list, from its copies in the registry's folder.

use super::{Registry, write};
use crate::storage;
use domain::{
    Now,
    enrolment::{Certificate, KeyHash, RolePath},
};
use identity::{Certified, GivenOut, sha256};
use mesh::store::Batch;
use std::time::Duration;

/// So long after its end the copy of a certificate is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

impl Registry {
    /// What was given out by hand since this was looked at last is known from here on.
    pub(crate) fn take_in_issued(&mut self, now: Now, batch: &mut Batch) {
        for copy in self.data.issued() {
            let GivenOut { certified, key, hosts, made } = &copy.given;
            let Certified { identity, serial, not_after } = certified;
            let role: RolePath = identity.role.to_string().into();
            let newest = Certificate { serial: serial.clone(), not_after: *not_after, revoked: copy.revoked };
            let (key, who) = (KeyHash(sha256(key)), (role.clone(), hosts.clone()));
            let was_told = self.enrolments.get(&role).is_some_and(|enrolled| enrolled.is_told(now.wall));
            match self.enrolments.issued(now.wall, self.limits, who, key, *made, newest) {
                Ok(changes) if changes.is_empty() => {}
                Ok(changes) => {
                    write(batch, &changes);
                    let enrolled = self.enrolments.get(&role);
                    if enrolled.is_some_and(|enrolled| enrolled.newest.serial == *serial) {
                        storage::write_chain(batch, &role, &copy.chain);
                    }
                    if was_told || enrolled.is_some_and(|enrolled| enrolled.is_told(now.wall)) {
                        self.changed(&role);
                    }
                    let listed = self.enrolments.get(&role).and_then(|one| one.certificate(serial));
                    let revoked = listed.is_some_and(|one| one.revoked.is_some());
                    self.audit.issued(&role, (serial, revoked), now, batch);
                }
                Err(why) => {
                    tracing::warn!(%role, serial, "what was given out by hand is not in the list: {why}")
                }
            }
            let known = self.enrolments.get(&role).and_then(|enrolled| enrolled.certificate(serial));
            match known {
                // A clock that is wrong costs no copy that is not known elsewhere.
                Some(_) if *not_after + KEPT <= now.wall => copy.remove(),
                Some(Certificate { revoked: Some(at), .. }) if copy.revoked.is_none() => {
                    self.unmarked.push((serial.clone(), *at)); // just now, or a crash came before the mark
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
