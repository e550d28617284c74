//! The status table, cell by cell: as a function, and as it comes out of a network.

use crate::world::{World, record};
use domain::SupplyState;
use domain::network::{CallOutcome, EngineRequest, Health, MessageKind, Outcome, State, Status, status};

#[test]
fn the_table_cell_by_cell() {
    use Status::*;
    let sessions = [
        None,
        Some(State::Authorizing),
        Some(State::Reserved),
        Some(State::Supplying),
        Some(State::Ended(Outcome::Completed)),
    ];
    for (revoked, monitor) in [(false, false), (false, true), (true, false), (true, true)] {
        for engine in [false, true] {
            for stopped in [false, true] {
                for session in sessions {
                    for supplies in [false, true] {
                        let expected = match (monitor, engine, stopped, session, supplies) {
                            _ if revoked => OutOfOrder,
                            (false, _, _, _, _) => Disconnected,
                            (true, false, _, _, _) => Faulted,
                            (true, true, _, Some(State::Supplying), _) | (true, true, _, _, true) => {
                                Supplying
                            }
                            (true, true, true, _, false) => OutOfOrder,
                            (true, true, false, Some(State::Authorizing | State::Reserved), false) => {
                                Reserved
                            }
                            (true, true, false, None | Some(State::Ended(_)), false) => Available,
                        };
                        let found = status(revoked, monitor, engine, stopped, session, supplies);
                        let cell = (revoked, monitor, engine, stopped, session, supplies);
                        assert_eq!(found, expected, "{cell:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_engine_that_has_not_answered_since_its_monitor_came_back_is_not_ok() {
    let mut world = World::new();
    world.register(World::registration("A")).unwrap();
    assert_eq!(world.status("A"), Status::Disconnected, "registered, no report yet");
    world.report("A", Health::Ok);
    assert_eq!(world.status("A"), Status::Faulted, "not asked yet");
    world.silence("A");
    assert_eq!(world.status("A"), Status::Faulted, "does not answer");
    world.advance(3000, &["A"]);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.status("A"), Status::Available);
}

#[test]
fn an_ended_session_holds_its_charge_point_only_while_the_engine_is_known_to_supply() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.advance(62_250, &["A"]);
    world.silence("A"); // the state was asked for meanwhile
    world.advance(4_000, &["A"]);
    assert_eq!(world.state(&session), State::Ended(Outcome::Expired));
    // It had been taken up all the same: the engine says so.
    let live = record(&session, "d", SupplyState::Supplying, 5, 500);
    world.answer("A", CallOutcome::NotRevoked, Some(live), vec![]);
    assert_eq!(world.state(&session), State::Ended(Outcome::Expired), "never back");
    assert_eq!(world.status("A"), Status::Supplying);
    let done = record(&session, "d", SupplyState::Ended(domain::SupplyEnd::Stopped), 6, 600);
    world.answer("A", CallOutcome::Done, None, vec![done]);
    assert_eq!(world.status("A"), Status::Available);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 600);
}

#[test]
fn faults_by_kafka_make_central_ask_about_once_a_second_and_deny_nobody() {
    let mut world = World::with_points(&["A"]);
    let mut asked = 0;
    let mut answer_all = |world: &mut World| {
        while let Some(call) = world.calls.get(&crate::world::cp("A")) {
            asked += u32::from(call.request == EngineRequest::GetState);
            let revoked = matches!(call.request, EngineRequest::Revoke { .. });
            let outcome = if revoked { CallOutcome::Revoked } else { CallOutcome::Done };
            world.answer("A", outcome, None, vec![]);
        }
    };
    for second in 0..20 {
        for who in [None, Some("d"), Some("stranger"), None, Some("d")] {
            let fault = MessageKind::Ended(domain::SupplyEnd::EngineFault);
            world.telemetry("A", who, None, fault, 0, None);
            assert_ne!(world.status("A"), Status::Faulted);
            answer_all(&mut world);
        }
        let driver = format!("d{second}");
        world.reserved(&driver, "A"); // granted at once, each second
        world.stop_charge(&driver);
        answer_all(&mut world);
        world.advance(1_000, &["A"]);
    }
    assert!((19..=22).contains(&asked), "{asked} questions in 20 s");
    assert!(world.dead_letters.is_empty(), "{:?}", world.dead_letters);
}

#[test]
fn an_abandoned_charge_point_is_not_called_for_ever() {
    let mut world = World::with_points(&["A"]);
    world.report("A", Health::Unreachable);
    world.silence("A");
    world.advance(4_000, &[]);
    while world.calls.contains_key(&crate::world::cp("A")) {
        world.silence("A");
    }
    world.advance(60_000, &[]);
    assert!(world.calls.is_empty(), "{:?}", world.calls);
    world.connect("A");
}

#[test]
fn a_broken_engine_is_one_line_a_change_whatever_is_told_of_it() {
    let mut world = World::with_points(&["A"]);
    let lines = |world: &World| {
        let changes = world.events.iter().filter(|event| event.name == "health_changes");
        changes.map(|event| event.text.clone()).collect::<Vec<_>>()
    };
    let before = lines(&world).len();
    for health in [Health::Faulted, Health::Ok] {
        for _ in 0..20 {
            let fault = MessageKind::Ended(domain::SupplyEnd::EngineFault);
            world.telemetry("A", None, None, fault, 0, None); // the broken engine, or a stranger, says so each second
            world.report("A", health);
            if world.calls.contains_key(&crate::world::cp("A")) {
                world.answer("A", CallOutcome::Done, None, vec![]);
            }
            world.advance(1_000, &[]);
        }
    }
    assert_eq!(lines(&world)[before..], ["the engine of A is broken: ", "the engine of A is well"]);
}
