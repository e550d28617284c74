//! Identities that were given out by hand, without a server: the registry takes them in once it runs.

use super::{Certificate, Change, Denied, Enrolled, Enrolments, KeyHash, Limits, MAX_CERTIFICATES, RolePath};
use crate::Wall;

impl Enrolments {
    /// A certificate that was given out by hand, for this key at these hosts. One that is known, or has run out,
    /// changes nothing. Where somebody else has the name, and was not revoked, that one keeps it; where this key was
    /// revoked, so is what it was given since.
    ///
    /// # Errors
    ///
    /// If the key is another name's, or there are too many identities, or certificates of this one.
    pub fn issued(
        &mut self,
        now: Wall,
        limits: Limits,
        (role, hosts): (RolePath, Vec<String>),
        key: KeyHash,
        certificate: Certificate,
    ) -> Result<Vec<Change>, Denied> {
        let before = self.get(&role).cloned();
        let knows = |one: &Enrolled| {
            one.earlier.iter().chain([&one.newest]).any(|known| known.serial == certificate.serial)
        };
        if certificate.not_after <= now || before.as_ref().is_some_and(knows) {
            return Ok(Vec::new());
        }
        if self.by_key.get(&key).is_some_and(|of| *of != role) {
            return Err(Denied::KeyTaken);
        }
        self.has_room(limits, &role)?;
        let valid: Vec<_> = before.iter().flat_map(|one| one.valid(now).cloned()).collect();
        if valid.len() >= MAX_CERTIFICATES {
            return Err(Denied::TooManyCertificates);
        }
        let enrolled = match before {
            Some(mut one) if (one.key == key) == one.is_revoked() => {
                let revoked = one.is_revoked().then_some(now);
                one.earlier.retain(|earlier| earlier.not_after > now);
                one.earlier.push(Certificate { revoked, ..certificate });
                one
            }
            _ => {
                Enrolled { key, hosts, newest: certificate, issued: now, earlier: valid, revoked_now: false }
            }
        };
        Ok(self.done([Change::Identity(role, Some(enrolled))]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Wall = Wall(1_800_000_000_000);
    const ROLE: &str = "operator/ana";

    fn issue(all: &mut Enrolments, key: u8, serial: &str) -> Result<Vec<Change>, Denied> {
        let not_after = NOW + Duration::from_secs(60);
        let certificate = Certificate { serial: serial.into(), not_after, revoked: None };
        all.issued(NOW, Limits::default(), (ROLE.into(), vec![]), KeyHash([key; 32]), certificate)
    }

    fn held(all: &Enrolments) -> Vec<(&str, bool)> {
        all.get(ROLE).unwrap().valid(NOW).map(|one| (one.serial.as_str(), one.revoked.is_some())).collect()
    }

    #[test]
    fn what_was_given_by_hand_is_in_the_list_once_and_can_be_taken_back() {
        let mut all = Enrolments::default();
        assert_eq!(issue(&mut all, 1, "a").unwrap().len(), 1);
        assert_eq!(issue(&mut all, 1, "a"), Ok(vec![]));
        issue(&mut all, 1, "b").unwrap(); // with its key, renewed
        assert_eq!(held(&all), [("a", false), ("b", false)]);
        all.revoke(NOW, ROLE, false).unwrap();
        issue(&mut all, 1, "c").unwrap(); // with the key that was revoked
        assert_eq!(held(&all), [("a", true), ("c", true), ("b", true)]);
        issue(&mut all, 2, "d").unwrap(); // enrolled again
        assert!(!all.get(ROLE).unwrap().is_revoked());
        assert_eq!(all.renew(NOW, KeyHash([2; 32])), Ok(crate::enrolment::Due::Again(ROLE.into())));
    }

    #[test]
    fn whoever_has_the_name_keeps_it_and_both_are_taken_back_together() {
        let mut all = Enrolments::default();
        issue(&mut all, 1, "a").unwrap();
        issue(&mut all, 2, "b").unwrap();
        assert_eq!(all.get(ROLE).unwrap().key, KeyHash([1; 32]));
        all.revoke(NOW, ROLE, true).unwrap();
        assert_eq!(held(&all), [("b", true), ("a", true)]);
    }
}
