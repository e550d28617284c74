use super::super::*;
use super::MAX_KEYS;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

const DAY: Duration = Duration::from_secs(24 * 3600);
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const T0: Wall = Wall(1_800_000_000_000);
const ROLES: [&str; 3] = ["admin/ana", "admin/bea", "admin/eva"];

fn token(n: u64) -> TokenHash {
    TokenHash([n as u8; 32])
}

fn key(n: u64) -> KeyHash {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    KeyHash(key)
}

/// A registry, every state that its store was in, and its marks, which are in no store.
#[derive(Default)]
struct World {
    rules: Enrolments,
    copies: Vec<Enrolments>,
    marks: HashMap<String, Mark>,
    given: u64,
}

impl World {
    fn serial(&mut self) -> String {
        self.given += 1;
        self.given.to_string()
    }

    fn is_done(&mut self, role: &str) {
        self.copies.push(self.rules.clone());
        let before = self.marks.get(role).map(Mark::gist);
        let Some(enrolled) = self.rules.get(role) else { return };
        if let Some(gist) = Gist::of(enrolled, before.as_ref()).filter(|gist| before.as_ref() != Some(gist)) {
            self.marks.insert(role.to_owned(), Mark::new(gist, enrolled.clone()));
        }
    }

    /// With a key that nobody had before.
    fn enrol(&mut self, now: Wall, role: &str) -> KeyHash {
        let key = key(self.given);
        self.enrol_with(now, role, key).unwrap();
        key
    }

    fn enrol_with(&mut self, now: Wall, role: &str, key: KeyHash) -> Result<(), Denied> {
        let (limits, token) = (Limits::default(), token(self.given));
        self.rules.create_token(now, limits, token, role.into(), vec![]).unwrap();
        let mark = |role: &str| self.marks.get(role);
        let was_revoked = |role: &str| mark(role).is_some_and(|mark| mark.has_revoked(&key));
        let (Due::Again(role) | Due::New(role, _)) =
            self.rules.enrol(now, limits, (token, key), was_revoked)?;
        let newest = Certificate { serial: self.serial(), not_after: now + LIFETIME, revoked: None };
        self.rules.gave(now, (role.clone(), vec![]), key, Some(token), newest);
        self.is_done(&role);
        Ok(())
    }

    /// By hand, for as long as a token would be given.
    fn issue(&mut self, now: Wall, role: &str, key: KeyHash) {
        let newest = Certificate { serial: self.serial(), not_after: now + LIFETIME, revoked: None };
        let revoked = self.marks.get(role).and_then(|mark| mark.gist().revoked(&key));
        let who = (role.into(), vec![]);
        let _ = self.rules.issued(now, Limits::default(), who, (key, revoked), now, newest); // another's key
        self.is_done(role);
    }

    fn renew(&mut self, now: Wall, key: KeyHash) -> Result<RolePath, Denied> {
        let (Due::Again(role) | Due::New(role, _)) = self.rules.renew(now, key)?;
        let newest = Certificate { serial: self.serial(), not_after: now + LIFETIME, revoked: None };
        self.rules.gave(now, (role.clone(), vec![]), key, None, newest);
        self.is_done(&role);
        Ok(role)
    }

    fn revoke(&mut self, now: Wall, role: &str) {
        self.rules.revoke(now, role, false).unwrap();
        self.is_done(role);
    }

    /// The store is what it was so many changes ago, or nothing, and the registry starts.
    fn start(&mut self, now: Wall, back: Option<usize>) {
        let at = back.and_then(|back| self.copies.len().checked_sub(back + 1));
        self.rules = at.map(|at| self.copies[at].clone()).unwrap_or_default();
        for (role, mark) in &self.marks {
            self.rules.marked(now, role.as_str().into(), mark.clone());
        }
        self.copies.push(self.rules.clone());
    }
}

#[test]
fn who_was_revoked_stays_so_for_an_older_list_and_for_none_whatever_the_clock_says() {
    for back in [None, Some(0), Some(1), Some(2)] {
        let mut world = World::default();
        let key = world.enrol(T0, ROLES[0]);
        world.renew(T0 + DAY, key).unwrap();
        world.revoke(T0 + DAY * 2, ROLES[0]);
        let end = T0 + DAY + LIFETIME + RENEWABLE_FOR;
        // A clock that is years ahead ends nothing either: it is set right.
        for now in [T0 + DAY * 3, T0 + LIFETIME + DAY * 2, T0 + DAY * 2_000, Wall(end.0 - 1)] {
            world.start(now, back);
            assert_eq!(world.rules.renew(now, key), Err(Denied::IdentityRevoked), "{back:?}");
            assert!(world.rules.get(ROLES[0]).unwrap().is_told(now));
        }
    }
}

#[test]
fn what_a_list_did_not_know_of_when_it_revoked_comes_back_by_no_other_list() {
    let mut world = World::default();
    let key = world.enrol(T0, ROLES[0]);
    world.renew(T0 + DAY * 10, key).unwrap();
    let knows = world.copies.len() - 1;
    world.start(T0 + DAY * 10, Some(1)); // of before the renewal
    world.revoke(T0 + DAY * 10, ROLES[0]);
    let renewable = T0 + DAY * 10 + LIFETIME + RENEWABLE_FOR;
    world.start(Wall(renewable.0 - 1), Some(world.copies.len() - 1 - knows));
    assert!(world.rules.get(ROLES[0]).is_some_and(|one| one.key == key && one.is_revoked()));
    assert_eq!(world.rules.renew(Wall(renewable.0 - 1), key), Err(Denied::IdentityRevoked));
}

#[test]
fn who_was_enrolled_anew_is_good_for_an_older_list_whatever_the_clock_said_at_the_revocation() {
    let (before, year) = (T0 + DAY, DAY * 365);
    for revoked in [before + DAY, T0, before + year] {
        for back in [None, Some(1), Some(2), Some(3)] {
            let mut world = World::default();
            let thief = world.enrol(T0, ROLES[0]);
            world.renew(before, thief).unwrap();
            world.revoke(revoked, ROLES[0]);
            let now = before + DAY * 2;
            let good = world.enrol(now, ROLES[0]);
            world.start(now + DAY, back);
            assert_eq!(world.renew(now + DAY, good), Ok(ROLES[0].into()), "{revoked:?} {back:?}");
            assert!(world.renew(now + DAY, thief).is_err());
            let serials: Vec<_> = world.rules.get(ROLES[0]).unwrap().all().collect();
            assert!(serials.iter().filter(|one| one.revoked.is_some()).count() == 2 || revoked.0 > now.0);
            // Its own mark takes nothing from it later either: not once its first certificate has run out.
            world.renew(now + DAY * 20, good).unwrap();
            world.renew(now + DAY * 45, good).unwrap();
            let list = world.rules.clone();
            world.start(now + DAY * 46, Some(0));
            assert_eq!(world.rules, list);
        }
    }
}

/// In a list of that many changes ago nobody renews with this key.
fn renews_nowhere(world: &mut World, now: Wall, back: usize, key: KeyHash) {
    world.start(now, Some(world.copies.len() - back));
    assert!(world.rules.renew(now, key).is_err());
}

#[test]
fn a_key_that_was_revoked_has_the_name_no_more_whoever_had_it_since() {
    for back in [None, Some(0), Some(1)] {
        let mut world = World::default();
        let thief = world.enrol(T0, ROLES[0]);
        world.revoke(T0, ROLES[0]);
        let holders: Vec<_> = (1..3).map(|day| world.enrol(T0 + DAY * day, ROLES[0])).collect();
        let now = T0 + LIFETIME + DAY * 3; // nothing that was revoked is valid any more
        world.start(now, back);
        assert_eq!(world.enrol_with(now, ROLES[0], thief), Err(Denied::IdentityRevoked), "{back:?}");
        world.issue(now, ROLES[0], thief);
        assert_eq!(world.renew(now, thief), Err(Denied::KeyUnknown));
        assert_eq!(world.enrol_with(now, ROLES[0], holders[0]), Ok(()), "it was not revoked");
        world.revoke(now, ROLES[0]);
        world.issue(now + DAY, ROLES[0], thief);
        assert!(world.rules.get(ROLES[0]).unwrap().is_revoked());
    }
}

#[test]
fn an_older_list_that_a_clock_since_set_back_made_look_newer_is_known_by_what_was_revoked() {
    let (mut world, ahead) = (World::default(), T0 + DAY * 400);
    // By its certificate: another one had the name when all of it was revoked.
    let thief = world.enrol(ahead, ROLES[0]);
    let back = world.copies.len();
    world.enrol(T0, ROLES[0]);
    world.revoke(T0 + DAY, ROLES[0]);
    renews_nowhere(&mut world, T0 + DAY, back, thief);

    // By its key: its certificate of then had run out when it was given the next one, by a clock that went on.
    let thief = world.enrol(ahead, ROLES[1]);
    let back = world.copies.len();
    world.renew(ahead + DAY * 60, thief).unwrap();
    let newest = Certificate { serial: world.serial(), not_after: T0 + LIFETIME, revoked: None };
    world.rules.gave(T0, (ROLES[1].into(), vec![]), thief, None, newest);
    world.revoke(T0 + DAY, ROLES[1]);
    renews_nowhere(&mut world, T0 + DAY, back, thief);

    // By its key of before: others were enrolled since, once its certificate had run out.
    let thief = world.enrol(T0, ROLES[2]);
    let back = world.copies.len();
    world.revoke(T0 + DAY * 40, ROLES[2]);
    world.enrol(T0 + DAY * 41, ROLES[2]);
    world.enrol(Wall(T0.0 - 1), ROLES[2]);
    renews_nowhere(&mut world, T0, back, thief);
}

#[test]
fn of_many_keys_that_were_revoked_a_mark_knows_the_last_ones() {
    let mut world = World::default();
    let life = |world: &mut World, n: usize| {
        let now = T0 + DAY * 31 * u32::try_from(n).unwrap(); // its certificate of before has run out
        let key = world.enrol(now, ROLES[0]);
        world.revoke(now, ROLES[0]);
        key
    };
    let keys: Vec<_> = (0..MAX_KEYS + 3).map(|n| life(&mut world, n)).collect();
    let mark = &world.marks[ROLES[0]];
    assert_eq!(mark.keys, keys[2..MAX_KEYS + 2]);
    let known: Vec<_> = keys.iter().map(|key| mark.has_revoked(key)).collect();
    assert!(known[2..].iter().all(|known| *known) && !known[0] && !known[1]);
}

#[test]
fn who_was_enrolled_anew_and_forgotten_since_does_not_come_back_at_each_start() {
    let mut world = World::default();
    world.enrol(T0, ROLES[0]);
    world.revoke(T0, ROLES[0]);
    world.enrol(T0, ROLES[0]);
    let now = T0 + LIFETIME + RENEWABLE_FOR;
    world.rules.create_token(now, Limits::default(), token(9), ROLES[1].into(), vec![]).unwrap();
    world.is_done(ROLES[1]);
    world.start(now, Some(0));
    assert_eq!(world.rules.get(ROLES[0]), None);
}

#[test]
fn a_token_of_before_the_revocation_does_not_come_back_with_an_older_list() {
    let mut world = World::default();
    world.enrol(T0, ROLES[0]);
    world.rules.create_token(T0, Limits::default(), token(9), ROLES[0].into(), vec![]).unwrap();
    world.copies.push(world.rules.clone());
    world.revoke(T0, ROLES[0]);
    world.start(T0, Some(1));
    let enrolled = world.rules.enrol(T0, Limits::default(), (token(9), key(9)), |_| false);
    assert_eq!(enrolled, Err(Denied::TokenUnknown));
}

#[test]
fn of_two_names_with_one_key_the_revoked_one_has_it() {
    let certificate =
        |serial: &str, revoked| Certificate { serial: serial.into(), not_after: T0 + DAY, revoked };
    let issue = |all: &mut Enrolments, role: &str, revoked| {
        let who = (role.into(), vec![]);
        all.issued(T0, Limits::default(), who, (key(1), None), T0, certificate(role, revoked)).unwrap()
    };
    for roles in [[ROLES[0], ROLES[1]], [ROLES[1], ROLES[0]]] {
        let mut all = Enrolments::default();
        let mut written = issue(&mut all, roles[0], None);
        written.extend(issue(&mut all, roles[1], Some(T0)));
        assert!(all.get(roles[1]).unwrap().is_refused(T0), "its certificate is refused all the same");
        for all in [all, Enrolments::restore(written.clone()), Enrolments::restore(written.into_iter().rev())]
        {
            assert_eq!(all.renew(T0, key(1)), Err(Denied::IdentityRevoked));
        }
    }
}

#[derive(Debug, Clone)]
enum Move {
    Enrol(usize),
    /// With a key that has the name, or had it.
    EnrolOld(usize, usize),
    IssueOld(usize, usize),
    Renew(usize),
    Revoke(usize),
    Start(Option<usize>),
    Wait(u32),
    /// The clock goes wrong by so many days, or is set right.
    Clock(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..3_usize).prop_map(Move::Enrol),
        (0..3_usize, 0..50_usize).prop_map(|(role, of)| Move::EnrolOld(role, of)),
        (0..3_usize, 0..50_usize).prop_map(|(role, of)| Move::IssueOld(role, of)),
        (0..3_usize).prop_map(Move::Renew),
        (0..3_usize).prop_map(Move::Revoke),
        prop::option::of(0..12_usize).prop_map(Move::Start),
        prop_oneof![1..20_u32, 20..130_u32].prop_map(Move::Wait),
        (-800..800_i64).prop_map(Move::Clock),
    ];
    prop::collection::vec(one, 1..50)
}

proptest! {
    /// Whatever store is put back, and whenever, with a clock that is wrong for a time, and whoever comes with an older
    /// key: no key that was revoked renews any more, and who was enrolled anew since its name was revoked is not
    /// revoked.
    #[test]
    fn no_store_gives_back_what_was_revoked(moves in moves()) {
        let (mut world, mut now) = (World::default(), T0);
        let mut holders: HashMap<usize, KeyHash> = HashMap::new();
        let mut revoked: HashSet<KeyHash> = HashSet::new();
        let mut keys: [Vec<KeyHash>; 3] = Default::default();
        let old = |keys: &[KeyHash], of: usize| keys.get(of % keys.len().max(1)).copied();
        let mut wrong = None;
        for step in moves {
            now = now + Duration::from_secs(1);
            match step {
                Move::Wait(days) => now = now + DAY * days,
                Move::Clock(days) => {
                    let by = wrong.map_or(days, |by: i64| -by);
                    wrong = Some(wrong.map_or(days, |_| 0));
                    now = Wall(now.0 + by * DAY.as_millis() as i64);
                }
                Move::Enrol(role) => {
                    let key = world.enrol(now, ROLES[role]);
                    keys[role].push(key);
                    holders.insert(role, key);
                }
                Move::EnrolOld(role, of) => {
                    let key = old(&keys[role], of);
                    let enrolled = key.filter(|key| world.enrol_with(now, ROLES[role], *key).is_ok());
                    enrolled.map(|key| holders.insert(role, key));
                }
                Move::IssueOld(role, of) => {
                    old(&keys[role], of).into_iter().for_each(|key| world.issue(now, ROLES[role], key));
                }
                Move::Renew(role) => {
                    let _ = holders.get(&role).map(|key| world.renew(now, *key));
                }
                Move::Revoke(role) if world.rules.get(ROLES[role]).is_some() => {
                    world.revoke(now, ROLES[role]);
                    revoked.extend(world.rules.get(ROLES[role]).map(|one| one.key));
                    holders.remove(&role); // one that this list does not know is another matter
                }
                Move::Revoke(_) => {}
                Move::Start(back) => world.start(now, back),
            }
            for key in &revoked {
                prop_assert!(world.rules.renew(now, *key).is_err());
            }
            for (role, key) in &holders {
                let entry = world.rules.get(ROLES[*role]).filter(|entry| entry.key == *key);
                prop_assert!(!entry.is_some_and(Enrolled::is_revoked));
            }
        }
    }
}
