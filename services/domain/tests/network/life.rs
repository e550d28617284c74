//! A session's life: forward over skipped states, never back, and exactly one ticket.

use crate::world::{FAULTS, World, cp, ended, record};
use domain::network::{
    CallOutcome, Command, EngineRequest, Health, MessageKind, NoticeKind, Order, Outcome, Reason, State,
    SupplyFailure, Target, Which,
};
use domain::{SupplyEnd, SupplyState};

/// A session brought to this state, and the evidence that then comes; what must come of it.
#[test]
fn every_move_of_a_session() {
    let authorizing = |w: &mut World| w.request("d", Target::Named(cp("A"))).1;
    let reserved = |w: &mut World| w.reserved("d", "A");
    let supplying = |w: &mut World| {
        let session = w.supplying("d", "A");
        w.says("A", "d", &session, 2, MessageKind::Reading, 100);
        session
    };
    let completed = |w: &mut World| {
        let session = w.supplying("d", "A");
        w.says("A", "d", &session, 2, MessageKind::Ended(SupplyEnd::Completed), 100);
        session
    };
    let rejected = |w: &mut World| {
        let session = w.request("d", Target::Named(cp("A"))).1;
        w.silence("A");
        session
    };
    type Begin<'a> = &'a dyn Fn(&mut World) -> domain::SessionId;
    let states: [(&str, Begin<'_>); 5] = [
        ("authorizing", &authorizing),
        ("reserved", &reserved),
        ("supplying", &supplying),
        ("completed", &completed),
        ("rejected", &rejected),
    ];
    let done = MessageKind::Ended(SupplyEnd::Completed);
    let broke = MessageKind::Ended(SupplyEnd::EngineFault);
    let (s, c, f, r) =
        (State::Supplying, ended(Outcome::Completed), ended(Outcome::Faulted), ended(Outcome::Rejected));
    for (from, evidence, seq, wh, to, billed) in [
        ("authorizing", MessageKind::Started, 1, 0, s, None),
        ("authorizing", MessageKind::Reading, 7, 70, s, None),
        ("authorizing", done, 9, 90, c, Some(90)),
        ("authorizing", broke, 9, 90, f, Some(90)),
        ("reserved", MessageKind::Started, 1, 0, s, None),
        ("reserved", MessageKind::Reading, 7, 70, s, None),
        ("reserved", done, 9, 90, c, Some(90)),
        ("reserved", broke, 9, 0, f, Some(0)),
        ("supplying", MessageKind::Started, 1, 0, s, None), // a repeat
        ("supplying", MessageKind::Reading, 2, 100, s, None), // a repeat
        ("supplying", MessageKind::Reading, 3, 90, s, None), // backwards: refused
        ("supplying", done, 3, 110, c, Some(110)),
        ("supplying", broke, 3, 110, f, Some(110)),
        ("completed", MessageKind::Started, 1, 0, c, Some(100)),
        ("completed", MessageKind::Reading, 3, 100, c, Some(100)),
        ("completed", done, 2, 100, c, Some(100)),
        ("completed", broke, 3, 100, c, Some(100)),
        ("completed", broke, 3, 500, c, Some(100)), // recorded beside, unbilled
        ("rejected", MessageKind::Started, 1, 0, r, None),
        ("rejected", MessageKind::Reading, 2, 50, r, None),
        ("rejected", done, 3, 60, r, Some(60)), // it had started all the same: it has its ticket
    ] {
        let mut world = World::with_points(&["A"]);
        let begin = states.iter().find(|(name, _)| *name == from).unwrap().1;
        let session = begin(&mut world);
        world.says("A", "d", &session, seq, evidence, wh);
        let case = format!("{from} + {evidence:?} {seq}");
        assert_eq!(world.state(&session), to, "{case}");
        let found = world.find(&session);
        assert_eq!(found.ticket().map(|ticket| ticket.energy.wh()), billed, "{case}");
        let tickets = world.told().iter().filter(|word| **word == "TICKET").count();
        assert_eq!(tickets, usize::from(billed.is_some()), "{case}");
        if let State::Ended(_) = to {
            assert!(world.net.open_session(&"d".parse().unwrap()).is_none(), "{case}: the driver is free");
        }
    }
}

#[test]
fn a_supply_from_the_request_to_the_confirmed_ticket() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    for (seq, wh) in [(2, 6), (3, 12), (4, 18)] {
        world.says("A", "d", &session, seq, MessageKind::Reading, wh);
    }
    assert_eq!(world.readings.len(), 4);
    world.says("A", "d", &session, 5, MessageKind::Ended(SupplyEnd::Completed), 20_500);
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.amount.micros, ticket.estimated()), (20_500, 6_150_000, false));
    // The engine is asked to forget it only now that the ticket is on disk.
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
    world.silence("A");
    world.advance(1_000, &["A"]);
    assert_eq!(
        *world.call("A"),
        EngineRequest::Confirm { sessions: vec![session.clone()] },
        "until answered"
    );
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.find(&session).closed());
    assert!(world.net.session(&session).is_none(), "it has left the memory");
    let seqs: Vec<_> = world.notices.iter().chain(&world.readings).filter_map(|notice| notice.seq).collect();
    assert_eq!(seqs, [0, 7, 1, 2, 3, 4], "0, the readings' own, and two above the last for the ticket");
}

#[test]
fn the_three_faults_tell_the_partial_and_then_the_one_ticket() {
    for fault in FAULTS {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        world.says("A", "d", &session, 2, MessageKind::Ended(fault), 1_000);
        assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
        let NoticeKind::Error { failure, energy, amount, .. } = world.notices[1].kind.clone() else {
            panic!()
        };
        let expected = match fault {
            SupplyEnd::MonitorLost => SupplyFailure::ChargePointDisconnected,
            SupplyEnd::Interrupted => SupplyFailure::SupplyInterrupted,
            SupplyEnd::EngineFault | SupplyEnd::Completed | SupplyEnd::Stopped => {
                SupplyFailure::ChargePointFaulted
            }
        };
        assert_eq!((failure, energy.wh(), amount.to_string()), (expected, 1_000, "0.30 EUR".into()));
        assert_eq!(world.state(&session), ended(Outcome::Faulted));
    }
}

#[test]
fn a_reservation_never_taken_up_expires_and_the_driver_is_told() {
    for (outcome, current) in
        [(Some(CallOutcome::Revoked), false), (None, false), (Some(CallOutcome::NotRevoked), true)]
    {
        let mut world = World::with_points(&["A"]);
        let session = world.reserved("d", "A");
        for _ in 0..20 {
            world.advance(3_000, &["A"]);
            if world.calls.contains_key(&cp("A")) && *world.call("A") == EngineRequest::GetState {
                world.answer("A", CallOutcome::Done, None, vec![]);
            }
        }
        assert_eq!(world.state(&session), State::Reserved);
        world.advance(2_250, &["A"]);
        assert_eq!(*world.call("A"), EngineRequest::Revoke { number: 1, session: session.clone() });
        match outcome {
            Some(outcome) if current => {
                let supplying = record(&session, "d", SupplyState::Supplying, 3, 30);
                world.answer("A", outcome, Some(supplying), vec![]);
                assert_eq!(world.state(&session), State::Supplying, "it was taken up in the last moment");
                continue;
            }
            Some(outcome) => world.answer("A", outcome, None, vec![]),
            None => world.silence("A"),
        }
        assert_eq!(world.state(&session), ended(Outcome::Expired));
        assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
        let NoticeKind::Error { failure, energy, amount, .. } = world.notices[1].kind.clone() else {
            panic!()
        };
        assert_eq!((failure, energy.wh(), amount.micros), (SupplyFailure::ReservationExpired, 0, 0));
        assert_eq!(world.find(&session).ticket(), None);
    }
}

#[test]
fn a_revocation_that_hangs_ends_the_reservation_within_five_seconds() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    let mut reserved_ms = 0;
    while world.state(&session) == State::Reserved {
        world.advance(250, &["A"]); // no call is ever answered
        reserved_ms += 250;
    }
    assert!(reserved_ms <= 62_000 + 5_000, "{reserved_ms}");
    assert!(world.find(&session).needs_revocation(), "the engine's word is still wanted");
}

#[test]
fn a_silent_supply_is_asked_for_and_at_last_faulted_but_not_billed_before_its_final_reading() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 500);
    world.advance(3_000, &["A"]);
    assert_eq!(*world.call("A"), EngineRequest::GetState);
    world.advance(57_250, &["A"]);
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    let (token, _) = world.request("d", Target::Named(cp("A")));
    assert_eq!(world.denial(token), Reason::ChargePointBusy, "the driver is free, the charge point is not");
    assert!(matches!(world.readings.last().unwrap().kind, NoticeKind::Denied(_)), "told at once");
    world.silence("A");
    world.advance(4_000, &["A"]);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 9, 900);
    world.answer("A", CallOutcome::NotRevoked, None, vec![last]);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 900);
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
}

#[test]
fn at_the_settlement_deadline_the_last_reading_is_billed_as_estimated_and_a_later_one_only_recorded() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 500);
    world.now.mono.0 += 60_000;
    world.send(Command::Tick);
    world.now.mono.0 += 24 * 3_600_000 - 1;
    world.send(Command::Tick);
    assert_eq!(world.find(&session).ticket(), None);
    world.now.mono.0 += 1;
    world.send(Command::Tick);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (500, true));
    assert!(world.net.session(&session).is_none());
    // The engine comes back with more.
    while world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 9, 900);
    world.answer("A", CallOutcome::Done, None, vec![last.clone()]);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.late_energy.wh()), (500, 900), "a ticket never changes");
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.net.session(&session).is_none());
    assert_eq!(world.told().iter().filter(|word| **word == "TICKET").count(), 1);
}

#[test]
fn what_went_on_after_its_ticket_is_over_once_its_engine_tells_of_it_no_more() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(60_250, &[]);
    world.now.mono.0 += 24 * 3_600_000;
    world.send(Command::Tick);
    assert!(world.find(&session).ticket().is_some() && world.net.session(&session).is_none());
    while world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    let runs = record(&session, "d", SupplyState::Supplying, 9, 900);
    world.answer("A", CallOutcome::Done, Some(runs), vec![]);
    assert!(world.net.session(&session).is_some());
    world.advance(1_000, &["A"]);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.net.session(&session).is_none());
    assert_eq!(world.find(&session).ticket().unwrap().late_energy.wh(), 900);
}

#[test]
fn loss_of_health_alone_ends_nothing_but_a_dead_engine_is_told_of() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 500);
    world.report("A", Health::Unreachable);
    assert_eq!(world.state(&session), State::Supplying);
    let trouble = "the power side of A does not answer";
    assert_eq!(world.find(&session).trouble(), trouble, "for those who only watch it");
    world.restart();
    assert_eq!(world.find(&session).trouble(), trouble);
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    world.says("A", "d", &session, 3, MessageKind::Ended(SupplyEnd::Interrupted), 500);
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"], "told once, ticketed once");
    let over = world.find(&session);
    assert_eq!((over.trouble(), over.reason()), ("", "the charge point's power side was interrupted"));
}

#[test]
fn stops_by_driver_and_operator_in_every_state() {
    for by_operator in [false, true] {
        for from in ["authorizing", "reserved", "supplying"] {
            let mut world = World::with_points(&["A"]);
            let (session, waits) = match from {
                "authorizing" => {
                    let (token, session) = world.request("d", Target::Named(cp("A")));
                    (session, Some(token))
                }
                "reserved" => (world.reserved("d", "A"), None),
                _ => (world.supplying("d", "A"), None),
            };
            if by_operator {
                world.order(Order::Service { which: Which::All, out_of_order: true });
            } else {
                world.stop_charge("d");
            }
            let case = format!("{from}, by operator: {by_operator}");
            if let Some(token) = waits {
                let reason = if by_operator { Reason::ChargePointOutOfOrder } else { Reason::ChargeStopped };
                assert_eq!(world.denial(token), reason, "{case}");
                world.answer("A", CallOutcome::Done, None, vec![]); // the engine agreed too late
            }
            if from == "supplying" {
                assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() }, "{case}");
                let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 2, 700);
                world.answer("A", CallOutcome::Done, None, vec![last]);
                assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 700, "{case}");
            } else {
                assert_eq!(
                    *world.call("A"),
                    EngineRequest::Revoke { number: 1, session: session.clone() },
                    "{case}"
                );
                world.answer("A", CallOutcome::Revoked, None, vec![]);
                assert_eq!(world.find(&session).ticket(), None, "{case}");
                assert!(world.find(&session).closed(), "{case}");
            }
            assert_eq!(world.state(&session), ended(Outcome::Stopped), "{case}");
        }
    }
}

#[test]
fn with_every_message_thrown_away_a_supply_still_ends_in_its_one_ticket() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    let mut wh = 0;
    for seq in 1..=4 {
        world.advance(3_000, &["A"]);
        assert_eq!(*world.call("A"), EngineRequest::GetState, "a silent session is asked for");
        wh += 100;
        let live = record(&session, "d", SupplyState::Supplying, seq * 3, wh);
        world.answer("A", CallOutcome::Done, Some(live), vec![]);
        assert_eq!(world.state(&session), State::Supplying);
    }
    world.advance(3_000, &["A"]);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 20, 1_234);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 1_234);
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
}
