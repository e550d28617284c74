//! Central dies and comes back: what it promised still holds, and no deadline is judged on what it has not heard yet.

use crate::world::{World, cp, ended, record};
use domain::network::{
    Broker, CallOutcome, Command, EngineRequest, Health, MessageKind, Outcome, State, Status, Target,
};
use domain::{SupplyEnd, SupplyState};

#[test]
fn a_supply_over_a_restart_has_its_one_ticket() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.restart();
    assert_eq!((world.status("A"), world.state(&session)), (Status::Disconnected, State::Supplying));
    world.advance(250, &[]);
    assert_eq!(*world.call("A"), EngineRequest::GetState, "the engine is asked, its monitor back or not");
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 9, 900);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
    world.restart();
    world.message("A", "d", &session, 9, MessageKind::Ended(SupplyEnd::Completed), 900);
    world.advance(250, &[]);
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] }, "still owed");
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
}

#[test]
fn deadlines_wait_for_kafka_and_for_the_engine() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.now.wall.0 += 3_600_000; // an hour off
    world.restart();
    world.advance(10_000, &[]);
    assert_eq!(world.state(&session), State::Reserved, "neither Kafka nor the engine has been heard");
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.advance(10_000, &[]);
    assert_eq!(world.state(&session), State::Reserved, "the engine has not been heard");
    world.silence("A");
    world.advance(250, &[]);
    assert!(world.find(&session).needs_revocation());
    world.advance(5_000, &[]);
    assert_eq!(world.state(&session), ended(Outcome::Expired));
}

#[test]
fn a_clock_that_jumped_while_central_was_off_prolongs_no_deadline() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.now.wall.0 -= 365 * 24 * 3_600_000;
    world.restart();
    world.send(Command::Broker(Broker::Away));
    world.advance(250, &[]);
    world.answer("A", CallOutcome::Done, None, vec![]);
    world.advance(70_000, &[]);
    assert_eq!(world.state(&session), ended(Outcome::Expired));
}

#[test]
fn free_only_after_monitor_and_engine_are_back() {
    let mut world = World::with_points(&["A"]);
    world.restart();
    assert_eq!(world.status("A"), Status::Disconnected);
    world.register(World::registration("A")).unwrap();
    assert_eq!(world.status("A"), Status::Disconnected);
    world.report("A", Health::Ok);
    assert_eq!(world.status("A"), Status::Faulted);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.status("A"), Status::Available);
    world.reserved("d", "A");
    assert_eq!(world.net.charge_point(&cp("A")).unwrap().live.unwrap().driver.as_str(), "d");
}

#[test]
fn a_session_that_an_old_copy_of_the_store_still_authorises_is_not_authorised_anew() {
    let mut world = World::with_points(&["A"]);
    let (_, session) = world.request("d", Target::Named(cp("A")));
    world.restart(); // an old copy: since then the session was granted, supplied, billed and confirmed
    world.send(Command::Tick);
    assert!(matches!(world.call("A"), EngineRequest::Authorize { .. }));
    world.answer_with("A", 7, CallOutcome::NumberStale);
    assert_eq!(world.state(&session), ended(Outcome::Rejected));
}
