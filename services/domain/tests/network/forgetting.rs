//! Sessions that came to nothing: how long they are kept, and what their engine can say of them afterwards.

use crate::world::{World, cp, driver, ended, record, sid};
use domain::network::{
    Broker, CallOutcome, Claim, Command, EngineRequest, Health, MessageKind, Order, Outcome, Reason,
    Registration, Session, State, Status, Target,
};
use domain::{SessionId, SupplyEnd, SupplyRecord, SupplyState, Wall};

const OVER: SupplyState = SupplyState::Ended(SupplyEnd::Completed);
const DAY: i64 = 24 * 3_600_000;

impl World {
    /// A session whose engine refused it.
    fn refused_by_its_engine(&mut self, who: &str) -> SessionId {
        let (token, session) = self.request(who, Target::Named(cp("A")));
        self.answer("A", CallOutcome::Busy, None, vec![]);
        assert_eq!(self.denial(token), Reason::EngineRefused);
        session
    }

    /// What is on disk and over goes, as the writer does it; how many went.
    fn forget(&mut self) -> usize {
        let (wall, net) = (self.now.wall, &mut self.net);
        let over: Vec<Session> = self.pages.sessions.values().cloned().collect();
        let over = over.into_iter().filter(|session| net.forgets(session, wall));
        let over: Vec<SessionId> = over.map(|session| session.id.clone()).collect();
        over.iter().for_each(|id| drop(self.pages.sessions.remove(id)));
        self.pages.past = self.net.past();
        over.len()
    }

    fn wall_passes(&mut self, millis: i64) {
        self.now.wall.0 += millis;
    }
}

fn signed(record: SupplyRecord, created: Wall) -> Claim {
    Claim { record, attested: Some(created) }
}

#[test]
fn what_came_to_nothing_is_kept_for_a_day_and_no_word_of_its_engine_brings_it_back() {
    let mut world = World::with_points(&["A", "B"]);
    let (session, created) = (world.refused_by_its_engine("d"), world.now.wall);
    world.wall_passes(DAY - 1);
    assert_eq!((world.forget(), world.state(&session)), (0, ended(Outcome::Rejected)));
    world.wall_passes(1);
    assert_eq!((world.forget(), world.pages.sessions.len()), (1, 0));
    for restart in [false, true] {
        if restart {
            world.restart();
            world.connect("A");
            world.connect("B");
        }
        world.gap();
        let claimed = record(&session, "d", OVER, 9, 300);
        world.claims("A", None, vec![signed(claimed, created)]);
        assert!(world.net.session(&session).is_none() && world.pages.sessions.is_empty());
        let reason = world.net.charge_point(&cp("A")).unwrap().status_reason;
        assert!(reason.contains("claims a session that central never authorised"), "{reason}");
    }
    // In hand, it is to be stopped, and its driver is free.
    world.gap();
    world.claims("A", Some(signed(record(&session, "d", SupplyState::Supplying, 9, 300), created)), vec![]);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: session.clone() });
    assert_eq!((world.net.open_session(&driver("d")), world.status("A")), (None, Status::Supplying));
    assert_eq!(world.told(), ["AUTH_DENIED"]);
    // A person may say otherwise.
    world.order(Order::Adopt { charge_point: cp("A"), sessions: vec![session.clone()] });
    world.claims("A", None, vec![signed(record(&session, "d", OVER, 9, 300), created)]);
    assert_eq!(world.find(&session).review().unwrap().energy.wh(), 300);
    assert!(world.find(&session).ticket().is_none());
}

#[test]
fn another_store_or_a_new_registration_brings_back_none_of_them() {
    let mut world = World::with_points(&["A"]);
    let (session, created) = (world.refused_by_its_engine("d"), world.now.wall);
    world.wall_passes(DAY);
    assert_eq!(world.forget(), 1);
    world.advance(4_000, &[]);
    let gone = world.order(Order::Forget(cp("A")));
    assert_eq!(world.granted(gone), Some(true));
    world.connect("A");
    world.advance(1_000, &["A"]);
    world.send(domain::network::Command::Broker(Broker::Gap));
    world.claims("A", None, vec![signed(record(&session, "d", OVER, 9, 300), created)]);
    assert!(world.net.session(&session).is_none() && world.pages.sessions.is_empty());
}

#[test]
fn what_is_younger_and_unknown_is_adopted_as_ever() {
    let mut world = World::with_points(&["A", "B"]);
    world.refused_by_its_engine("d");
    world.wall_passes(DAY);
    assert_eq!(world.forget(), 1);
    let younger = Wall(world.now.wall.0 - DAY + 1);
    world.gap();
    world.claims("A", None, vec![signed(record(&sid("lost"), "e", OVER, 9, 300), younger)]);
    assert_eq!(world.find(&sid("lost")).ticket().unwrap().energy.wh(), 300);
}

#[test]
fn one_without_its_engines_word_stays_and_so_does_one_with_a_ticket() {
    let mut world = World::with_points(&["A", "B"]);
    let silent = world.request("d", Target::Named(cp("A"))).1;
    world.silence("A");
    let billed = world.supplying("e", "B");
    world.advance(1_000, &["B"]);
    world.gap();
    world.answer("B", CallOutcome::Done, None, vec![record(&billed, "e", OVER, 9, 300)]);
    world.now.mono = world.now.mono + world.config.settlement;
    world.send(domain::network::Command::Broker(Broker::Away));
    world.wall_passes(DAY);
    world.send(domain::network::Command::Tick);
    assert_eq!(world.state(&silent), State::Ended(Outcome::Rejected));
    assert!(world.find(&silent).closed() && world.find(&billed).ticket().is_some());
    world.wall_passes(365 * DAY);
    assert_eq!(world.forget(), 0);
}

/// Its engine refused it, tells of it, and comes back with another store: as often as it likes.
#[test]
fn what_its_engine_claimed_and_nobody_settled_goes_though_its_store_is_lost() {
    let mut world = World::with_points(&["A"]);
    let session = world.refused_by_its_engine("d");
    world.says("A", "d", &session, 2, MessageKind::Ended(SupplyEnd::Completed), 300);
    assert_eq!(world.find(&session).review().unwrap().energy.wh(), 300);
    world.advance(4_000, &[]);
    let another = Registration { instance: "i2".parse().unwrap(), ..World::registration("A") };
    world.register(another).unwrap();
    world.report("A", Health::Ok);
    world.answer_as("A", "i2", CallOutcome::Done, None, vec![]);
    world.send(Command::Broker(Broker::Away));
    world.now.mono = world.now.mono + world.config.settlement;
    world.wall_passes(DAY);
    world.send(Command::Tick);
    assert!(world.find(&session).closed() && world.find(&session).ticket().is_none());
    assert_eq!(world.find(&session).came_to_nothing(), Some(world.now.wall));
    world.wall_passes(DAY);
    assert_eq!((world.forget(), world.pages.sessions.len()), (1, 0));
}

#[test]
fn a_repeat_of_its_request_is_told_that_it_is_gone_and_begins_nothing() {
    let mut world = World::with_points(&["A"]);
    let id = Some(("r1", 7));
    let (token, session) = world.request_as("d", Target::Named(cp("A")), id);
    world.wall_passes(60_000);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
    world.wall_passes(-60_000); // the clock is set back before it ends
    world.stop_charge("d");
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    world.wall_passes(DAY);
    assert_eq!((world.forget(), world.pages.answers.len()), (1, 1));
    let (again, _) = world.request_as("d", Target::Named(cp("A")), id);
    assert_eq!(world.denial(again), Reason::SessionUnknown);
    assert!(world.net.session(&session).is_none() && world.net.open_session(&driver("d")).is_none());
}
