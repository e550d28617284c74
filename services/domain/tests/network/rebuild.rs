//! A store that is rebuilt from rows of different moments, and engines that keep what has no copy yet.

use crate::world::{World, cp, driver, ended, record, sid};
use domain::{
    SessionId, SupplyEnd, SupplyState, Wall,
    network::{
        CallOutcome, Command, Config, EngineRequest, MessageKind, Network, Outcome, State, Stored, Target,
    },
};

fn copying(points: &[&str]) -> World {
    let mut world = World::with(Config { confirm_copied: true, ..Config::default() });
    points.iter().for_each(|id| world.connect(id));
    world
}

impl World {
    /// Central starts on what a changelog had, which these rows stand for.
    pub(crate) fn rebuild(&mut self) {
        let mut stored = Stored {
            charge_points: self.pages.points.values().cloned().collect(),
            sessions: self.pages.sessions.values().filter(|session| !session.closed()).cloned().collect(),
            answers: self.pages.answers.clone().into_iter().collect(),
            ask_every_engine: true,
            ..Stored::default()
        };
        stored.mend(&self.config, self.now);
        for point in &stored.charge_points {
            self.pages.points.insert(point.id.clone(), point.clone());
        }
        for session in &stored.sessions {
            self.pages.sessions.insert(session.id.clone(), session.clone());
        }
        self.net = Network::restore(self.config.clone(), self.now, stored);
        self.calls.clear();
    }
}

#[test]
fn an_engine_forgets_a_session_only_once_it_is_copied_as_settled() {
    let mut world = copying(&["A"]);
    let session = world.supplying("d", "A");
    world.send(Command::Copied(vec![session.clone()]));
    world.says("A", "d", &session, 2, MessageKind::Ended(SupplyEnd::Completed), 900);
    world.advance(5_000, &["A"]);
    assert!(!world.calls.contains_key(&cp("A")), "the copy is older than the ticket");
    world.send(Command::Copied(vec![session.clone(), sid("unknown")]));
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.find(&session).closed());
}

#[test]
fn with_no_copy_for_long_an_engine_may_forget_the_oldest() {
    let mut world = copying(&["A"]);
    let mut sessions = Vec::new();
    for n in 0..34 {
        let who = format!("d{n}");
        let session = world.supplying(&who, "A");
        world.says("A", &who, &session, 2, MessageKind::Ended(SupplyEnd::Completed), 900);
        sessions.push(session);
        let asked = world.calls.get(&cp("A")).map(|call| call.request.clone());
        if n < 32 {
            assert_eq!(asked, None);
            continue;
        }
        // Ids sort by time, but for those of the tests.
        let open = |session: &&SessionId| !world.find(session).closed();
        let oldest = sessions.iter().filter(open).min().unwrap().clone();
        assert_eq!(asked, Some(EngineRequest::Confirm { sessions: vec![oldest] }));
        world.answer("A", CallOutcome::Done, None, vec![]);
    }
}

#[test]
fn a_rebuilt_network_asks_every_engine_and_every_monitor_registers_again() {
    let mut world = World::with_points(&["A", "B"]);
    let before = world.epoch("A");
    world.now.wall = Wall(0); // the clock is behind
    world.rebuild();
    assert!(
        world.pages.points[&cp("A")].epoch > before,
        "whoever reports under the old one is told to register"
    );
    world.advance(250, &[]);
    for id in ["A", "B"] {
        assert_eq!(*world.call(id), EngineRequest::GetState);
    }
}

#[test]
fn a_request_in_mid_authorisation_is_revoked_not_asked_again() {
    for (current, expected) in
        [(None, ended(Outcome::Expired)), (Some((SupplyState::Supplying, 3)), State::Supplying)]
    {
        let mut world = World::with_points(&["A"]);
        let (_, session) = world.request("d", Target::Named(cp("A")));
        world.rebuild();
        world.advance(250, &[]);
        let EngineRequest::Revoke { session: revoked, .. } = world.call("A") else { panic!() };
        assert_eq!(*revoked, session);
        let supplies = current.map(|(state, seq)| record(&session, "d", state, seq, 300));
        let outcome = if supplies.is_some() { CallOutcome::NotRevoked } else { CallOutcome::Revoked };
        world.answer("A", outcome, supplies, vec![]);
        assert_eq!(world.state(&session), expected);
    }
}

#[test]
fn of_two_open_sessions_the_newest_is_kept_and_the_other_waits_for_its_engine() {
    let mut world = World::with_points(&["A", "B"]);
    let old = world.supplying("d", "A");
    let stale = world.find(&old);
    world.says("A", "d", &old, 2, MessageKind::Ended(SupplyEnd::Completed), 900);
    world.advance(1_000, &["A", "B"]);
    let new = world.supplying("d", "B");
    world.pages.sessions.insert(old.clone(), stale);
    world.rebuild();
    assert_eq!((world.state(&new), world.state(&old)), (State::Supplying, ended(Outcome::Faulted)));
    world.advance(250, &[]);
    let last = record(&old, "d", SupplyState::Ended(SupplyEnd::Completed), 2, 900);
    world.answer("A", CallOutcome::NotRevoked, None, vec![last]);
    let ticket = world.find(&old).ticket().expect("its ticket is exact");
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (900, false));
}

#[test]
fn a_session_of_another_store_than_the_registered_one_is_known_to_be_lost() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.pages.points.get_mut(&cp("A")).unwrap().instance = "i2".parse().unwrap();
    world.rebuild();
    assert!(world.find(&session).store_lost());
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
}

#[test]
fn a_session_without_its_charge_point_is_not_lost_from_sight() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.pages.points.clear();
    world.rebuild();
    let point = &world.pages.points[&cp("A")];
    assert_eq!(point.highest_authorization, world.find(&session).authorization);
    assert_eq!(world.net.open_session(&driver("d")).unwrap().id, session);
}

#[test]
fn a_running_supply_is_not_stopped_for_a_remembered_reservation_elsewhere() {
    let mut world = World::with_points(&["A", "B"]);
    let old = world.reserved("d", "A");
    world.rebuild();
    world.advance(250, &[]);
    // A's engine is asked, and says nothing of it; then B's comes with the driver's supply.
    world.answer("A", CallOutcome::Done, None, vec![]);
    let running = record(&sid("unknown"), "d", SupplyState::Supplying, 4, 300);
    world.answer("B", CallOutcome::Done, Some(running.clone()), vec![]);
    assert!(world.net.session(&sid("unknown")).is_none(), "not before A's engine has given its word");
    let EngineRequest::Revoke { session, .. } = world.call("A") else { panic!() };
    assert_eq!(*session, old);
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    assert_eq!(world.state(&old), ended(Outcome::Expired));
    world.advance(1_000, &[]);
    world.answer("B", CallOutcome::Done, Some(running), vec![]);
    assert_eq!(world.state(&sid("unknown")), State::Supplying);
    assert!(!world.calls.contains_key(&cp("B")), "it goes on");
}
