//! Clocks of others date nothing.

use crate::world::{World, cp, record};
use domain::network::{CallOutcome, Command, EngineRequest, MessageKind, Session, Target};
use domain::{SessionId, SupplyEnd, SupplyRecord, SupplyState, Wall};
use proptest::prelude::*;

const DAY: i64 = 86_400_000;

/// Created ≤ started ≤ ended ≤ issued, of what there is.
fn in_order(session: &Session) -> bool {
    let started = session.delivered().map(|delivered| delivered.started);
    let issued = session.ticket().map(|ticket| ticket.issued);
    let dates = [Some(session.created), started, session.ended_at(), issued];
    dates.into_iter().flatten().is_sorted()
}

fn warnings(world: &World) -> Vec<&str> {
    world.events.iter().filter(|event| event.name == "clocks_off").map(|event| event.text.as_str()).collect()
}

/// A's engine answers the call that waits there, with this record.
fn answers(world: &mut World, record: SupplyRecord) {
    let outcome = match world.call("A") {
        EngineRequest::Revoke { .. } => CallOutcome::NotRevoked,
        _ => CallOutcome::Done,
    };
    let over = matches!(record.state, SupplyState::Ended(_));
    let (current, unsettled) = if over { (None, vec![record]) } else { (Some(record), vec![]) };
    world.answer("A", outcome, current, unsettled);
}

#[test]
fn an_engine_in_another_year_dates_nothing_and_is_named_once() {
    for (clock, said) in [
        (-DAY * 19_600, "the clock of A is about 19600 days behind central's"), // in 1970
        (DAY * 400, "the clock of A is about 400 days ahead of central's"),
    ] {
        let mut world = World::with_points(&["A"]);
        let (_, id) = world.request("d", Target::Named(cp("A")));
        let mut supply = record(&id, "d", SupplyState::Supplying, 1, 0);
        supply.started_at = Some(Wall(world.now.wall.0 + clock));
        let asked = world.now.wall;
        answers(&mut world, supply.clone());
        world.now.wall.0 += 10_000;
        world.now.mono.0 += 10_000;
        world.stop_charge("d");
        supply.state = SupplyState::Ended(SupplyEnd::Stopped);
        (supply.seq, supply.read_at) = (2, Some(Wall(world.now.wall.0 + clock)));
        answers(&mut world, supply);
        let session = world.find(&id);
        let started = session.delivered().unwrap().started;
        assert_eq!((session.created, started, session.ended_at()), (asked, asked, Some(world.now.wall)));
        assert_eq!(session.ticket().unwrap().issued, world.now.wall);
        let warned = warnings(&world);
        assert!(matches!(warned[..], [text] if text.contains(said)), "{warned:?}");
    }
}

#[test]
fn an_engine_that_is_off_by_a_moment_dates_its_supplies_and_nobody_is_warned() {
    let mut world = World::with_points(&["A"]);
    let (_, id) = world.request("d", Target::Named(cp("A")));
    world.now.wall.0 += 5_000;
    let mut supply = record(&id, "d", SupplyState::Ended(SupplyEnd::Completed), 9, 100);
    supply.started_at = Some(Wall(world.now.wall.0 - 3_000));
    supply.read_at = Some(Wall(world.now.wall.0 + 30_000)); // ahead of central's
    answers(&mut world, supply);
    let session = world.find(&id);
    assert_eq!(session.delivered().unwrap().started, Wall(world.now.wall.0 - 3_000));
    assert_eq!((session.ended_at(), in_order(&session)), (Some(world.now.wall), true));
    assert!(warnings(&world).is_empty());
}

#[derive(Debug, Clone)]
enum Event {
    Request,
    Stop,
    /// Time passes, in milliseconds.
    Pass(u64),
    /// Central's clock jumps.
    Jump(i64),
    /// The engine answers what it is asked, with a supply whose dates are off central's by this.
    Supplies(Option<i64>),
    Ends(Option<i64>, Option<i64>),
    /// Kafka tells of the supply.
    Telemetry,
    Silence,
    Restart,
}

fn events() -> impl Strategy<Value = Event> {
    let off = || prop_oneof![-90_000..90_000_i64, -20_000 * DAY..20_000 * DAY];
    let told = move || proptest::option::of(off());
    prop_oneof![
        2 => Just(Event::Request),
        1 => Just(Event::Stop),
        2 => (0..90_000_u64).prop_map(Event::Pass),
        1 => off().prop_map(Event::Jump),
        4 => told().prop_map(Event::Supplies),
        3 => (told(), told()).prop_map(|(started, ended)| Event::Ends(started, ended)),
        1 => Just(Event::Telemetry),
        1 => Just(Event::Silence),
        1 => Just(Event::Restart),
    ]
}

/// Plays one event; `seq` is the engine's newest number.
fn play(world: &mut World, id: &mut SessionId, seq: &mut u64, event: Event) {
    let called = world.calls.contains_key(&cp("A"));
    let at = |world: &World, off: Option<i64>| {
        off.map(|off| Wall(world.now.wall.0.saturating_add(off).clamp(0, Wall::MAX.0)))
    };
    let mut tells = |world: &mut World, state, started, ended| {
        *seq += 1;
        let mut supply = record(id, "d", state, *seq, *seq * 10);
        (supply.started_at, supply.read_at) = (at(world, started), at(world, ended));
        answers(world, supply);
    };
    match event {
        Event::Request => *id = world.request("d", Target::Named(cp("A"))).1,
        Event::Stop => _ = world.stop_charge("d"),
        Event::Pass(millis) => world.advance(millis, &["A"]),
        Event::Jump(off) => world.now.wall.0 = (world.now.wall.0 + off).clamp(0, Wall::MAX.0),
        Event::Supplies(started) if called => tells(world, SupplyState::Supplying, started, None),
        Event::Ends(started, ended) if called => {
            tells(world, SupplyState::Ended(SupplyEnd::Completed), started, ended);
        }
        Event::Telemetry => world.message("A", "d", id, *seq + 1, MessageKind::Reading, *seq * 10 + 1),
        Event::Silence if called => world.silence("A"),
        Event::Supplies(_) | Event::Ends(..) | Event::Silence => {}
        Event::Restart => world.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn whatever_the_clocks_say_dates_are_in_order(
        events in proptest::collection::vec(events(), 1..25),
    ) {
        let mut world = World::with_points(&["A"]);
        let (mut id, mut seq) = (world.request("d", Target::Named(cp("A"))).1, 0);
        let day = world.config.settlement.as_millis() as u64;
        for event in events {
            play(&mut world, &mut id, &mut seq, event);
            for session in world.pages.sessions.values() {
                prop_assert!(in_order(session), "{session:?}");
            }
        }
        world.now.mono.0 += day;
        world.send(Command::Tick);
        for session in world.pages.sessions.values() {
            prop_assert!(in_order(session), "{session:?}");
        }
    }
}
