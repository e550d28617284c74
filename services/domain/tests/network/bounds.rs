//! What one engine may have central do: so many calls and look-ups, whatever it answers.

use crate::world::{World, attested, cp, record, sid, unattested};
use domain::network::{
    Archive, CallOutcome, Command, EngineAnswer, EngineReport, EngineRequest, MessageKind, Order, Reason,
    Session, Target,
};
use domain::{SessionId, SupplyEnd, SupplyState};

const OVER: SupplyState = SupplyState::Ended(SupplyEnd::Completed);

#[test]
fn an_engine_is_called_twenty_times_a_second_at_most_whatever_it_answers() {
    let mut world = World::with_points(&["A"]);
    let mut calls = 0;
    for n in 0..400 {
        if world.calls.contains_key(&cp("A")) {
            calls += 1;
            // Sessions that its operator is to have forgotten, another one each time: a call is owed at once.
            world.order(Order::Refuse { charge_point: cp("A"), sessions: vec![sid(&format!("stray{n}"))] });
            world.answer("A", CallOutcome::Busy, None, vec![]);
        } else if calls == 0 {
            world.order(Order::Refuse { charge_point: cp("A"), sessions: vec![sid("stray")] });
        } else {
            world.advance(250, &["A"]);
        }
        if world.now.mono >= domain::Mono(1_005_000) {
            break;
        }
    }
    assert!((60..=125).contains(&calls), "{calls} in five seconds");
    let (token, _) = world.request("d", Target::Named(cp("A")));
    while !matches!(world.call("A"), EngineRequest::Authorize { .. }) {
        world.answer("A", CallOutcome::Busy, None, vec![]);
    }
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true), "a driver does not wait for that");
}

#[test]
fn a_billed_session_that_its_engine_tells_of_again_is_confirmed_and_not_touched() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    let last = record(&session, "d", OVER, 3, 900);
    world.says("A", "d", &session, 3, MessageKind::Ended(SupplyEnd::Completed), 900);
    while world.calls.contains_key(&cp("A")) {
        world.answer("A", CallOutcome::Done, None, vec![]);
    }
    let stored = world.pages.sessions.remove(&session).unwrap();
    assert!(stored.closed());
    for _ in 0..5 {
        world.pages.sessions.insert(session.clone(), stored.clone());
        world.advance(1_250, &["A"]);
        world.telemetry("A", None, None, MessageKind::Ended(SupplyEnd::EngineFault), 0, None); // it is asked
        world.answer("A", CallOutcome::Done, None, vec![last.clone()]);
        assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![session.clone()] });
        assert!(world.net.session(&session).is_none(), "it stays where it is");
        world.answer("A", CallOutcome::Done, None, vec![]);
        assert!(!world.calls.contains_key(&cp("A")));
    }
}

#[test]
fn of_a_thousand_records_sixty_four_are_looked_for_and_the_signed_ones_all_come_in() {
    struct Counted(std::cell::Cell<usize>);
    impl Archive for Counted {
        fn session(&self, _: &SessionId) -> Option<Session> {
            self.0.set(self.0.get() + 1);
            None
        }
    }
    let records = |count: usize| (0..count).map(|n| record(&sid(&format!("x{n:04}")), "9001", OVER, 3, 10));
    let mut world = World::with_points(&["A", "B"]);
    world.gap();
    let call = world.calls.remove(&cp("A")).unwrap();
    let report = EngineReport {
        charge_point: Some(cp("A")),
        instance: call.instance,
        rated: None,
        seals: None,
        plugged_in: false,
        highest_authorization: 0,
        current: None,
        unsettled: records(1_000).map(unattested).collect(),
    };
    let result = Ok(EngineAnswer { outcome: CallOutcome::Done, heard: true, report });
    let answered = Command::EngineAnswered { charge_point: cp("A"), call: call.id, result };
    let counted = Counted(std::cell::Cell::default());
    world.net.apply(world.now, &counted, answered);
    assert_eq!(counted.0.get(), 64);
    let reason = world.net.charge_point(&cp("A")).unwrap().status_reason;
    assert!(reason.contains("claims 1000 sessions"), "{reason}");

    let mut world = World::with_points(&["A", "B"]);
    world.gap();
    let mut left: Vec<_> = records(200).collect();
    while !left.is_empty() {
        if let EngineRequest::Confirm { sessions } = world.call("A").clone() {
            left.retain(|record| !sessions.contains(&record.session));
        }
        world.claims("A", None, left.iter().cloned().map(attested).collect());
    }
    assert_eq!(world.told().iter().filter(|told| **told == "TICKET").count(), 200, "each has its ticket");
}

#[test]
fn an_engine_that_tells_of_more_than_is_looked_for_is_asked_for_the_rest_once_a_second() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    let last = record(&session, "d", OVER, 3, 900);
    world.says("A", "d", &session, 3, MessageKind::Ended(SupplyEnd::Completed), 900);
    while world.calls.contains_key(&cp("A")) {
        world.answer("A", CallOutcome::Done, None, vec![]);
    }
    world.telemetry("A", None, None, MessageKind::Ended(SupplyEnd::EngineFault), 0, None); // it is asked
    let (until, mut calls) = (world.now.mono.0 + 5_000, 0);
    while world.now.mono.0 < until {
        if world.calls.contains_key(&cp("A")) {
            calls += 1;
            world.claims("A", None, vec![attested(last.clone()); 100]);
        } else {
            world.advance(250, &["A"]);
        }
    }
    assert!((4..=12).contains(&calls), "{calls} in five seconds");
}

#[test]
fn an_engine_that_only_refuses_is_asked_every_five_seconds_until_it_has_supplied() {
    let mut world = World::with_points(&["A", "B"]);
    let refused = |world: &mut World, n: usize| {
        let (token, session) = world.request(&format!("d{n}"), Target::Named(cp("A")));
        if world.granted(token).is_none() {
            world.answer("A", CallOutcome::Busy, None, vec![]);
        }
        assert_eq!(world.denial(token), Reason::EngineRefused);
        world.pages.sessions.contains_key(&session)
    };
    let rows = (0..50).filter(|n| refused(&mut world, *n)).count();
    assert_eq!(rows, 7, "and no row for the others");
    let (token, _) = world.request("d", Target::Any { location_prefix: domain::Location::default() });
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert_eq!(world.told_session(token).charge_point, cp("B"), "nor is it the choice of anybody");
    for _ in 0..3 {
        world.advance(5_000, &["A", "B"]);
        assert!(refused(&mut world, 90) && !refused(&mut world, 91));
    }
    world.advance(5_000, &["A", "B"]);
    world.charges("d98", "A");
    assert!(refused(&mut world, 99) && refused(&mut world, 99), "it has its place again");
}

#[test]
fn an_engine_that_does_not_say_what_became_of_thirty_two_requests_gets_no_more() {
    let mut world = World::with_points(&["A"]);
    let mut granted = 0;
    for n in 0..60 {
        let (token, _) = world.request(&format!("d{n}"), Target::Named(cp("A")));
        if world.granted(token).is_some() {
            assert_eq!(world.denial(token), Reason::EngineRefused);
            break;
        }
        granted += 1;
        world.answer("A", CallOutcome::Done, None, vec![]);
        world.stop_charge(&format!("d{n}"));
        world.advance(3_250, &["A"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::NotRevoked, None, vec![]); // and no record of it
        }
    }
    assert_eq!((granted, world.net.sessions().count()), (32, 32));
}

impl World {
    /// A driver asks for A; its engine grants that, and has it ended with so much, in one answer. `None`: denied.
    fn supplied_at_once(&mut self, wh: u64) -> Option<SessionId> {
        let (token, session) = self.request("d", Target::Named(cp("A")));
        if self.granted(token) == Some(false) {
            return None;
        }
        for _ in 0..9 {
            match self.call("A").clone() {
                EngineRequest::Authorize { .. } => {
                    self.answer("A", CallOutcome::Done, None, vec![record(&session, "d", OVER, 3, wh)]);
                    return Some(session);
                }
                EngineRequest::GetState | EngineRequest::Confirm { .. } | EngineRequest::Stop { .. } => {
                    self.answer("A", CallOutcome::Busy, None, vec![])
                }
                EngineRequest::Revoke { .. } => self.answer("A", CallOutcome::Revoked, None, vec![]),
            }
        }
        panic!("it is not asked");
    }

    /// Its engine is asked, and answers with these.
    fn ask_and_answer(&mut self, outcome: CallOutcome, unsettled: Vec<domain::SupplyRecord>) {
        while !self.calls.contains_key(&cp("A")) {
            self.telemetry("A", None, None, MessageKind::Ended(SupplyEnd::EngineFault), 0, None);
            self.advance(250, &["A"]);
        }
        self.answer("A", outcome, None, unsettled);
    }

    fn settle(&mut self, session: &SessionId) {
        let (by, reason) = ("192.0.2.1".to_owned(), "looked at".to_owned());
        let (session, verdict) = (session.clone(), domain::network::Verdict::Accepted);
        self.order(Order::Settle { session, verdict, by, reason });
    }
}

#[test]
fn of_an_engine_that_never_says_that_it_has_forgotten_the_oldest_tickets_leave_the_memory() {
    let mut world = World::with_points(&["A"]);
    let sessions: Vec<_> = (0..100).map(|_| world.supplied_at_once(1).expect("it is free")).collect();
    let in_memory = |world: &World, id: &SessionId| world.net.session(id).is_some();
    let kept: Vec<_> = sessions.iter().filter(|id| in_memory(&world, id)).collect();
    assert_eq!(kept.len(), 64, "of {}", sessions.len());
    assert!(sessions.iter().all(|id| world.pages.sessions[id].ticket().is_some()), "each has its ticket");
    // What it tells of one that has left is no news, and it is asked to forget that one too.
    let left = sessions.iter().find(|id| !in_memory(&world, id)).unwrap();
    let confirms = |world: &World| match world.calls.get(&cp("A")).map(|call| &call.request) {
        Some(EngineRequest::Confirm { sessions }) => sessions.contains(left),
        _ => false,
    };
    for _ in 0..9 {
        world.ask_and_answer(CallOutcome::Busy, vec![record(left, "d", OVER, 3, 1)]);
        if confirms(&world) {
            break;
        }
    }
    assert!(confirms(&world));
    assert!(!in_memory(&world, left));
}

#[test]
fn a_charge_point_with_many_sessions_under_review_gets_no_more() {
    let mut world = World::with(domain::network::Config::default());
    world.connect("A");
    let (_, refused) = world.request("d", Target::Named(cp("A")));
    world.answer("A", CallOutcome::Busy, None, vec![]);
    let mut sessions = Vec::new();
    while let Some(session) = world.supplied_at_once(9_999_000) {
        assert!(world.find(&session).review().is_some());
        sessions.push(session);
        assert!(sessions.len() < 99);
    }
    assert_eq!(sessions.len(), 32);
    // Nor does one that had come to nothing, told of now, come to a review before its operator has looked at one.
    let told = || vec![record(&refused, "d", OVER, 3, 300)];
    world.ask_and_answer(CallOutcome::Busy, told());
    assert!(world.find(&refused).closed(), "{:?}", world.find(&refused));
    world.settle(&sessions[0]);
    world.ask_and_answer(CallOutcome::Busy, told());
    assert!(world.find(&refused).review().is_some());
    world.settle(&sessions[1]);
    assert!(world.supplied_at_once(1).is_some());
}

#[test]
fn what_comes_after_a_ticket_is_a_row_once_and_not_each_time_that_it_is_more() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.says("A", "d", &session, 3, MessageKind::Ended(SupplyEnd::Completed), 900);
    for wh in 901..950 {
        world.answer("A", CallOutcome::Busy, None, vec![record(&session, "d", OVER, 3, wh)]);
        if !world.calls.contains_key(&cp("A")) {
            world.advance(1_250, &["A"]);
        }
    }
    assert_eq!(world.pages.sessions[&session].ticket().unwrap().late_energy.wh(), 901);
}

#[test]
fn what_is_reported_of_a_session_under_review_is_a_row_only_where_it_is_much_more() {
    let mut world = World::with(domain::network::Config::default());
    world.connect("A");
    let session = world.supplied_at_once(1_000_000).unwrap();
    let mut rows = 0;
    for wh in 1_000_001..1_000_500 {
        let before = world.pages.sessions[&session].clone();
        world.ask_and_answer(CallOutcome::Done, vec![record(&session, "d", OVER, 3, wh)]);
        rows += usize::from(world.pages.sessions[&session] != before);
    }
    assert_eq!(rows, 0);
    world.ask_and_answer(CallOutcome::Done, vec![record(&session, "d", OVER, 3, 1_200_000)]);
    assert_eq!(world.pages.sessions[&session].review().unwrap().energy.wh(), 1_200_000);
}
