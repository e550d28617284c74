//! Which faults, and when: all of it follows from the seed.

use std::time::Duration;
use testing::Mode;

/// A process that is killed or frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Central,
    Broker,
    Engine(usize),
    Monitor(usize),
    Driver(usize),
}

/// A fault. Charge points, drivers and links are numbers that the world takes modulo what it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// SIGKILL, and started again after this.
    Kill(Target, Duration),
    /// SIGSTOP, and SIGCONT after this.
    Freeze(Target, Duration),
    /// A link is so for so long.
    Link(usize, Mode, Duration),
    /// Central's call to this charge point gets no answer, over a link that is so: its session stays in authorising,
    /// then ended and unsettled. The target is killed in each of the two.
    Catch(usize, Target, Mode),
}

/// How often each happens (a minute).
const RATES: [(f64, Draw); 10] = [
    (3.3, |random| Fault::Kill(Target::Central, down(random))),
    (1.35, |random| Fault::Kill(Target::Broker, down(random))),
    (9.5, |random| Fault::Kill(Target::Engine(random.usize(..)), down(random))),
    (12.0, |random| Fault::Kill(Target::Monitor(random.usize(..)), down(random))),
    (11.0, |random| Fault::Kill(Target::Driver(random.usize(..)), short(random))),
    (3.6, |random| Fault::Catch(random.usize(..), caught(random), unanswered(random))),
    (0.9, |random| Fault::Freeze(Target::Central, long(random))),
    (0.6, |random| Fault::Freeze(Target::Broker, long(random))),
    (5.0, |random| {
        let target = match random.u32(0..5) {
            0 | 1 => Target::Engine(random.usize(..)),
            2 | 3 => Target::Monitor(random.usize(..)),
            _ => Target::Driver(random.usize(..)),
        };
        Fault::Freeze(target, long(random))
    }),
    (9.0, |random| Fault::Link(random.usize(..), mode(random), long(random))),
];

type Draw = fn(&mut fastrand::Rng) -> Fault;

/// A run must reach these (a minute), or it proves nothing: thirty minutes of them are what the project promises.
pub(super) mod least {
    use super::super::journal::Moment;
    use crate::process::Kind;

    pub(crate) const KILLS: f64 = 33.5;
    pub(crate) const TICKETS: f64 = 5.0;

    pub(crate) fn of(kind: Kind) -> f64 {
        match kind {
            Kind::Central => 3.35,
            Kind::Broker => 1.01,
            Kind::Engine => 6.7,
            Kind::Monitor => 6.0,
            Kind::Driver => 5.0,
            Kind::Registry => 0.0, // there is none
        }
    }

    /// Kills of anything while a session concerned was so.
    pub(crate) fn in_state(moment: Moment) -> f64 {
        match moment {
            Moment::None | Moment::Authorizing | Moment::Reserved | Moment::Supplying | Moment::Unsettled => {
                0.68
            }
        }
    }
}

/// Mostly at once, sometimes long enough that the others notice.
fn down(random: &mut fastrand::Rng) -> Duration {
    match random.u32(0..6) {
        0 => Duration::from_millis(random.u64(3500..7000)),
        _ => short(random),
    }
}

fn short(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(0..1200))
}

/// Around the three intervals after which the others notice.
fn long(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(500..6500))
}

fn caught(random: &mut fastrand::Rng) -> Target {
    match random.u32(0..5) {
        0..2 => Target::Central,
        2..4 => Target::Engine(0), // that of the charge point
        _ => Target::Monitor(0),
    }
}

/// Mostly the engine hears nothing. If it does, its car may come, and the session goes on by what Kafka says.
fn unanswered(random: &mut fastrand::Rng) -> Mode {
    if random.u32(0..4) == 0 { Mode::Deaf } else { Mode::Silent }
}

fn mode(random: &mut fastrand::Rng) -> Mode {
    match random.u32(0..4) {
        0 => Mode::Cut,
        1 => Mode::Silent,
        2 => Mode::Deaf,
        _ => Mode::Slow(Duration::from_millis(random.u64(50..1500))),
    }
}

/// Every fault of a run, by its time. Each kind comes at its own pace, so that none is missing from a short run.
pub(super) fn plan(random: &mut fastrand::Rng, lasts: Duration) -> Vec<(Duration, Fault)> {
    let mut plan = Vec::new();
    for (a_minute, draw) in RATES {
        let every = 60.0 / a_minute;
        let mut at = every * random.f64() * 0.5;
        while at < lasts.as_secs_f64() {
            plan.push((Duration::from_secs_f64(at), draw(random)));
            at += every * (0.6 + 0.8 * random.f64());
        }
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_enough_of_them() {
        let lasts = Duration::from_secs(600);
        let made = plan(&mut fastrand::Rng::with_seed(7), lasts);
        assert_eq!(made, plan(&mut fastrand::Rng::with_seed(7), lasts));
        let kills = |fault: &Fault| match fault {
            Fault::Kill(..) => 1.0,
            Fault::Catch(..) => 2.0,
            Fault::Freeze(..) | Fault::Link(..) => 0.0,
        };
        let planned: f64 = made.iter().map(|(_, fault)| kills(fault)).sum();
        assert!(planned > least::KILLS * 10.0 * 1.1, "{planned} kills in ten minutes");
    }
}
