//! What every service needs, and nothing of what any of them decides: the gRPC stacks, Kafka, the store, the clock,
//! shutdown, logs and metrics.
//!
//! Nothing here is global but the log and metrics recorder of [`observability::init`], so that a whole network runs in one
//! process.

pub mod backoff;
pub mod clock;
pub mod convert;
pub mod grpc;
pub mod kafka;
pub mod observability;
pub mod shutdown;
pub mod store;
#[cfg(feature = "harness")]
pub mod testing;
pub mod trace;

pub use clock::now;
pub use shutdown::Shutdown;

use std::time::Duration;

/// Durations on the command line are at most so long, a year: beyond, arithmetic on clocks overflows.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// Reads a duration in seconds, decimals allowed, for clap: `value_parser = mesh::seconds`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number of seconds, such as 5 or 0.5".into()),
    }
}
