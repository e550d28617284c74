//! Identities that were given out by hand, without a server: the registry takes them in once it runs.

use super::{
    Certificate, Change, Denied, Enrolled, Enrolments, KeyHash, Limits, MAX_CERTIFICATES, RENEWABLE_FOR,
    RolePath,
};
use crate::Wall;

/// So many certificates of one identity are valid at once at most, with those that were revoked.
const MAX_WITH_REVOKED: usize = 10 * MAX_CERTIFICATES;

impl Enrolments {
    /// A certificate that was given out by hand, for this key at these hosts, `made` then; `revoked` says that its copy
    /// is marked so. One that has run out changes nothing, but that such a mark counts while it could be renewed, nor
    /// does one that is known, unless its mark is news: with it was revoked whatever had been given by then; by a mark
    /// of a time to come it alone. What was made before the last revocation is revoked by it, and what its key was
    /// given since, too; and so is whatever has a key that was, then, by the role's mark. Of two good ones the one that
    /// ends later has the name; one that was made after a revocation is an enrolment. Of more than
    /// [`MAX_CERTIFICATES`] good ones that one goes that runs out first. What is revoked takes its place whatever else
    /// is there, and the key with it.
    ///
    /// # Errors
    ///
    /// If it is good, and the key is another name's, or there are too many identities; if it is revoked, and ten times
    /// [`MAX_CERTIFICATES`] of this one are valid.
    pub fn issued(
        &mut self,
        now: Wall,
        limits: Limits,
        (role, hosts): (RolePath, Vec<String>),
        (key, key_revoked): (KeyHash, Option<Wall>),
        made: Wall,
        certificate: Certificate,
    ) -> Result<Vec<Change>, Denied> {
        let has_run_out = certificate.not_after <= now;
        if has_run_out && (certificate.revoked.is_none() || certificate.not_after + RENEWABLE_FOR <= now) {
            return Ok(Vec::new());
        }
        let entry = self.get(&role);
        let known = entry.and_then(|one| one.certificate(&certificate.serial));
        if known.is_some_and(|known| known.revoked.is_some() || certificate.revoked.is_none()) {
            return Ok(Vec::new());
        }
        let (is_known, mut before, mut is_news) = (known.is_some(), entry.cloned(), false);
        if let (Some(one), Some(at)) = (&mut before, certificate.revoked) {
            let with_it = one.issued <= at && at <= now;
            let all = one.earlier.iter_mut().chain([&mut one.newest]);
            for held in all.filter(|held| with_it || held.serial == certificate.serial) {
                is_news |= held.revoked.is_none();
                held.revoked.get_or_insert(at);
            }
        }
        if is_known || (has_run_out && before.is_some()) {
            return Ok(self.done(is_news.then_some(Change::Identity(role, before))));
        }
        let last = before.iter().flat_map(Enrolled::all).filter_map(|one| one.revoked).max();
        let of_revoked = before.as_ref().is_some_and(|one| one.key == key && one.is_revoked());
        let revoked = certificate.revoked.or(last.filter(|at| made <= *at || of_revoked)).or(key_revoked);
        let mut valid: Vec<_> = before.iter().flat_map(|one| one.valid(now).cloned()).collect();
        if revoked.is_some() {
            if valid.len() >= MAX_WITH_REVOKED && is_news {
                return Ok(self.done([Change::Identity(role, before)])); // the rest is said the next time
            }
            if valid.len() >= MAX_WITH_REVOKED {
                return Err(Denied::TooManyCertificates);
            }
        } else {
            if self.by_key.get(&key).is_some_and(|of| *of != role) {
                return Err(Denied::KeyTaken);
            }
            self.has_room(limits, &role)?;
            let newest = before.as_ref().map(|one| &one.newest.serial);
            let may_go = |one: &&Certificate| one.revoked.is_none() && Some(&one.serial) != newest;
            if before.as_ref().is_some_and(|one| one.good(now).count() >= MAX_CERTIFICATES)
                && let Some(first) = valid.iter().filter(may_go).min_by_key(|one| one.not_after)
            {
                if certificate.not_after <= first.not_after {
                    return Ok(Vec::new());
                }
                let first = first.serial.clone();
                valid.retain(|one| one.serial != first);
            }
        }
        let certificate = Certificate { revoked, ..certificate };
        let goes_before = |one: &Enrolled| {
            revoked.is_some() || (!one.is_revoked() && certificate.not_after < one.newest.not_after)
        };
        let enrolled = match before {
            Some(mut one) if goes_before(&one) => {
                valid.retain(|earlier| earlier.serial != one.newest.serial);
                one.earlier = valid;
                one.earlier.push(certificate);
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

    /// This key, of which no mark knows that it was revoked.
    fn of(key: u8) -> (KeyHash, Option<Wall>) {
        (KeyHash([key; 32]), None)
    }

    fn issue(all: &mut Enrolments, key: u8, serial: &str) -> Result<Vec<Change>, Denied> {
        take_in(all, key, serial, 0, None)
    }

    /// Made so many seconds after now, for a minute.
    fn take_in(
        all: &mut Enrolments,
        key: u8,
        serial: &str,
        made: u64,
        revoked: Option<Wall>,
    ) -> Result<Vec<Change>, Denied> {
        let made = NOW + Duration::from_secs(made);
        let not_after = made + Duration::from_secs(60);
        let certificate = Certificate { serial: serial.into(), not_after, revoked };
        all.issued(NOW, Limits::default(), (ROLE.into(), vec![]), of(key), made, certificate)
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
        take_in(&mut all, 2, "d", 1, None).unwrap(); // enrolled again
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
            all.issued(NOW, Limits::default(), who, of(1), NOW, certificate).unwrap().len()
        };
        assert!((0..MAX_CERTIFICATES + 5).all(|n| issue(n) == 1));
        assert_eq!((issue(0), issue(MAX_CERTIFICATES)), (0, 0));
        let held = held(&all);
        assert_eq!((held.len(), held[0].0), (MAX_CERTIFICATES, "5"));
        all.revoke(NOW, ROLE, false).unwrap();
        // Whatever had no place in the list is in it now.
        let mut offer = |n: usize, now| {
            let not_after = NOW + Duration::from_secs(60 + n as u64);
            let certificate = Certificate { serial: n.to_string(), not_after, revoked: None };
            all.issued(now, Limits::default(), (ROLE.into(), vec![]), of(1), NOW, certificate)
        };
        assert!((0..5).all(|n| offer(n, NOW).unwrap().len() == 1));
        (200..MAX_WITH_REVOKED + 95).for_each(|n| drop(offer(n, NOW).unwrap()));
        assert_eq!(offer(5_000, NOW), Err(Denied::TooManyCertificates));
        assert_eq!(
            all.get(ROLE).unwrap().all().filter(|one| one.revoked.is_some()).count(),
            MAX_WITH_REVOKED
        );
    }

    #[test]
    fn what_was_revoked_is_refused_though_the_list_has_no_place_and_its_key_another_name() {
        let mut all = Enrolments::default();
        issue(&mut all, 1, "a").unwrap();
        let limits = Limits { tokens: 1, identities: 1 };
        let certificate =
            |revoked| Certificate { serial: "b".into(), not_after: NOW + RENEWABLE_FOR, revoked };
        let mut other = |key, revoked| {
            all.issued(NOW, limits, ("operator/eva".into(), vec![]), of(key), NOW, certificate(revoked))
        };
        assert_eq!(other(1, None), Err(Denied::KeyTaken));
        assert_eq!(other(2, None), Err(Denied::TooManyIdentities));
        assert_eq!(other(1, Some(NOW)).unwrap().len(), 1);
        assert!(all.get("operator/eva").unwrap().is_refused(NOW));
        assert_eq!(all.renew(NOW, KeyHash([1; 32])), Err(Denied::IdentityRevoked));
    }

    #[test]
    fn a_mark_counts_after_the_end_while_there_may_be_a_renewal_and_takes_back_nothing_since() {
        let end = NOW + Duration::from_secs(60);
        let marked = |all: &mut Enrolments, now| {
            let certificate = Certificate { serial: "a".into(), not_after: end, revoked: Some(NOW) };
            all.issued(now, Limits::default(), (ROLE.into(), vec![]), of(1), NOW, certificate).unwrap()
        };
        let over = end + RENEWABLE_FOR;
        let mut with_another = Enrolments::default();
        issue(&mut with_another, 1, "b").unwrap();
        for mut all in [Enrolments::default(), with_another] {
            assert_eq!(marked(&mut all, over), []);
            assert_eq!(marked(&mut all, Wall(over.0 - 1)).len(), 1);
            assert_eq!(all.renew(Wall(over.0 - 1), KeyHash([1; 32])), Err(Denied::IdentityRevoked));
            let newest = Certificate { serial: "c".into(), not_after: over, revoked: None };
            all.gave(end, (ROLE.into(), vec![]), KeyHash([2; 32]), None, newest); // enrolled again
            assert_eq!(marked(&mut all, end), []);
            assert!(!all.get(ROLE).unwrap().is_revoked());
        }
    }

    #[test]
    fn of_two_good_ones_the_one_that_ends_later_has_the_name_and_both_are_taken_back_together() {
        use crate::enrolment::Due::Again;
        let mut all = Enrolments::default();
        take_in(&mut all, 1, "a", 1, None).unwrap();
        take_in(&mut all, 2, "b", 2, None).unwrap();
        assert_eq!(all.renew(NOW, KeyHash([2; 32])), Ok(Again(ROLE.into())));
        assert_eq!(all.renew(NOW, KeyHash([1; 32])), Err(Denied::KeyUnknown));
        issue(&mut all, 3, "c").unwrap();
        assert_eq!(all.renew(NOW, KeyHash([2; 32])), Ok(Again(ROLE.into())));
        all.revoke(NOW, ROLE, true).unwrap();
        assert_eq!(held(&all), [("a", true), ("c", true), ("b", true)]);
    }

    #[test]
    fn what_was_made_before_a_revocation_and_is_read_after_it_takes_nothing_back() {
        let mut all = Enrolments::default();
        issue(&mut all, 1, "a").unwrap();
        all.revoke(NOW, ROLE, false).unwrap();
        issue(&mut all, 2, "b").unwrap();
        assert_eq!(held(&all), [("b", true), ("a", true)]);
        assert!(all.get(ROLE).unwrap().is_revoked());
        take_in(&mut all, 3, "c", 1, None).unwrap(); // enrolled again
        issue(&mut all, 4, "d").unwrap();
        assert_eq!(held(&all), [("b", true), ("a", true), ("d", true), ("c", false)]);
    }

    #[test]
    fn what_is_marked_as_revoked_is_so_in_a_store_that_has_not_heard_of_it() {
        let mut all = Enrolments::default();
        take_in(&mut all, 1, "a", 0, Some(NOW)).unwrap(); // lost
        assert_eq!(all.renew(NOW, KeyHash([1; 32])), Err(Denied::IdentityRevoked));
        issue(&mut all, 2, "b").unwrap(); // its mark was not written any more
        assert_eq!(held(&all), [("b", true), ("a", true)]);
        let mut all = Enrolments::default();
        issue(&mut all, 1, "a").unwrap();
        assert_eq!(take_in(&mut all, 1, "a", 0, Some(NOW)).unwrap().len(), 1); // an older copy
        assert_eq!(all.renew(NOW, KeyHash([1; 32])), Err(Denied::IdentityRevoked));
        assert_eq!(take_in(&mut all, 1, "a", 0, Some(NOW)), Ok(vec![]));
    }

    #[test]
    fn with_what_is_marked_whatever_had_been_given_by_then_was_revoked_and_nothing_since() {
        let after = |seconds| NOW + Duration::from_secs(seconds);
        for (at, revoked) in [(after(6), true), (after(4), false)] {
            let mut all = Enrolments::default();
            issue(&mut all, 1, "a").unwrap();
            let renewed = Certificate { serial: "b".into(), not_after: after(90), revoked: None };
            all.gave(after(5), (ROLE.into(), vec![]), KeyHash([1; 32]), None, renewed);
            let who = (ROLE.into(), vec![]);
            let marked = Certificate { serial: "a".into(), not_after: after(60), revoked: Some(at) };
            all.issued(after(10), Limits::default(), who, of(1), NOW, marked).unwrap();
            assert_eq!(held(&all), [("a", true), ("b", revoked)]); // this store is an older copy, or it knows better
            take_in(&mut all, 2, "c", 1, Some(at)).unwrap();
            assert_eq!(all.get(ROLE).unwrap().is_revoked(), revoked);
        }
    }
}
