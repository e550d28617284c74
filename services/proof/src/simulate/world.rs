//! The whole network as plain data, under one clock and one random source.
//!
//! Time is a queue of events: each is due at a millisecond, and those of one millisecond come in the order in which
//! they were put there. Whatever a run does follows from its seed.

use super::{
    broker::Broker, central::CentralHost, driver::App, engine::PointHost, liar::Mind, plan::Plan,
    random::Random, tally::Tally, truth::Truth,
};
use domain::{Mono, Now, Wall, network::Standing};
use std::collections::BTreeMap;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) promise: &'static str,
    pub(super) text: String,
}

/// What is done when its time has come.
pub(super) type Event = Box<dyn FnOnce(&mut World)>;

/// Two places, one of which cannot reach the other for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Central,
    Engine(usize),
    Monitor(usize),
    Street,
    Broker,
}

/// The clocks of one host: the monotonic one begins anew with each process, the other one may jump.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    pub(super) booted: u64,
    /// How far the wall clock is off (ms).
    pub(super) skew: i64,
}

/// A monotonic clock's reading at the start of a process.
const HEAD_START: u64 = 3_600_000;
/// The date of the beginning of each run.
const BEGINNING: i64 = 1_700_000_000_000;

impl Clock {
    pub(super) fn now(self, at: u64) -> Now {
        Now { mono: self.mono(at), wall: Wall(BEGINNING + at.cast_signed() + self.skew) }
    }

    pub(super) fn mono(self, at: u64) -> Mono {
        Mono(HEAD_START + at.saturating_sub(self.booted))
    }

    /// When the process's clock shows this.
    pub(super) fn when(self, mono: Mono) -> u64 {
        self.booted + mono.0.saturating_sub(HEAD_START)
    }
}

pub(super) struct World {
    pub(super) at: u64,
    pub(super) random: Random,
    pub(super) plan: Plan,
    /// The safety phase: things break.
    pub(super) faults: bool,
    queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    next_id: u64,
    pub(super) central: CentralHost,
    pub(super) points: Vec<PointHost>,
    pub(super) apps: Vec<App>,
    pub(super) broker: Broker,
    /// Until when one place cannot reach another.
    pub(super) cuts: BTreeMap<(Place, Place), u64>,
    pub(super) truth: Truth,
    /// Whose identities the registry has taken back.
    pub(super) revoked: BTreeMap<usize, Standing>,
    pub(super) tally: Tally,
    pub(super) liar: Mind,
    trace: bool,
    pub(super) violation: Option<Violation>,
}

/// Says what happens, in a trace.
macro_rules! say {
    ($world:expr, $($text:tt)*) => {
        if $world.is_traced() {
            $world.line(format!($($text)*));
        }
    };
}
pub(super) use say;

/// Where this charge point's engine is.
pub(super) fn address_of(p: usize) -> String {
    format!("engine-{p}:1")
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let broker = Broker::new(plan.partitions);
        let central = CentralHost::new(plan.config.clone());
        let mut world = Self {
            at: 0,
            random,
            faults: true,
            queue: BTreeMap::new(),
            next_event: 0,
            next_id: 0,
            central,
            points: Vec::new(),
            apps: Vec::new(),
            broker,
            cuts: BTreeMap::new(),
            truth: Truth::default(),
            revoked: BTreeMap::new(),
            tally: Tally::default(),
            liar: Mind::default(),
            trace,
            violation: None,
            plan,
        };
        say!(world, "seed {seed}: {:?}", world.plan);
        for n in 0..world.plan.points {
            world.build_point(n);
        }
        for n in 0..world.plan.drivers {
            world.build_app(n);
        }
        // Any order of starts is fine (INV-9).
        let late = world.random.span(10_000);
        world.after(late, Self::central_starts);
        for p in 0..world.points.len() {
            let (engine, monitor) = (world.random.span(10_000), world.random.span(10_000));
            world.after(engine, move |world| world.engine_starts(p));
            world.after(monitor, move |world| world.monitor_starts(p, 0));
        }
        for a in 0..world.apps.len() {
            let late = world.random.span(20_000);
            world.after(late, move |world| world.app_starts(a));
        }
        world.after(1_000, Self::chaos);
        world
    }

    /// Lets time pass until this moment, or until a promise breaks.
    pub(super) fn run_until(&mut self, until: u64) {
        while self.violation.is_none() {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) else {
                break;
            };
            let ((at, _), event) = entry.remove_entry();
            self.at = at;
            self.tally.events += 1;
            event(self);
        }
        self.at = self.at.max(until);
    }

    /// Puts an event so many milliseconds from now.
    pub(super) fn after(&mut self, ms: u64, event: impl FnOnce(&mut Self) + 'static) {
        self.at(self.at + ms, event);
    }

    pub(super) fn at(&mut self, at: u64, event: impl FnOnce(&mut Self) + 'static) {
        self.next_event += 1;
        self.queue.insert((at.max(self.at), self.next_event), Box::new(event));
    }

    /// A number that was never given before in this run.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn is_traced(&self) -> bool {
        self.trace
    }

    pub(super) fn line(&self, text: String) {
        println!("{:>9.3} s  {text}", self.at as f64 / 1000.0);
    }

    /// A promise is broken: the first one ends the run.
    pub(super) fn broken(&mut self, promise: &'static str, text: String) {
        say!(self, "!!! {promise}: {text}");
        self.violation.get_or_insert(Violation { promise, text });
    }

    pub(super) fn expect(&mut self, promise: &'static str, holds: bool, text: impl FnOnce() -> String) {
        self.tally.checks += 1;
        if !holds {
            self.broken(promise, text());
        }
    }

    // --- the network ---

    /// Whose engine is at this address.
    pub(super) fn engine_at(&self, address: &str) -> Option<usize> {
        (0..self.points.len()).find(|p| address_of(*p) == address)
    }

    pub(super) fn reaches(&self, from: Place, to: Place) -> bool {
        let until = self.cuts.get(&(from, to)).max(self.cuts.get(&(to, from)));
        until.is_none_or(|until| *until <= self.at)
    }

    /// After how many milliseconds a message arrives; `None` if it is lost.
    pub(super) fn delay(&mut self, from: Place, to: Place) -> Option<u64> {
        let plan = &self.plan;
        let (loss, late) = (plan.loss, plan.late);
        if !self.faults {
            return Some(self.random.between(1, 15));
        }
        if !self.reaches(from, to) {
            self.tally.count("messages cut off");
            return None;
        }
        if self.random.one_in(loss) {
            self.tally.count("messages lost");
            return None;
        }
        if self.random.one_in(late) {
            self.tally.count("messages late");
            return Some(self.random.span(6_000));
        }
        Some(self.random.between(1, 15))
    }

    /// After how many milliseconds a copy of the same message arrives, if one does.
    pub(super) fn copy(&mut self, from: Place, to: Place) -> Option<u64> {
        let copies = self.plan.copies;
        let comes = self.faults && self.reaches(from, to) && self.random.one_in(copies);
        comes.then(|| {
            self.tally.count("messages repeated");
            self.random.span(60_000)
        })
    }
}
