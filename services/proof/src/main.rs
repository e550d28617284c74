//! What looks for a broken promise (INV-1 to INV-10 of `docs/ARCHITECTURE.md`).
//!
//! `simulate` drives the rules of every role, with central's real writer, under one clock and one random source;
//! `faults` kills, freezes and cuts off real processes on a real Kafka; `hostile` attacks real processes as strangers
//! would; `crowds` has thousands of them fail at once; `identity` measures what identities cost; `bytes` gives every
//! decoder bad input. Each looks for the opposite of what is promised, counts what it exercised, and exits 0 only if
//! nothing was found.

mod faults;
mod hostile;
mod identity;
mod process;
mod simulate;
mod stand_in;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "proof", version, about = "Looks for a broken promise of evmesh", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The rules of every role and central's writer, simulated from seeds
    Simulate(simulate::Options),
    /// Real processes on a real Kafka, killed, frozen and cut off at random
    Faults(faults::Options),
    /// Strangers' malice against real processes, a scene each, beside honest people who must not notice
    Hostile(hostile::Options),
    /// Thousands at once: engines that fall silent, beside honest people who must not notice; monitors that come back
    Crowds(hostile::crowds::Options),
    /// What identities cost: connections, calls, charges, sealing, the audit; enrolments, a rotation under load
    Identity(identity::Options),
    /// Bad input by the million for every decoder
    Bytes(proof::bytes::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Simulate(options) => simulate::run(&options),
        Command::Faults(options) => faults::run(&options),
        Command::Hostile(options) => hostile::run(&options),
        Command::Crowds(options) => hostile::crowds::run(&options),
        Command::Identity(options) => identity::run(&options),
        Command::Bytes(options) => proof::bytes::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("proof: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_a_sentence_and_every_number_a_unit() {
        let command = <Cli as clap::CommandFactory>::command();
        assert_eq!(testing::flags::unexplained(&command), Vec::<String>::new());
    }
}
