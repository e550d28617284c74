//! Bad input by the million: every decoder gets bytes that nobody meant for it.
//!
//! Each target is a function of bytes that panics where a promise is broken (INV-7): a decoder answers with an error
//! or with a value that is written and read back as itself, it never panics, and it never takes more memory than its
//! input explains. `proof bytes` drives them with mutations of good examples; cargo-fuzz (`services/proof/fuzz`), by
//! coverage.

pub mod calls;
mod mutate;
mod seeds;
pub mod targets;

use mutate::Mutator;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

/// The process may have so much memory resident at the end: what it has without any input, and some to spare.
const MAX_RESIDENT_MIB: u64 = 1024;

/// How much is thrown, and from which seed.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Inputs over all targets (count)
    #[arg(long, default_value_t = 1_000_000, value_name = "COUNT")]
    runs: u64,

    /// The seed of a run that failed; a random one without it (number)
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// One target only
    #[arg(long, value_name = "NAME", value_parser = targets::ALL.map(|target| target.name))]
    target: Option<String>,
}

/// Throws, prints its tallies, and fails at the first input that breaks a promise.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let chosen: Vec<_> = targets::ALL
        .iter()
        .filter(|target| options.target.as_ref().is_none_or(|name| name == target.name))
        .collect();
    let share = |weight: u64| {
        let all: u64 = chosen.iter().map(|target| target.weight).sum();
        (options.runs * weight).div_ceil(all)
    };
    let (start, mut total) = (mesh::now().mono, 0);
    for target in &chosen {
        let (began, runs) = (mesh::now().mono, share(target.weight));
        let mut mutator = Mutator::new(seed, seeds::of(target.name));
        let mut taken = 0;
        for run in 0..runs {
            let input = mutator.next();
            match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
                Ok(understood) => taken += u64::from(understood),
                Err(_) => {
                    println!("{}: run {run} of seed {seed} broke a promise; its input:", target.name);
                    println!("{}", input.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
                    println!("again: proof bytes --seed {seed} --target {} --runs {}", target.name, run + 1);
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        total += runs;
        let seconds = mesh::now().mono.since(began).as_secs_f64();
        println!("{:<18} {runs:>8} inputs in {seconds:>5.1} s, {taken:>8} understood", target.name);
        anyhow::ensure!(
            taken > 0 && taken < runs,
            "{} tells nothing: all or none were understood",
            target.name
        );
    }
    let resident = resident_mib()?;
    println!(
        "{total} inputs in {:.1} s; at most {resident} MiB resident",
        mesh::now().mono.since(start).as_secs_f64()
    );
    anyhow::ensure!(resident <= MAX_RESIDENT_MIB, "some input took too much memory");
    Ok(ExitCode::SUCCESS)
}

/// The most memory that this process ever had resident.
fn resident_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| anyhow::anyhow!("/proc/self/status has no VmHWM"))? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_stands_some_thousand_inputs() {
        let options = Options { runs: 20_000, seed: Some(7), target: None };
        assert_eq!(run(&options).expect("each target tells something"), ExitCode::SUCCESS);
    }

    #[test]
    fn what_was_found_once_stays_mended() {
        // Read one digit off, and so not as it was written.
        let far =
            br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"1","kwh":1,"timestamp":17009223372036854775808000000.25}"#;
        assert!(targets::telemetry(far));
    }

    #[test]
    fn a_seed_gives_the_same_inputs_again() {
        for target in &targets::ALL {
            let inputs = || -> Vec<Vec<u8>> {
                let mut mutator = Mutator::new(11, seeds::of(target.name));
                (0..50).map(|_| mutator.next()).collect()
            };
            assert_eq!(inputs(), inputs());
        }
    }
}
