//! The choice of a charge point where some of them do not answer, and what a caller in a hurry costs others.

use crate::world::{World, cp, driver, sid};
use domain::{
    ChargePointId, Context, Location,
    network::{
        Asked, CallOutcome, Command, EngineRequest, Order, Reason, Registration, Session, State, Status,
        Target, Token,
    },
};

const ALL: [&str; 4] = ["A", "B", "C", "D"];

fn any() -> Target {
    Target::Any { location_prefix: Location::default() }
}

/// Four charge points; the first three cost nothing.
fn three_for_nothing() -> World {
    let mut world = World::with_points(&ALL);
    for id in ["A", "B", "C"] {
        world.order(Order::SetPrice { charge_point: cp(id), price: "0.00 EUR".parse().unwrap() });
    }
    world
}

/// Where a request is being tried, or was granted.
fn place(world: &World, who: &str) -> ChargePointId {
    world.net.open_session(&driver(who)).expect("it is under way").charge_point.clone()
}

/// A request for A, whose caller waits no longer than this.
fn in_a_hurry(world: &mut World, who: &str, millis: u64) -> Token<Box<Session>> {
    let token = world.token();
    let mut deadline = world.now.mono;
    deadline.0 += millis;
    let context = Context { deadline: Some(deadline), ..Context::default() };
    world.send(Command::RequestCharge {
        asked: Asked { token, context, request: None },
        session: sid(&format!("hurry{}", token.number)),
        driver: driver(who),
        target: Target::Named(cp("A")),
        max_price: None,
    });
    token
}

#[test]
fn three_silent_ones_that_cost_nothing_deny_no_open_request() {
    let mut world = three_for_nothing();
    let (token, _) = world.request("d1", any());
    for id in ["A", "B", "C"] {
        assert_eq!(place(&world, "d1"), cp(id));
        world.advance(1_000, &ALL); // a try, while others are free
        assert_eq!(world.status(id), Status::Available, "cut short, which says nothing of its engine");
    }
    assert_eq!(place(&world, "d1"), cp("D"));
    world.answer("D", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
    // From now on they come last; but they are not out.
    world.stop_charge("d1");
    world.answer("D", CallOutcome::Revoked, None, vec![]);
    world.charges("d1", "D");
    world.request("d2", any());
    assert_eq!(place(&world, "d2"), cp("D"));
    world.request("d3", any());
    assert_eq!(place(&world, "d3"), cp("A"));
}

/// What an engine answers late, and to the revocation that follows.
fn answers_late(world: &mut World, id: &str) {
    while world.calls.contains_key(&cp(id)) {
        world.answer(id, CallOutcome::Revoked, None, vec![]);
    }
}

/// Its driver gives a reservation back.
fn gives_back(world: &mut World, who: &str, id: &str) {
    world.stop_charge(who);
    answers_late(world, id);
}

#[test]
fn a_supply_brings_a_charge_point_back_to_its_place_and_a_grant_does_not() {
    let mut world = three_for_nothing();
    world.request("d1", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Busy, None, vec![]);
    world.request("d1", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Done, None, vec![]);
    gives_back(&mut world, "d1", "A");
    for (next, charged) in [("B", "A"), ("A", "A")] {
        world.request("d2", any());
        assert_eq!(place(&world, "d2"), cp(next));
        world.answer(next, CallOutcome::Busy, None, vec![]);
        while let Some(session) = world.net.open_session(&driver("d2")).cloned() {
            let id = session.charge_point.to_string();
            world.answer(&id, CallOutcome::Busy, None, vec![]);
        }
        world.charges("d1", charged);
    }
}

#[test]
fn who_grants_three_and_never_supplies_comes_last_once_that_has_supplied_keeps_its_place() {
    for (supplied, next) in [(false, "B"), (true, "A")] {
        let mut world = World::with_points(&ALL);
        if supplied {
            world.charges("d0", "A");
        }
        for n in 1..=3 {
            world.request(&format!("d{n}"), any());
            assert_eq!(place(&world, &format!("d{n}")), cp("A"));
            world.answer("A", CallOutcome::Done, None, vec![]);
            gives_back(&mut world, &format!("d{n}"), "A");
        }
        world.request("d4", any());
        assert_eq!(place(&world, "d4"), cp(next), "supplied: {supplied}");
    }
}

#[test]
fn who_fails_again_after_a_supply_of_its_own_stays_behind_for_longer_each_time() {
    let mut world = World::with_points(&["A", "B"]);
    let fails = |world: &mut World| {
        world.request("d", Target::Named(cp("A")));
        world.answer("A", CallOutcome::Busy, None, vec![]);
        world.charges("own", "A");
    };
    let first = |world: &mut World| {
        world.request("d1", any());
        let first = place(world, "d1");
        while let Some(session) = world.net.open_session(&driver("d1")).cloned() {
            world.answer(session.charge_point.as_str(), CallOutcome::Done, None, vec![]);
            gives_back(world, "d1", session.charge_point.as_str());
        }
        world.charges("other", "B");
        first
    };
    fails(&mut world);
    assert_eq!(first(&mut world), cp("A"), "once is forgiven");
    for minutes in [1, 2, 4] {
        fails(&mut world);
        assert_eq!(first(&mut world), cp("B"));
        world.advance(minutes * 60_000, &["A", "B"]);
        world.charges("own", "A");
        assert_eq!(first(&mut world), cp("A"), "after {minutes} min, and a supply");
    }
}

/// A request for A from this address, which its engine grants.
fn reserves(world: &mut World, who: &str, address: &str) {
    let context = Context { address: address.into(), ..Context::default() };
    let token = world.token();
    world.send(Command::RequestCharge {
        asked: Asked { token, context, request: None },
        session: sid(&format!("r{}", token.number)),
        driver: driver(who),
        target: Target::Named(cp("A")),
        max_price: None,
    });
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

/// Nobody comes, and its engine says so.
fn lapses(world: &mut World) {
    world.advance(63_000, &["A", "B"]);
    answers_late(world, "A");
}

/// Where an open request goes, whose driver wants none before it is granted: that marks nobody.
fn first_choice(world: &mut World) -> ChargePointId {
    world.request("looking", any());
    let first = place(world, "looking");
    world.stop_charge("looking");
    world.answer(first.as_str(), CallOutcome::Busy, None, vec![]);
    answers_late(world, first.as_str());
    first
}

#[test]
fn where_reservations_of_three_lapse_it_is_not_the_drivers() {
    let mut world = World::with_points(&["A", "B"]);
    world.charges("own", "A");
    for n in 0..3 {
        world.request(&format!("d{n}"), any());
        assert_eq!(place(&world, &format!("d{n}")), cp("A"));
        world.answer("A", CallOutcome::Done, None, vec![]);
        lapses(&mut world);
    }
    assert_eq!(first_choice(&mut world), cp("B"));
}

#[test]
fn what_one_stranger_lets_lapse_or_gives_back_puts_no_charge_point_behind_the_others() {
    for supplied in [true, false] {
        let mut world = World::with_points(&["A", "B"]);
        if supplied {
            world.charges("own", "A");
        }
        for n in 0..5 {
            reserves(&mut world, &format!("made-up{n}"), "10.0.0.66");
            if n % 2 == 0 {
                lapses(&mut world);
            } else {
                gives_back(&mut world, &format!("made-up{n}"), "A");
            }
        }
        reserves(&mut world, "d1", "10.0.0.1");
        lapses(&mut world);
        assert_eq!(first_choice(&mut world), cp("A"), "two hosts; supplied: {supplied}");
        reserves(&mut world, "d2", "10.0.0.2");
        lapses(&mut world);
        assert_eq!(first_choice(&mut world), cp("B"), "three hosts; supplied: {supplied}");
    }
}

#[test]
fn what_lapses_of_one_that_is_behind_already_keeps_it_there_no_longer() {
    let mut world = World::with_points(&["A", "B"]);
    world.charges("own", "A");
    for n in 0..12 {
        reserves(&mut world, &format!("made-up{n}"), &format!("10.0.0.{n}"));
        lapses(&mut world);
    }
    assert_eq!(first_choice(&mut world), cp("B"));
    world.charges("own", "A");
    assert_eq!(first_choice(&mut world), cp("A"), "it has supplied");
}

#[test]
fn of_one_hosts_that_fail_a_request_tries_one_while_others_are_free() {
    let mut world = World::new();
    for n in 1..=9 {
        let id = format!("AAA-{n}");
        world.register(Registration { engine_address: "liar:1".into(), ..World::registration(&id) }).unwrap();
        world.report(&id, domain::network::Health::Ok);
        world.answer(&id, CallOutcome::Done, None, vec![]);
    }
    world.comes_from("honest", "D", "honest:1");
    world.report("D", domain::network::Health::Ok);
    world.answer("D", CallOutcome::Done, None, vec![]);
    world.request("d", any());
    assert_eq!(place(&world, "d"), cp("AAA-1"));
    world.answer("AAA-1", CallOutcome::Busy, None, vec![]);
    assert_eq!(place(&world, "d"), cp("D"));
    world.answer("D", CallOutcome::Busy, None, vec![]);
    assert_eq!(place(&world, "d"), cp("AAA-2"), "last, never out");
}

#[test]
fn the_last_one_that_is_free_has_all_the_time_that_is_left() {
    let mut world = World::with_points(&["A", "B"]);
    let (token, _) = world.request("d", any());
    world.advance(1_000, &["A", "B"]);
    assert_eq!(place(&world, "d"), cp("B"));
    world.advance(3_750, &["A", "B"]);
    assert_eq!(world.granted(token), None);
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

#[test]
fn a_caller_in_a_hurry_marks_nobody_and_denies_nobody_else() {
    let mut world = World::with_points(&["A"]);
    for n in 0..5 {
        let hurried = in_a_hurry(&mut world, "hurried", 100);
        world.advance(250, &["A"]);
        assert_eq!(world.denial(hurried), Reason::EngineSilent);
        assert_eq!(world.status("A"), Status::Available);
        let (token, session) = world.request("d", Target::Named(cp("A")));
        while world.granted(token).is_none() {
            let outcome = match world.call("A") {
                EngineRequest::Revoke { .. } => CallOutcome::Revoked,
                _ => CallOutcome::Done,
            };
            world.answer("A", outcome, None, vec![]);
        }
        assert_eq!(world.state(&session), State::Reserved, "round {n}");
        world.stop_charge("d");
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
        world.advance(1_250, &["A"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
    }
}

#[test]
fn a_caller_in_a_hurry_puts_no_charge_point_behind_the_others() {
    let mut world = World::with_points(&["A", "B"]);
    let hurried = in_a_hurry(&mut world, "hurried", 900);
    world.advance(1_000, &["A", "B"]);
    assert_eq!(world.denial(hurried), Reason::EngineSilent);
    world.answer("A", CallOutcome::Done, None, vec![]);
    while world.calls.contains_key(&cp("A")) {
        world.answer("A", CallOutcome::Revoked, None, vec![]);
    }
    world.request("d", any());
    assert_eq!(place(&world, "d"), cp("A"), "the first of two that cost the same");
}

#[test]
fn callers_that_wait_for_less_than_an_engine_takes_deny_nobody_else() {
    let mut world = World::with_points(&["A", "B"]);
    for n in 0..20 {
        let hurried = in_a_hurry(&mut world, &format!("hurried{n}"), 1_200);
        world.advance(1_500, &["A", "B"]); // what this engine takes
        assert_eq!(world.denial(hurried), Reason::EngineSilent);
        answers_late(&mut world, "A");
        world.advance(1_000, &["A", "B"]);
        answers_late(&mut world, "A");
    }
    world.request("d", any());
    assert_eq!(place(&world, "d"), cp("A"), "it has its place");
    world.answer("A", CallOutcome::Done, None, vec![]);
    gives_back(&mut world, "d", "A");
    let (token, _) = world.request("e", Target::Named(cp("A")));
    world.advance(1_500, &["A", "B"]);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

#[test]
fn a_try_that_others_cut_short_costs_a_place_and_denies_nobody() {
    let mut world = World::with_points(&["A", "B"]);
    for n in 0..40 {
        let who = format!("d{n}");
        world.request(&who, any());
        let first = place(&world, &who);
        world.advance(1_000, &["A", "B"]);
        let second = place(&world, &who);
        assert_ne!(first, second, "round {n}: each has its second");
        world.answer(second.as_str(), CallOutcome::Done, None, vec![]);
        gives_back(&mut world, &who, second.as_str());
        answers_late(&mut world, first.as_str());
    }
    let (token, _) = world.request("e", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true), "it takes more than a second, and no more than it may");
}

#[test]
fn a_call_that_fails_counts_for_its_engine_however_long_its_caller_would_have_waited() {
    let mut world = World::with_points(&["A", "B"]);
    let hurried = in_a_hurry(&mut world, "hurried", 900);
    world.silence("A");
    assert_eq!(world.denial(hurried), Reason::EngineSilent);
    world.advance(1_000, &["A", "B"]);
    answers_late(&mut world, "A");
    world.request("d", any());
    assert_eq!(place(&world, "d"), cp("B"));
}
