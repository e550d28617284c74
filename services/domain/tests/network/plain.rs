//! A plain reading goes a short way, on which the same becomes of it as on the long one.

use crate::world::{World, cp, driver};
use domain::network::{Command, Config, Effect, Gauges, Message, MessageKind, Network, Reading, Source};
use domain::{Energy, Now, Power, SessionId};
use proptest::prelude::*;

/// A reading as whoever writes on the topic makes it up.
#[derive(Debug, Clone)]
struct Told {
    after_ms: u64,
    charge_point: &'static str,
    driver: Option<&'static str>,
    known: bool,
    seq: u64,
    wh: u64,
    power: Option<u64>,
    sealed: Option<u64>,
    partition: i32,
}

fn told() -> impl Strategy<Value = Told> {
    let whose = prop_oneof![8 => Just(("A", Some("d"))), 2 => Just(("A", None)), 1 => Just(("B", Some("d"))),
        1 => Just(("C", Some("d"))), 1 => Just(("A", Some("e")))];
    let power = proptest::option::of(0_u64..60_000);
    let sealed = prop_oneof![6 => Just(None), 2 => Just(Some(1)), 1 => Just(Some(9))];
    let which = (prop::bool::weighted(0.95), 0_u64..40, 0_u64..400, 0_i32..3);
    (0_u64..3_000, whose, power, sealed, which).prop_map(|(after_ms, whose, power, sealed, which)| {
        let ((charge_point, driver), (known, seq, wh, partition)) = (whose, which);
        Told { after_ms, charge_point, driver, known, seq, wh, power, sealed, partition }
    })
}

impl Told {
    fn message(&self, session: &SessionId) -> Message {
        Message {
            kind: MessageKind::Reading,
            charge_point: cp(self.charge_point),
            driver: self.driver.map(driver),
            session: Some((session.clone(), self.seq)),
            energy: Some(Energy::from_wh(self.wh)),
            gauges: self.gauges(),
            reason: String::new(),
            sealed: self.sealed,
            at: None,
        }
    }

    fn gauges(&self) -> Gauges {
        Gauges { power: self.power.map(Power::from_w) }
    }

    fn reading<'a>(&self, session: &'a SessionId, source: Source) -> Reading<'a> {
        Reading {
            charge_point: self.charge_point,
            driver: self.driver,
            session: session.as_str(),
            seq: self.seq,
            energy: Energy::from_wh(self.wh),
            gauges: self.gauges(),
            sealed: self.sealed,
            source,
        }
    }
}

/// What is seen of a network: each session, how far Kafka was read, and what is called for.
fn seen(net: &Network) -> String {
    let sessions: Vec<_> = net.sessions().collect();
    format!("{sessions:?} {:?} {:?}", net.offsets(), net.charge_points_after(None).collect::<Vec<_>>())
}

fn supplying(seals: bool) -> (World, SessionId) {
    let mut world = World::with(Config::default());
    ["A", "B"].into_iter().for_each(|id| world.connect(id));
    let session = world.supplying("d", "A");
    world.now.mono = world.now.mono + std::time::Duration::from_secs(10);
    world.seals = seals.then_some(true);
    world.says("A", "d", &session, 5, MessageKind::Reading, 20);
    (world, session)
}

proptest! {
    #[test]
    fn whatever_is_told_the_short_way_and_the_long_one_come_to_the_same(
        seals: bool, all in proptest::collection::vec(told(), 1..30),
    ) {
        let ((mut short, session), (mut long, _)) = (supplying(seals), supplying(seals));
        let unknown: SessionId = "unknown".parse().unwrap();
        for (offset, told) in (0..).zip(all) {
            let session = if told.known { &session } else { &unknown };
            let source = Source { partition: told.partition, offset };
            let passes = |now: Now| Now {
                mono: now.mono + std::time::Duration::from_millis(told.after_ms),
                wall: now.wall + std::time::Duration::from_millis(told.after_ms),
            };
            (short.now, long.now) = (passes(short.now), passes(long.now));
            let command = || Command::Telemetry { message: told.message(session), source: Some(source) };
            let decided = long.net.apply(long.now, &long.pages, command());
            let mut heard = Vec::new();
            let before = seen(&short.net);
            if short.net.hears(short.now, &told.reading(session, source), &mut heard) {
                prop_assert!(heard.iter().all(|it| matches!(it, Effect::NotifyAtOnce(_) | Effect::Changed(_))));
            } else {
                prop_assert_eq!(before, seen(&short.net), "nothing was done");
                heard = short.net.apply(short.now, &short.pages, command());
            }
            prop_assert_eq!(&heard, &decided);
            prop_assert_eq!(seen(&short.net), seen(&long.net));
        }
    }
}

#[test]
fn a_reading_of_a_running_supply_is_plain_and_others_are_not() {
    let plain = Told {
        after_ms: 0,
        charge_point: "A",
        driver: Some("d"),
        known: true,
        seq: 6,
        wh: 21,
        power: None,
        sealed: None,
        partition: 0,
    };
    let hears = |told: &Told| {
        let (mut world, session) = supplying(false);
        let source = Source { partition: 0, offset: 1 };
        world.net.hears(world.now, &told.reading(&session, source), &mut Vec::new())
    };
    assert!(hears(&plain) && hears(&Told { driver: None, ..plain.clone() }));
    for (what, other) in [
        ("another charge point's", Told { charge_point: "B", ..plain.clone() }),
        ("another driver's", Told { driver: Some("e"), ..plain.clone() }),
        ("answered before", Told { seq: 5, ..plain.clone() }),
        ("behind what is shown", Told { wh: 19, ..plain.clone() }),
        ("more than can be", Told { wh: 290_000, ..plain.clone() }),
        ("sealed with a key that does not count", Told { sealed: Some(9), ..plain.clone() }),
    ] {
        assert_eq!(hears(&other), what.starts_with("sealed"), "{what}"); // where nobody seals, no seal is looked at
    }
}
