//! The operator's orders.

use crate::world::{World, cp};
use domain::network::{
    Asked, CallOutcome, Command, EngineRequest, NoticeKind, Order, Ordered, Reason, Reply, Status,
    SupplyFailure, Target, Which,
};
use domain::{Context, SessionId, Trace};

#[test]
fn an_order_with_an_unknown_charge_point_changes_nothing() {
    let mut world = World::with_points(&["A"]);
    let token =
        world.order(Order::Service { which: Which::Some(vec![cp("A"), cp("X")]), out_of_order: true });
    assert_eq!((world.denial(token), world.status("A")), (Reason::ChargePointUnknown, Status::Available));
}

#[test]
fn orders_reach_all_or_some_hold_over_a_restart_and_are_taken_back() {
    let mut world = World::with_points(&["A", "B"]);
    for (which, out_of_order, count, a, b) in [
        (Which::All, true, 2, Status::OutOfOrder, Status::OutOfOrder),
        (Which::Some(vec![cp("A"), cp("A")]), false, 1, Status::Available, Status::OutOfOrder),
        (Which::All, true, 2, Status::OutOfOrder, Status::OutOfOrder),
    ] {
        let token = world.order(Order::Service { which, out_of_order });
        assert_eq!(world.replies[&token.number], Reply::Ordered(token, Ok(Ordered { count })));
        assert_eq!((world.status("A"), world.status("B")), (a, b));
    }
    world.restart();
    world.connect_out_of_order("A");
    let (token, _) = world.request("d", Target::Named(cp("A")));
    assert_eq!(world.denial(token), Reason::ChargePointOutOfOrder);
}

#[test]
fn requests_that_one_order_sends_on_do_not_meet_at_one_charge_point() {
    for stopped in [vec![cp("A"), cp("B")], vec![cp("A"), cp("B"), cp("C")]] {
        let mut world = World::with_points(&["A", "B", "C", "D"]);
        let anywhere = || Target::Any { location_prefix: domain::Location::default() };
        world.request("d1", anywhere());
        world.request("d2", anywhere());
        world.order(Order::Service { which: Which::Some(stopped.clone()), out_of_order: true });
        let open: Vec<_> = world.net.sessions().filter(|session| session.is_open()).collect();
        let places: std::collections::BTreeSet<_> =
            open.iter().map(|session| &session.charge_point).collect();
        assert_eq!(open.len(), places.len(), "{open:?}");
        assert!(places.iter().all(|place| !stopped.contains(place)), "{places:?}");
        assert_eq!(open.len(), 4 - stopped.len());
    }
}

#[test]
fn a_reservation_ended_by_order_says_by_whom() {
    for (by_driver, failure) in
        [(true, SupplyFailure::ChargeStopped), (false, SupplyFailure::ChargePointOutOfOrder)]
    {
        let mut world = World::with_points(&["A"]);
        world.reserved("d", "A");
        if by_driver {
            world.stop_charge("d");
        } else {
            world.order(Order::Service { which: Which::All, out_of_order: true });
        }
        world.answer("A", CallOutcome::Revoked, None, vec![]);
        let NoticeKind::Error { failure: told, .. } = world.notices[1].kind else { panic!() };
        assert_eq!(told, failure);
    }
}

#[test]
fn a_price_holds_from_the_next_authorisation_on() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.order(Order::SetPrice { charge_point: cp("A"), price: "1.00 EUR".parse().unwrap() });
    let done = domain::network::MessageKind::Ended(domain::SupplyEnd::Completed);
    world.says("A", "d", &session, 2, done, 1_000);
    assert_eq!(
        world.find(&session).ticket().unwrap().amount.micros,
        300_000,
        "the price was fixed when authorising"
    );
    world.answer("A", domain::network::CallOutcome::Done, None, vec![]);
    let next = world.reserved("d", "A");
    assert_eq!(world.find(&next).price, "1.00 EUR".parse().unwrap());
}

#[test]
fn a_call_is_a_step_of_the_order_that_it_follows_at_once_and_else_of_its_session() {
    let mut world = World::with_points(&["A", "B"]);
    let (of_a, of_b) = (world.supplying("101", "A"), world.supplying("102", "B"));
    let context = Context { trace: Some(Trace::of("stop")), ..Context::default() };
    let asked = Asked::once(world.token(), context);
    world.send(Command::Order { asked, order: Order::Service { which: Which::All, out_of_order: true } });
    let call = |world: &World, id: &str| world.calls[&cp(id)].clone();
    let stopped = |session: &SessionId| EngineRequest::Stop { session: session.clone() };
    for (id, session) in [("A", &of_a), ("B", &of_b)] {
        let call = call(&world, id);
        assert_eq!((call.request, call.trace), (stopped(session), Some(Trace::of("stop"))));
    }
    world.silence("A");
    world.advance(1_000, &["A", "B"]);
    let again = call(&world, "A");
    assert_eq!((again.request, again.trace), (stopped(&of_a), Some(Trace::of(of_a.as_str()))));
}

/// The engine tells all of a charge in the trace that its authorisation came with: an order that only made central try
/// another engine is no part of it.
#[test]
fn an_authorisation_is_a_step_of_its_charge_whatever_order_sent_it_on() {
    let mut world = World::with_points(&["A", "B"]);
    let anywhere = Target::Any { location_prefix: domain::Location::default() };
    let (_, first) = world.request("101", anywhere);
    let context = Context { trace: Some(Trace::of("stop")), ..Context::default() };
    let asked = Asked::once(world.token(), context);
    let order = Order::Service { which: Which::Some(vec![cp("A")]), out_of_order: true };
    world.send(Command::Order { asked, order });
    let call = &world.calls[&cp("B")];
    assert!(matches!(call.request, EngineRequest::Authorize { .. }), "{call:?}");
    assert_eq!(call.trace, Some(Trace::of(first.as_str())));
}

#[test]
fn a_charge_point_is_forgotten_once_it_is_disconnected_and_settled() {
    let mut world = World::with_points(&["A", "B"]);
    let refused = |world: &mut World| {
        let token = world.order(Order::Forget(cp("A")));
        world.denial(token)
    };
    let session = world.supplying("d", "A");
    assert_eq!(refused(&mut world), Reason::ChargePointConnected);
    let epoch = world.epoch("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    assert_eq!(refused(&mut world), Reason::ChargePointBusy, "a supply runs");
    let end = domain::network::MessageKind::Ended(domain::SupplyEnd::Completed);
    world.says("A", "d", &session, 2, end, 1_000);
    assert!(world.find(&session).may_be_forgotten(), "an engine that is gone for good says nothing more");
    let token = world.order(Order::Forget(cp("A")));
    assert_eq!(world.replies[&token.number], Reply::Ordered(token, Ok(Ordered { count: 1 })));
    assert_eq!(world.pages.points.keys().cloned().collect::<Vec<_>>(), [cp("B")]);
    assert_eq!((world.net.charge_point_count(), refused(&mut world)), (1, Reason::ChargePointUnknown));
    let kept = world.pages.sessions[&session].clone();
    assert!(
        kept.ticket().is_some() && kept.closed() && world.net.session(&session).is_none(),
        "its ticket stays"
    );
    world.silence("A");
    // What still comes of it, or asks for it, meets nothing.
    world.message("A", "d", &session, 3, end, 2_000);
    assert_eq!(world.dead_letters, ["no charge point A is registered"]);
    let (token, _) = world.request("e", Target::Named(cp("A")));
    assert_eq!(world.denial(token), Reason::ChargePointUnknown);
    world.restart();
    assert_eq!(world.net.charge_point_count(), 1);
    // It may come back, as a new one.
    world.connect("A");
    world.reserved("d", "A");
}
