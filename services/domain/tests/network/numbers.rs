//! Numbers end where every part agrees that they end, and none locks the honest one that comes after.

use crate::world::{World, cp};
use domain::ids::{MAX_NUMBER, most_claimed};
use domain::network::{
    CallOutcome, Command, EngineAnswer, EngineReport, EngineRequest, Health, Order, Registration, Target,
};

impl World {
    /// An answer of an engine that claims to have seen this authorisation number.
    pub(crate) fn answer_with(&mut self, id: &str, highest_authorization: u64, outcome: CallOutcome) {
        let call = self.calls.remove(&cp(id)).unwrap_or_else(|| panic!("no call waits at {id}"));
        let report = EngineReport {
            charge_point: None, // an older engine, which does not say
            instance: call.instance,
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization,
            current: None,
            unsettled: vec![],
        };
        let result = Ok(EngineAnswer { outcome, heard: true, report });
        self.send(Command::EngineAnswered { charge_point: cp(id), call: call.id, result });
    }
}

/// The number that A's engine is asked to authorise.
fn asked(world: &World) -> u64 {
    match world.call("A") {
        EngineRequest::Authorize { number, .. } => *number,
        other => panic!("{other:?}"),
    }
}

fn cut(world: &World) -> usize {
    world.events.iter().filter(|event| event.name == "numbers_cut").count()
}

/// A's engine claims to have seen this number, twice so many times, without being given any.
fn claims(world: &mut World, number: u64, times: usize) {
    for health in [Health::Faulted, Health::Ok].into_iter().cycle().take(2 * times) {
        world.report("A", health);
        world.advance(1_250, &[]); // the same call again waits a second
        world.answer_with("A", number, CallOutcome::Done);
    }
}

#[test]
fn a_claim_counts_up_to_one_a_millisecond_and_no_further_however_often_it_is_made() {
    let mut world = World::with_points(&["A"]);
    let most = most_claimed(world.now.wall);
    claims(&mut world, most, 1);
    assert_eq!(cut(&world), 0, "a restored central may be that far behind");
    for claim in [most + 3_600_000, MAX_NUMBER, u64::MAX] {
        claims(&mut world, claim, 5);
        assert_eq!(cut(&world), 1, "said once");
    }
    let said = world.events.iter().find(|event| event.name == "numbers_cut").unwrap();
    assert!(said.text.contains("the engine of A"), "{}", said.text);
    world.request("d", Target::Named(cp("A")));
    let first = asked(&world);
    assert!(first <= most_claimed(world.now.wall) + 1, "{first}");
    // It refuses, and says more: central goes on above, and gives up after a few.
    world.answer_with("A", u64::MAX, CallOutcome::NumberStale);
    assert_eq!(asked(&world), first + 1);
}

#[test]
fn an_instance_that_comes_after_has_numbers_of_its_own() {
    let mut world = World::with_points(&["A"]);
    world.reserved("d", "A");
    claims(&mut world, u64::MAX, 2);
    world.stop_charge("d");
    world.silence("A");
    world.advance(4_000, &[]);
    world.register(Registration { instance: "i2".parse().unwrap(), ..World::registration("A") }).unwrap();
    world.report("A", Health::Ok);
    assert_eq!(world.pages.points[&cp("A")].highest_authorization, 0, "on disk");
    // The first question was put before its monitor was there: that answer is not yet one of this connection.
    for _ in 0..2 {
        world.answer_as("A", "i2", CallOutcome::Done, None, vec![]);
    }
    world.request("e", Target::Named(cp("A")));
    assert_eq!(asked(&world), 1);
    assert_eq!(world.pages.points[&cp("A")].highest_authorization, 1, "on disk");
}

/// Two authorisations at A, whose engine holds neither for long; the number of the last.
fn authorised_twice(world: &mut World) -> u64 {
    for _ in 0..2 {
        world.request("d", Target::Named(cp("A")));
        let number = asked(world);
        world.answer_with("A", number, CallOutcome::Done);
        world.stop_charge("d");
        world.answer_with("A", number, CallOutcome::Revoked);
    }
    world.pages.points[&cp("A")].highest_authorization
}

/// A liar led central as high as it goes, and its clock was set back by an hour: the numbers that it gives now are
/// above all that its clock allows.
fn led_and_set_back() -> World {
    let mut world = World::with_points(&["A"]);
    claims(&mut world, u64::MAX, 1);
    world.now.wall.0 -= 3_600_000;
    world
}

#[test]
fn what_an_engine_has_seen_counts_though_the_clock_was_set_back_and_its_numbers_began_anew() {
    for restart in [false, true] {
        let mut world = led_and_set_back();
        let last = authorised_twice(&mut world);
        assert!(last > most_claimed(world.now.wall) + 3_000_000, "{last}");
        let epoch = world.epoch("A");
        world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
        let token = world.order(Order::Forget(cp("A")));
        assert_eq!(world.granted(token), Some(true));
        if restart {
            world.restart();
        }
        world.connect("A");
        assert_eq!(world.pages.points[&cp("A")].highest_authorization, 0);
        claims(&mut world, last, 1);
        assert_eq!(authorised_twice(&mut world), last + 2, "{restart}");
    }
}

#[test]
fn what_an_engine_has_seen_counts_though_the_store_lacks_its_last_numbers() {
    let mut world = led_and_set_back();
    let stored = authorised_twice(&mut world);
    let copy = world.pages.clone();
    let last = authorised_twice(&mut world);
    world.pages = copy;
    world.now.wall.0 -= 3_600_000;
    world.restart();
    world.connect("A");
    claims(&mut world, last, 1);
    assert_eq!(authorised_twice(&mut world), last + 2);
    claims(&mut world, u64::MAX, 3);
    let led = authorised_twice(&mut world);
    assert!(led <= stored + (1 << 16) + 2, "{led} after {stored}: it does not go on from there");
}

#[test]
fn no_epoch_that_is_claimed_uses_up_all_that_there_are() {
    let mut world = World::with_points(&["A"]);
    let newest_epoch = MAX_NUMBER;
    for _ in 0..3 {
        world.register(Registration { newest_epoch, ..World::registration("A") }).unwrap();
    }
    assert_eq!(world.epoch("A"), MAX_NUMBER / 2 + 3, "engines take it, and those that come after it");
}
