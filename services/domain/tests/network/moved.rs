//! A charge point for which somebody else is to act than before, as the registry says.

use crate::revocations::{Engine, MOMENTS, Moment};
use crate::world::{World, cp, ended, record};
use domain::Context;
use domain::network::{
    Asked, CallOutcome, Command, EngineRequest, Health, Outcome, Reason, Standing, State, Status, Target,
};
use domain::{SupplyEnd, SupplyState};

impl World {
    fn moves(&mut self, id: &str, known: bool) {
        self.send(Command::Moves { charge_point: cp(id), known });
    }

    fn stands(&self) -> Standing {
        self.net.standing(&cp("A")).unwrap()
    }

    /// Milliseconds pass until A does not end what it does any more, its engine obeying, or silent; the monitors of
    /// these report. How many did.
    fn until_moved(&mut self, mut engine: Option<&mut Engine>, alive: &[&str]) -> u64 {
        let begun = self.now.mono;
        while self.stands() == Standing::Draining {
            match &mut engine {
                Some(engine) => self.attend(engine),
                None if self.is_called("A") => self.silence("A"),
                None => {}
            }
            self.advance(250, alive);
            assert!(self.now.mono.since(begun).as_secs() < 60, "it ends");
        }
        u64::try_from(self.now.mono.since(begun).as_millis()).unwrap()
    }
}

#[test]
fn what_runs_ends_under_the_name_that_it_has_with_its_exact_ticket_and_then_another_acts() {
    for moment in MOMENTS {
        let (mut world, mut engine, session) = moment.world();
        let (before, idle) = (world.epoch("A"), matches!(moment, Moment::None | Moment::Review));
        world.moves("A", true);
        if !idle {
            assert_eq!((world.stands(), world.epoch("A")), (Standing::Draining, before), "{moment:?}");
            assert_eq!(world.status("A"), Status::OutOfOrder, "{moment:?}: it takes nothing new");
            let reason = world.net.charge_point(&cp("A")).unwrap().status_reason;
            assert_eq!(reason, "another is to act for it, as the registry says: it ends what it does first");
            let refused = world.register(World::registration("A")).unwrap_err();
            assert_eq!(refused.reason, Reason::IdentityRevoked);
            assert!(refused.text.starts_with("another is to act for A, as the registry says"), "{refused:?}");
        }
        let took = world.until_moved(Some(&mut engine), &["A"]);
        assert!(if idle { took == 0 } else { took <= 5_000 }, "{moment:?}: {took} ms");
        assert_eq!((world.stands(), world.cut.len()), (Standing::Good, 0));
        assert_eq!(world.status("A"), Status::Disconnected, "{moment:?}: it begins anew");
        assert!(
            world.epoch("A") > before,
            "{moment:?}: keys and reports of before are an older registration's"
        );
        let Some(session) = session.map(|id| world.find(&id)) else { continue };
        if moment.started() && moment != Moment::Review {
            let ticket = session.ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
            assert_eq!(ticket, Some((1_100, false)), "{moment:?}");
        }
        if matches!(moment, Moment::Reserved | Moment::Supplying) {
            assert_eq!(session.reason(), "stopped: another is to act for its charge point", "{moment:?}");
        }
        assert!(engine.current.is_none() && !session.is_open(), "{moment:?}");
    }
}

#[test]
fn whose_engine_is_silent_has_moved_after_30_s_and_its_word_is_waited_for_under_the_new_name() {
    // Its monitor may be away at that moment.
    for away in [false, true] {
        let mut world = World::with_points(&["A"]);
        let (before, session) = (world.epoch("A"), world.supplying("d", "A"));
        if away {
            world.send(Command::MonitorGone { charge_point: cp("A"), epoch: before });
        }
        world.moves("A", true);
        let took = world.until_moved(None, if away { &[] } else { &["A"] });
        assert!((30_000..=30_500).contains(&took), "{took} ms");
        assert_eq!((world.stands(), world.status("A")), (Standing::Good, Status::Disconnected));
        assert_eq!((world.state(&session), world.tickets()), (ended(Outcome::Stopped), 0), "it waits");
        if world.is_called("A") {
            world.silence("A"); // under its old name it is not who is expected
        }
        world.register(World::registration("A")).unwrap();
        world.report("A", Health::Ok);
        let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Interrupted), 3, 700);
        world.answer("A", CallOutcome::Done, None, vec![last]);
        let ticket = world.find(&session).ticket().map(|ticket| (ticket.energy.wh(), ticket.estimated()));
        assert_eq!(ticket, Some((700, false)));
    }
}

#[test]
fn whose_engine_supplies_on_is_out_of_service_under_the_new_name_too_and_a_person_bills_what_flows() {
    // A restart gives an engine its full time to obey again, and a drain what is left of its own.
    for restarts in [false, true] {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        world.moves("A", true);
        if restarts {
            world.advance(5_000, &["A"]);
            world.restart();
        }
        let mut energy = 1_000;
        while world.stands() == Standing::Draining {
            if world.is_called("A") {
                energy += 1;
                let current = record(&session, "d", SupplyState::Supplying, energy, energy);
                world.answer("A", CallOutcome::Done, Some(current), vec![]);
            }
            world.advance(250, &["A"]);
        }
        assert_eq!(world.state(&session), ended(Outcome::Stopped));
        if world.is_called("A") {
            world.silence("A"); // under its old name it is not who is expected
        }
        world.advance(3_600_000, &[]);
        world.register(World::registration("A")).unwrap();
        world.report("A", Health::Ok);
        assert!(world.find(&session).review().is_none());
        let last = record(&session, "d", SupplyState::Ended(SupplyEnd::Stopped), 9_000, 200_000);
        while world.is_called("A") {
            world.answer("A", CallOutcome::Done, None, vec![last.clone()]);
        }
        let session = world.find(&session);
        assert!(session.ticket().is_none() && session.review().is_some(), "{session:?}");
        assert_eq!(world.status("A"), Status::OutOfOrder, "the operator resumes it");
    }
}

#[test]
fn what_a_rebuilt_central_hears_for_the_first_time_ends_nothing() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.rebuild();
    let before = world.epoch("A");
    world.moves("A", false);
    assert_eq!((world.state(&session), world.stands()), (State::Supplying, Standing::Good));
    assert!(world.epoch("A") > before, "whoever has a key of before may be another");
    // Whoever registered with it meanwhile was another: it ends there.
    world.connect("B");
    let session = world.supplying("e", "B");
    world.moves("B", false);
    assert_eq!((world.status("B"), world.find(&session).is_open()), (Status::OutOfOrder, true));
    assert!(matches!(world.call("B"), EngineRequest::Stop { .. }));
}

#[test]
fn what_is_being_authorised_is_not_granted() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    assert!(matches!(world.call("A"), EngineRequest::Authorize { .. }));
    world.moves("A", true);
    assert_eq!(world.denial(token), Reason::ChargePointOutOfOrder);
    let granted = record(&session, "d", SupplyState::Authorized, 0, 0);
    world.answer("A", CallOutcome::Done, Some(granted), vec![]);
    assert!(matches!(world.call("A"), EngineRequest::Revoke { .. }), "it is given back");
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    world.until_moved(None, &["A"]);
    assert_eq!((world.state(&session), world.stands()), (ended(Outcome::Stopped), Standing::Good));
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
    assert_eq!((world.net.charge_point_count(), world.net.standing(&cp("A"))), (0, None));
}

#[test]
fn one_that_is_to_stay_after_all_goes_on() {
    let (mut world, mut engine, session) = Moment::Supplying.world();
    let epoch = world.epoch("A");
    world.moves("A", true);
    world.identity("A", Standing::Good);
    for _ in 0..20 {
        world.attend(&mut engine);
        world.advance(250, &["A", "B"]);
    }
    assert_eq!((world.status("A"), world.epoch("A")), (Status::Available, epoch));
    assert_eq!(world.find(&session.unwrap()).ticket().unwrap().energy.wh(), 1_100, "it was stopped");
}

#[test]
fn a_revocation_and_a_move_give_no_more_time_together_than_either_does() {
    // Revoked, and given to another before that is over.
    let (mut world, ..) = Moment::Supplying.world();
    world.identity("A", Standing::Draining);
    world.advance(10_000, &["A", "B"]);
    world.moves("A", true);
    let took = world.until_moved(None, &["A"]);
    assert!((20_000..=20_500).contains(&took), "{took} ms");
    assert_eq!((world.stands(), world.cut.len()), (Standing::Good, 0), "it is another's now");
    // The move is taken back, not the revocation.
    let (mut world, ..) = Moment::Supplying.world();
    world.moves("A", true);
    world.advance(10_000, &["A", "B"]);
    world.identity("A", Standing::Draining);
    let took = world.until_moved(None, &["A"]);
    assert!((20_000..=20_500).contains(&took), "{took} ms");
    assert_eq!((world.stands(), world.cut.len()), (Standing::Cut, 1));
}

#[test]
fn one_that_is_cut_off_has_nothing_to_end() {
    for moving in [false, true] {
        let (mut world, _, session) = Moment::Supplying.world();
        if moving {
            world.moves("A", true);
        }
        world.identity("A", Standing::Cut);
        assert_eq!((world.stands(), world.status("A")), (Standing::Cut, Status::OutOfOrder));
        world.moves("A", true);
        assert_eq!((world.stands(), world.status("A")), (Standing::Good, Status::Disconnected));
        assert!(!world.find(&session.unwrap()).is_open());
    }
}
