//! The choice of a charge point where some of them do not answer, and what a caller in a hurry costs others.

use crate::world::{World, cp, driver, sid};
use domain::{
    ChargePointId, Context, Location,
    network::{
        Asked, CallOutcome, Command, EngineRequest, Order, Reason, Session, State, Status, Target, Token,
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
    world.request("d2", any());
    assert_eq!(place(&world, "d2"), cp("D"));
    world.request("d3", any());
    assert_eq!(place(&world, "d3"), cp("A"));
}

#[test]
fn a_try_that_succeeds_brings_a_charge_point_back_to_its_place() {
    let mut world = three_for_nothing();
    for (outcome, next) in [(CallOutcome::Busy, "B"), (CallOutcome::Done, "A")] {
        world.request("d1", Target::Named(cp("A")));
        world.answer("A", outcome, None, vec![]);
        world.stop_charge("d1");
        if world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
        world.request("d2", any());
        assert_eq!(place(&world, "d2"), cp(next), "after {outcome:?}");
        world.stop_charge("d2");
        world.answer(next, CallOutcome::Done, None, vec![]);
        while world.calls.contains_key(&cp(next)) {
            world.answer(next, CallOutcome::Revoked, None, vec![]);
        }
    }
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
