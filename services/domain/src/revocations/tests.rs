use super::*;
use proptest::prelude::*;

const T0: Wall = Wall(1_800_000_000_000);
const ENGINE: &str = "charge-point/MAD-01/engine";
const ANA: &str = "operator/ana";

fn at(minutes: i64) -> Wall {
    Wall(T0.0 + minutes * 60_000)
}

fn told(role: &str, certificates: &[(&str, i64)], newest: bool) -> Told {
    let certificates = certificates.iter().map(|(serial, ends)| ((*serial).into(), at(*ends)));
    Told { role: role.into(), certificates: certificates.collect(), newest, now: false }
}

fn news(told: Vec<Told>) -> News {
    News { told, ..News::default() }
}

fn of_points(role: &str) -> bool {
    role.starts_with("charge-point/")
}

fn refused(held: &Revocations) -> Vec<&str> {
    held.refused().map(|serial| &**serial).collect()
}

#[test]
fn who_is_told_is_refused_at_once_and_a_charge_point_once_it_is_cut() {
    let mut held = Revocations::default();
    let heard =
        held.hear(T0, news(vec![told(ANA, &[("a", 10)], true), told(ENGINE, &[("e", 10)], true)]), of_points);
    assert_eq!(heard.refused, ["a".into()]);
    assert_eq!(heard.revoked, [ANA.into(), ENGINE.into()]);
    assert_eq!((held.standing(ANA), held.standing(ENGINE)), (Standing::Cut, Standing::Draining));
    assert_eq!(held.hear(T0, news(vec![told(ENGINE, &[("e", 10)], true)]), of_points), Heard::default());
    assert!(held.cut(ENGINE) && !held.cut(ENGINE));
    assert_eq!(refused(&held), ["e", "a"]);
    assert_eq!(held.standing(ENGINE), Standing::Cut);
    // Told once more, it is not let in again to end anything.
    held.hear(T0, news(vec![told(ENGINE, &[("e", 10)], true)]), of_points);
    assert_eq!(refused(&held), ["e", "a"]);
}

#[test]
fn a_charge_point_that_drains_is_cut_when_it_is_to_be_at_once_or_was_enrolled_again() {
    for (newest, now, standing) in [(true, true, Standing::Cut), (false, false, Standing::Good)] {
        let mut held = Revocations::default();
        held.hear(T0, news(vec![told(ENGINE, &[("e", 10)], true)]), of_points);
        assert_eq!(refused(&held), [""; 0]);
        let heard = held.hear(T0, news(vec![Told { now, ..told(ENGINE, &[("e", 10)], newest) }]), of_points);
        assert_eq!((heard.refused, held.standing(ENGINE)), (vec!["e".into()], standing));
        assert!(heard.changed.contains(ENGINE) && heard.revoked.is_empty());
    }
}

#[test]
fn who_is_missing_once_all_were_told_is_good_again_but_its_certificates_are_not() {
    let mut held = Revocations::default();
    held.hear(T0, news(vec![told(ANA, &[("a", 10)], true), told(ENGINE, &[("e", 10)], true)]), of_points);
    let begins = News { begins: true, ..news(vec![told(ANA, &[("a", 10)], true)]) };
    held.hear(T0, begins.clone(), of_points);
    held.hear(T0, begins, of_points); // it was cut off, and begins anew
    assert_eq!(held.standing(ENGINE), Standing::Draining);
    let heard = held.hear(T0, News { complete: true, ..News::default() }, of_points);
    assert_eq!((held.standing(ANA), held.standing(ENGINE)), (Standing::Cut, Standing::Good));
    assert_eq!((heard.refused, refused(&held)), (vec!["e".into()], vec!["e", "a"]));
    let later = News { complete: true, ..News::default() };
    assert_eq!(held.hear(T0, later, of_points), Heard::default(), "it is said with each message");
}

#[test]
fn what_has_run_out_goes_and_beyond_the_bound_what_would_run_out_first() {
    let mut held = Revocations::default();
    let both = vec![told(ANA, &[("a", 10), ("b", 20)], true), told(ENGINE, &[("e", 10), ("late", 0)], true)];
    held.hear(T0, news(both), |_| false);
    let heard = held.hear(at(10), News::default(), |_| false);
    assert_eq!((heard.gone, heard.dropped), (vec!["a".into(), "e".into()], 0));
    assert_eq!((refused(&held), held.standing(ENGINE)), (vec!["b"], Standing::Cut));
    assert_eq!(heard.changed.len(), 2);
    let more = news(vec![told("operator/bob", &[("c", 30), ("d", 15)], true)]);
    let heard = held.hear_up_to(2, at(10), more, |_| false);
    assert_eq!((heard.gone, heard.dropped), (vec!["d".into()], 2), "and who has none any more");
    assert_eq!(refused(&held), ["b", "c"]);
}

#[test]
fn who_is_revoked_stays_so_after_its_certificates_until_it_is_enrolled_again() {
    let end = |held: &mut Revocations| held.hear(at(20), News::default(), of_points);
    let mut held = Revocations::default();
    held.hear(T0, news(vec![told(ENGINE, &[("e", 10)], true), told(ANA, &[("a", 10)], true)]), of_points);
    assert_eq!(end(&mut held).gone.len(), 2);
    assert_eq!(
        (refused(&held).len(), held.standing(ENGINE), held.standing(ANA)),
        (0, Standing::Cut, Standing::Cut)
    );
    // Central was rebuilt, and hears of it only now.
    let mut rebuilt = Revocations::default();
    let late = news(vec![told(ENGINE, &[("e", 10)], true)]);
    let heard = rebuilt.hear(at(20), late.clone(), of_points);
    assert_eq!((heard.revoked, rebuilt.standing(ENGINE)), (vec![ENGINE.into()], Standing::Cut));
    assert_eq!(rebuilt.hear(at(20), late, of_points), Heard::default());
    // It is enrolled again, which is said of it, or it is not named any more.
    let heard = rebuilt.hear(at(20), news(vec![told(ENGINE, &[], false)]), of_points);
    assert_eq!((rebuilt.get(ENGINE), heard.changed), (None, [ENGINE.into()].into()));
    let all = News { begins: true, complete: true, ..news(vec![told(ANA, &[], true)]) };
    let heard = held.hear(at(20), all, of_points);
    assert_eq!((held.get(ENGINE), heard.changed), (None, [ENGINE.into()].into()));
    assert_eq!(held.standing(ANA), Standing::Cut);
}

#[test]
fn of_those_without_certificates_only_so_many_are_held() {
    let mut held = Revocations::default();
    let many = (0..5).map(|n| told(&format!("operator/{n}"), &[], true));
    let all = news(many.chain([told(ANA, &[("a", 10)], true)]).collect());
    let heard = held.hear_up_to(3, T0, all, of_points);
    assert_eq!((heard.dropped, held.roles().count(), held.standing(ANA)), (3, 3, Standing::Cut));
}

#[derive(Debug, Clone)]
enum Move {
    Hear { role: u8, serial: u8, ends: u8, newest: bool, now: bool, begins: bool, complete: bool },
    Cut(u8),
    Wait(u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let hear = (0..3_u8, 0..4_u8, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let one = prop_oneof![
        4 => hear.prop_map(|(role, serial, newest, now, begins, complete)| {
            Move::Hear { role, serial, ends: 10 + 7 * serial, newest, now, begins, complete }
        }),
        1 => (0..3_u8).prop_map(Move::Cut),
        1 => (0..8_u8).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    /// Whatever is told: what is written is what is held, what was refused stays so until its end, and what changes is
    /// told to whoever refuses.
    #[test]
    fn what_was_refused_stays_so_until_it_runs_out(moves in moves()) {
        let (mut held, mut written) = (Revocations::default(), BTreeMap::new());
        let (mut now, mut outside) = (T0, BTreeMap::<Serial, Wall>::new());
        let name = |role: u8| format!("charge-point/{role}/engine");
        for step in moves {
            let changed = match step {
                Move::Wait(minutes) => {
                    now = Wall(now.0 + i64::from(minutes) * 60_000);
                    continue;
                }
                Move::Cut(role) => {
                    let changed = held.cut(&name(role)).then(|| RolePath::from(name(role)));
                    outside.extend(held.refused_of(&name(role)).map(|serial| (serial.clone(), Wall::MAX)));
                    changed.into_iter().collect()
                }
                Move::Hear { role, serial, ends, newest, now: at_once, begins, complete } => {
                    let serial = format!("{role}-{serial}");
                    let one = told(&name(role), &[(&serial, i64::from(ends))], newest);
                    let told = vec![Told { now: at_once, ..one }];
                    let heard = held.hear(now, News { begins, told, complete }, |_| true);
                    outside.extend(heard.refused.iter().map(|serial| (serial.clone(), Wall::MAX)));
                    for gone in &heard.gone {
                        outside.remove(gone);
                    }
                    heard.changed
                }
            };
            for role in changed {
                match held.get(&role) {
                    Some(one) => drop(written.insert(role, one.clone())),
                    None => drop(written.remove(&role)),
                }
            }
            let restored = Revocations::restore(written.clone());
            prop_assert_eq!((&restored.roles, &restored.ends), (&held.roles, &held.ends));
            let inside: BTreeSet<_> = held.refused().cloned().collect();
            prop_assert_eq!(inside, outside.keys().cloned().collect::<BTreeSet<_>>());
        }
    }
}
