//! What a revoked charge point may still do, and what outlives a restart of central.

use crate::world::{World, cp, ended};
use domain::network::{
    Asked, Broker, CallOutcome, Command, EngineRequest, Health, MessageKind, NoticeKind, Order, Outcome,
    Reason, Registration, Revoked, Standing, State, Status, SupplyFailure, Target, Which,
};
use domain::{Context, Location, Wall, cards::held::Shown};

impl World {
    /// A report of this epoch is denied so.
    pub(crate) fn report_of(&mut self, id: &str, epoch: u64, denied: Reason) {
        let asked = self.asked();
        let (token, charge_point, reason) = (asked.token, cp(id), String::new());
        self.send(Command::Report { asked, charge_point, epoch, health: Health::Ok, reason });
        assert_eq!(self.denial(token), denied);
    }

    fn resume_all(&mut self) {
        self.order(Order::Service { which: Which::All, out_of_order: false });
    }
}

fn anywhere() -> Target {
    Target::Any { location_prefix: Location::default() }
}

#[test]
fn nobody_is_sent_to_one_that_is_revoked_and_who_waits_for_it_goes_on() {
    for standing in [Standing::Draining, Standing::Cut] {
        let mut world = World::with_points(&["A", "B"]);
        let (token, _) = world.request("d", anywhere());
        assert!(matches!(world.call("A"), EngineRequest::Authorize { .. }));
        world.identity("A", standing);
        world.answer("B", CallOutcome::Done, None, vec![]);
        assert_eq!(world.told_session(token).charge_point, cp("B"));
        let (named, _) = world.request("e", Target::Named(cp("A")));
        let (any, _) = world.request("f", anywhere());
        assert_eq!(world.denial(named), Reason::ChargePointOutOfOrder);
        assert_eq!(world.denial(any), Reason::NoChargePointFree);
        let asked = world.asked();
        let (manual, session) = (asked.token, "manual".parse().unwrap());
        world.send(Command::RequestManualSupply {
            asked,
            session,
            charge_point: cp("A"),
            instance: "i1".parse().unwrap(),
            shown: Shown::Driver("g".parse().unwrap()),
        });
        assert_eq!(world.denial(manual), Reason::ChargePointOutOfOrder);
        let why = world.notices.iter().chain(&world.readings).filter_map(|notice| match &notice.kind {
            NoticeKind::Denied(denial) if notice.charge_point == Some(cp("A")) => Some(&denial.text),
            _ => None,
        });
        assert!(why.clone().count() == 2 && why.clone().all(|text| text.contains("revoked")), "{why:?}");
    }
}

#[test]
fn what_waits_there_is_given_back_as_by_the_operators_order() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.identity("A", Standing::Draining);
    assert!(matches!(world.call("A"), EngineRequest::Revoke { .. }));
    assert!(world.cut.is_empty());
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    assert_eq!(world.state(&session), ended(Outcome::Stopped));
    let NoticeKind::Error { failure, .. } = world.notices[1].kind else { panic!("{:?}", world.notices) };
    assert_eq!(failure, SupplyFailure::ChargePointOutOfOrder);
}

#[test]
fn said_again_it_changes_nothing_and_where_nobody_is_registered_neither() {
    let mut world = World::with_points(&["A"]);
    for standing in [Standing::Draining, Standing::Cut, Standing::Good] {
        world.identity("X", standing);
    }
    world.identity("A", Standing::Good);
    assert_eq!((world.net.standing(&cp("X")), world.net.standing(&cp("A"))), (None, Some(Standing::Good)));
    world.supplying("d", "A");
    world.identity("A", Standing::Draining);
    for _ in 0..29 {
        world.advance(1_000, &["A"]);
        world.identity("A", Standing::Draining);
        assert!(world.cut.is_empty());
    }
    world.advance(1_000, &["A"]);
    assert_eq!(world.cut, [cp("A")], "its 30 s did not begin anew");
    world.identity("A", Standing::Draining);
    world.identity("A", Standing::Cut);
    world.advance(1_000, &[]);
    assert_eq!((world.cut.len(), world.net.standing(&cp("A"))), (1, Some(Standing::Cut)));
}

#[test]
fn what_comes_of_one_that_is_cut_off_changes_nothing() {
    let mut world = World::with_points(&["A"]);
    let epoch = world.epoch("A");
    world.identity("A", Standing::Cut);
    world.report_of("A", epoch, Reason::IdentityRevoked);
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    let another = Registration { instance: "i2".parse().unwrap(), ..World::registration("A") };
    for registration in [World::registration("A"), another] {
        world.advance(5_000, &[]);
        assert_eq!(world.register(registration).unwrap_err().reason, Reason::IdentityRevoked);
    }
    assert!(world.newcomers.is_empty(), "nobody is asked: {:?}", world.newcomers);
    world.telemetry("A", Some("d"), None, MessageKind::Reading, 100, None);
    world.telemetry("A", None, None, MessageKind::Ended(domain::SupplyEnd::EngineFault), 0, None);
    assert_eq!(world.dead_letters.len(), 2);
    world.send(Command::Broker(Broker::Gap));
    world.resume_all();
    world.advance(60_000, &[]);
    assert!(world.calls.is_empty());
    assert_eq!(world.status("A"), Status::OutOfOrder);
    assert_eq!(world.pages.points[&cp("A")].instance.as_str(), "i1");
}

#[test]
fn resumed_it_stays_out_of_order_and_out_of_service_it_stays_so_enrolled_again() {
    let mut world = World::with_points(&["A"]);
    world.order(Order::Service { which: Which::All, out_of_order: true });
    world.identity("A", Standing::Cut);
    world.resume_all();
    assert_eq!(world.status("A"), Status::OutOfOrder);
    let said = world.events.iter().rfind(|event| event.name == "orders").unwrap();
    assert!(said.text.contains("stays out of order: its identity was revoked"), "{}", said.text);
    world.identity("A", Standing::Good);
    world.connect("A");
    world.order(Order::Service { which: Which::All, out_of_order: true });
    world.identity("A", Standing::Cut);
    world.identity("A", Standing::Good);
    world.connect_out_of_order("A");
}

#[test]
fn whose_engine_is_being_heard_when_it_is_revoked_is_not_admitted() {
    for standing in [Standing::Draining, Standing::Cut] {
        let mut world = World::new();
        let asked = Asked::once(world.token(), Context::default());
        let token = asked.token;
        world.send(Command::Register { asked, registration: World::registration("A") });
        assert_eq!(world.newcomers.len(), 1);
        world.identity("A", standing);
        assert_eq!(world.denial(token), Reason::IdentityRevoked);
        assert_eq!(world.net.charge_point_count(), 0);
    }
}

#[test]
fn a_restart_in_mid_drain_goes_on_with_what_is_left_of_it() {
    for (clock, left) in [(0, 10_000_u64), (-365 * 24 * 3_600_000, 30_000), (3_600_000, 0)] {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        world.identity("A", Standing::Draining);
        assert!(matches!(world.pages.points[&cp("A")].revoked.as_deref(), Some(Revoked::Draining { .. })));
        world.advance(20_000, &["A"]);
        world.now.wall.0 += clock;
        world.restart();
        assert_eq!((world.status("A"), world.state(&session)), (Status::OutOfOrder, State::Supplying));
        world.advance(250, &[]);
        assert_eq!((world.is_called("A"), world.cut.len()), (left > 0, usize::from(left == 0)));
        world.advance(left.saturating_sub(500), &[]);
        assert_eq!(world.cut.len(), usize::from(left == 0), "{clock}");
        world.advance(250, &[]);
        assert_eq!((world.cut.len(), world.state(&session)), (1, ended(Outcome::Stopped)), "{clock} {left}");
    }
}

/// The reservation of a start before was not said to be given up yet: what drains is told by its state.
#[test]
fn a_restart_stops_what_is_open_there_and_was_not_stopped() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    let open = world.pages.sessions[&session].clone();
    world.identity("A", Standing::Draining);
    world.pages.sessions.insert(session.clone(), open); // an older row than its charge point's
    world.restart();
    world.advance(250, &[]);
    assert!(world.find(&session).needs_revocation());
}

#[test]
fn one_that_is_cut_off_stays_so_over_a_restart_and_its_tickets_are_settled() {
    for rebuilt in [false, true] {
        let mut world = World::with_points(&["A"]);
        let session = world.supplying("d", "A");
        let open = world.pages.sessions[&session].clone();
        world.identity("A", Standing::Cut);
        if rebuilt {
            world.pages.sessions.insert(session.clone(), open);
            world.rebuild();
        } else {
            world.restart();
        }
        assert_eq!(world.net.standing(&cp("A")), Some(Standing::Cut));
        assert!(!world.find(&session).is_open());
        world.send(Command::Broker(Broker::Away));
        world.advance(60_000, &[]);
        assert!(world.calls.is_empty() && world.tickets() == 0);
        world.settlement_passes();
        let ticket = world.find(&session).ticket().unwrap();
        assert!(ticket.estimated(), "{ticket:?}");
        assert_eq!((world.tickets(), world.cut.len()), (1, 1), "cut once");
    }
}

#[test]
fn one_that_nobody_charged_at_is_not_forgotten_while_it_is_revoked() {
    let mut world = World::with_points(&["A"]);
    world.identity("A", Standing::Cut);
    let days = std::time::Duration::from_secs(3 * 24 * 3_600);
    world.now.mono = world.now.mono + days;
    world.now.wall = Wall(world.now.wall.0 + 3 * 24 * 3_600_000);
    world.send(Command::Tick);
    assert_eq!(world.net.standing(&cp("A")), Some(Standing::Cut));
}
