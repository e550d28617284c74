//! A charge point for which somebody else acts than before, as the registry says.

use crate::world::{World, cp, ended, record};
use domain::Context;
use domain::network::{
    Asked, CallOutcome, Command, EngineRequest, Health, Outcome, Reason, Standing, State, Status, Target,
};
use domain::{SupplyEnd, SupplyState};

impl World {
    fn moves(&mut self, id: &str, from_gateway: bool) {
        self.send(Command::Moved { charge_point: cp(id), from_gateway });
        self.identity(id, Standing::Good);
    }
}

#[test]
fn what_was_begun_under_the_name_of_before_counts_for_nothing_and_it_begins_anew() {
    // Its monitor may be away at that moment.
    for (away, from_gateway) in [(false, false), (false, true), (true, true)] {
        let mut world = World::with_points(&["A"]);
        let (before, session) = (world.epoch("A"), world.supplying("d", "A"));
        if away {
            world.send(Command::MonitorGone { charge_point: cp("A"), epoch: before });
        }
        world.calls.clear(); // one of before touches nothing any more
        world.moves("A", from_gateway);
        assert_eq!(world.state(&session), ended(Outcome::Stopped));
        assert_eq!(world.net.standing(&cp("A")), Some(Standing::Good));
        assert_eq!((world.status("A"), world.cut.len()), (Status::Disconnected, 0));
        assert!(world.epoch("A") > before, "its keys and reports of before are an older registration's");
        world.moves("X", from_gateway); // nobody is registered so
        assert_eq!(world.net.standing(&cp("X")), None);
    }
}

#[test]
fn what_a_rebuilt_central_hears_for_the_first_time_ends_nothing() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.rebuild();
    world.moves("A", false);
    assert_eq!(world.state(&session), State::Supplying);
}

#[test]
fn its_engine_has_the_last_word_of_what_it_supplied_once_it_has_registered_under_the_new_name() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.moves("A", false);
    world.silence("A"); // under its old name it is not who is expected
    assert!(world.find(&session).ticket().is_none());
    world.advance(5_000, &[]);
    if world.is_called("A") {
        world.silence("A");
    }
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 3, 700);
    world.answer("A", CallOutcome::Done, None, vec![last]);
    let ticket = world.find(&session).ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
    assert_eq!(ticket, Some((700, false)));
}

#[test]
fn an_answer_of_before_grants_nothing() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    let of_before = world.calls.remove(&cp("A")).unwrap();
    assert!(matches!(of_before.request, EngineRequest::Authorize { .. }));
    world.moves("A", false);
    assert_eq!(world.denial(token), Reason::ChargePointOutOfOrder);
    world.calls.insert(cp("A"), of_before);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_ne!(world.state(&session), State::Reserved);
    assert_eq!(world.status("A"), Status::Disconnected);
}

#[test]
fn whose_engine_is_being_heard_while_it_moves_is_not_admitted() {
    let mut world = World::new();
    let asked = Asked::once(world.token(), Context::default());
    let token = asked.token;
    world.send(Command::Register { asked, registration: World::registration("A") });
    assert_eq!(world.newcomers.len(), 1);
    world.moves("A", false);
    assert_eq!(world.denial(token), Reason::IdentityRevoked);
    assert_eq!(world.net.charge_point_count(), 0);
}
