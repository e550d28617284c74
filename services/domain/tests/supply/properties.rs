//! The promises under any order of inputs, crashes and lost commits included.

use crate::test_point::*;
use domain::{
    Mono, Now, SupplyEnd, SupplyRecord, SupplyState, Wall,
    simulated::{ChargePoint, Settings},
    supply::*,
};
use proptest::prelude::*;
use std::{collections::HashMap, time::Duration};

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    /// The number and the session's number: mostly in step, as central's are, sometimes not.
    Authorize(u64, u64),
    Revoke(u64, u64),
    Stop(u64),
    Confirm(u64),
    Ping(u64),
    StreamEnds,
    PlugIn,
    Unplug,
    Break,
    Repair,
    Delivered(u64),
    /// The process dies, after the commit or before it, and comes back.
    Crash {
        committed: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u64..2_500).prop_map(Step::Wait),
        6 => (1_u64..12, 0_u64..3).prop_map(|(number, off)| Step::Authorize(number, number.saturating_sub(off))),
        2 => (1_u64..12, 0_u64..3).prop_map(|(number, off)| Step::Revoke(number, number.saturating_sub(off))),
        1 => (1_u64..12).prop_map(Step::Stop),
        1 => (1_u64..12).prop_map(Step::Confirm),
        8 => (0_u64..3).prop_map(Step::Ping),
        1 => Just(Step::StreamEnds),
        6 => Just(Step::PlugIn),
        2 => Just(Step::Unplug),
        1 => Just(Step::Break),
        2 => Just(Step::Repair),
        2 => (1_u64..20).prop_map(Step::Delivered),
        2 => any::<bool>().prop_map(|committed| Step::Crash { committed }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What an observer of the disk and of what left has seen.
#[derive(Debug, Default)]
struct Seen {
    disk: Disk,
    /// The newest message of each session: its `seq` and energy.
    newest: HashMap<String, (u64, u64)>,
    started: HashMap<String, u64>,
    ended: HashMap<String, SupplyRecord>,
    /// Every number that was revoked or refused, on disk.
    dead: Vec<u64>,
}

impl Seen {
    /// Checks and takes in the effects of one input whose commit succeeded.
    fn take(&mut self, effects: &[Effect]) {
        let highest_before = self.disk.highest;
        let mut saved = Vec::new();
        for effect in effects {
            match effect {
                Effect::Save(write) => {
                    self.disk.write(write);
                    saved.push(write);
                }
                Effect::Publish(_) | Effect::OutboxOverflow(_) => {}
            }
        }
        assert!(self.disk.highest >= highest_before, "the highest number never falls");
        for effect in effects {
            match effect {
                Effect::Publish(record) => {
                    let on_disk = saved.iter().any(|write| match write {
                        Write::Engine { current: Some(current), .. } => current == record,
                        Write::Unsettled(last) => last.session == record.session && last.seq > record.seq,
                        _ => false,
                    });
                    assert!(on_disk, "published before it is on disk: {record:?}");
                    self.message(record);
                }
                Effect::Save(Write::Event(event)) => match &event.kind {
                    EventKind::Started(record) => {
                        assert_eq!((record.seq, record.energy.wh()), (1, 0));
                        let before = self.started.insert(record.session.to_string(), record.authorization);
                        assert_eq!(before, None, "a session starts once");
                        assert!(
                            !self.dead.contains(&record.authorization),
                            "{} was dead",
                            record.authorization
                        );
                        self.message(record);
                    }
                    EventKind::Ended(record, cause) => {
                        assert_eq!(record.state, SupplyState::Ended(cause.end()));
                        assert!(self.started.contains_key(record.session.as_str()), "ended without a start");
                        let before = self.ended.insert(record.session.to_string(), record.clone());
                        assert_eq!(before, None, "a session has one final record");
                        self.message(record);
                    }
                    EventKind::Broke(_) | EventKind::MonitorLost => {}
                },
                Effect::Save(_) | Effect::OutboxOverflow(_) => {}
            }
        }
    }

    fn message(&mut self, record: &SupplyRecord) {
        let newest = self.newest.entry(record.session.to_string()).or_insert((0, 0));
        assert_eq!(record.seq, newest.0 + 1, "numbers rise by one");
        assert!(record.energy.wh() >= newest.1, "energy never falls");
        *newest = (record.seq, record.energy.wh());
    }
}

fn moment(ms: u64, wall_offset: i64) -> Now {
    Now { mono: Mono(ms), wall: Wall(wall_offset + i64::try_from(ms).unwrap()) }
}

/// Applies one input whose commit succeeds.
fn apply<I: Input>(engine: &mut ChargePoint, seen: &mut Seen, now: Now, input: I) -> I::Answer {
    let (answer, effects) = engine.apply(now, input);
    seen.take(&effects);
    answer
}

fn run(settings: &Settings, steps: Vec<Step>) {
    let mut seen = Seen::default();
    let (mut engine, effects) = ChargePoint::restore(moment(0, 0), settings.clone(), seen.disk.stored());
    assert_eq!(effects, []);
    let (mut ms, mut wall, mut link) = (0_u64, 0_i64, 1_u64);
    for step in steps {
        let name = |number: u64| format!("s{number}");
        if let Step::Wait(by) = step {
            ms += by;
        }
        let (engine, seen, now) = (&mut engine, &mut seen, moment(ms, wall));
        let mut dead = None;
        match step {
            Step::Wait(_) => apply(engine, seen, now, Happened::Tick),
            Step::Authorize(number, of) => {
                let of = name(of);
                let over = seen.ended.contains_key(&of);
                let forgotten = seen.disk.unsettled.values().all(|record| record.session.as_str() != of);
                if over && forgotten && number > seen.disk.highest {
                    continue; // a session that central has settled gets no new number, and only stale copies come
                }
                let result = apply(engine, seen, now, authorize(number, &of));
                dead = (result != CallResult::Done).then_some(number);
            }
            Step::Revoke(number, of) => {
                apply(engine, seen, now, revoke(number, &name(of))).unwrap();
                dead = Some(number);
            }
            Step::Stop(of) => _ = apply(engine, seen, now, stop(&name(of))),
            Step::Confirm(of) => _ = apply(engine, seen, now, confirm(&name(of))),
            Step::Ping(epoch) => {
                _ = apply(engine, seen, now, Ping { link, epoch, central_reachable: true }); // it may be stale
            }
            Step::StreamEnds => {
                apply(engine, seen, now, Happened::AttendEnded { link });
                link += 1;
            }
            Step::PlugIn => _ = apply(engine, seen, now, Act::PlugIn), // a car may be there
            Step::Unplug => apply(engine, seen, now, Act::Unplug).unwrap(),
            Step::Break => apply(engine, seen, now, Act::Break("smoke".into())).unwrap(),
            Step::Repair => apply(engine, seen, now, Act::Repair).unwrap(),
            Step::Delivered(id) => apply(engine, seen, now, Happened::Delivered(vec![id])),
            Step::Crash { committed } => {
                let ((), effects) = engine.apply(now, Happened::Tick);
                if committed {
                    seen.take(&effects);
                }
                wall -= 1_000_000; // its clock was wrong, too
                let interrupted = seen.disk.current.clone();
                let (back, effects) =
                    ChargePoint::restore(moment(ms, wall), settings.clone(), seen.disk.stored());
                *engine = back;
                seen.take(&effects);
                if let Some(running) = interrupted {
                    let closed = &seen.ended[running.session.as_str()];
                    assert_eq!(closed.energy, running.energy, "closed at the last persisted reading");
                    assert_eq!(closed.state, SupplyState::Ended(SupplyEnd::Interrupted));
                }
                assert_eq!(seen.disk.current, None);
                continue;
            }
        }
        let view = engine.view();
        // A number that is held or supplied stays good, whatever another session asks under it.
        let used = view.current.as_ref().map(|record| record.authorization);
        seen.dead.extend(dead.filter(|number| Some(*number) != used));
        assert_eq!(view.highest, seen.disk.highest, "what it says is on disk");
        assert_eq!(view.unsettled, seen.disk.stored().unsettled);
        assert!(engine.wake_at().is_none_or(|at| at.0 > ms), "what is due was done");
        let running = view.current.filter(|record| record.state == SupplyState::Supplying);
        assert_eq!(running, seen.disk.current, "the running supply is on disk as it is told");
        if running.is_some() {
            assert!(view.plugged_in && view.attended, "a supply needs its car and its monitor");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_inputs_breaks_a_promise(steps in steps()) {
        run(&settings(), steps);
    }

    #[test]
    fn nor_with_cars_that_come_by_themselves(steps in steps()) {
        let settings = Settings {
            plug_in_after: Some(Duration::from_millis(300)),
            duration: Some(Duration::from_millis(3_500)),
            ..settings()
        };
        run(&settings, steps);
    }
}
