//! Engines that fall silent in mid-supply, that do not obey, or that claim to know what only central can: nobody is
//! held for ever, and no session has two tickets.

use crate::world::{World, cp, ended, record, sid};
use domain::network::{
    CallOutcome, Command, EngineRequest, Health, Order, Outcome, State, Status, SupplyFailure, Target,
    Verdict,
};
use domain::{Power, SupplyEnd, SupplyState};

/// A supply of 1 kWh so far, at 50 kW, as the engine itself tells it.
fn supplying(world: &mut World, who: &str, id: &str) -> domain::SessionId {
    let session = world.reserved(who, id);
    world.report(id, Health::Faulted);
    world.report(id, Health::Ok); // its state is asked for
    let power = Power::from_w(50_000);
    let current = domain::SupplyRecord { power, ..record(&session, who, SupplyState::Supplying, 5, 1_000) };
    world.answer(id, CallOutcome::Done, Some(current), vec![]);
    assert_eq!((world.state(&session), world.find(&session).shown_power()), (State::Supplying, power));
    session
}

fn power_cut(world: &mut World, id: &str) {
    let epoch = world.epoch(id);
    world.send(Command::MonitorGone { charge_point: cp(id), epoch });
    assert_eq!(*world.call(id), EngineRequest::GetState, "its engine is asked at once");
    world.silence(id);
}

#[test]
fn a_power_cut_is_told_at_once_and_its_driver_may_leave() {
    let mut world = World::with_points(&["A", "B"]);
    let session = supplying(&mut world, "d", "A");
    power_cut(&mut world, "A");
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    let found = world.find(&session);
    assert_eq!(
        (found.state(), found.shown_power(), found.energy().wh()),
        (State::Supplying, Power::ZERO, 1_000)
    );
    assert!(found.trouble().contains("does not answer"), "{}", found.trouble());

    // The engine would not hear the stop: the driver is free for another charge point.
    world.stop_charge("d");
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"], "once");
    world.reserved("d", "B");

    // Back with power, it has closed the supply itself: one ticket, of what its disk has.
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 7, 1_200);
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (1_200, false));
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
}

#[test]
fn where_no_connection_breaks_its_driver_hears_with_the_monitors_silence() {
    let mut world = World::with_points(&["A"]);
    let session = supplying(&mut world, "d", "A");
    world.report("A", Health::Faulted);
    world.report("A", Health::Ok); // its engine is asked, and the power goes
    world.silence("A");
    assert_eq!(world.told(), ["AUTH_OK"], "its monitor may have told more");
    world.advance(3_250, &[]);
    assert_eq!(world.status("A"), Status::Disconnected);
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    assert_eq!(world.find(&session).shown_power(), Power::ZERO);
}

#[test]
fn a_monitor_that_goes_alone_troubles_nobody() {
    let mut world = World::with_points(&["A"]);
    let session = supplying(&mut world, "d", "A");
    let epoch = world.epoch("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    world.answer(
        "A",
        CallOutcome::Done,
        Some(record(&session, "d", SupplyState::Supplying, 6, 1_010)),
        vec![],
    );
    assert_eq!((world.told(), world.find(&session).trouble()), (vec!["AUTH_OK"], ""));
}

/// It answers each call, and supplies on.
fn disobeys(world: &mut World, session: &domain::SessionId, seconds: u64) {
    for second in 0..seconds {
        if world.calls.contains_key(&cp("A")) {
            let current = record(session, "d", SupplyState::Supplying, 6 + second, 1_010 + second);
            world.answer("A", CallOutcome::Done, Some(current), vec![]);
        }
        world.advance(1_000, &["A", "B"]);
    }
}

#[test]
fn an_engine_that_does_not_stop_is_taken_out_of_service_and_holds_nobody() {
    let mut world = World::with_points(&["A", "B"]);
    let session = supplying(&mut world, "d", "A");
    world.stop_charge("d");
    disobeys(&mut world, &session, 29);
    assert_eq!(world.state(&session), State::Supplying, "it may take its time");
    disobeys(&mut world, &session, 2);
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    let failure = world.notices.iter().find_map(|notice| match &notice.kind {
        domain::network::NoticeKind::Error { failure, .. } => Some(*failure),
        _ => None,
    });
    assert_eq!(failure, Some(SupplyFailure::ChargeStopped));
    world.reserved("d", "B");

    // It is told on, and once it stops it has its ticket; but nobody is sent there until the operator says so.
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 99, 2_000);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 2_000);
    assert_eq!(world.status("A"), Status::OutOfOrder);
}

#[test]
fn what_a_driver_is_told_of_one_session_rises_through_a_review() {
    let mut world = World::with_points(&["A", "B"]);
    let session = supplying(&mut world, "d", "A");
    world.stop_charge("d");
    while world.state(&session) == State::Supplying {
        disobeys(&mut world, &session, 1);
    }
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 6, 9_999_000);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert!(world.find(&session).review().is_some());
    world.order(Order::Settle {
        session: session.clone(),
        verdict: Verdict::Energy(domain::Energy::from_wh(1_000)),
        by: "an operator".into(),
        reason: "by the meter".into(),
    });
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "SUPPLY_ERROR", "TICKET"]);
    let numbers: Vec<_> = world.notices.iter().map(|notice| notice.seq).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "readers drop what does not rise: {numbers:?}");
}

#[test]
fn an_engine_that_guesses_a_requests_next_session_gets_it_no_second_ticket() {
    let mut world = World::with_points(&["A", "B"]);
    let (token, first) = world.request("d", Target::Any { location_prefix: domain::Location::default() });
    let guessed = sid(&format!("{first}.2"));
    let claim = record(&guessed, "d", SupplyState::Ended(SupplyEnd::Completed), 3, 500);
    world.answer("A", CallOutcome::Busy, None, vec![claim]);
    let EngineRequest::Authorize { session: second, .. } = world.call("B").clone() else {
        panic!("B is asked: {:?}", world.call("B"))
    };
    assert_ne!(second, guessed, "it would be two sessions in one");
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
    assert_eq!(world.told_session(token).id, second);
}
