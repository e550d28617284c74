use super::*;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const ENGINE: &str = "charge-point/MAD-01/engine";
const T0: Wall = Wall(1_800_000_000_000);

fn token(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

fn key(n: u8) -> KeyHash {
    KeyHash([n; 32])
}

/// The rules, what they had written, and how many certificates were made.
#[derive(Default)]
struct World {
    rules: Enrolments,
    written: Vec<Change>,
    serials: u64,
    limits: Limits,
}

impl World {
    fn create(&mut self, now: Wall, n: u8, role: &str) -> Result<(), Denied> {
        let hosts = vec!["h".to_owned()];
        let made = self.rules.create_token(now, self.limits, token(n), role.into(), hosts)?;
        self.written.extend(made);
        Ok(())
    }

    /// The serial of what is given.
    fn enrol(&mut self, now: Wall, n: u8, by: u8) -> Result<String, Denied> {
        let due = self.rules.enrol(now, self.limits, (token(n), key(by)), |_| false)?;
        Ok(self.give(now, due, by, Some(token(n))))
    }

    fn renew(&mut self, now: Wall, by: u8) -> Result<String, Denied> {
        let due = self.rules.renew(now, key(by))?;
        Ok(self.give(now, due, by, None))
    }

    fn revoke(&mut self, now: Wall, role: &str) -> Result<(), Denied> {
        let changes = self.rules.revoke(now, role, false)?;
        self.written.extend(changes);
        Ok(())
    }

    fn give(&mut self, now: Wall, due: Due, by: u8, with: Option<TokenHash>) -> String {
        match due {
            Due::Again(role) => self.rules.identities[&role].newest.serial.clone(),
            Due::New(role, hosts) => {
                assert_eq!(hosts, ["h"]);
                self.serials += 1;
                let serial = self.serials.to_string();
                let newest = Certificate { serial: serial.clone(), not_after: now + LIFETIME, revoked: None };
                self.written.extend(self.rules.gave(now, (role, hosts), key(by), with, newest));
                serial
            }
        }
    }

    fn enrolled(&self) -> &Enrolled {
        &self.rules.identities[ENGINE]
    }
}

fn with_token() -> World {
    let mut world = World::default();
    world.create(T0, 1, ENGINE).unwrap();
    world
}

#[test]
fn a_token_is_for_one_key_and_a_lost_answer_is_given_again() {
    let mut world = with_token();
    let first = world.enrol(T0, 1, 1);
    assert_eq!(first, Ok("1".to_owned()));
    let last = T0 + TOKEN_LIFETIME + Duration::ZERO;
    assert_eq!(world.enrol(Wall(last.0 - 1), 1, 1), first);
    assert_eq!(world.enrol(T0, 1, 2), Err(Denied::TokenUsed));
    assert_eq!(world.enrol(last, 1, 1), Err(Denied::TokenExpired));
    assert_eq!(world.enrol(T0, 9, 1), Err(Denied::TokenUnknown));
}

#[test]
fn a_token_runs_out() {
    let mut world = with_token();
    let end = T0 + TOKEN_LIFETIME;
    assert_eq!(world.enrol(end, 1, 1), Err(Denied::TokenExpired));
    world.create(end, 2, ENGINE).unwrap();
    assert_eq!(world.enrol(end, 1, 1), Err(Denied::TokenUnknown), "it was forgotten");
    assert!(world.enrol(Wall(end.0 + 1), 2, 1).is_ok());
}

#[test]
fn who_enrols_anew_takes_the_place_and_the_key_before_renews_no_more() {
    let mut world = with_token();
    world.enrol(T0, 1, 1).unwrap();
    world.create(T0 + DAY, 2, ENGINE).unwrap();
    assert_eq!(world.enrol(T0 + DAY, 2, 2), Ok("2".to_owned()));
    assert_eq!(world.renew(T0 + DAY, 1), Err(Denied::KeyUnknown));
    let serials: Vec<_> = world.enrolled().valid(T0 + DAY).map(|one| one.serial.as_str()).collect();
    assert_eq!(serials, ["1", "2"], "the certificate before is still valid, and may be revoked");
    assert_eq!(world.enrolled().valid(T0 + LIFETIME).count(), 1);
}

#[test]
fn a_used_token_is_nothing_any_more_once_its_identity_was_enrolled_anew() {
    let mut world = with_token();
    world.create(T0, 2, ENGINE).unwrap();
    world.enrol(T0, 1, 1).unwrap();
    world.enrol(T0, 2, 2).unwrap();
    assert_eq!(world.enrol(T0, 1, 1), Err(Denied::TokenUsed));
    assert_eq!(world.enrol(T0, 1, 2), Err(Denied::TokenUsed), "whose key it is now came with another one");
    assert_eq!(world.enrol(T0, 2, 2), Ok("2".to_owned()));
}

#[test]
fn a_key_is_of_one_identity() {
    let mut world = with_token();
    world.enrol(T0, 1, 1).unwrap();
    world.create(T0, 2, "admin/ana").unwrap();
    assert_eq!(world.enrol(T0, 2, 1), Err(Denied::KeyTaken));
    assert!(world.enrol(T0, 2, 2).is_ok());
}

#[test]
fn renewals_come_from_the_key_until_90_days_after_the_end() {
    let mut world = with_token();
    world.enrol(T0, 1, 1).unwrap();
    assert_eq!(world.renew(T0, 2), Err(Denied::KeyUnknown));
    let soon = T0 + RENEWED_AT_MOST_EVERY;
    assert_eq!(world.renew(Wall(soon.0 - 1), 1), Ok("1".to_owned()), "the newest again");
    assert_eq!(world.renew(soon, 1), Ok("2".to_owned()));
    assert_eq!(world.renew(soon, 1), Ok("2".to_owned()), "its answer was lost");
    let end = soon + LIFETIME + RENEWABLE_FOR;
    assert_eq!(world.renew(end, 1), Err(Denied::IdentityExpired));
    assert_eq!(world.renew(Wall(end.0 - 1), 1), Ok("3".to_owned()));
    assert_eq!(world.enrolled().earlier, []);
}

#[test]
fn what_is_revoked_gets_nothing_until_it_enrols_with_another_key() {
    let mut world = with_token();
    world.enrol(T0, 1, 1).unwrap();
    let later = T0 + DAY;
    world.renew(later, 1).unwrap();
    world.create(later, 2, ENGINE).unwrap();
    world.revoke(later, ENGINE).unwrap();
    let revoked =
        |world: &World, now| world.enrolled().valid(now).map(|one| one.revoked.is_some()).collect::<Vec<_>>();
    assert_eq!(revoked(&world, later), [true, true]);
    let before = world.rules.clone();
    world.revoke(later + DAY, ENGINE).unwrap();
    assert_eq!(world.rules, before, "once is enough");
    assert_eq!(world.renew(later, 1), Err(Denied::IdentityRevoked));
    assert_eq!(world.enrol(later, 2, 2), Err(Denied::TokenUnknown), "a token that waited is withdrawn");
    world.create(later, 3, ENGINE).unwrap();
    assert_eq!(world.enrol(later, 3, 1), Err(Denied::IdentityRevoked));
    assert_eq!(world.enrol(later, 3, 2), Ok("3".to_owned()));
    assert_eq!(revoked(&world, later), [true, true, false], "what was revoked stays so");
    assert_eq!(world.renew(later, 1), Err(Denied::KeyUnknown));
    assert_eq!(world.revoke(later, "admin/nobody"), Err(Denied::IdentityUnknown));
}

#[test]
fn a_token_that_waits_can_be_withdrawn_before_anybody_came() {
    let mut world = with_token();
    world.revoke(T0, ENGINE).unwrap();
    assert_eq!(world.enrol(T0, 1, 1), Err(Denied::TokenUnknown));
}

#[test]
fn who_was_revoked_may_be_cut_off_at_once_and_enrolled_again_is_not_any_more() {
    let mut world = World::default();
    world.create(T0, 1, ENGINE).unwrap();
    world.enrol(T0, 1, 1).unwrap();
    let revoke = |world: &mut World, at_once| {
        let changes = world.rules.revoke(T0, ENGINE, at_once).unwrap();
        let identities = changes.iter().filter(|change| matches!(change, Change::Identity(..)));
        (identities.count(), world.rules.get(ENGINE).unwrap().revoked_now)
    };
    assert!(!world.rules.get(ENGINE).unwrap().is_refused(T0));
    assert_eq!(revoke(&mut world, false), (1, false));
    assert_eq!(revoke(&mut world, false), (0, false));
    assert_eq!(revoke(&mut world, true), (1, true));
    assert_eq!(revoke(&mut world, false), (0, true), "it is not taken back");
    world.create(T0, 2, ENGINE).unwrap();
    world.enrol(T0, 2, 2).unwrap();
    let again = world.rules.get(ENGINE).unwrap();
    assert!(!again.revoked_now && !again.is_revoked() && again.is_refused(T0), "{again:?}");
    assert!(!again.is_refused(T0 + LIFETIME) && !again.is_told(T0 + LIFETIME));
}

#[test]
fn who_was_revoked_stays_so_until_it_is_enrolled_again_or_its_place_is_needed() {
    for (identities, stays) in [(2, true), (1, false)] {
        let mut world = World { limits: Limits { tokens: 2, identities }, ..World::default() };
        world.create(T0, 1, ENGINE).unwrap();
        world.enrol(T0, 1, 1).unwrap();
        world.revoke(T0, ENGINE).unwrap();
        let over = T0 + LIFETIME + RENEWABLE_FOR;
        assert!(world.enrolled().is_told(over) && !world.enrolled().is_refused(over));
        world.create(over, 2, "admin/ana").unwrap();
        assert_eq!(world.rules.get(ENGINE).is_some(), stays);
        assert_eq!(Enrolments::restore(world.written), world.rules);
    }
}

#[test]
fn everything_has_its_bound() {
    let limits = Limits { tokens: 2, identities: 1 };
    let mut world = World { limits, ..World::default() };
    world.create(T0, 1, ENGINE).unwrap();
    world.create(T0, 2, "admin/ana").unwrap();
    assert_eq!(world.create(T0, 3, ENGINE), Err(Denied::TooManyTokens));
    world.enrol(T0, 1, 1).unwrap();
    assert_eq!(world.enrol(T0, 2, 2), Err(Denied::TooManyIdentities));
    let later = T0 + TOKEN_LIFETIME;
    assert_eq!(world.create(later, 3, "admin/ana"), Err(Denied::TooManyIdentities));
    for n in 0..MAX_CERTIFICATES {
        let n = u8::try_from(n).unwrap();
        let now = later + MINUTE * u32::from(n) * 15;
        world.create(now, n, ENGINE).unwrap();
        let given = world.enrol(now, n, n);
        match usize::from(n) + 1 < MAX_CERTIFICATES {
            true => assert!(given.is_ok(), "{n}: {given:?}"),
            false => assert_eq!(given, Err(Denied::TooManyCertificates)),
        }
    }
    let over = later + LIFETIME + RENEWABLE_FOR + DAY * 2;
    world.create(over, 1, "admin/ana").unwrap();
    assert!(world.rules.identities.is_empty() && world.rules.by_key.is_empty());
    assert_eq!(world.rules.tokens.len(), 1);
}

#[test]
fn tokens_that_were_used_keep_nobody_from_the_next_one() {
    let limits = Limits { tokens: 2, identities: 100 };
    let mut world = World { limits, ..World::default() };
    for n in 0..100 {
        world.create(T0, n, &format!("charge-point/CP-{n}/engine")).unwrap();
        world.enrol(T0, n, n).unwrap();
    }
    assert_eq!(world.enrol(T0, 0, 0), Ok("1".to_owned()), "a lost answer is given again all the same");
}

#[test]
fn a_short_certificate_may_be_renewed_in_the_middle_of_its_time() {
    let newest = Certificate { serial: "1".into(), not_after: T0 + MINUTE * 2, revoked: None };
    let (hosts, earlier, revoked_now) = (vec![], vec![], false);
    let enrolled = Enrolled { key: key(1), hosts, newest, issued: T0, earlier, revoked_now };
    assert!(enrolled.is_fresh(T0) && !enrolled.is_fresh(T0 + MINUTE));
}

#[derive(Debug, Clone)]
enum Move {
    Create(u8, u8),
    Enrol(u8, u8),
    Renew(u8),
    Revoke(u8),
    Wait(u32),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..6_u8, 0..3_u8).prop_map(|(token, role)| Move::Create(token, role)),
        (0..6_u8, 0..5_u8).prop_map(|(token, key)| Move::Enrol(token, key)),
        (0..5_u8).prop_map(Move::Renew),
        (0..3_u8).prop_map(Move::Revoke),
        prop_oneof![1..20_u32, 600..50_000_u32].prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    /// Whatever happens: what is written is what is known, a token made once serves one key, what is revoked stays
    /// revoked and its key is given nothing more, and the bounds hold.
    #[test]
    fn nobody_gets_more_than_is_due(moves in moves()) {
        let limits = Limits { tokens: 4, identities: 2 };
        let mut world = World { limits, ..World::default() };
        let mut now = T0;
        let mut users: HashMap<u8, u8> = HashMap::new();
        let mut revoked: HashMap<String, Wall> = HashMap::new();
        let role = |n: u8| format!("admin/{n}");
        for step in moves {
            match step {
                Move::Wait(minutes) => now = now + MINUTE * minutes,
                Move::Create(token, of) => {
                    if world.create(now, token, &role(of)).is_ok() {
                        users.remove(&token);
                    }
                }
                Move::Enrol(token, by) => {
                    if let Ok(serial) = world.enrol(now, token, by) {
                        prop_assert_eq!(*users.entry(token).or_insert(by), by);
                        prop_assert!(!revoked.contains_key(&serial));
                    }
                }
                Move::Renew(by) => {
                    if let Ok(serial) = world.renew(now, by) {
                        prop_assert!(!revoked.contains_key(&serial));
                    }
                }
                Move::Revoke(of) => {
                    let valid = world.rules.identities.get(role(of).as_str()).into_iter();
                    let valid = valid.flat_map(|enrolled| enrolled.valid(now).cloned()).collect::<Vec<_>>();
                    let _ = world.revoke(now, &role(of));
                    revoked.extend(valid.into_iter().map(|one| (one.serial, one.not_after)));
                }
            }
            for (serial, until) in revoked.iter().filter(|(_, until)| **until > now) {
                let known = world.rules.identities.values().flat_map(|enrolled| enrolled.valid(now));
                let known = known.filter(|one| one.serial == *serial).collect::<Vec<_>>();
                prop_assert!(known.len() == 1 && known[0].revoked.is_some(), "{} until {:?}", serial, until);
            }
            let waiting = world.rules.tokens.values().filter(|token| token.used_by.is_none());
            prop_assert!(waiting.count() <= limits.tokens);
            prop_assert!(world.rules.identities.len() <= limits.identities);
            prop_assert!(world.rules.by_key.len() == world.rules.identities.len());
            prop_assert_eq!(&Enrolments::restore(world.written.clone()), &world.rules);
        }
    }
}
