//! What an engine may have delivered by a session's end. Out of reach, it is judged as it comes; from its first answer
//! after the end on it is in reach, and what flows then is a person's to judge.

use crate::world::{World, attested, cp, ended, record, sid};
use domain::network::{
    Broker, CallOutcome, Command, Config, EngineAnswer, EngineReport, EngineRequest, Health, MessageKind,
    Order, Outcome, Reason, Registration, Session, Status, Target, Verdict,
};
use domain::{Power, SessionId, SupplyEnd, SupplyRecord, SupplyState};
use std::time::Duration;

/// A charge point A of 60 kW under central's own bounds: a kilowatt-hour a minute.
fn world() -> World {
    let mut world = World::with(Config::default());
    world.rated = Some(Power::from_w(60_000));
    world.connect("A");
    world
}

fn at_once(world: &mut World, seconds: u64) {
    world.now.mono = world.now.mono + Duration::from_secs(seconds);
    world.now.wall = world.now.wall + Duration::from_secs(seconds);
    world.advance(250, &["A"]);
}

fn supplying(session: &SessionId, seq: u64, wh: u64) -> SupplyRecord {
    record(session, "d", SupplyState::Supplying, seq, wh)
}

fn over(session: &SessionId, seq: u64, wh: u64) -> SupplyRecord {
    record(session, "d", SupplyState::Ended(SupplyEnd::Stopped), seq, wh)
}

fn billed(session: &Session) -> Option<u64> {
    session.ticket().map(|ticket| ticket.energy.wh())
}

/// A driver has had 1 kWh, and stops while the engine does not answer.
fn stopped_unheard(world: &mut World) -> SessionId {
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 1_000);
    world.advance(4_000, &["A"]);
    world.silence("A");
    world.stop_charge("d");
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    session
}

#[test]
fn out_of_reach_for_an_hour_is_believed_and_billed_exactly() {
    let mut world = world();
    let session = world.reserved("d", "A");
    world.advance(4_000, &["A"]);
    world.silence("A");
    world.stop_charge("d");
    at_once(&mut world, 3_600);
    assert!(matches!(world.call("A"), EngineRequest::Revoke { .. }), "{:?}", world.call("A"));
    world.answer("A", CallOutcome::NotRevoked, Some(supplying(&session, 90, 59_000)), vec![]);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
    // The link is lost once more, before the order is there.
    world.silence("A");
    at_once(&mut world, 600);
    world.answer("A", CallOutcome::Done, None, vec![over(&session, 95, 69_000)]);
    assert_eq!(billed(&world.find(&session)), Some(69_000));
    assert!(!world.pages.points[&cp("A")].out_of_order);
}

#[test]
fn silent_for_an_instant_at_the_stop_and_supplying_on_after_it_is_for_a_person_and_out_of_service() {
    for hidden in [false, true] {
        let mut world = world();
        let session = stopped_unheard(&mut world);
        for second in 0..40 {
            world.advance(1_000, &["A"]);
            while world.calls.contains_key(&cp("A")) {
                let current = supplying(&session, 3 + second, 1_000 + second);
                world.answer("A", CallOutcome::Done, Some(current).filter(|_| !hidden), vec![]);
            }
        }
        assert_eq!(world.pages.points[&cp("A")].out_of_order, !hidden, "it says that it supplies on");
        at_once(&mut world, 1_200);
        world.answer("A", CallOutcome::Done, None, vec![over(&session, 99, 20_000)]);
        let found = world.find(&session);
        assert_eq!(
            (billed(&found), found.review().map(|it| it.energy.wh())),
            (None, Some(20_000)),
            "{hidden}"
        );
    }
}

#[test]
fn what_an_engine_delivers_while_it_obeys_is_billed() {
    let mut world = world();
    let session = stopped_unheard(&mut world);
    at_once(&mut world, 60);
    world.answer("A", CallOutcome::Done, Some(supplying(&session, 5, 2_000)), vec![]);
    world.answer("A", CallOutcome::Done, Some(supplying(&session, 6, 2_010)), vec![]); // as if it took its time
    world.advance(20_000, &["A"]);
    world.answer("A", CallOutcome::Done, None, vec![over(&session, 9, 2_400)]);
    assert_eq!(billed(&world.find(&session)), Some(2_400));
}

#[test]
fn a_denied_driver_is_billed_what_a_lost_answer_lets_flow_and_no_charge() {
    for (seconds, wh, exact) in [(3, 60, true), (3_600, 59_000, false)] {
        let mut world = world();
        let (token, session) = world.request("d", Target::Named(cp("A")));
        world.advance(5_250, &["A"]);
        assert_eq!(world.denial(token), Reason::EngineSilent);
        world.silence("A");
        at_once(&mut world, seconds);
        assert!(matches!(world.call("A"), EngineRequest::Revoke { .. }), "{:?}", world.call("A"));
        world.restart(); // what is believed of it is on disk
        at_once(&mut world, 1);
        world.answer("A", CallOutcome::NotRevoked, None, vec![over(&session, 9, wh)]);
        let found = world.find(&session);
        assert_eq!((billed(&found), found.review().is_none()), (exact.then_some(wh), exact), "{found:?}");
    }
}

#[test]
fn a_reservation_that_was_given_back_to_nobody_is_started_by_no_later_word() {
    let mut world = world();
    let session = world.reserved("d", "A");
    world.advance(4_000, &["A"]);
    world.silence("A");
    world.stop_charge("d");
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    world.advance(3_000, &["A"]);
    assert!(matches!(world.call("A"), EngineRequest::Revoke { .. }), "{:?}", world.call("A"));
    world.answer("A", CallOutcome::NotRevoked, None, vec![]); // and says nothing of it
    at_once(&mut world, 3_600);
    world.answer("A", CallOutcome::NotRevoked, None, vec![over(&session, 9, 50_000)]);
    let found = world.find(&session);
    assert_eq!((billed(&found), found.review().map(|it| it.energy.wh())), (None, Some(50_000)));
}

#[test]
fn time_that_only_the_dates_show_counts_too() {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.now.wall = world.now.wall + Duration::from_secs(7_200); // a machine that was paused
    world.says("A", "d", &session, 9, MessageKind::Ended(SupplyEnd::Completed), 120_000);
    assert_eq!(billed(&world.find(&session)), Some(120_000));
}

#[test]
fn a_session_signed_by_a_clock_that_is_ahead_is_judged_by_the_bound_alone() {
    let mut world = world();
    let session = sid("running");
    let claim = domain::network::Claim {
        attested: Some(world.now.wall + Duration::from_secs(600)),
        ..attested(record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 9, 60_000))
    };
    world.advance(4_000, &["A"]);
    world.send(Command::Broker(Broker::Gap));
    let call = world.calls.remove(&cp("A")).unwrap();
    let report = EngineReport {
        charge_point: Some(cp("A")),
        instance: call.instance,
        rated: world.rated,
        seals: None,
        plugged_in: false,
        highest_authorization: 0,
        current: None,
        unsettled: vec![claim],
    };
    let result = Ok(EngineAnswer { outcome: CallOutcome::Done, heard: true, report });
    world.send(Command::EngineAnswered { charge_point: cp("A"), call: call.id, result });
    assert_eq!(billed(&world.find(&session)), Some(60_000));
    assert_eq!((world.status("A"), world.state(&session)), (Status::Available, ended(Outcome::Completed)));
}

/// A supply of 3 kWh whose charge point is cut off after ten minutes, and which has ended for it.
fn cut_off(world: &mut World) -> SessionId {
    let session = world.supplying("d", "A");
    for half in 1..=20_u64 {
        at_once(world, 30);
        world.says("A", "d", &session, 1 + half, MessageKind::Reading, 150 * half);
    }
    if world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    world.advance(4_000, &[]);
    world.silence("A");
    world.advance(58_000, &[]);
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
    assert!(world.find(&session).told().is_none());
    session
}

/// A minute's silence at 60 kW, and what is allowed beside it.
const BY_THE_END: u64 = 3_000 + 1_160;

/// And no call is answered.
fn settlement_passes(world: &mut World) {
    world.send(Command::Broker(Broker::Away));
    world.advance(250, &[]);
    if world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    let settlement = world.config.settlement;
    (world.now.mono, world.now.wall) = (world.now.mono + settlement, world.now.wall + settlement);
    world.send(Command::Tick);
}

fn store_is_lost(world: &mut World) {
    if world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    world.advance(4_000, &[]);
    let other = Registration { instance: "i2".parse().unwrap(), ..World::registration("A") };
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    world.send(Command::Broker(Broker::Away));
    world.send(Command::Tick);
}

#[test]
fn what_telemetry_alone_tells_above_what_was_possible_by_the_end_is_billed_by_nobody_but_a_person() {
    for (lost, restart) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = world();
        let session = cut_off(&mut world);
        at_once(&mut world, 4 * 3_600);
        if restart {
            world.restart();
        }
        world.message("A", "d", &session, 99, MessageKind::Reading, 250_000); // a stranger's
        if lost {
            store_is_lost(&mut world)
        } else {
            settlement_passes(&mut world)
        }
        let found = world.find(&session);
        assert_eq!((billed(&found), found.review().map(|it| it.energy.wh())), (None, Some(250_000)));
        assert_eq!(found.energy().wh(), 3_000, "its engine's word");
        settlement_passes(&mut world);
        let ticket = world.find(&session).ticket().expect("nobody decided");
        assert!((3_001..=BY_THE_END).contains(&ticket.energy.wh()) && ticket.estimated(), "{ticket:?}");
        assert!(world.find(&session).closed());
    }
}

#[test]
fn what_flowed_until_the_end_and_was_told_late_is_billed_as_told() {
    for lost in [false, true] {
        let mut world = world();
        let session = cut_off(&mut world);
        at_once(&mut world, 4 * 3_600);
        world.restart();
        world.message("A", "d", &session, 99, MessageKind::Reading, 4_000);
        if lost {
            store_is_lost(&mut world)
        } else {
            settlement_passes(&mut world)
        }
        assert_eq!(billed(&world.find(&session)), Some(4_000), "{lost}");
    }
}

/// Cut off from central and supplying on, for hours.
#[test]
fn an_engine_that_supplied_on_unreachable_loses_nothing_by_telemetry_that_comes_late() {
    for comes_back in [false, true] {
        let mut world = world();
        let session = cut_off(&mut world);
        at_once(&mut world, 2 * 3_600);
        world.message("A", "d", &session, 99, MessageKind::Reading, 100_000);
        settlement_passes(&mut world);
        assert_eq!(world.find(&session).review().map(|it| it.energy.wh()), Some(100_000));
        assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "SUPPLY_ERROR"], "its ticket waits");
        if comes_back {
            world.advance(10_000, &[]);
            assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
            world.answer("A", CallOutcome::Done, Some(supplying(&session, 98, 90_000)), vec![]);
            let found = world.find(&session);
            assert_eq!((found.energy().wh(), found.review().is_some()), (90_000, true), "asked once");
            world.advance(5_000, &[]);
            world.answer("A", CallOutcome::Done, None, vec![over(&session, 101, 90_300)]);
            let ticket = world.find(&session).ticket().unwrap();
            assert_eq!((ticket.energy.wh(), ticket.estimated()), (90_300, false));
        } else {
            let (verdict, by, reason) = (Verdict::Accepted, "o".into(), "its own display".into());
            world.order(Order::Settle { session: session.clone(), verdict, by, reason });
            assert_eq!(billed(&world.find(&session)), Some(100_000));
            assert!(world.find(&session).closed());
        }
    }
}

/// What central was told before it went away is old, and the supply went on.
#[test]
fn what_flowed_while_central_was_away_is_billed_as_telemetry_told_it() {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 1_000);
    world.now.mono = world.now.mono + Duration::from_secs(3_600);
    world.now.wall = world.now.wall + Duration::from_secs(3_600);
    world.restart();
    world.message("A", "d", &session, 90, MessageKind::Reading, 59_000);
    store_is_lost(&mut world);
    assert_eq!(billed(&world.find(&session)), Some(59_000));
}
