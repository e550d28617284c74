//! Registrations that bring something new wait for their engine's word.

use crate::world::{World, cp, price};
use domain::{
    Context,
    network::{
        Asked, CallFailed, CallOutcome, Command, Config, Denial, EngineAnswer, EngineCall, EngineReport,
        Health, Level, Order, Reason, Registered, Registration, Reply, Status, Token,
    },
};

impl World {
    pub(crate) fn registration(id: &str) -> Registration {
        Registration {
            charge_point: cp(id),
            location: format!("place of {id}").parse().unwrap(),
            price: price(),
            engine_address: format!("{id}:1"),
            instance: "i1".parse().unwrap(),
            monitor: "m1".parse().unwrap(),
            newest_epoch: 0,
        }
    }

    /// Registers; its engine is there, and answers as it should.
    pub(crate) fn register(&mut self, registration: Registration) -> Result<Registered, Denial> {
        let token = self.registers("host", registration);
        if let Some(call) = self.newcomers.pop() {
            let (point, instance) = (call.charge_point.clone(), call.instance.clone());
            self.heard(&call, point.as_str(), instance.as_str(), CallOutcome::Done);
        }
        self.registered(token).unwrap()
    }

    /// Registers from this host; its engine is asked, and has not answered yet.
    pub(crate) fn registers(&mut self, host: &str, registration: Registration) -> Token<Registered> {
        let token = self.token();
        let context = Context { address: host.into(), ..Context::default() };
        self.send(Command::Register { asked: Asked::once(token, context), registration });
        token
    }

    /// An engine answers a registration's call, as this charge point's and with this instance.
    pub(crate) fn heard(&mut self, call: &EngineCall, point: &str, instance: &str, outcome: CallOutcome) {
        self.heard_as(call, Some(point), instance, outcome);
    }

    fn heard_as(&mut self, call: &EngineCall, point: Option<&str>, instance: &str, outcome: CallOutcome) {
        let report = EngineReport {
            charge_point: point.map(cp),
            instance: instance.parse().unwrap(),
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: 0,
            current: None,
            unsettled: vec![],
        };
        let (charge_point, result) =
            (call.charge_point.clone(), Ok(EngineAnswer { outcome, heard: true, report }));
        self.send(Command::EngineAnswered { charge_point, call: call.call, result });
    }

    /// A charge point of this host, whose engine is at another and answers as it should.
    pub(crate) fn comes_from(&mut self, host: &str, id: &str, engine: &str) -> Option<Reason> {
        let registration = Registration { engine_address: engine.into(), ..World::registration(id) };
        let token = self.registers(host, registration);
        if let Some(call) = self.newcomers.pop() {
            self.heard(&call, id, "i1", CallOutcome::Done);
        }
        self.registered(token).unwrap().err().map(|denial| denial.reason)
    }

    /// What a registration was answered; `None`: it waits.
    pub(crate) fn registered(&self, token: Token<Registered>) -> Option<Result<Registered, Denial>> {
        self.replies.get(&token.number).map(|reply| match reply {
            Reply::Registered(_, answer) => answer.clone(),
            other => panic!("{other:?}"),
        })
    }
}

/// Another charge point's id beside the engine of A: a mistyped address.
fn mistyped() -> Registration {
    Registration { charge_point: cp("B"), monitor: "m2".parse().unwrap(), ..World::registration("A") }
}

#[test]
fn an_engine_is_one_charge_points_and_the_refusal_names_both() {
    let mut world = World::with_points(&["A"]);
    let token = world.registers("host", mistyped());
    assert!(world.registered(token).is_none(), "its engine is asked first");
    let call = world.newcomers.remove(0);
    assert_eq!((call.charge_point.clone(), call.address.as_str()), (cp("B"), "A:1"));
    world.heard(&call, "A", "i1", CallOutcome::WrongInstance);
    let refused = world.registered(token).unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::ChargePointMismatch);
    assert!(refused.text.contains("is of A, not of B"), "{}", refused.text);
    assert_eq!((world.net.charge_point_count(), world.pages.points.len()), (1, 1));
    assert_eq!(world.status("A"), Status::Available, "the first is undisturbed");
    world.reserved("d", "A");
}

#[test]
fn what_the_engine_says_decides_and_nothing_else() {
    for (point, instance, outcome, reason) in [
        ("A", "i1", CallOutcome::Done, None),
        ("A", "i1", CallOutcome::WrongInstance, Some(Reason::InstanceStale)),
        ("A", "i0", CallOutcome::Done, Some(Reason::InstanceStale)),
        ("B", "i1", CallOutcome::Done, Some(Reason::ChargePointMismatch)),
        ("B", "i0", CallOutcome::WrongInstance, Some(Reason::ChargePointMismatch)),
    ] {
        let mut world = World::new();
        let token = world.registers("host", World::registration("A"));
        let call = world.newcomers.remove(0);
        world.heard(&call, point, instance, outcome);
        let answer = world.registered(token).unwrap();
        assert_eq!(
            answer.as_ref().err().map(|denial| denial.reason),
            reason,
            "{point} {instance} {outcome:?}"
        );
        assert_eq!(world.pages.points.len(), usize::from(reason.is_none()));
        if let Ok(registered) = answer {
            assert_eq!(registered.epoch, call.epoch, "its engine was told the epoch that it has now");
        }
    }
}

#[test]
fn who_is_known_is_answered_at_once_unless_something_is_new() {
    let mut world = World::with_points(&["A"]);
    world.restart();
    let token = world.registers("host", World::registration("A"));
    assert!(world.registered(token).unwrap().is_ok(), "stored charge points are known");
    let moved = Registration { engine_address: "elsewhere:1".into(), ..World::registration("A") };
    let token = world.registers("host", moved);
    assert!(world.registered(token).is_none());
    let call = world.newcomers.remove(0);
    assert_eq!(call.address, "elsewhere:1");
    assert_eq!(world.pages.points[&cp("A")].engine_address, "A:1", "until it has answered there");
    world.heard(&call, "A", "i1", CallOutcome::Done);
    assert!(world.registered(token).unwrap().is_ok());
    assert_eq!(world.pages.points[&cp("A")].engine_address, "elsewhere:1");
}

#[test]
fn a_stranger_who_comes_first_locks_nobody_out() {
    let mut world = World::new();
    let made_up = Registration {
        engine_address: "nowhere:1".into(),
        instance: "i9".parse().unwrap(),
        monitor: "m9".parse().unwrap(),
        ..World::registration("A")
    };
    let first = world.registers("stranger", made_up);
    let stranger = world.newcomers.remove(0);
    world.connect("A");
    world.heard(&stranger, "A", "i9", CallOutcome::Done); // however it answers by now
    assert_eq!(world.registered(first).unwrap().unwrap_err().reason, Reason::MonitorAlreadyConnected);
    assert_eq!(world.status("A"), Status::Available);
}

#[test]
fn of_two_registrations_the_newer_one_stays() {
    let mut world = World::new();
    let first = world.registers("host", World::registration("A"));
    world.now.wall.0 += 5;
    let second = world.registers("host", World::registration("A"));
    let (older, newer) = (world.newcomers.remove(0), world.newcomers.remove(0));
    world.heard(&newer, "A", "i1", CallOutcome::Done);
    let epoch = world.registered(second).unwrap().unwrap().epoch;
    world.heard(&older, "A", "i1", CallOutcome::Done);
    assert_eq!(world.registered(first).unwrap().unwrap_err().reason, Reason::EpochStale);
    assert_eq!(world.epoch("A"), epoch);
}

#[test]
fn made_up_registrations_leave_nothing_behind() {
    let mut world = World::with_points(&["A"]);
    let pages = world.pages.points.clone();
    let mut waiting = 0;
    for n in 0..2_000 {
        let made_up = Registration { charge_point: cp(&format!("X-{n}")), ..World::registration("nowhere") };
        let token = world.registers("stranger", made_up);
        waiting += usize::from(world.registered(token).is_none());
    }
    assert_eq!((waiting, world.newcomers.len()), (128, 128), "as many calls as wait");
    // Another host's charge point comes into the network meanwhile.
    world.connect("B");
    for call in std::mem::take(&mut world.newcomers) {
        let result = Err(CallFailed("nobody is there".into()));
        world.send(Command::EngineAnswered { charge_point: call.charge_point, call: call.call, result });
    }
    let points: Vec<_> = world.pages.points.keys().cloned().collect();
    assert_eq!((points, world.net.charge_point_count()), (vec![cp("A"), cp("B")], 2));
    assert_eq!(world.pages.points[&cp("A")], pages[&cp("A")]);
    // Calls that never come back do not hold their places for ever.
    let lost = world.registers("stranger", World::registration("X"));
    world.advance(60_000, &["A", "B"]);
    let refused = world.registered(lost).unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::EngineSilent);
    let why = |text: &str| text.contains("waited for long enough");
    let logged = world.events.iter().any(|event| event.name == "registrations_refused" && why(&event.text));
    assert!(logged && !why(&refused.text), "what is at an address is for the log alone: {refused:?}");
    let late = world.newcomers.remove(0);
    world.heard(&late, "X", "i1", CallOutcome::Done);
    assert_eq!(world.net.charge_point_count(), 2, "its answer comes too late");
}

/// A monitor with a mistyped `--engine` asks again each second, and so does a second one of an id.
#[test]
fn a_refusal_that_goes_on_is_one_line_and_each_is_counted() {
    let mut world = World::new();
    let asks = |world: &mut World, why: &str| {
        world.registers("host", World::registration("A"));
        let call = world.newcomers.remove(0);
        let result = Err(CallFailed(why.into()));
        world.send(Command::EngineAnswered { charge_point: call.charge_point, call: call.call, result });
        world.advance(1000, &[]);
    };
    (0..30).for_each(|n| asks(&mut world, &format!("connection {n} refused")));
    let refused: Vec<_> = world.events.iter().filter(|event| event.name == "registrations_refused").collect();
    let lines: Vec<_> = refused.iter().filter(|event| event.level == Level::Warn).collect();
    assert_eq!((refused.len(), lines.len()), (30, 1), "{lines:?}");
    let text = &lines[0].text;
    assert!(text.contains("did not answer central: connection 0 refused; check"), "{text}");
    // It comes into the network, and a second monitor of it does not.
    world.connect("A");
    for _ in 0..10 {
        let second = Registration { monitor: "m9".parse().unwrap(), ..World::registration("A") };
        world.registers("host", second);
        world.advance(1000, &["A"]);
    }
    let lines = world
        .events
        .iter()
        .filter(|event| event.name == "registrations_refused" && event.level == Level::Warn);
    assert_eq!(lines.count(), 2);
}

#[test]
fn a_host_has_a_hundred_charge_points_by_where_they_register_and_by_where_their_engines_are() {
    let mut world = World::with(Config { many_callers: ["site".to_owned()].into(), ..Config::default() });
    for n in 0..100 {
        assert_eq!(world.comes_from("liar", &format!("X-{n}"), &format!("name-{n}:1")), None);
    }
    assert_eq!(world.comes_from("liar", "X-100", "another:1"), Some(Reason::TooManyAtAddress));
    let moved = world.comes_from("liar", "X-7", "another:1");
    assert_eq!(moved, None, "who is there already comes and goes");
    for n in 0..100 {
        assert_eq!(world.comes_from(&format!("from-{n}"), &format!("Y-{n}"), "[2001:db8::1]:5"), None);
    }
    assert_eq!(world.comes_from("from-100", "Y-100", "[2001:db8::1]:6"), Some(Reason::TooManyAtAddress));
    world.restart();
    assert_eq!(world.comes_from("from-100", "Y-100", "[2001:db8::1]:6"), Some(Reason::TooManyAtAddress));
    // It costs nobody else, nor those who stand for many.
    assert_eq!(world.comes_from("host", "A", "host:1"), None);
    for n in 0..120 {
        assert_eq!(world.comes_from("site", &format!("Z-{n}"), "site:1"), None);
    }
}

#[test]
fn who_never_supplied_and_is_away_for_a_day_is_forgotten() {
    let mut world = World::with_points(&["A", "B", "C", "D"]);
    world.charges("d", "A");
    world.order(Order::SetPrice { charge_point: cp("B"), price: price() });
    for _ in 0..24 {
        world.now.mono.0 += 3_600_000;
        world.report("D", Health::Ok);
        world.send(Command::Tick);
        while world.calls.contains_key(&cp("D")) {
            world.answer("D", CallOutcome::Done, None, vec![]);
        }
    }
    let all = |world: &World| world.pages.points.keys().cloned().collect::<Vec<_>>();
    assert_eq!(all(&world).len(), 4, "a day after the last word");
    world.now.mono.0 += 3_600_000;
    world.report("D", Health::Ok);
    world.send(Command::Tick);
    assert_eq!(all(&world), [cp("A"), cp("B"), cp("D")], "used, known to the operator, or there");
    world.connect("C"); // as a new one
}

#[test]
fn an_older_engine_is_not_two_charge_points() {
    let mut world = World::with_points(&["A"]);
    for (registration, granted) in [(mistyped(), false), (World::registration("A"), true)] {
        let moved = Registration { engine_address: "elsewhere:1".into(), ..registration };
        let token = world.registers("host", moved);
        let call = world.newcomers.remove(0);
        world.heard_as(&call, None, "i1", CallOutcome::Done);
        let answer = world.registered(token).unwrap();
        assert_eq!(
            answer.as_ref().err().map(|denial| denial.reason),
            (!granted).then_some(Reason::ChargePointMismatch)
        );
        if let Err(denial) = answer {
            assert!(denial.text.contains("is of A, not of B"), "{}", denial.text);
        }
    }
}

/// Whoever comes with this store, from another address, once the charge point has been away for so long.
fn takes_over(world: &mut World, instance: &str, away: u64, there: bool) -> Option<Reason> {
    world.advance(away, &[]);
    while world.calls.contains_key(&cp("A")) {
        world.silence("A");
    }
    let stranger = Registration {
        engine_address: "stranger:1".into(),
        instance: instance.parse().unwrap(),
        monitor: "m9".parse().unwrap(),
        location: "elsewhere".parse().unwrap(),
        price: "9.99 EUR".parse().unwrap(),
        ..World::registration("A")
    };
    let token = world.registers("stranger", stranger);
    if let Some(first) = world.newcomers.pop() {
        let asked_first = (first.address.as_str(), first.instance.as_str());
        if asked_first == ("A:1", "i1") && there {
            world.heard(&first, "A", "i1", CallOutcome::Done);
        } else if asked_first == ("A:1", "i1") {
            let result = Err(CallFailed("nobody is there".into()));
            world.send(Command::EngineAnswered { charge_point: cp("A"), call: first.call, result });
            let second = world.newcomers.remove(0);
            assert_eq!((second.address.as_str(), second.instance.as_str()), ("stranger:1", instance));
            world.heard(&second, "A", instance, CallOutcome::Done);
        } else {
            assert_eq!(asked_first, ("stranger:1", instance));
            world.heard(&first, "A", instance, CallOutcome::Done);
        }
    }
    world.registered(token).unwrap().err().map(|denial| denial.reason)
}

#[test]
fn who_comes_from_another_address_waits_for_the_word_of_the_engine_of_before() {
    const HELD: Option<Reason> = Some(Reason::InstanceAlreadyConnected);
    for (instance, away, there, refused) in [
        ("i1", 6_000, true, HELD), // its store's name is no secret
        ("i1", 6_000, false, None),
        ("i9", 6_000, false, HELD), // a power cut
        ("i9", 604_000, true, HELD),
        ("i9", 604_000, false, None),
    ] {
        let mut world = World::with_points(&["A"]);
        world.charges("d", "A");
        let before = world.pages.points[&cp("A")].clone();
        let what = (instance, away, there);
        assert_eq!(takes_over(&mut world, instance, away, there), refused, "{what:?}");
        let stored = &world.pages.points[&cp("A")];
        let at = if refused.is_some() { "A:1" } else { "stranger:1" };
        assert_eq!(stored.engine_address, at, "{what:?}");
        assert_eq!((&stored.price, &stored.location), (&before.price, &before.location), "{what:?}");
    }
}

#[test]
fn a_stranger_who_came_first_leaves_its_owner_neither_its_price_nor_its_place() {
    let mut world = World::with_points(&["A"]);
    assert_eq!(takes_over(&mut world, "i9", 6_000, true), None, "nobody has charged there");
    let stored = &world.pages.points[&cp("A")];
    assert_eq!((stored.price.to_string(), stored.location.as_str()), ("9.99 EUR".into(), "elsewhere"));
    world.order(Order::SetPrice { charge_point: cp("A"), price: price() });
    world.advance(600_000, &[]);
    let token = world.registers("owner", World::registration("A"));
    while let Some(call) = world.newcomers.pop() {
        if call.address == "stranger:1" {
            let result = Err(CallFailed("nobody is there".into()));
            world.send(Command::EngineAnswered { charge_point: cp("A"), call: call.call, result });
        } else {
            world.heard(&call, "A", "i1", CallOutcome::Done);
        }
    }
    assert!(world.registered(token).unwrap().is_ok());
    assert_eq!(world.pages.points[&cp("A")].price, price(), "its operator's price stays");
}
