//! What every command line shares: durations, where services are, and defaults that stand once, at their flags.

use clap::{Args, Command, builder::Resettable};
use std::time::Duration;

/// Where central is unless told otherwise.
pub const CENTRAL: &str = "127.0.0.1:50051";
/// Where an engine is unless told otherwise.
pub const ENGINE: &str = "127.0.0.1:50061";
/// Where the registry is unless told otherwise.
pub const REGISTRY: &str = "127.0.0.1:50081";

/// Durations on the command line are at most so long, a year: beyond, arithmetic on clocks overflows.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// Reads a duration in seconds, decimals allowed, for clap: `value_parser = mesh::seconds`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number of seconds, such as 5 or 0.5".into()),
    }
}

/// Reads a duration in seconds that is not zero.
pub fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("must be above 0".into()),
        duration => Ok(duration),
    }
}

/// A default that the rules have, as a flag shows it: `default_value = in_seconds(Config::default().reservation)`.
pub fn in_seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

/// What a program has whose user gives these arguments and no other; its environment does not count.
///
/// # Panics
///
/// If that is no command line: a flag without a default is missing.
pub fn defaults<T: Args>(given: &[&str]) -> T {
    let command = T::augment_args(Command::new("defaults").no_binary_name(true));
    let matches = command.mut_args(|arg| arg.env(Resettable::Reset)).try_get_matches_from(given);
    matches.and_then(|matches| T::from_arg_matches(&matches)).expect("every other flag has a default")
}
