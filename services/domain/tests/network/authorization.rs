//! From a request to a reservation, and every way in which it comes to nothing.

use crate::world::{World, attested, cp, driver, ended, price, record, sid};
use domain::{
    Context, DriverId, Location, SupplyState,
    cards::held::Shown,
    network::{
        Asked, CallOutcome, Command, EngineRequest, Health, Method, NoticeKind, Order, Outcome, Reason,
        RequestKey, Session, State, Status, Target, Token, Which,
    },
};

fn any() -> Target {
    Target::Any { location_prefix: Location::default() }
}

#[test]
fn an_agreed_request_is_a_reservation_told_in_both_ways() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    assert_eq!(world.status("A"), Status::Reserved, "choice and reservation are one step");
    assert!(world.granted(token).is_none(), "nobody is told before the engine agreed");
    let EngineRequest::Authorize { number, session: asked, driver: whose, price: at, .. } =
        world.call("A").clone()
    else {
        panic!("the engine is asked to authorise")
    };
    assert_eq!((number, asked, whose, at), (1, session.clone(), driver("d"), price()));
    world.answer("A", CallOutcome::Done, None, vec![]);
    let told = world.told_session(token);
    assert_eq!((&told.id, told.state()), (&session, State::Reserved));
    assert_eq!(world.told(), ["AUTH_OK"]);
    assert_eq!(world.status("A"), Status::Reserved);
}

#[test]
fn each_denial_has_its_reason_and_its_notification() {
    let mut world = World::with_points(&["BUSY", "BROKEN", "STOPPED", "GONE"]);
    world.reserved("other", "BUSY");
    world.report("BROKEN", Health::Faulted);
    world.order(Order::Service { which: Which::Some(vec![cp("STOPPED")]), out_of_order: true });
    let epoch = world.epoch("GONE");
    world.send(Command::MonitorGone { charge_point: cp("GONE"), epoch });
    let (before, at_once) = (world.notices.len(), world.readings.len());
    for (target, reason) in [
        (Target::Named(cp("NOWHERE")), Reason::ChargePointUnknown),
        (Target::Named(cp("BUSY")), Reason::ChargePointBusy),
        (Target::Named(cp("BROKEN")), Reason::ChargePointFaulted),
        (Target::Named(cp("STOPPED")), Reason::ChargePointOutOfOrder),
        (Target::Named(cp("GONE")), Reason::ChargePointDisconnected),
        (any(), Reason::NoChargePointFree),
    ] {
        let (token, session) = world.request("d", target);
        assert_eq!(world.denial(token), reason);
        assert!(world.net.session(&session).is_none(), "a denied request creates no session");
    }
    let (token, _) = world.request("other", any());
    assert_eq!(world.denial(token), Reason::DriverBusy);
    let told = world.readings[at_once..].iter().map(|notice| matches!(notice.kind, NoticeKind::Denied(_)));
    assert_eq!(told.collect::<Vec<_>>(), [true; 7]);
    assert_eq!(world.notices.len(), before, "a denial without a session fills nobody's disk");
    assert_eq!(world.net.charge_point_count(), 4, "a request creates no charge point");
}

#[test]
fn a_thousand_requests_for_the_last_free_one_give_one_session() {
    let mut world = World::with_points(&["A"]);
    let tokens: Vec<_> = (0..1000).map(|i| world.request(&format!("d{i}"), any()).0).collect();
    world.answer("A", CallOutcome::Done, None, vec![]);
    let granted = tokens.iter().filter(|token| world.granted(**token) == Some(true)).count();
    let denied = tokens.iter().filter(|token| world.granted(**token) == Some(false)).count();
    assert_eq!((granted, denied, world.net.sessions().count()), (1, 999, 1));
}

#[test]
fn central_picks_the_cheapest_then_the_first_by_id_within_the_place() {
    let mut world = World::with_points(&["A", "B", "C"]);
    for (id, price) in [("A", "0.40 EUR"), ("B", "0.20 EUR"), ("C", "0.20 EUR")] {
        world.order(Order::SetPrice { charge_point: cp(id), price: price.parse().unwrap() });
    }
    let at = |world: &World, session| world.find(session).charge_point.clone();
    let (_, first) = world.request("d1", any());
    assert_eq!(at(&world, &first), cp("B"));
    let (_, second) = world.request("d2", any());
    assert_eq!(at(&world, &second), cp("C"));
    let (token, _) = world.request("d3", Target::Any { location_prefix: "place of B".parse().unwrap() });
    assert_eq!(world.denial(token), Reason::NoChargePointFree);
    let (_, last) = world.request("d3", Target::Any { location_prefix: "place of A".parse().unwrap() });
    assert_eq!(at(&world, &last), cp("A"));
}

#[test]
fn an_engine_that_refuses_or_is_silent_leaves_nothing_reserved() {
    for (outcome, reason) in [
        (Some(CallOutcome::Busy), Reason::EngineRefused),
        (Some(CallOutcome::Faulted), Reason::EngineRefused),
        (Some(CallOutcome::Unattended), Reason::EngineRefused),
        (Some(CallOutcome::WrongInstance), Reason::EngineSilent),
        (None, Reason::EngineSilent),
    ] {
        let mut world = World::with_points(&["A", "B"]);
        let (token, session) = world.request("d", Target::Named(cp("A")));
        match outcome {
            Some(outcome) => world.answer("A", outcome, None, vec![]),
            None => world.silence("A"),
        }
        assert_eq!(world.denial(token), reason);
        assert_eq!(world.state(&session), ended(Outcome::Rejected));
        assert_ne!(world.status("A"), Status::Reserved);
        assert_eq!(world.told(), ["AUTH_DENIED"]);
        world.reserved("d", "B"); // the driver is free to go elsewhere
    }
}

#[test]
fn a_silent_engine_is_denied_at_the_deadline_and_revoked_until_it_answers() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    world.advance(4_750, &["A"]);
    assert!(world.granted(token).is_none());
    world.advance(500, &["A"]);
    assert_eq!(world.denial(token), Reason::EngineSilent);
    world.silence("A"); // the call itself gives up
    assert_eq!(world.status("A"), Status::Faulted, "not ok until it answers");
    world.advance(1_000, &["A"]);
    assert_eq!(*world.call("A"), EngineRequest::Revoke { number: 1, session: session.clone() });
    world.silence("A");
    world.advance(4_000, &["A"]);
    assert_eq!(
        *world.call("A"),
        EngineRequest::Revoke { number: 1, session: session.clone() },
        "until answered"
    );
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    assert!(world.find(&session).closed());
    assert_eq!(world.status("A"), Status::Available);
}

#[test]
fn an_open_request_tries_the_next_charge_point() {
    let mut world = World::with_points(&["A", "B", "C"]);
    let (token, first) = world.request("d", any());
    world.silence("A");
    assert_eq!(world.state(&first), ended(Outcome::Rejected));
    world.answer("B", CallOutcome::Faulted, None, vec![]);
    world.answer("C", CallOutcome::Done, None, vec![]);
    let session = world.told_session(token);
    assert_eq!((session.charge_point.clone(), session.id.as_str()), (cp("C"), format!("{first}.3").as_str()));
    assert_eq!(world.told(), ["AUTH_OK"], "the driver is told once");
    let (token, _) = world.request("e", any());
    world.answer("B", CallOutcome::Unattended, None, vec![]);
    assert_eq!(world.denial(token), Reason::EngineRefused, "no other is left: the last reason counts");
}

#[test]
fn authorisations_are_numbered_and_rise_over_what_the_engine_has_seen() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    // This central's store was restored from an older copy: the engine has seen 41.
    let call = world.calls.remove(&cp("A")).unwrap();
    let report = domain::network::EngineReport {
        charge_point: Some(cp("A")),
        instance: call.instance,
        rated: None,
        seals: None,
        plugged_in: false,
        highest_authorization: 41,
        current: None,
        unsettled: vec![],
    };
    let result = Ok(domain::network::EngineAnswer { outcome: CallOutcome::NumberStale, heard: true, report });
    world.send(Command::EngineAnswered { charge_point: cp("A"), call: call.id, result });
    let EngineRequest::Authorize { number, session: asked, .. } = world.call("A").clone() else { panic!() };
    assert_eq!((number, asked), (42, session));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.granted(token) == Some(true));
    assert_eq!(world.pages.points[&cp("A")].highest_authorization, 42, "on disk");
}

#[test]
fn a_late_answer_touches_nothing() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    let late = world.calls[&cp("A")].clone();
    world.silence("A");
    assert_eq!(world.denial(token), Reason::EngineSilent);
    world.advance(1_000, &["A"]);
    let revoke = EngineRequest::Revoke { number: 1, session: session.clone() };
    assert_eq!(*world.call("A"), revoke, "a newer call is awaited by now");
    let report = domain::network::EngineReport {
        charge_point: Some(cp("A")),
        instance: late.instance,
        rated: None,
        seals: None,
        plugged_in: false,
        highest_authorization: 1,
        current: Some(attested(record(&session, "d", SupplyState::Authorized, 0, 0))),
        unsettled: vec![],
    };
    let result = Ok(domain::network::EngineAnswer { outcome: CallOutcome::Done, heard: true, report });
    world.send(Command::EngineAnswered { charge_point: cp("A"), call: late.id, result });
    assert_eq!(world.state(&session), ended(Outcome::Rejected));
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    assert!(world.find(&session).closed(), "the awaited answer still counts");
    assert_eq!(world.told(), ["AUTH_DENIED"]);
}

#[test]
fn a_charge_point_takes_a_request_only_after_its_engine_answered_since_the_reconnect() {
    let mut world = World::with_points(&["A"]);
    let epoch = world.epoch("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    let (token, _) = world.request("d", Target::Named(cp("A")));
    assert_eq!(world.denial(token), Reason::ChargePointFaulted);
    world.answer("A", CallOutcome::Done, None, vec![]);
    world.reserved("d", "A");
}

#[test]
fn the_evidence_of_a_supply_answers_the_request_too() {
    let mut world = World::with_points(&["A"]);
    let (token, session) = world.request("d", Target::Named(cp("A")));
    world.message("A", "d", &session, 1, domain::network::MessageKind::Started, 0);
    assert_eq!(
        (world.granted(token), world.state(&session)),
        (None, State::Authorizing),
        "anyone may say so"
    );
    let running = record(&session, "d", SupplyState::Supplying, 1, 0);
    world.answer("A", CallOutcome::Busy, Some(running), vec![]);
    assert!(world.granted(token) == Some(true), "the engine has agreed, or it would not supply");
    assert_eq!((world.state(&session), world.told()), (State::Supplying, vec!["AUTH_OK"]));
    world.silence("A");
    assert_eq!(world.state(&session), State::Supplying);
}

fn manual(world: &mut World, who: DriverId, id: &str, instance: &str) -> Token<Box<Session>> {
    manual_as(world, who, (id, instance), None, "")
}

/// The same, under this request id, from this address.
fn manual_as(
    world: &mut World,
    who: DriverId,
    (id, instance): (&str, &str),
    request: Option<&str>,
    address: &str,
) -> Token<Box<Session>> {
    let token = world.token();
    let context = Context { address: address.into(), ..Context::default() };
    let key = |name: &str| RequestKey {
        method: Method::RequestManualSupply,
        caller: id.into(),
        id: name.parse().unwrap(),
    };
    let asked = Asked { token, context, request: request.map(|name| (key(name), 7)) };
    world.send(Command::RequestManualSupply {
        asked,
        session: sid(&format!("m{}", token.number)),
        charge_point: cp(id),
        instance: instance.parse().unwrap(),
        shown: Shown::Driver(who),
    });
    token
}

#[test]
fn guests_may_have_several_supplies_and_are_told_nothing_by_kafka() {
    let mut world = World::with_points(&["A", "B"]);
    for id in ["A", "B"] {
        let token = manual(&mut world, DriverId::guest(), id, "i1");
        world.answer(id, CallOutcome::Done, None, vec![]);
        assert!(world.granted(token) == Some(true));
    }
    assert_eq!(world.notices, []);
    let token = manual(&mut world, driver("d"), "A", "i0");
    assert_eq!(world.denial(token), Reason::InstanceStale);
}

/// The request that this engine is told to have asked.
fn told_request(world: &World, id: &str) -> Option<String> {
    let EngineRequest::Authorize { manual, .. } = world.call(id) else { panic!("{:?}", world.call(id)) };
    manual.as_ref().map(ToString::to_string)
}

#[test]
fn an_engine_is_told_which_request_for_a_supply_is_said_to_be_its_own() {
    let mut world = World::with_points(&["A", "B", "C"]);
    world.request_as("d", Target::Named(cp("A")), Some(("r1", 1)));
    assert_eq!(told_request(&world, "A"), None, "a driver's own");
    manual_as(&mut world, driver("e"), ("B", "i1"), Some("r1"), "");
    assert_eq!(told_request(&world, "B").as_deref(), Some("r1"));
    let token = manual(&mut world, driver("f"), "C", "i1");
    assert_eq!(told_request(&world, "C"), Some(format!("m{}", token.number)), "a name that no engine gave");
    world.answer_with("B", 9, CallOutcome::NumberStale);
    assert_eq!(told_request(&world, "B").as_deref(), Some("r1"), "under a higher number too");
    world.restart();
    for id in ["A", "B", "C"] {
        world.send(Command::Tick);
        world.register(World::registration(id)).unwrap();
    }
    assert_eq!(told_request(&world, "A"), None);
    assert_eq!(told_request(&world, "B").as_deref(), Some("r1"), "after a start of central too");
    assert_eq!(told_request(&world, "C"), Some(format!("m{}", token.number)));
}

#[test]
fn what_an_engine_has_not_asked_for_is_denied_and_takes_nothing_from_anybody_else() {
    let mut world = World::with_points(&["A", "B"]);
    for _ in 0..20 {
        let token = manual_as(&mut world, driver("victim"), ("A", "i1"), Some("r1"), "a stranger's");
        world.answer("A", CallOutcome::NotAskedFor, None, vec![]);
        assert_eq!(world.denial(token), Reason::EngineRefused);
        assert!(world.refused(token).unwrap().text.contains("did not ask for it"));
    }
    assert_eq!(world.pages.answers.len(), 0, "its engine may ask for the same, and is answered anew");
    let (token, _) = world.request("victim", any());
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.told_session(token).charge_point == cp("A"), "it has its place in the choice");
    world.stop_charge("victim");
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    let token = manual_as(&mut world, driver("victim"), ("A", "i1"), Some("r1"), "its engine's");
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert!(world.granted(token) == Some(true), "{:?}", world.refused(token));
}

#[test]
fn whoever_asks_in_an_engines_name_again_and_again_has_to_wait() {
    let mut world = World::with_points(&["A"]);
    for _ in 0..50 {
        manual_as(&mut world, driver("d"), ("A", "i1"), None, "a stranger's");
        world.answer("A", CallOutcome::NotAskedFor, None, vec![]);
    }
    let token = manual_as(&mut world, driver("d"), ("A", "i1"), None, "a stranger's");
    assert_eq!(world.denial(token), Reason::DriverCoolingDown);
    let token = manual_as(&mut world, driver("d"), ("A", "i1"), None, "its engine's");
    assert_eq!(world.granted(token), None, "its engine is asked");
}

#[test]
fn an_engine_that_says_so_of_a_drivers_own_request_has_refused_it() {
    let mut world = World::with_points(&["A", "B", "C"]);
    let (token, _) = world.request("d", any());
    world.answer("A", CallOutcome::NotAskedFor, None, vec![]);
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert!(world.told_session(token).charge_point == cp("B"));
    let (token, _) = world.request("e", any());
    world.answer("C", CallOutcome::Done, None, vec![]);
    assert!(world.told_session(token).charge_point == cp("C"), "A comes last");
}

#[test]
fn a_driver_that_stops_an_open_request_gets_no_other_charge_point() {
    let mut world = World::with_points(&["A", "B"]);
    let (token, session) = world.request("d", any());
    let stop = world.stop_charge("d");
    assert_eq!(world.denial(token), Reason::ChargeStopped);
    assert!(world.granted(stop) == Some(true));
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    assert_eq!(world.net.open_session(&driver("d")), None);
    assert!(!world.calls.contains_key(&cp("B")), "nothing is asked of B");
    assert_eq!(world.told(), ["AUTH_DENIED"]);
}

#[test]
fn an_order_that_stops_an_open_requests_charge_point_sends_it_to_the_next() {
    let mut world = World::with_points(&["A", "B"]);
    let (token, _) = world.request("d", any());
    world.order(Order::Service { which: Which::Some(vec![cp("A")]), out_of_order: true });
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert!(world.told_session(token).charge_point == cp("B"));
}

#[test]
fn an_engine_that_claims_the_highest_number_there_is_stops_nobody_else() {
    let mut world = World::with_points(&["A", "B"]);
    let (token, _) = world.request("d", Target::Named(cp("A")));
    world.answer_with("A", u64::MAX, CallOutcome::NumberStale);
    while world.calls.contains_key(&cp("A")) && world.granted(token).is_none() {
        world.answer_with("A", u64::MAX, CallOutcome::NumberStale);
    }
    assert_eq!(world.denial(token), Reason::EngineRefused);
    world.reserved("d", "B");
}
