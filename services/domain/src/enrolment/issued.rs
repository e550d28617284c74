//! Identities that were given out by hand, without a server: the registry takes them in once it runs.

use super::{Certificate, Change, Denied, Enrolled, Enrolments, KeyHash, Limits, MAX_CERTIFICATES, RolePath};
use crate::Wall;

impl Enrolments {
    /// A certificate that was given out by hand, for this key at these hosts. One that is known, or has run out,
    /// changes nothing; one that ends before the newest of its key is an earlier one. Where somebody else has the name,
    /// and was not revoked, that one keeps it; where this key was revoked, so is what it was given since. Of more than
    /// [`MAX_CERTIFICATES`] that one goes that runs out first.
    ///
    /// # Errors
    ///
    /// If the key is another name's, or there are too many identities, or revoked certificates of this one.
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
        let mut valid: Vec<_> = before.iter().flat_map(|one| one.valid(now).cloned()).collect();
        if valid.len() >= MAX_CERTIFICATES {
            let newest = before.as_ref().map(|one| &one.newest.serial);
            let may_go = |one: &&Certificate| one.revoked.is_none() && Some(&one.serial) != newest;
            let first = valid.iter().filter(may_go).min_by_key(|one| one.not_after);
            let first = first.ok_or(Denied::TooManyCertificates)?;
            if certificate.not_after <= first.not_after {
                return Ok(Vec::new());
            }
            let first = first.serial.clone();
            valid.retain(|one| one.serial != first);
        }
        let goes_before = |one: &Enrolled| match (one.key == key, one.is_revoked()) {
            (true, true) | (false, false) => true,
            (true, false) => certificate.not_after < one.newest.not_after,
            (false, true) => false,
        };
        let enrolled = match before {
            Some(mut one) if goes_before(&one) => {
                let revoked = one.is_revoked().then_some(now);
                valid.retain(|earlier| earlier.serial != one.newest.serial);
                one.earlier = valid;
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
    fn of_many_that_one_goes_that_runs_out_first_and_does_not_come_back() {
        let mut all = Enrolments::default();
        let mut issue = |n: usize| {
            let not_after = NOW + Duration::from_secs(60 + n as u64);
            let certificate = Certificate { serial: n.to_string(), not_after, revoked: None };
            let who = (ROLE.into(), vec![]);
            all.issued(NOW, Limits::default(), who, KeyHash([1; 32]), certificate).unwrap().len()
        };
        assert!((0..MAX_CERTIFICATES + 5).all(|n| issue(n) == 1));
        assert_eq!((issue(0), issue(MAX_CERTIFICATES)), (0, 0));
        let held = held(&all);
        assert_eq!((held.len(), held[0].0), (MAX_CERTIFICATES, "5"));
        all.revoke(NOW, ROLE, false).unwrap();
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
