//! Who lets many reservations go unused has to wait; who was let down by an engine has not.

use crate::world::{World, cp, driver, record, sid};
use domain::network::{
    Asked, CallOutcome, Command, Config, Denial, EngineRequest, Health, Method, NoticeKind, Order, Reason,
    Reply, RequestKey, Session, State, Target, Token, Which,
};
use domain::{Context, SessionId, SupplyState, cards::held::Shown};
use std::time::Duration;

const HOME: &str = "10.0.0.7";

/// A caller there; `driver/d@10.0.0.7` has shown who it is.
fn from(place: &str) -> Context {
    let (identity, address) = place.split_once('@').unwrap_or(("", place));
    let many = identity.starts_with("bridge/");
    Context { identity: identity.into(), address: address.into(), many, ..Context::default() }
}

impl World {
    /// A request for A, from this host.
    fn asks(&mut self, who: &str, address: &str, id: Option<&str>) -> Token<Box<Session>> {
        self.asks_for(Target::Named(cp("A")), who, address, id)
    }

    pub(crate) fn asks_for(
        &mut self,
        target: Target,
        who: &str,
        address: &str,
        id: Option<&str>,
    ) -> Token<Box<Session>> {
        let token = self.token();
        let key = |id: &str| RequestKey {
            method: Method::RequestCharge,
            caller: who.into(),
            id: id.parse().unwrap(),
        };
        let context = from(address);
        self.send(Command::RequestCharge {
            asked: Asked { token, context, request: id.map(|id| (key(id), 1)) },
            session: sid(&format!("s{}", token.number)),
            driver: driver(who),
            target,
            max_price: None,
        });
        token
    }

    /// A reservation there that its driver gives back.
    pub(crate) fn cancels_at(&mut self, who: &str, address: &str, id: &str) {
        let token = self.asks_for(Target::Named(cp(id)), who, address, None);
        assert_eq!(self.granted(token), None, "{who} at {id}");
        let held = self.held(&sid(&format!("s{}", token.number)), who);
        self.answer(id, CallOutcome::Done, held, vec![]);
        self.stop_charge(who);
        self.answer(id, CallOutcome::Revoked, None, vec![]);
        self.now.mono.0 += 1_000;
    }

    /// The engine of A agrees, with the reservation in hand.
    fn agrees(&mut self, token: Token<Box<Session>>, who: &str) -> SessionId {
        let held = self.held(&sid(&format!("s{}", token.number)), who);
        self.answer("A", CallOutcome::Done, held, vec![]);
        self.told_session(token).id.clone()
    }

    fn held(&self, session: &SessionId, who: &str) -> Option<domain::SupplyRecord> {
        Some(record(session, who, SupplyState::Authorized, 0, 0))
    }

    /// A reservation at A that its driver gives back.
    fn cancels(&mut self, who: &str, address: &str) {
        let token = self.asks(who, address, None);
        self.agrees(token, who);
        self.stop_charge(who);
        self.answer("A", CallOutcome::Revoked, None, vec![]);
    }

    pub(crate) fn refused(&self, token: Token<Box<Session>>) -> Option<&Denial> {
        match self.replies.get(&token.number)? {
            Reply::Session(_, answer) => answer.as_ref().err(),
            other => panic!("{other:?}"),
        }
    }

    /// Is it let in at A? What it gets it does not keep, and that counts for nobody.
    pub(crate) fn is_let_in(&mut self, who: &str, address: &str) -> bool {
        let token = self.asks(who, address, None);
        if self.refused(token).is_some_and(|denial| denial.reason == Reason::DriverCoolingDown) {
            return false;
        }
        self.answer("A", CallOutcome::Busy, None, vec![]);
        assert_eq!(self.denial(token), Reason::EngineRefused);
        true
    }
}

#[test]
fn five_cancelled_ones_in_ten_minutes_and_the_sixth_waits() {
    let mut world = World::with_points(&["A"]);
    for n in 0..5 {
        assert!(world.is_let_in("d", HOME), "after {n}");
        world.cancels("d", HOME);
        world.advance(60_000, &["A"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Done, None, vec![]);
        }
    }
    let token = world.asks("d", HOME, Some("r1"));
    let denial = world.refused(token).unwrap().clone();
    assert_eq!(denial.reason, Reason::DriverCoolingDown);
    assert_eq!(denial.retry_after, Some(Duration::from_secs(300)), "the first is five minutes old");
    assert_eq!(
        denial.text,
        "driver d has let 5 reservations within 10 minutes go unused; ask again in 5 minutes"
    );
    let told = world.readings.last().unwrap();
    assert_eq!(told.kind, NoticeKind::Denied(denial), "on Kafka too");
    assert!(world.events.iter().any(|event| event.name == "drivers_cooling_down"));

    // It costs nobody else, and its name elsewhere is another's.
    assert!(world.is_let_in("e", HOME) && world.is_let_in("d", "10.0.0.8"));
    world.advance(299_000, &["A"]);
    assert!(!world.is_let_in("d", HOME));
    world.advance(1_000, &["A"]);
    while world.calls.contains_key(&cp("A")) {
        world.answer("A", CallOutcome::Done, None, vec![]);
    }
    // Time cures it: the same request, by the same id, is granted.
    let token = world.asks("d", HOME, Some("r1"));
    world.agrees(token, "d");
    world.stop_charge("d");
    world.answer("A", CallOutcome::Revoked, None, vec![]);
    assert!(!world.is_let_in("d", HOME), "again five");
}

#[test]
fn what_was_not_taken_up_counts_and_what_an_engine_dropped_does_not() {
    let let_expire = |keeps: bool, well: bool, plugged_in: bool| {
        let mut world = World::with_points(&["A"]);
        world.plugged_in = plugged_in;
        for _ in 0..5 {
            let token = world.asks("d", HOME, None);
            let session = world.agrees(token, "d");
            while world.state(&session) == State::Reserved {
                world.advance(1_000, &["A"]);
                if !world.calls.contains_key(&cp("A")) {
                    continue;
                }
                let current = world.held(&session, "d").filter(|_| keeps);
                match world.call("A") {
                    EngineRequest::Revoke { .. } => {
                        if !well {
                            world.report("A", Health::Faulted);
                        }
                        world.answer("A", CallOutcome::Revoked, None, vec![]);
                    }
                    _ => world.answer("A", CallOutcome::Done, current, vec![]),
                }
            }
            world.report("A", Health::Ok);
            while world.calls.contains_key(&cp("A")) {
                world.answer("A", CallOutcome::Done, None, vec![]);
            }
        }
        let said = world.events.iter().filter(|event| event.name == "reservations_expired");
        let (unplugged, unstarted) =
            said.partition::<Vec<_>, _>(|event| event.text.contains("nobody plugged in"));
        assert_eq!((unplugged.len(), unstarted.len()), if plugged_in { (0, 5) } else { (5, 0) });
        world.is_let_in("d", HOME)
    };
    assert!(!let_expire(true, true, false), "nobody came");
    assert!(let_expire(false, true, false), "its answers were without the reservation long before its end");
    assert!(let_expire(true, false, false), "it was broken");
    assert!(let_expire(true, true, true), "the car was there");
}

#[test]
fn what_others_ended_counts_for_nobody() {
    let mut world = World::with_points(&["A"]);
    for round in 0..5 {
        let token = world.asks("d", HOME, None);
        world.agrees(token, "d");
        for out_of_order in [true, false] {
            world.order(Order::Service { which: Which::All, out_of_order });
        }
        world.answer("A", CallOutcome::Revoked, None, vec![]);
        // Its engine does not answer the revocation: it may have dropped it long before.
        let token = world.asks("d", HOME, None);
        let session = world.agrees(token, "d");
        world.stop_charge("d");
        world.advance(3_000, &["A"]);
        assert!(!world.find(&session).is_open(), "round {round}");
        world.answer("A", CallOutcome::Revoked, None, vec![]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Done, None, vec![]);
        }
        world.advance(1_000, &["A"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Done, None, vec![]);
        }
    }
    assert!(world.is_let_in("d", HOME));
}

#[test]
fn what_is_stopped_before_it_is_granted_counts_once_the_engine_has_agreed() {
    for (outcome, let_in) in [(CallOutcome::Done, false), (CallOutcome::Busy, true)] {
        let mut world = World::with_points(&["A"]);
        for _ in 0..5 {
            world.asks("d", HOME, None);
            world.stop_charge("d");
            world.answer("A", outcome, None, vec![]);
            while world.calls.contains_key(&cp("A")) {
                world.answer("A", CallOutcome::Revoked, None, vec![]);
            }
        }
        assert_eq!(world.is_let_in("d", HOME), let_in, "{outcome:?}");
    }
}

#[test]
fn guests_wait_at_their_charge_point_alone() {
    let mut world = World::with_points(&["A", "B"]);
    let guest_from = |world: &mut World, id: &str, address: &str| {
        let token = world.token();
        let context = Context { address: address.into(), ..Context::default() };
        world.send(Command::RequestManualSupply {
            asked: Asked::once(token, context),
            session: sid(&format!("s{}", token.number)),
            charge_point: cp(id),
            instance: "i1".parse().unwrap(),
            shown: Shown::Guest,
        });
        token
    };
    let guest = |world: &mut World, id: &str| guest_from(world, id, "its engine's");
    for _ in 0..5 {
        guest(&mut world, "A");
        world.answer("A", CallOutcome::Done, None, vec![]);
        world.advance(62_000, &["A", "B"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
    }
    let token = guest(&mut world, "A");
    assert_eq!(world.denial(token), Reason::DriverCoolingDown);
    assert!(world.refused(token).unwrap().text.starts_with("a guest at A has let 5 reservations"));
    assert!(world.is_let_in("d", HOME), "a driver with a name is no guest");
    let token = guest_from(&mut world, "A", "another");
    assert_eq!(world.granted(token), None, "whoever asks in its engine's place makes nobody else wait");
    let token = guest(&mut world, "B");
    assert_eq!(world.granted(token), None, "the engine of B is asked");
}

#[test]
fn a_driver_waits_where_it_let_them_go_unused_and_everywhere_once_three_places_are_concerned() {
    let any = || Target::Any { location_prefix: domain::Location::default() };
    let mut world = World::with_points(&["A", "B", "C"]);
    for _ in 0..5 {
        world.cancels_at("d", HOME, "A"); // its charge point does not start what it agreed to, say
    }
    assert!(!world.is_let_in("d", HOME));
    world.asks_for(any(), "d", HOME, None);
    let place = |world: &World| world.net.open_session(&driver("d")).map(|open| open.charge_point.clone());
    assert_eq!(place(&world), Some(cp("B")), "anywhere else");
    world.answer("B", CallOutcome::Busy, None, vec![]);
    world.answer("C", CallOutcome::Busy, None, vec![]);
    world.cancels_at("d", HOME, "B");
    assert_eq!(place(&world), None);
    world.cancels_at("d", HOME, "C");
    for id in ["A", "B", "C"] {
        let token = world.asks_for(Target::Named(cp(id)), "d", HOME, None);
        assert_eq!(world.denial(token), Reason::DriverCoolingDown, "at {id}");
    }
    let token = world.asks_for(any(), "d", HOME, None);
    assert_eq!(world.denial(token), Reason::DriverCoolingDown);
}

#[test]
fn all_of_one_owners_charge_points_are_one_place_that_lets_a_driver_down() {
    let mut world = World::with_points(&["A"]);
    for id in ["L-1", "L-2", "L-3"] {
        assert_eq!(world.comes_from("liar", id, "liar:1"), None);
        world.report(id, Health::Ok);
        world.answer(id, CallOutcome::Done, None, vec![]);
    }
    for n in 0..12 {
        world.cancels_at("d", HOME, ["L-1", "L-2", "L-3"][n % 3]);
    }
    assert!(world.is_let_in("d", HOME), "elsewhere");
}

#[test]
fn a_host_whose_drivers_have_other_names_each_time_waits_too() {
    let mut world = World::with(Config { many_callers: ["bridge".to_owned()].into(), ..Config::default() });
    let all: Vec<String> = (0..10).map(|n| format!("P-{n}")).collect();
    for id in &all {
        world.connect(id);
    }
    world.connect("A");
    for n in 0..50 {
        world.cancels_at(&format!("d{n}"), HOME, &all[n % 10]);
        world.cancels_at(&format!("e{n}"), "bridge", &all[n % 10]);
    }
    assert!(!world.is_let_in("fresh", HOME));
    let token = world.asks("fresh", HOME, None);
    let text = &world.refused(token).unwrap().text;
    assert!(text.starts_with("10.0.0.7 has let 50 reservations within 10 minutes go unused"), "{text}");
    assert!(text.contains("--many-callers"), "{text}");
    assert!(world.is_let_in("fresh", "bridge") && world.is_let_in("fresh", "10.0.0.8"));
}

#[test]
fn a_host_keeps_twenty_reserved_or_a_tenth_and_a_supply_is_none() {
    let mut world = World::with(Config { many_callers: ["bridge".to_owned()].into(), ..Config::default() });
    let all: Vec<String> = (0..50).map(|n| format!("P-{n:02}")).collect();
    for id in &all {
        world.connect(id);
    }
    let reserve = |world: &mut World, n: usize, address: &str| {
        let token = world.asks_for(Target::Named(cp(&all[n])), &format!("d{n}"), address, None);
        if world.granted(token).is_none() {
            world.answer(&all[n], CallOutcome::Done, None, vec![]);
        }
        world.granted(token).unwrap().then(|| world.told_session(token).id.clone()).ok_or(token)
    };
    let first = reserve(&mut world, 0, HOME).unwrap();
    assert!((1..20).all(|n| reserve(&mut world, n, HOME).is_ok()));
    let refused = reserve(&mut world, 20, HOME).unwrap_err();
    assert_eq!(world.denial(refused), Reason::Overloaded);
    assert!(world.readings.is_empty(), "a retry may be granted: nobody is told that it is denied");
    // A supply frees its place, and so does a reservation that is given back.
    world.says("P-00", "d0", &first, 1, domain::network::MessageKind::Started, 0);
    assert!(reserve(&mut world, 20, HOME).is_ok() && reserve(&mut world, 21, HOME).is_err());
    world.stop_charge("d1");
    world.answer("P-01", CallOutcome::Revoked, None, vec![]);
    assert!(reserve(&mut world, 21, HOME).is_ok() && reserve(&mut world, 22, HOME).is_err());
    // Others, and those who stand for many, are not concerned.
    assert!(reserve(&mut world, 22, "10.0.0.8").is_ok());
    assert!((23..50).all(|n| reserve(&mut world, n, "bridge").is_ok()));
}

#[test]
fn a_try_that_its_caller_cuts_short_counts_for_its_host() {
    let mut world = World::with_points(&["A"]);
    for n in 0..50 {
        let token = world.token();
        let deadline = Some(world.now.mono + Duration::from_millis([100, 1_200][n % 2]));
        let context = Context { address: HOME.into(), deadline, ..Context::default() };
        world.send(Command::RequestCharge {
            asked: Asked::once(token, context),
            session: sid(&format!("h{n}")),
            driver: driver(&format!("hurried{n}")),
            target: Target::Named(cp("A")),
            max_price: None,
        });
        world.advance(1_250, &["A"]);
        while world.calls.contains_key(&cp("A")) {
            world.answer("A", CallOutcome::Revoked, None, vec![]);
        }
        assert_eq!(world.denial(token), Reason::EngineSilent);
    }
    assert!(!world.is_let_in("d", HOME) && world.is_let_in("d", "10.0.0.8"));
}

#[test]
fn nobody_waits_after_a_restart_nor_where_the_bound_is_zero() {
    let mut world = World::with_points(&["A"]);
    for _ in 0..5 {
        world.cancels("d", HOME);
    }
    assert!(!world.is_let_in("d", HOME));
    world.restart();
    world.connect("A");
    assert!(world.is_let_in("d", HOME));

    let mut world = World::with(Config { unused_most: 0, ..Config::default() });
    world.connect("A");
    for _ in 0..9 {
        world.cancels("d", HOME);
    }
    assert!(world.is_let_in("d", HOME));
}
