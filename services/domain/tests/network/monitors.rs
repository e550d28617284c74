//! Registrations, epochs, instances and links.

use crate::world::{World, cp, ended};
use domain::Mono;
use domain::network::{
    Broker, CallOutcome, ChargePoint, Command, Config, Health, MessageKind, Order, Outcome, Reason,
    Registered, Registration, RegistrationPolicy, Reply, Seen, State, Status, Verdict,
};

#[test]
fn place_and_price_are_taken_the_first_time_and_epochs_rise() {
    let mut world = World::new();
    let Ok(Registered { epoch: first, .. }) = world.register(World::registration("A")) else { panic!() };
    let mut again = World::registration("A");
    again.location = "elsewhere".parse().unwrap();
    again.price = "9.99 EUR".parse().unwrap();
    let Ok(Registered { epoch, location, price, .. }) = world.register(again) else { panic!() };
    assert!(epoch > first);
    assert_eq!((location.as_str(), price), ("place of A", crate::world::price()));
}

#[test]
fn a_closed_network_takes_only_the_listed_ones() {
    let registration = RegistrationPolicy::Known([cp("A")].into());
    let mut world = World::with(Config { registration, ..Config::default() });
    assert!(world.register(World::registration("A")).is_ok());
    let refused = world.register(World::registration("B")).unwrap_err();
    assert_eq!(refused.reason, Reason::RegistrationClosed);
    let mut world = World::with(Config { max_charge_points: 1, ..Config::default() });
    assert!(world.register(World::registration("A")).is_ok());
    assert!(world.register(World::registration("B")).is_err());
    assert!(world.register(World::registration("A")).is_ok(), "those that are there may come back");
}

#[test]
fn another_monitor_or_instance_waits_until_the_one_there_is_lost_for_three_intervals() {
    let mut world = World::with_points(&["A"]);
    let mut monitor = World::registration("A");
    monitor.monitor = "m2".parse().unwrap();
    let mut instance = World::registration("A");
    instance.instance = "i2".parse().unwrap();
    let refused = |world: &mut World, registration: &domain::network::Registration| {
        world.register(registration.clone()).map(|_| ()).map_err(|denial| denial.reason)
    };
    assert_eq!(refused(&mut world, &monitor), Err(Reason::MonitorAlreadyConnected));
    assert_eq!(refused(&mut world, &instance), Err(Reason::InstanceAlreadyConnected));
    let epoch = world.epoch("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    world.advance(2_750, &[]);
    assert_eq!(refused(&mut world, &monitor), Err(Reason::MonitorAlreadyConnected));
    assert_eq!(refused(&mut world, &instance), Err(Reason::InstanceAlreadyConnected));
    world.advance(250, &[]);
    assert_eq!(refused(&mut world, &monitor), Ok(()));
    assert_eq!(refused(&mut world, &instance), Err(Reason::MonitorAlreadyConnected), "m2 holds it now");
}

#[test]
fn an_older_epoch_touches_nothing() {
    let mut world = World::with_points(&["A"]);
    let old = world.epoch("A");
    world.connect("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch: old });
    assert_eq!(world.status("A"), Status::Available, "the old connection's close hits only itself");
    let asked = world.asked();
    let token = asked.token;
    world.send(Command::Report {
        asked,
        charge_point: cp("A"),
        epoch: old,
        health: Health::Faulted,
        reason: String::new(),
    });
    assert_eq!(world.denial(token), Reason::EpochStale);
    assert_eq!(world.status("A"), Status::Available);
}

/// A store restored from a backup, on a machine whose clock is behind too: the engine refuses every epoch that either
/// would give, so its own word counts.
#[test]
fn an_epoch_is_above_the_newest_that_the_engine_has_seen() {
    let mut world = World::with_points(&["A"]);
    let before = world.epoch("A");
    let newest_epoch = 1 << 50;
    world.register(Registration { newest_epoch, ..World::registration("A") }).unwrap();
    assert_eq!(world.epoch("A"), newest_epoch + 1);
    world.register(World::registration("A")).unwrap();
    assert_eq!(world.epoch("A"), newest_epoch + 2, "and it goes on from there");
    assert!(before < newest_epoch);
}

#[test]
fn a_monitor_that_ends_or_falls_silent_is_lost() {
    let mut world = World::with_points(&["A", "B"]);
    world.advance(2_000, &["A"]);
    assert_eq!((world.status("A"), world.status("B")), (Status::Available, Status::Available));
    world.advance(1_000, &["A"]);
    assert_eq!((world.status("A"), world.status("B")), (Status::Available, Status::Disconnected));
    let epoch = world.epoch("A");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    assert_eq!(world.status("A"), Status::Disconnected, "at once");
    world.report("B", Health::Ok);
    assert_eq!(world.status("B"), Status::Faulted, "a partition healed: its engine is asked first");
}

#[test]
fn a_lost_engine_store_settles_on_what_kafka_tells_to_its_end() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.message("A", "d", &session, 2, MessageKind::Reading, 500);
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    assert_eq!(world.state(&session), ended(Outcome::Faulted));
    world.send(Command::Tick);
    assert_eq!(world.find(&session).ticket(), None, "Kafka may still tell more");
    world.message("A", "d", &session, 3, MessageKind::Reading, 600);
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.send(Command::Tick);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (600, true));
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR", "TICKET"]);
}

#[test]
fn a_registration_of_another_store_takes_its_place_only_once_its_engine_answers() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(3_000, &[]);
    let mut late = World::registration("A");
    late.instance = "i0".parse().unwrap(); // of a store that was lost before, or that its monitor saw last
    let before = world.pages.points.clone();
    let token = world.registers("host", late);
    world.send(Command::Broker(Broker::Away));
    world.send(Command::Tick);
    assert_eq!(world.state(&session), State::Supplying, "the store that is there is not lost");
    let call = world.newcomers.remove(0);
    world.heard(&call, "A", "i1", CallOutcome::WrongInstance);
    assert_eq!(world.registered(token).unwrap().unwrap_err().reason, Reason::InstanceStale);
    assert_eq!(world.pages.points, before, "nothing of it is stored");
    world.register(World::registration("A")).unwrap();
    world.report("A", Health::Ok);
    assert_eq!((world.state(&session), world.find(&session).store_lost()), (State::Supplying, false));
}

#[test]
fn a_reservation_of_a_lost_store_ends_without_a_ticket() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    world.send(Command::Broker(Broker::Away));
    world.send(Command::Tick);
    assert_eq!(world.state(&session), State::Ended(Outcome::Expired));
    world.advance(60_000, &[]);
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.send(Command::Tick);
    assert!(!world.find(&session).closed(), "only Kafka can tell that it started after all, and may be late");
    world.advance(60_000, &[]);
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.send(Command::Tick);
    assert_eq!((world.find(&session).ticket(), world.find(&session).closed()), (None, true));
    world.message("A", "d", &session, 2, MessageKind::Reading, 500);
    assert!(world.net.session(&session).is_none(), "and no later word starts it");
    assert_eq!(world.told(), ["AUTH_OK", "SUPPLY_ERROR"]);
}

#[test]
fn a_supply_of_a_lost_store_that_kafka_alone_tells_of_waits_for_a_person() {
    let mut world = World::with_points(&["A"]);
    let session = world.reserved("d", "A");
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    world.send(Command::Broker(Broker::Away));
    world.send(Command::Tick);
    world.message("A", "d", &session, 1, MessageKind::Started, 0);
    world.message("A", "d", &session, 2, MessageKind::Reading, 500);
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.send(Command::Tick);
    assert_eq!(
        world.find(&session).ticket(),
        None,
        "whoever writes there, and takes its place, could bill it"
    );
    assert_eq!(world.find(&session).review().unwrap().energy.wh(), 500);
    let verdict = Verdict::Accepted;
    let order = Order::Settle { session: session.clone(), verdict, by: "o".into(), reason: "seen".into() };
    world.order(order);
    let found = world.find(&session);
    assert_eq!((found.ticket().unwrap().energy.wh(), found.closed()), (500, true));
    assert_eq!(world.told().last(), Some(&"TICKET"));
    world.message("A", "d", &session, 3, MessageKind::Reading, 600);
    assert_eq!(world.find(&session).ticket().unwrap().energy.wh(), 500, "a ticket does not change");
}

#[test]
fn a_store_lost_while_kafka_is_away_settles_at_once() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.message("A", "d", &session, 2, MessageKind::Reading, 500);
    world.send(Command::Broker(Broker::Away)); // told once, and it stays away
    world.advance(10_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    world.send(Command::Tick);
    let ticket = world.find(&session).ticket().unwrap();
    assert_eq!((ticket.energy.wh(), ticket.estimated()), (500, true));
}

#[test]
fn a_store_lost_once_kafka_is_back_waits_for_its_end_again() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.send(Command::Broker(Broker::Away));
    world.advance(10_000, &[]);
    let as_of = world.now.mono;
    world.send(Command::Broker(Broker::ReadTo(as_of)));
    world.advance(1_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    world.send(Command::Tick);
    assert_eq!(world.find(&session).ticket(), None, "Kafka may still tell more");
}

#[test]
fn a_lost_store_settles_at_the_deadline_however_kafka_is() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(3_000, &[]);
    let mut other = World::registration("A");
    other.instance = "i2".parse().unwrap();
    world.send(Command::Broker(Broker::ReadTo(world.now.mono))); // and from here on neither read to its end nor away
    world.now.mono.0 += 1;
    world.register(other).unwrap();
    world.report("A", Health::Ok);
    let day = world.config.settlement.as_millis() as u64;
    world.now.mono.0 += day;
    world.send(Command::Tick);
    assert!(world.find(&session).ticket().is_some_and(|ticket| ticket.estimated()));
}

fn seen(epoch: u64, health: Health, at: Mono) -> Command {
    Command::Seen(vec![Seen { charge_point: cp("A"), epoch, health, reason: String::new(), at }])
}

#[test]
fn a_report_that_was_answered_beside_the_rules_counts_from_when_it_came() {
    let mut world = World::with_points(&["A"]);
    let epoch = world.epoch("A");
    world.advance(1_500, &[]);
    let at = Mono(world.now.mono.0 - 500);
    world.send(seen(epoch, Health::Ok, at));
    world.advance(2_250, &[]);
    assert_eq!(world.status("A"), Status::Available, "it is three intervals that it may be silent");
    world.advance(250, &[]);
    assert_eq!(world.status("A"), Status::Disconnected);
    world.send(seen(epoch, Health::Ok, at));
    assert_eq!(world.status("A"), Status::Disconnected, "that was before it was silent");
    world.now.mono.0 += 1;
    world.send(seen(epoch - 1, Health::Ok, world.now.mono));
    assert_eq!(world.status("A"), Status::Disconnected, "that is an older registration's");
    world.send(seen(epoch, Health::Ok, world.now.mono));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.status("A"), Status::Available, "it is back");
}

#[test]
fn a_report_that_news_have_overtaken_counts_for_nothing() {
    let mut world = World::with_points(&["A"]);
    let (epoch, before) = (world.epoch("A"), world.now.mono);
    world.now.mono.0 += 10;
    world.report("A", Health::Faulted);
    world.send(seen(epoch, Health::Ok, before));
    assert_eq!(world.status("A"), Status::Faulted, "it broke after that");
    world.send(Command::MonitorGone { charge_point: cp("A"), epoch });
    world.send(seen(epoch, Health::Faulted, world.now.mono));
    assert_eq!(world.status("A"), Status::Disconnected, "it left after that");
    world.order(Order::Forget(cp("A")));
    world.send(seen(epoch, Health::Ok, Mono(world.now.mono.0 + 1)));
    assert!(world.net.charge_point(&cp("A")).is_none());
}

/// A network of so many charge points, of which `A` is one.
fn of(count: usize) -> World {
    let mut world = World::with_points(&["A"]);
    let known = world.pages.points[&cp("A")].clone();
    for n in 1..count {
        let id = cp(&format!("CP-{n}"));
        world.pages.points.insert(id.clone(), ChargePoint { id, ..known.clone() });
    }
    world.restart();
    world
}

#[test]
fn the_interval_grows_with_the_network_and_silence_is_three_of_those_that_a_monitor_was_told() {
    for (count, interval) in [(2, 1_000), (2_000, 1_000), (10_000, 5_000), (100_000, 50_000)] {
        let mut world = of(count);
        let Ok(Registered { report_interval, .. }) = world.register(World::registration("A")) else {
            panic!()
        };
        assert_eq!(report_interval.as_millis(), interval, "{count}");
        world.report("A", Health::Ok);
        world.answer("A", CallOutcome::Done, None, vec![]);
        let mut another = World::registration("A");
        another.instance = "i2".parse().unwrap();
        for before in [interval * 3 - 250, 250] {
            assert_eq!(world.status("A"), Status::Available);
            assert!(world.register(another.clone()).is_err(), "it is there all the while");
            world.advance(u64::try_from(before).unwrap(), &[]);
        }
        assert_eq!(world.status("A"), Status::Disconnected, "{count}");
    }
}

#[test]
fn a_monitor_is_told_of_a_longer_interval_and_never_of_a_shorter_one() {
    let mut world = of(4_000);
    let told = |world: &mut World| {
        let (asked, epoch) = (world.asked(), world.epoch("A"));
        let token = asked.token;
        let (health, reason) = (Health::Ok, String::new());
        world.send(Command::Report { asked, charge_point: cp("A"), epoch, health, reason });
        match &world.replies[&token.number] {
            Reply::Reported(_, Ok(reported)) => reported.report_interval.as_millis(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(&mut world), 2_000, "it did not register with this central");
    for n in 1..=2_000 {
        world.order(Order::Forget(cp(&format!("CP-{n}"))));
    }
    assert_eq!(told(&mut world), 2_000, "its monitor may be one that does not read it");
    let Ok(Registered { report_interval, .. }) = world.register(World::registration("A")) else { panic!() };
    assert_eq!(report_interval.as_millis(), 1_000);
}
