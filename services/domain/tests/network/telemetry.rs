//! Telemetry is fast, not final: whoever writes to the topic ends, starts, bills and marks nothing.

use crate::world::{World, cp, ended, record, sid};
use domain::network::{
    Broker, CallOutcome, Command, EngineRequest, Health, MessageKind, Order, Outcome, Reason, State, Target,
    Verdict,
};
use domain::{SessionId, SupplyEnd, SupplyState};

const DONE: MessageKind = MessageKind::Ended(SupplyEnd::Completed);
const BROKE: MessageKind = MessageKind::Ended(SupplyEnd::EngineFault);

fn shown(world: &World, id: &str) -> u64 {
    world.net.charge_point(&cp(id)).unwrap().live.unwrap().energy.wh()
}

fn counted(world: &World, name: &str) -> usize {
    world.events.iter().filter(|event| event.name == name).count()
}

/// The engine's store is lost: another one registers, and answers.
fn store_is_lost(world: &mut World) {
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    while world.calls.contains_key(&cp("A")) {
        world.answer_as("A", "i2", CallOutcome::Done, None, vec![]);
    }
}

fn kafka_is_read(world: &mut World) {
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.send(Command::Tick);
}

#[test]
fn no_message_by_itself_moves_any_session() {
    type Begin<'a> = &'a dyn Fn(&mut World) -> SessionId;
    let begin: [(&str, Begin<'_>); 5] = [
        ("authorizing", &|w| w.request("d", Target::Named(cp("A"))).1),
        ("reserved", &|w| w.reserved("d", "A")),
        ("supplying", &|w| w.supplying("d", "A")),
        ("expired", &|w| {
            let session = w.reserved("d", "A");
            w.advance(70_000, &["A"]);
            session
        }),
        ("completed", &|w| {
            let session = w.supplying("d", "A");
            w.says("A", "d", &session, 7, DONE, 700);
            session
        }),
    ];
    for (from, begin) in begin {
        for kind in [MessageKind::Started, MessageKind::Reading, DONE, BROKE] {
            for seq in [None, Some(1), Some(8), Some(u64::MAX)] {
                for wh in [0, 5, 9_999_000] {
                    let mut world = World::with_points(&["A"]);
                    let session = begin(&mut world);
                    let before = (world.find(&session), world.status("A"), world.told(), world.calls.len());
                    let of = seq.map(|seq| (session.clone(), seq));
                    world.telemetry("A", Some("d"), of, kind, wh, None);
                    let case = format!("{from}: {kind:?} {seq:?} {wh} Wh");
                    let (found, (known, status, told, _)) = (world.find(&session), &before);
                    assert_eq!((found.life(), found.seq()), (known.life(), known.seq()), "{case}");
                    assert_eq!((world.status("A"), &world.told()), (*status, told), "{case}");
                    assert_eq!(found.energy(), known.energy(), "{case}");
                    let numbers = world.readings.iter().filter_map(|notice| notice.seq).max();
                    assert!(numbers.is_none_or(|seq| seq <= known.seq()), "{case}: {numbers:?}");
                }
            }
        }
    }
}

#[test]
fn an_end_makes_central_ask_at_once_and_the_answer_bills() {
    for bare in [false, true] {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        let of = (!bare).then(|| (session.clone(), 99));
        world.telemetry("A", Some("d"), of, DONE, 9_999_000, None);
        assert_eq!(world.state(&session), State::Supplying);
        assert_eq!(*world.call("A"), EngineRequest::GetState, "in the same step");
        let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 3, 310);
        world.answer("A", CallOutcome::Done, None, vec![last]);
        let ticket = world.find(&session).ticket().unwrap();
        assert_eq!((ticket.energy.wh(), ticket.estimated()), (310, false), "bare: {bare}");
    }
}

#[test]
fn a_flood_makes_central_ask_about_once_a_second_and_one_call_at_a_time() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    let mut asked = 0;
    for n in 0..400 {
        let kind = [DONE, BROKE, MessageKind::Started, MessageKind::Reading][n % 4];
        let of = [None, Some((session.clone(), 1_000 + n as u64)), Some((sid("made-up"), 3))][n % 3].clone();
        world.telemetry("A", Some("d"), of, kind, 9_000_000, None);
        if world.calls.contains_key(&cp("A")) {
            asked += 1;
            let live = record(&session, "d", SupplyState::Supplying, 2 + n as u64, n as u64);
            world.answer("A", CallOutcome::Done, Some(live), vec![]);
        }
        if n % 10 == 9 {
            world.advance(250, &["A"]);
        }
    }
    assert!((9..=12).contains(&asked), "{asked} questions in 10 s");
    assert_eq!(world.state(&session), State::Supplying);
}

#[test]
fn a_wild_reading_is_counted_and_neither_shown_nor_kept_against_the_engines_word() {
    for bare in [false, true] {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        let of = |seq| (!bare).then(|| (session.clone(), seq));
        let reading = MessageKind::Reading;
        world.telemetry("A", Some("d"), of(2), reading, 300, None);
        world.telemetry("A", Some("d"), of(3), reading, 900_000, None);
        assert_eq!((shown(&world, "A"), counted(&world, "readings_implausible")), (300, 1));
        world.telemetry("A", Some("d"), of(4), reading, 200, None);
        assert_eq!(shown(&world, "A"), 300, "it never falls");
        world.advance(1_000, &["A"]);
        world.says("A", "d", &session, 5, reading, 250);
        assert_eq!(shown(&world, "A"), 300, "not by an answer of a moment before either");
        world.advance(1_000, &["A"]);
        world.says("A", "d", &session, 6, reading, 400);
        world.telemetry("A", Some("d"), of(7), reading, 410, None);
        assert_eq!(
            (shown(&world, "A"), world.find(&session).told().map(|told| told.energy.wh())),
            match bare {
                true => (410, None),
                false => (410, Some(410)),
            }
        );
    }
}

#[test]
fn what_the_engine_answers_twice_without_is_not_kept() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.message("A", "d", &session, 99, DONE, 700_000);
    assert!(world.find(&session).told().is_some());
    world.says("A", "d", &session, 2, MessageKind::Reading, 10);
    assert!(world.find(&session).told().is_some(), "that answer may have been under way");
    world.says("A", "d", &session, 3, MessageKind::Reading, 20);
    assert_eq!(world.find(&session).told(), None);
    world.message("A", "d", &session, 4, MessageKind::Reading, 30);
    store_is_lost(&mut world);
    kafka_is_read(&mut world);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (30, true));
}

#[test]
fn a_made_up_reading_does_not_cost_the_true_one_below_it() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    let told = |world: &World| world.find(&session).told().map(|told| told.energy.wh());
    world.message("A", "d", &session, 99, DONE, 700_000);
    world.says("A", "d", &session, 2, MessageKind::Reading, 10);
    world.message("A", "d", &session, 3, MessageKind::Reading, 30);
    assert_eq!(told(&world), Some(700_000));
    world.says("A", "d", &session, 2, MessageKind::Reading, 10);
    assert_eq!(told(&world), Some(30), "that answer may be older than the reading");
    world.says("A", "d", &session, 2, MessageKind::Reading, 10);
    assert_eq!(told(&world), None, "the next one is not");
}

#[test]
fn an_end_told_of_a_lost_store_is_billed_estimated_once_kafka_is_read() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    store_is_lost(&mut world);
    world.message("A", "d", &session, 9, DONE, 900);
    assert_eq!(world.find(&session).ticket(), None);
    kafka_is_read(&mut world);
    let found = world.find(&session);
    let ticket = found.ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated(), found.closed()), (900, true, true));
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
    world.message("A", "d", &session, 10, DONE, 9_000);
    assert_eq!(world.find(&session).ticket(), Some(ticket), "nothing is noted beside it either");
}

#[test]
fn at_the_settlement_deadline_the_highest_plausible_reading_told_of_a_supply_is_billed_estimated() {
    for started in [false, true] {
        let mut world = World::with_points(&["A"]);
        let session = if started { world.supplying("d", "A") } else { world.reserved("d", "A") };
        for (seq, wh) in [(5, 500), (6, 9_999_000), (4, 400)] {
            world.message("A", "d", &session, seq, MessageKind::Reading, wh);
        }
        world.advance(70_000, &["A"]); // no call is ever answered
        assert!(matches!(world.state(&session), State::Ended(_)));
        assert_eq!(world.find(&session).ticket(), None);
        world.restart();
        world.send(Command::Broker(Broker::Away));
        world.advance(250, &[]);
        world.silence("A");
        world.now.mono.0 += u64::try_from(world.config.settlement.as_millis()).unwrap();
        world.send(Command::Tick);
        let found = world.find(&session);
        let billed = found.ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
        assert_eq!(billed, started.then_some((500, true)));
        // Its engine never said that it started: whoever wrote that needs a person who believes it.
        assert_eq!(found.review().map(|told| told.energy.wh()), (!started).then_some(500));
        world.now.mono.0 += u64::try_from(world.config.settlement.as_millis()).unwrap();
        world.send(Command::Tick);
        assert_eq!(world.find(&session).ticket().is_some(), started);
        assert_eq!(world.find(&session).came_to_nothing(), None, "its engine may come back with it");
    }
}

#[test]
fn an_engines_own_word_takes_the_place_of_what_telemetry_alone_told() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.message("A", "d", &session, 5, MessageKind::Reading, 500);
    world.advance(70_000, &["A"]); // no call is ever answered
    world.send(Command::Broker(Broker::Away));
    world.now.mono.0 += u64::try_from(world.config.settlement.as_millis()).unwrap();
    world.send(Command::Tick);
    assert_eq!(world.find(&session).review().unwrap().energy.wh(), 500);
    while world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Completed), 3, 80);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    assert_eq!(world.find(&session).review().unwrap().energy.wh(), 80);
    while world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    let (verdict, by, reason) = (Verdict::Accepted, "o".into(), "seen".into());
    world.order(Order::Settle { session: session.clone(), verdict, by, reason });
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 80);
    world.advance(2_000, &["A"]);
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
}

#[test]
fn what_an_engine_refused_or_gave_back_is_started_by_no_message() {
    let mut world = World::with_points(&["A"]);
    let session = world.request("d", Target::Named(cp("A"))).1;
    world.message("A", "d", &session, 3, DONE, 900);
    world.answer("A", CallOutcome::Faulted, None, vec![]);
    assert!(world.find(&session).closed());
    assert_eq!(*world.call("A"), EngineRequest::GetState);
    world.answer("A", CallOutcome::Done, None, vec![]);
    let given_back = world.reserved("e", "A");
    world.stop_charge("e");
    world.message("A", "e", &given_back, 3, DONE, 900);
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    store_is_lost(&mut world);
    for (session, who) in [(&session, "d"), (&given_back, "e")] {
        world.message("A", who, session, 4, MessageKind::Reading, 1_000);
        kafka_is_read(&mut world);
        assert!(world.net.session(session).is_none() && !world.find(session).started());
    }
    assert!(!world.told().contains(&"TICKET"), "{:?}", world.told());
}

#[test]
fn messages_keep_no_dead_supply_open() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    for second in 0..61 {
        world.message("A", "d", &session, 2 + second, MessageKind::Reading, 10 * second);
        world.advance(1_000, &["A"]); // the engine answers no call
    }
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
    assert!(world.find(&session).needs_revocation());
}

#[test]
fn a_session_whose_engine_was_never_asked_is_over_whatever_is_told_of_it() {
    let mut world = World::with_points(&["A"]);
    for health in [Health::Faulted, Health::Ok] {
        world.report("A", health);
    }
    assert_eq!(world.call("A"), &EngineRequest::GetState, "one call at a time");
    let (token, session) = world.request("d", Target::Named(cp("A")));
    world.advance(6_000, &["A"]);
    assert_eq!(world.denial(token), Reason::EngineSilent);
    assert!(world.find(&session).closed(), "no engine can have started it");
}
