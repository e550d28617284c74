//! The seeded simulation: the real rules of every role, central's real writer, the real encoding and decoding of what
//! is stored and sent; broker, network, disks and clocks are plain data under one clock and one random source.
//!
//! In each run things break for some minutes, with every promise checked after each step; then faults stop, and
//! everything has to come right by itself. A seed is a run: the same again, on every machine.
//!
//! Deliberately absent: threads, sockets, real time. Those are what `faults` is for.

mod breaks;
mod broker;
mod callers;
mod central;
mod chaos;
mod checks;
mod disk;
mod driver;
mod engine;
mod forger;
mod liar;
mod liveness;
mod manual;
mod monitor;
mod operator;
mod plan;
mod random;
mod revocation;
mod tally;
mod truth;
mod wire;
mod world;

use std::{
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tally::Tally;
use world::{Violation, World};

/// How much to simulate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many seeds to run (count)
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    seeds: u64,

    /// The first seed (number)
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,

    /// Only this seed (number)
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "random", "soak"])]
    seed: Option<u64>,

    /// Say what happens, step by step
    #[arg(long, requires = "seed")]
    trace: bool,

    /// Begin at a seed that nobody has chosen; it is printed
    #[arg(long, conflicts_with = "from")]
    random: bool,

    /// For ever, until a promise breaks
    #[arg(long, conflicts_with = "seeds")]
    soak: bool,

    /// Break a copy of the product on purpose, in every way or in this one, and show that each break is caught
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "all",
          conflicts_with_all = ["seeds", "from", "seed", "random", "soak"])]
    breaks: Option<String>,

    /// For `--breaks`: one seed after the other; the seeds run and the first violation, each on its line
    #[arg(long, hide = true)]
    until_broken: bool,
}

/// What came of one seed.
struct Outcome {
    seed: u64,
    violation: Option<Violation>,
    tally: Tally,
}

/// Plays one seed. A panic anywhere in the product is a broken promise too.
fn play(seed: u64, trace: bool) -> Outcome {
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, trace);
        world.play();
        (world.violation.take(), std::mem::take(&mut world.tally))
    }));
    match played {
        Ok((violation, tally)) => Outcome { seed, violation, tally },
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            let text = format!("it panics: {}", said.unwrap_or_default());
            Outcome { seed, violation: Some(Violation { promise: "INV-7", text }), tally: Tally::default() }
        }
    }
}

/// Runs what was asked for; success only if no promise was broken.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(name) = &options.breaks {
        return breaks::run(Some(name.as_str()).filter(|name| *name != "all"));
    }
    std::panic::set_hook(Box::new(|_| {})); // a panic is told with its seed
    if options.until_broken {
        return Ok(until_broken(options.seeds));
    }
    let from = match options.seed {
        Some(seed) => seed,
        None if options.random => fastrand::u64(..) >> 16,
        None => options.from,
    };
    let count = match options.seed {
        Some(_) => 1,
        None if options.soak => u64::MAX - from,
        None => options.seeds,
    };
    if options.random {
        println!("from seed {from}");
    }
    let begun = mesh::now().mono;
    let (ran, tally, broken) = play_all(from, count, options.trace);
    let seconds = mesh::now().mono.since(begun).as_secs_f64();
    tally.print();
    println!("{ran} seeds in {seconds:.1} s: {:.1} a second", ran as f64 / seconds);
    for outcome in &broken {
        if let Some(Violation { promise, text }) = &outcome.violation {
            println!("seed {}: {promise}: {text}", outcome.seed);
            println!("  replay it: proof simulate --seed {} --trace", outcome.seed);
        }
    }
    if broken.is_empty() {
        println!("no promise was broken");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Plays one seed after the other up to the first violation.
fn until_broken(seeds: u64) -> ExitCode {
    for seed in 1..=seeds {
        if let Some(Violation { promise, text }) = play(seed, false).violation {
            println!("{seed}\n{promise}\t{}", text.lines().next().unwrap_or_default());
            return ExitCode::FAILURE;
        }
    }
    println!("{seeds}");
    ExitCode::SUCCESS
}

/// Plays the seeds on all cores, until they are done or a few have failed.
fn play_all(from: u64, count: u64, trace: bool) -> (u64, Tally, Vec<Outcome>) {
    const FAILURES: usize = 5;
    /// A long run says that it lives.
    const PROGRESS: u64 = 5_000;
    let next = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    let results = Mutex::new((0, Tally::default(), Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|threads| {
        for _ in 0..cores {
            threads.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    let outcome = play(from + n, trace);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.0 += 1;
                    results.1.merge(&outcome.tally);
                    if results.0 % PROGRESS == 0 {
                        println!("… {} seeds, {} supplies", results.0, results.1.get("supplies started"));
                    }
                    if outcome.violation.is_some() {
                        results.2.push(outcome);
                        enough.store(results.2.len() >= FAILURES || count > 1 << 40, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (ran, tally, mut broken) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_by_key(|outcome| outcome.seed);
    (ran, tally, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few of the runs that `proof simulate` makes by the hundred; it is the place to look for more.
    #[test]
    fn no_promise_breaks_whatever_is_lost_repeated_late_or_killed() {
        let mut tally = Tally::default();
        for seed in 1..=30 {
            let outcome = play(seed, false);
            assert_eq!(outcome.violation, None, "proof simulate --seed {seed} --trace");
            tally.merge(&outcome.tally);
        }
        for what in [
            "lies told to central",
            "central died",
            "engine died",
            "supplies started",
            "tickets exact",
            "told TICKET",
            "charge points cut off",
        ] {
            assert!(tally.get(what) > 20, "an idle run proves nothing: {what} {}", tally.get(what));
        }
        assert!(tally.get("manual supplies granted") > 0, "an engine's own requests are granted");
        for state in ["reserved", "supplying", "ended, unsettled"] {
            let revoked =
                ["Cut", "Draining"].map(|how| tally.get(&format!("revoked, {how}: session {state}")));
            assert!(revoked.iter().sum::<u64>() > 0, "nobody is revoked whose session is {state}");
        }
    }

    #[test]
    fn a_seed_is_a_run() {
        let (one, two) = (play(7, false).tally, play(7, false).tally);
        assert_eq!((one.events, one.checks), (two.events, two.checks));
    }
}
