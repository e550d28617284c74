//! What a monitor can be told.

use domain::{ChargePointId, Location, Price, watchdog::Settings};
use mesh::{
    flags,
    grpc::{Address, Listen, SecurityOptions, ServerOptions},
};
use std::time::Duration;

/// The shortest time between two pings: below it, a busy machine looks like a dead engine.
const SHORTEST_PING_INTERVAL: Duration = Duration::from_millis(10);

/// Which charge point to watch, and where everything is.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The charge point: 1 to 64 letters, digits, '-', '_' or '.'.
    #[arg(long, env = "EVMESH_MONITOR_CHARGE_POINT", value_name = "ID")]
    pub charge_point: ChargePointId,

    /// Its place, at most 128 characters; central takes it the first time it registers.
    #[arg(long, env = "EVMESH_MONITOR_LOCATION", default_value = "", value_name = "TEXT")]
    pub location: Location,

    /// Its price a kWh, with the currency; central takes it the first time it registers.
    #[arg(long, env = "EVMESH_MONITOR_PRICE", default_value = "0.35 EUR", value_name = "AMOUNT CURRENCY")]
    pub price: Price,

    /// Where this monitor reaches the engine.
    #[arg(long, env = "EVMESH_MONITOR_ENGINE", default_value = flags::ENGINE, value_name = "HOST:PORT")]
    pub engine: Address,

    /// Where central reaches the engine, if that is elsewhere; --engine by default.
    #[arg(long, env = "EVMESH_MONITOR_ENGINE_ADVERTISED", value_name = "HOST:PORT")]
    pub engine_advertised: Option<Address>,

    /// Where central is.
    #[arg(long, env = "EVMESH_MONITOR_CENTRAL", default_value = flags::CENTRAL, value_name = "HOST:PORT")]
    pub central: Address,

    /// Where the monitor itself listens, for health checks and reflection, all addresses of a name; port 0 is any free
    /// one.
    #[arg(long, env = "EVMESH_MONITOR_LISTEN", default_value = "127.0.0.1:50071", value_name = "HOST:PORT")]
    pub listen: Listen,

    /// How often the engine is pinged (seconds, at least 0.01).
    #[arg(long, env = "EVMESH_MONITOR_PING_INTERVAL", default_value = "1", value_name = "SECONDS",
          value_parser = interval)]
    pub ping_interval: Duration,

    /// How many pings in a row an engine may leave unanswered before it counts as lost (count, from 1).
    #[arg(long, env = "EVMESH_MONITOR_MISSES", default_value_t = 3, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub misses: u32,

    #[command(flatten)]
    pub security: SecurityOptions,

    /// How the monitor's own server treats its callers.
    #[command(flatten)]
    pub server: ServerOptions,
}

impl Options {
    pub(crate) fn settings(&self) -> Settings {
        Settings { ping_interval: self.ping_interval, misses: self.misses }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = mesh::seconds(text)?;
    if interval < SHORTEST_PING_INTERVAL {
        return Err("must be at least 0.01 seconds".into());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(args_override_self = true)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = ["monitor", "--charge-point", "MAD-01"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| cli.options)
    }

    #[test]
    fn what_is_wrong_is_refused_before_anything_starts() {
        assert_eq!(parsed(&[]).unwrap().misses, 3);
        for wrong in [
            ["--charge-point", "a b"],
            ["--price", "cheap"],
            ["--engine", "nowhere"],
            ["--engine-advertised", "https://engine:1"],
            ["--ping-interval", "0"],
            ["--misses", "0"],
            ["--location", "a\nb"],
        ] {
            assert!(parsed(&wrong).is_err(), "{wrong:?}");
        }
        assert!(parsed(&["--location", &"x".repeat(129)]).is_err());
    }
}
