//! Bare, repeated, late, reordered and foreign messages.

use crate::world::{World, cp, driver, ended, record, sid};
use domain::network::{
    Broker, CallOutcome, Command, EngineRequest, Gauges, Health, Message, MessageKind, NoticeKind, Outcome,
    State, Status, Target,
};
use domain::{Energy, Power, SessionId, SupplyEnd, SupplyState};
use std::time::Duration;

#[test]
fn bare_messages_move_the_live_view_and_make_central_ask_and_nothing_else() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.telemetry("A", Some("d"), None, MessageKind::Started, 0, None);
    assert_eq!(world.state(&session), State::Reserved, "only the engine's answer starts");
    assert_eq!(*world.call("A"), EngineRequest::GetState);
    world.answer("A", CallOutcome::Done, Some(record(&session, "d", SupplyState::Supplying, 1, 0)), vec![]);
    assert_eq!(world.state(&session), State::Supplying);

    world.telemetry("A", Some("d"), None, MessageKind::Reading, 300, None);
    let NoticeKind::Reading { energy, amount, .. } = world.readings.last().unwrap().kind else { panic!() };
    assert_eq!(
        (energy.wh(), amount.micros),
        (300, 90_000),
        "the price is central's; the importe that came is not read"
    );
    assert_eq!(world.net.charge_point(&cp("A")).unwrap().live.unwrap().energy.wh(), 300);
    assert_eq!(world.find(&session).energy().wh(), 0, "nothing that could be billed has moved");

    world.advance(1_000, &["A"]);
    world.telemetry("A", Some("d"), None, MessageKind::Ended(SupplyEnd::Completed), 999_999, None);
    assert_eq!(world.state(&session), State::Supplying, "only the engine's answer ends");
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 3, 310);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 310, "only the engine's answer bills");
}

#[test]
fn a_reading_without_energy_moves_its_gauges_and_tells_the_driver_nothing() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(1_000, &["A"]);
    let told = world.readings.len();
    let reading = |session: Option<&SessionId>, w| Message {
        kind: MessageKind::Reading,
        charge_point: cp("A"),
        driver: Some(driver("d")),
        session: session.map(|id| (id.clone(), 2)),
        energy: None,
        gauges: Gauges::of(Power::from_w(w)),
        reason: String::new(),
        sealed: None,
        at: None,
    };
    for (of, w) in [(Some(&session), 7_400), (None, 3_700), (Some(&session), 11_000)] {
        world.send(Command::Telemetry { message: reading(of, w), source: None });
        let live = world.net.charge_point(&cp("A")).unwrap().live.unwrap();
        assert_eq!((live.gauges.power, live.energy), (Some(Power::from_w(w)), Energy::ZERO));
    }
    assert_eq!((world.readings.len(), world.find(&session).seq()), (told, 1));
    assert_eq!(*world.call("A"), EngineRequest::GetState, "a bare one makes central ask");
    world.answer("A", CallOutcome::Done, Some(record(&session, "d", SupplyState::Supplying, 1, 0)), vec![]);
    world.says("A", "d", &session, 2, MessageKind::Ended(SupplyEnd::Completed), 100);
    world.answer("A", CallOutcome::Done, None, vec![]);
    world.send(Command::Telemetry { message: reading(Some(&session), 7_400), source: None });
    assert!(world.net.session(&session).is_none(), "late, and only counted");
    assert!(world.dead_letters.is_empty(), "{:?}", world.dead_letters);
}

#[test]
fn a_bare_message_of_an_earlier_session_cannot_end_the_next() {
    let mut world = World::with_points(&["A"]);
    let first = world.supplying("d", "A");
    world.says("A", "d", &first, 2, MessageKind::Ended(SupplyEnd::Completed), 100);
    world.answer("A", CallOutcome::Done, None, vec![]);
    let second = world.supplying("d", "A");
    world.telemetry("A", Some("d"), None, MessageKind::Ended(SupplyEnd::Completed), 100, None);
    let live = record(&second, "d", SupplyState::Supplying, 2, 10);
    world.answer("A", CallOutcome::Done, Some(live), vec![]);
    assert_eq!(world.state(&second), State::Supplying);
}

#[test]
fn repeated_and_reordered_messages_change_nothing() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    for (seq, wh) in [(5, 50), (3, 30), (5, 50), (4, 40), (1, 0)] {
        world.message("A", "d", &session, seq, MessageKind::Reading, wh);
    }
    let shown = |world: &World| world.net.charge_point(&cp("A")).unwrap().live.unwrap().energy.wh();
    assert_eq!((shown(&world), world.find(&session).seq()), (50, 1), "only an answer raises the number");
    assert_eq!(world.readings.len(), 3, "the start, one reading and its copy: what is behind is not told");
    assert!(world.readings[1..].iter().all(|notice| notice.seq.is_none()), "no number of anyone's");
    // gRPC told first; the message with the same number is the repeat.
    world.advance(3_000, &["A"]);
    world.answer("A", CallOutcome::Done, Some(record(&session, "d", SupplyState::Supplying, 9, 90)), vec![]);
    world.message("A", "d", &session, 9, MessageKind::Reading, 90);
    assert_eq!((world.readings.len(), world.readings[3].seq), (4, Some(9)));
    // The end overtakes the last readings.
    world.message("A", "d", &session, 12, MessageKind::Ended(SupplyEnd::Completed), 120);
    world.message("A", "d", &session, 10, MessageKind::Reading, 100);
    world.says("A", "d", &session, 12, MessageKind::Ended(SupplyEnd::Completed), 120);
    world.message("A", "d", &session, 12, MessageKind::Ended(SupplyEnd::Completed), 120);
    assert_eq!(world.told(), ["AUTH_OK", "TICKET"]);
    assert!(world.dead_letters.is_empty(), "{:?}", world.dead_letters);
}

#[test]
fn of_many_readings_that_come_together_a_driver_hears_some_at_once_and_then_two_a_second() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    for n in 1..=30 {
        world.now.mono = world.now.mono + Duration::from_millis(if n <= 10 { 0 } else { 100 });
        world.message("A", "d", &session, 1 + n, MessageKind::Reading, 10 * n);
    }
    let told = world.readings.iter().map(|notice| match notice.kind {
        NoticeKind::Reading { energy, .. } => energy.wh(),
        _ => panic!("{notice:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [0, 10, 20, 30, 40, 50, 60, 70, 110, 160, 210, 260]);
}

#[test]
fn what_fits_nothing_goes_to_the_dead_letters_and_creates_nothing() {
    let mut world = World::with_points(&["A", "B"]);
    let session = world.supplying("d", "A");
    let reading = MessageKind::Reading;
    let unknown = sid("unknown");
    for (id, who, of, what) in [
        ("NOWHERE", Some("d"), None, "no charge point NOWHERE"),
        ("A", Some("d"), Some((unknown, 3)), "session unknown is not known"),
        ("B", Some("d"), Some((session.clone(), 3)), "not of that charge point"),
        ("A", Some("e"), Some((session.clone(), 3)), "not of that charge point and driver"),
        ("A", Some("e"), None, "driver e has no open session"),
        ("A", None, None, "user_id is missing"),
    ] {
        world.telemetry(id, who, of, reading, 100, None);
        let letter = world.dead_letters.pop().unwrap_or_else(|| panic!("no dead letter: {what}"));
        assert!(letter.contains(what), "{letter}");
    }
    world.message("A", "d", &session, 2, reading, 100);
    world.message("A", "d", &session, 3, reading, 99);
    let shown = world.net.charge_point(&cp("A")).unwrap().live.unwrap().energy.wh();
    assert_eq!((shown, world.net.charge_point_count()), (100, 2));
    assert_eq!(world.dead_letters.len(), 0, "a reading that is behind is only counted");
}

#[test]
fn late_messages_of_a_closed_session_are_only_counted() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 2, MessageKind::Ended(SupplyEnd::Completed), 100);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.net.session(&session).is_none());
    for seq in 1..=2 {
        world.message("A", "d", &session, seq, MessageKind::Reading, 100);
    }
    assert!(world.dead_letters.is_empty());
    assert_eq!(world.events.iter().filter(|event| event.name == "messages_late").count(), 2);
    assert_eq!(world.state(&session), ended(Outcome::Completed));
}

#[test]
fn another_instances_answer_is_no_answer() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(3_000, &["A"]);
    let forged = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 9, 9_000);
    world.answer_as("A", "i2", CallOutcome::Done, None, vec![forged]);
    assert_eq!(world.state(&session), State::Supplying);
    assert_eq!(world.status("A"), domain::network::Status::Faulted, "it counts as silent");
}

#[test]
fn a_live_reading_of_an_ended_session_makes_central_stop_it() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(60_250, &["A"]);
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
    world.silence("A");
    world.message("A", "d", &session, 40, MessageKind::Reading, 4_000);
    assert_eq!(world.state(&session), ended(Outcome::Faulted), "never back");
    world.advance(4_000, &["A"]);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 44, 4_400);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 4_400);
}

#[test]
fn a_session_unknown_to_central_is_adopted_open_only_where_that_breaks_no_promise() {
    let mut world = World::with_points(&["A", "B"]);
    let lost = sid("lost");
    world.message("A", "d", &lost, 4, MessageKind::Reading, 40);
    assert_eq!(world.dead_letters.len(), 1, "a message adopts nothing");
    world.advance(1_000, &["A", "B"]);
    world.message("A", "d", &lost, 5, MessageKind::Reading, 50);
    assert_eq!(*world.call("A"), EngineRequest::GetState, "but the engine is asked");
    world.answer("A", CallOutcome::Done, Some(record(&lost, "d", SupplyState::Supplying, 6, 60)), vec![]);
    assert_eq!(world.state(&lost), State::Supplying);

    // The same driver is said to charge at B, too: ended, and stopped there.
    let other = sid("other");
    world.message("B", "d", &other, 4, MessageKind::Reading, 40);
    world.answer("B", CallOutcome::Done, Some(record(&other, "d", SupplyState::Supplying, 6, 60)), vec![]);
    assert_eq!(world.state(&other), ended(Outcome::Stopped));
    assert_eq!(*world.call("B"), EngineRequest::Stop { session: other.clone() });
    let last = record(&other, "d", SupplyState::Ended(SupplyEnd::Stopped), 7, 70);
    world.answer("B", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&other).ticket().unwrap().energy.wh(), 70);
}

#[test]
fn a_late_reading_of_a_lost_store_does_not_hold_the_charge_point_of_the_next() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    while world.calls.contains_key(&cp("A")) {
        world.answer_as("A", "i2", CallOutcome::Done, None, vec![]);
    }
    assert_eq!(world.status("A"), Status::Available);
    world.message("A", "d", &session, 2, MessageKind::Reading, 500);
    assert_eq!(world.find(&session).told().unwrap().energy.wh(), 500, "it counts for its session");
    assert_eq!(world.status("A"), Status::Available);
    assert!(world.calls.is_empty(), "the new engine is not asked to stop it");
}

#[test]
fn a_session_that_is_over_is_not_brought_back_by_another_charge_points_engine() {
    let mut world = World::with_points(&["A", "B"]);
    let (_, session) = world.request("d", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Faulted, None, vec![]);
    assert!(world.find(&session).closed() && world.net.session(&session).is_none());
    world.send(Command::Broker(Broker::Gap));
    let claimed = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 2, 900);
    world.answer("B", CallOutcome::Done, None, vec![claimed]);
    assert_eq!(world.net.session(&session), None, "it has nothing left to do");
    assert!(world.find(&session).closed());
}

#[test]
fn the_highest_number_that_a_record_can_carry_is_survived() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, u64::MAX, MessageKind::Ended(SupplyEnd::EngineFault), 500);
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
}

#[test]
fn a_session_that_had_come_to_nothing_for_a_day_is_billed_by_a_persons_word_only() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.advance(60_000, &["A"]); // the engine is cut off, and never heard of its revocation
    let pass = |world: &mut World| {
        let day = u64::try_from(world.config.settlement.as_millis()).unwrap();
        world.now.mono.0 += day;
        world.send(Command::Broker(Broker::Away));
        world.send(Command::Tick);
    };
    world.advance(6_000, &["A"]);
    assert_eq!(world.state(&session), ended(Outcome::Expired));
    pass(&mut world);
    assert!(world.find(&session).closed() && !world.find(&session).started());
    world.report("A", Health::Ok);
    world.silence("A");
    world.advance(4_000, &["A"]);
    world.answer(
        "A",
        CallOutcome::Done,
        Some(record(&session, "d", SupplyState::Supplying, 90_000, 7_000)),
        vec![],
    );
    let found = world.find(&session);
    assert_eq!((found.ticket(), found.review().unwrap().energy.wh()), (None, 7_000));
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
    pass(&mut world); // and nobody decides
    assert!(world.find(&session).closed() && world.find(&session).ticket().is_none());
}
