//! Repeats of mutations (AIP-155).

use crate::world::{World, cp, driver};
use domain::Context;
use domain::network::{Asked, CallOutcome, Command, Config, Method, Reason, RequestKey, Target};

#[test]
fn a_repeat_joins_the_undecided_and_gets_the_decided() {
    let mut world = World::with_points(&["A"]);
    let id = Some(("r1", 7));
    let (first, session) = world.request_as("d", Target::Named(cp("A")), id);
    let (second, _) = world.request_as("d", Target::Named(cp("A")), id);
    assert!(world.granted(first).is_none() && world.granted(second).is_none());
    world.answer("A", CallOutcome::Done, None, vec![]);
    let (third, _) = world.request_as("d", Target::Named(cp("A")), id);
    for token in [first, second, third] {
        assert_eq!(world.told_session(token).id, session);
    }
    assert_eq!(world.told(), ["AUTH_OK"]);
    assert_eq!(
        world.notices[0].request_id,
        Some("r1".parse().unwrap()),
        "the driver knows which of its requests"
    );
    let (reused, _) = world.request_as("d", Target::Named(cp("A")), Some(("r1", 8)));
    assert_eq!(world.denial(reused), Reason::RequestIdReused);
    let (other, _) = world.request_as("e", Target::Named(cp("A")), Some(("r1", 7)));
    assert_eq!(world.denial(other), Reason::ChargePointBusy, "ids are scoped to their caller");
}

#[test]
fn a_denial_is_definitive_and_outlives_a_restart() {
    let mut world = World::with_points(&["A"]);
    let id = Some(("r1", 7));
    let (token, _) = world.request_as("d", Target::Named(cp("A")), id);
    world.silence("A");
    assert_eq!(world.denial(token), Reason::EngineSilent);
    world.restart();
    let (token, _) = world.request_as("d", Target::Named(cp("A")), id);
    assert_eq!(world.denial(token), Reason::EngineSilent);
    assert_eq!(world.told(), ["AUTH_DENIED"], "told once");
    assert_eq!(world.notices[0].request_id, Some("r1".parse().unwrap()));
}

#[test]
fn a_request_undecided_when_central_died_is_decided_afterwards_and_its_repeat_gets_that_session() {
    let mut world = World::with_points(&["A"]);
    let id = Some(("r1", 7));
    let (_, session) = world.request_as("d", Target::Named(cp("A")), id);
    world.restart();
    let (token, _) = world.request_as("d", Target::Named(cp("A")), id);
    world.advance(250, &[]);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.told_session(token).id, session);
    assert_eq!(world.notices[0].request_id, Some("r1".parse().unwrap()), "it is stored with the session");
}

#[test]
fn answers_are_forgotten_by_age_and_by_count() {
    let mut world = World::with(Config { max_denials: 2, ..Config::default() });
    let nowhere = || Target::Named(cp("X"));
    for id in ["r1", "r2", "r3"] {
        world.request_as("d", nowhere(), Some((id, 1)));
    }
    assert_eq!(world.pages.answers.len(), 2, "the oldest is gone from the disk too");
    world.now.wall.0 += 24 * 3_600_000;
    world.send(domain::network::Command::Tick);
    assert!(world.pages.answers.is_empty());
    let (token, _) = world.request_as("d", nowhere(), Some(("r3", 2)));
    assert_eq!(world.denial(token), Reason::ChargePointUnknown, "a new request");
}

#[test]
fn denials_push_out_no_grant() {
    let mut world = World::with(Config { max_denials: 50, ..Config::default() });
    world.connect("A");
    let id = Some(("mine", 7));
    let (_, session) = world.request_as("victim", Target::Named(cp("A")), id);
    world.answer("A", CallOutcome::Done, None, vec![]);
    for n in 0..2_000 {
        world.request_as("liar", Target::Named(cp("X")), Some((&format!("r{n}"), 1)));
    }
    assert_eq!(world.pages.answers.len(), 51, "fifty denials, and a grant");
    for restarted in [false, true] {
        let (repeat, _) = world.request_as("victim", Target::Named(cp("A")), id);
        assert_eq!(world.told_session(repeat).id, session, "no second session, restarted: {restarted}");
        world.restart();
    }
}

#[test]
fn a_caller_who_asks_for_more_loses_its_own_oldest_answers() {
    let mut world = World::with(Config { max_denials: 3_000, ..Config::default() });
    world.request_as("another", Target::Named(cp("X")), Some(("r", 1)));
    for n in 0..1_500 {
        world.request_as("d", Target::Named(cp("X")), Some((&format!("r{n}"), 1)));
    }
    assert_eq!(world.pages.answers.len(), 101);
    // What it asks now with a forgotten id is a new request; with one that is kept, or another's, it is a repeat.
    for (who, id, reused) in [("d", "r1399", false), ("d", "r1499", true), ("another", "r", true)] {
        let (token, _) = world.request_as(who, Target::Named(cp("X")), Some((id, 2)));
        let expected = if reused { Reason::RequestIdReused } else { Reason::ChargePointUnknown };
        assert_eq!(world.denial(token), expected, "{who} {id}");
    }
}

#[test]
fn where_the_room_is_full_who_has_most_loses_its_oldest() {
    let mut world = World::with(Config { max_denials: 60, ..Config::default() });
    let mut ask = |who: &str, id: &str, digest: u64| {
        let (token, _) = world.request_as(who, Target::Named(cp("X")), Some((id, digest)));
        world.denial(token) == Reason::RequestIdReused
    };
    ask("victim", "r", 1);
    for n in 0..50 {
        ask("liar", &format!("r{n}"), 1);
    }
    for n in 0..50 {
        ask(&format!("name{n}"), "r", 1);
    }
    assert!(ask("victim", "r", 2) && ask("liar", "r49", 2) && ask("name0", "r", 2), "they are kept");
    assert!(!ask("liar", "r0", 2));
}

#[test]
fn a_stop_of_what_is_over_is_not_kept_and_answered_alike() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    for n in 0..3 {
        let token = world.token();
        let key = RequestKey {
            method: Method::StopCharge,
            caller: "d".into(),
            id: format!("r{n}").parse().unwrap(),
        };
        let asked = Asked { token, context: Context::default(), request: Some((key, 1)) };
        world.send(Command::StopCharge { asked, driver: driver("d"), session: Some(session.clone()) });
        if n == 0 {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
        assert_eq!(world.told_session(token).id, session);
        assert_eq!(world.pages.answers.len(), 1);
    }
}

#[test]
fn eight_repeats_wait_with_a_request_and_no_more() {
    let mut world = World::with_points(&["A"]);
    let mut ask = || world.request_as("d", Target::Named(cp("A")), Some(("r1", 7))).0;
    let tokens: Vec<_> = (0..12).map(|_| ask()).collect();
    assert!(tokens[..9].iter().all(|token| world.granted(*token).is_none()));
    assert!(tokens[9..].iter().all(|token| world.denial(*token) == Reason::Overloaded));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(tokens[..9].iter().all(|token| world.granted(*token) == Some(true)));
    assert_eq!(world.pages.answers.len(), 1, "a retry is told what was decided");
    let again = world.request_as("d", Target::Named(cp("A")), Some(("r1", 7))).0;
    assert_eq!(world.granted(again), Some(true));
}
