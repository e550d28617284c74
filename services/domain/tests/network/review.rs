//! What an engine reports and central does not believe: it moves nothing, and what a session bills then is a person's
//! to say, or its deadline's.

use crate::world::{World, cp, ended, record, sid};
use domain::network::{
    CallOutcome, Config, EngineRequest, MessageKind, NoticeKind, Order, Outcome, Reason, Session, State,
    Status, SupplyFailure, Target, Verdict,
};
use domain::{Energy, Power, SessionId, SupplyEnd, SupplyState};
use std::time::Duration;

const DONE: MessageKind = MessageKind::Ended(SupplyEnd::Completed);
/// At 60 kW a kilowatt-hour takes a minute, and one more is within the grace: 1.1 kWh.
const RATED: Power = Power::from_w(60_000);

/// A charge point A of 60 kW under central's own bounds.
fn world() -> World {
    let mut world = World::with(Config::default());
    world.rated = Some(RATED);
    world.connect("A");
    world
}

fn wh(session: &Session) -> u64 {
    session.energy().wh()
}

fn settle(session: &SessionId, verdict: Verdict) -> Order {
    let (by, reason) = ("192.0.2.1 (unverified)".to_owned(), "the meter was replaced".to_owned());
    Order::Settle { session: session.clone(), verdict, by, reason }
}

fn counted(world: &World, name: &str) -> usize {
    world.events.iter().filter(|event| event.name == name).count()
}

/// A supply at A that its engine ends with 900 kWh after a minute.
fn reviewed() -> (World, SessionId) {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 500);
    world.says("A", "d", &session, 9, DONE, 900_000);
    (world, session)
}

#[test]
fn a_reading_above_rated_power_times_time_moves_nothing() {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 1_100);
    world.says("A", "d", &session, 3, MessageKind::Reading, 5_000);
    world.says("A", "d", &session, 4, MessageKind::Reading, 9_000);
    assert_eq!((wh(&world.find(&session)), world.state(&session)), (1_100, State::Supplying));
    let told: Vec<_> = world.events.iter().filter(|event| event.name == "readings_implausible").collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].level > told[1].level, "told once a session: {told:?}");
    // In four minutes it can have had so much, and its final reading is believed.
    for _ in 0..16 {
        world.advance(15_000, &["A"]);
        world.says("A", "d", &session, 4, MessageKind::Reading, 1_000);
    }
    world.says("A", "d", &session, 5, DONE, 5_000);
    assert_eq!(world.find(&session).ticket().map(|ticket| ticket.energy.wh()), Some(5_000));
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
}

#[test]
fn an_engines_own_word_on_its_power_counts_up_to_a_bound() {
    for (says, most) in [(None, 18_334), (Some(u64::MAX), 18_334), (Some(60_000), 1_101)] {
        let mut world = World::with(Config::default());
        world.rated = says.map(Power::from_w);
        world.connect("A");
        let session = world.supplying("d", "A");
        for reading in [most + 2_000, most] {
            world.says("A", "d", &session, reading, MessageKind::Reading, reading);
        }
        assert_eq!(wh(&world.find(&session)), most, "{says:?}");
        assert_eq!(counted(&world, "powers_cut"), usize::from(says == Some(u64::MAX)), "{says:?}");
    }
}

#[test]
fn a_final_reading_that_is_not_believed_holds_nobody_and_waits_for_a_person() {
    let (mut world, session) = reviewed();
    let found = world.find(&session);
    assert_eq!((found.state(), found.ticket(), found.settled()), (ended(Outcome::Completed), None, false));
    assert_eq!((wh(&found), found.review().unwrap().energy.wh()), (500, 900_000));
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    let NoticeKind::Error { failure, energy, .. } = &world.notices[1].kind else { panic!() };
    assert_eq!((*failure, energy.wh()), (SupplyFailure::UnderReview, 500));
    assert_eq!(counted(&world, "sessions_reviewed"), 1);
    let detail = world.net.charge_point(&cp("A")).unwrap();
    assert_eq!(detail.status, Status::Available);
    assert!(detail.status_reason.contains(session.as_str()), "{}", detail.status_reason);
    // Its record stays at its engine, which says it with each answer.
    assert!(!world.calls.contains_key(&cp("A")), "{:?}", world.calls);
    world.says("A", "d", &session, 9, DONE, 900_000);
    assert!(!world.calls.contains_key(&cp("A")), "{:?}", world.calls);
    assert_eq!(counted(&world, "sessions_reviewed"), 1);
    // The driver and the charge point are free.
    let (token, _) = world.request("d", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

#[test]
fn the_first_person_to_settle_wins_and_is_kept_with_the_reason() {
    for (verdict, energy) in [(Verdict::Accepted, 900_000), (Verdict::Energy(Energy::from_wh(700)), 700)] {
        let (mut world, session) = reviewed();
        let token = world.order(settle(&session, verdict));
        assert_eq!(world.granted(token), Some(true));
        let found = world.find(&session);
        let (ticket, settled) = (found.ticket().unwrap(), found.settled_by().unwrap());
        assert_eq!(
            (ticket.energy.wh(), ticket.estimated(), ticket.end),
            (energy, false, Some(SupplyEnd::Completed))
        );
        assert_eq!(
            (settled.by.as_str(), settled.reason.as_str()),
            ("192.0.2.1 (unverified)", "the meter was replaced")
        );
        assert_eq!(settled.reported.wh(), 900_000);
        assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
        assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
        let again = world.order(settle(&session, Verdict::Energy(Energy::ZERO)));
        assert_eq!(world.denial(again), Reason::SessionNotUnderReview);
        assert_eq!(world.find(&session).ticket(), Some(ticket));
        world.answer("A", CallOutcome::Done, None, vec![]);
        assert!(world.find(&session).closed());
    }
}

#[test]
fn nobody_settles_above_what_was_reported_nor_what_is_not_under_review() {
    let (mut world, session) = reviewed();
    let more = world.order(settle(&session, Verdict::Energy(Energy::from_wh(900_001))));
    assert_eq!(world.denial(more), Reason::EnergyAboveReported);
    let unknown = world.order(settle(&sid("nobody"), Verdict::Accepted));
    assert_eq!(world.denial(unknown), Reason::SessionUnknown);
    assert!(world.find(&session).review().is_some());
    let running = world.supplying("e", "A");
    let open = world.order(settle(&running, Verdict::Accepted));
    assert_eq!(world.denial(open), Reason::SessionNotUnderReview);
}

#[test]
fn a_review_outlives_restarts_and_lost_stores_and_ends_at_the_settlement_deadline() {
    for lost in [false, true] {
        let (mut world, session) = reviewed();
        world.restart();
        world.advance(250, &[]);
        world.answer("A", CallOutcome::Done, None, vec![]); // absence proves nothing
        if lost {
            world.advance(4_000, &[]);
            let another =
                domain::network::Registration { instance: "i2".parse().unwrap(), ..World::registration("A") };
            world.register(another).unwrap();
            world.report("A", domain::network::Health::Ok);
            world.answer_as("A", "i2", CallOutcome::Done, None, vec![]);
            world.send(domain::network::Command::Broker(domain::network::Broker::Away));
            world.advance(10_000, &["A"]);
        }
        let found = world.find(&session);
        assert!(found.review().is_some() && !found.settled(), "{found:?}");
        world.now.mono = world.now.mono + Config::default().settlement;
        world.now.wall = world.now.wall + Config::default().settlement;
        world.send(domain::network::Command::Broker(domain::network::Broker::Away));
        world.advance(1_000, &["A"]);
        let found = world.find(&session);
        let ticket = found.ticket().unwrap();
        assert_eq!((ticket.energy.wh(), ticket.estimated()), (500, true), "what is believed");
        assert_eq!(found.settled_by(), None);
    }
}

#[test]
fn what_is_beyond_the_ordinary_is_for_a_person_however_long_it_took() {
    let mut world = world();
    let session = world.supplying("d", "A");
    for hour in 1..=6_u64 {
        world.now.mono = world.now.mono + Duration::from_secs(3_600);
        world.now.wall = world.now.wall + Duration::from_secs(3_600);
        world.says("A", "d", &session, hour + 1, MessageKind::Reading, hour * 60_000);
    }
    assert_eq!(wh(&world.find(&session)), 300_000, "and no more");
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"], "its driver hears of it while it charges");
    assert!(world.events.iter().any(|event| event.text.contains("--session-energy-max")));
    world.says("A", "d", &session, 9, DONE, 360_000);
    assert_eq!(world.find(&session).review().map(|reported| reported.energy.wh()), Some(360_000));
}

#[test]
fn what_an_engine_has_in_hand_of_before_it_was_given_less_is_judged_by_its_power_then() {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.advance(120_000, &["A"]);
    world.rated = Some(Power::from_w(6_000));
    world.restart();
    world.advance(250, &[]);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 9, 2_000);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().map(|ticket| ticket.energy.wh()), Some(2_000));
}

#[test]
fn what_is_told_after_the_highest_number_that_there_is_has_a_number_too() {
    let mut world = world();
    let session = world.supplying("d", "A");
    let highest = domain::ids::MAX_NUMBER;
    world.says("A", "d", &session, highest, MessageKind::Reading, 500);
    world.says("A", "d", &session, highest, DONE, 900_000);
    world.order(settle(&session, Verdict::Accepted));
    let numbers: Vec<_> = world.notices.iter().filter_map(|notice| notice.seq).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.len() == 3, "{numbers:?}");
    assert!(numbers.iter().all(|number| *number <= highest), "{numbers:?}");
}

#[test]
fn after_centrals_clock_was_set_back_the_bound_of_a_session_alone_judges() {
    for (back, restart) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = world();
        let session = world.supplying("d", "A");
        world.advance(1_000, &["A"]);
        if back {
            world.now.wall.0 -= 3_600_000;
        }
        if restart {
            world.restart();
        }
        world.says("A", "d", &session, 2, DONE, 200_000);
        // In one life it is the monotonic clock that measures; over a restart nothing is known of the time.
        let believed = back && restart;
        assert_eq!(world.find(&session).ticket().is_some(), believed, "{back} {restart}");
        assert_eq!(world.find(&session).review().is_some(), !believed, "{back} {restart}");
    }
}

#[test]
fn a_clock_that_was_ahead_when_a_session_began_is_remembered_over_a_restart() {
    let mut world = world();
    world.now.wall.0 += 3_600_000;
    let session = world.supplying("d", "A");
    world.now.wall.0 -= 3_600_000; // set right
    world.advance(250, &["A"]);
    world.now.mono.0 += 3_660_000;
    world.now.wall.0 += 3_660_000;
    world.restart(); // its date, and every other, was a minute ago
    world.says("A", "d", &session, 9, DONE, 61_000);
    assert_eq!(world.find(&session).ticket().map(|ticket| ticket.energy.wh()), Some(61_000));
}

#[test]
fn what_flows_after_a_stop_that_was_not_obeyed_is_for_a_person() {
    for (after, believed) in [(470, true), (900, false)] {
        let mut world = world();
        let session = world.supplying("d", "A");
        world.says("A", "d", &session, 2, MessageKind::Reading, 400);
        world.stop_charge("d");
        for seq in 3..38 {
            world.advance(1_000, &["A"]);
            if world.calls.contains_key(&cp("A")) {
                let current = record(&session, "d", SupplyState::Supplying, seq, 400);
                world.answer("A", CallOutcome::Done, Some(current), vec![]);
            }
        }
        assert_eq!(world.state(&session), ended(Outcome::Stopped));
        assert!(world.pages.points[&cp("A")].out_of_order);
        world.says("A", "d", &session, 90, DONE, after);
        let found = world.find(&session);
        assert_eq!(found.ticket().is_some(), believed, "{after}: {found:?}");
        assert_eq!(found.review().is_some(), !believed, "{after}");
    }
}

#[test]
fn an_operator_ends_a_session_whatever_its_engine_does() {
    let mut world = world();
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Reading, 400);
    let token = world.order(Order::End(session.clone()));
    assert_eq!(world.granted(token), Some(true));
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    assert!(world.net.open_session(&crate::world::driver("d")).is_none());
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
    // Its engine obeys once it hears it: its ticket is as always, and it stays in service.
    world.advance(8_000, &["A"]);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 3, 540);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().map(|ticket| ticket.energy.wh()), Some(540));
    assert!(!world.pages.points[&cp("A")].out_of_order);
    // Once over it is left as it is; and of one that nobody knows nothing can be said.
    let again = world.order(Order::End(session));
    assert_eq!(world.granted(again), Some(true));
    let unknown = world.order(Order::End(sid("nobody")));
    assert_eq!(world.denial(unknown), Reason::SessionUnknown);
}

#[test]
fn a_reservation_is_ended_by_order_and_its_charge_point_stays_in_service() {
    let mut world = world();
    let session = world.reserved("d", "A");
    world.order(Order::End(session.clone()));
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    assert!(!world.pages.points[&cp("A")].out_of_order);
    let (token, asking) = world.request("e", Target::Named(cp("A")));
    world.order(Order::End(asking.clone()));
    assert_eq!((world.denial(token), world.state(&asking)), (Reason::ChargeStopped, ended(Outcome::Stopped)));
}

#[test]
fn a_session_that_its_engine_refused_or_gave_back_is_started_by_no_later_word() {
    for (refused, over) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = world();
        let session = if refused {
            let (_, session) = world.request("d", Target::Named(cp("A")));
            world.answer("A", CallOutcome::Busy, None, vec![]);
            session
        } else {
            let session = world.reserved("d", "A");
            world.stop_charge("d");
            world.answer("A", CallOutcome::Revoked, None, vec![]);
            session
        };
        assert!(world.find(&session).closed());
        let kind = if over { DONE } else { MessageKind::Reading };
        world.says("A", "d", &session, 2, kind, 300);
        let found = world.find(&session);
        assert!(!found.is_open() && found.ticket().is_none(), "{found:?}");
        assert_eq!((wh(&found), found.review().map(|reported| reported.energy.wh())), (0, Some(300)));
        let told = world.told();
        assert_eq!(told.last(), Some(if refused { &"AUTH_DENIED" } else { &"SUPPLY_ERROR" }), "as before");
        if !over {
            assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
            world.says("A", "d", &session, 3, DONE, 310);
            assert_eq!(counted(&world, "sessions_reviewed"), 1);
            let found = world.find(&session);
            assert_eq!(
                found.review().map(|reported| (reported.energy.wh(), reported.end.is_some())),
                Some((310, true))
            );
        }
        if refused {
            world.order(settle(&session, Verdict::Accepted));
            assert_eq!(
                world.find(&session).ticket().map(|ticket| ticket.energy.wh()),
                Some(if over { 300 } else { 310 })
            );
            continue;
        }
        world.now.mono = world.now.mono + Config::default().settlement;
        world.send(domain::network::Command::Broker(domain::network::Broker::Away));
        world.advance(250, &[]);
        assert!(world.find(&session).closed(), "nobody decided, and it never started: no ticket of nothing");
        assert_eq!(world.told(), told);
        // What its engine tells before it has heard that it is to forget this begins no other review.
        let reviewed = counted(&world, "sessions_reviewed");
        assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
        let again = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 9, 320);
        world.answer("A", CallOutcome::Busy, None, vec![again]);
        assert!(world.find(&session).closed());
        assert_eq!(counted(&world, "sessions_reviewed"), reviewed);
    }
}
