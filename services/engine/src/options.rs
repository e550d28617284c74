//! How an engine is started.

use crate::seal::TelemetryForm;
use domain::{ChargePointId, Energy, Power, simulated::Settings};
use mesh::{
    flags,
    grpc::{Address, Listen, SecurityOptions, ServerOptions},
    kafka::KafkaOptions,
};
use std::{path::PathBuf, str::FromStr, time::Duration};

/// A charge point's power side, and the simulated cars that come to it.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The charge point's id: 1 to 64 letters, digits, '-', '_' or '.'. Its monitor names the same one.
    #[arg(long, env = "EVMESH_ENGINE_CHARGE_POINT", value_name = "ID")]
    pub charge_point: ChargePointId,

    /// Where central, the monitor and the panel's commands reach this engine, all addresses of a name; port 0 takes a
    /// free one.
    #[arg(long, env = "EVMESH_ENGINE_LISTEN", value_name = "HOST:PORT", default_value = flags::ENGINE)]
    pub listen: Listen,

    /// Central, for supplies asked for at the charge point itself.
    #[arg(long, env = "EVMESH_ENGINE_CENTRAL", value_name = "HOST:PORT", default_value = flags::CENTRAL)]
    pub central: Address,

    /// The folder of this engine's store: its meter, its unsettled sessions, its unsent events. Of this charge point
    /// alone.
    #[arg(long, env = "EVMESH_ENGINE_DATA", value_name = "FOLDER", default_value = "data/engine")]
    pub data: PathBuf,

    /// An empty folder is an error, rather than the beginning of a new store: for every start but the first.
    #[arg(long, env = "EVMESH_ENGINE_STORE_MUST_EXIST")]
    pub store_must_exist: bool,

    /// Power of a supply (watts).
    #[arg(long, env = "EVMESH_ENGINE_POWER_W", value_name = "WATTS", default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(1..=Power::MAX.w()))]
    pub power_w: u64,

    /// What a simulated car takes before it is full (watt-hours).
    #[arg(long, env = "EVMESH_ENGINE_BATTERY_WH", value_name = "WATT_HOURS", default_value_t = 40_000,
          value_parser = clap::value_parser!(u64).range(1..=Energy::MAX.wh()))]
    pub battery_wh: u64,

    /// How long a simulated car stays at most, in real time (seconds); without it, until the car is full.
    #[arg(long, env = "EVMESH_ENGINE_DURATION", value_name = "SECONDS", value_parser = mesh::seconds)]
    pub duration: Option<Duration>,

    /// How many times faster than real time energy flows; readings stay one a real second.
    #[arg(long, env = "EVMESH_ENGINE_SPEED", value_name = "FACTOR", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=MAX_SPEED))]
    pub speed: u32,

    /// A simulated car plugs in so long after an authorisation (seconds), and leaves after its supply; 'never' waits
    /// for a person to plug it in.
    #[arg(long, env = "EVMESH_ENGINE_PLUG_IN_AFTER", value_name = "SECONDS|never", default_value = "1")]
    pub plug_in_after: PlugIn,

    /// How long the monitor may be silent before a running supply ends and new ones are refused (seconds).
    #[arg(long, env = "EVMESH_ENGINE_MONITOR_GRACE", value_name = "SECONDS", default_value = "3",
          value_parser = mesh::seconds)]
    pub monitor_grace: Duration,

    /// In which form telemetry leaves for Kafka; without it, sealed with an identity and open without one.
    #[arg(long, env = "EVMESH_ENGINE_TELEMETRY", value_enum, requires_if("sealed", "identity"))]
    pub telemetry: Option<TelemetryForm>,

    #[command(flatten)]
    pub security: SecurityOptions,

    #[command(flatten)]
    pub server: ServerOptions,

    #[command(flatten)]
    pub kafka: KafkaOptions,
}

/// An hour in 0.36 s: faster, and a whole supply would fit between two readings.
const MAX_SPEED: i64 = 10_000;

/// When a simulated car plugs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlugIn {
    /// By itself, so long after an authorisation.
    After(Duration),
    /// By hand.
    Never,
}

impl FromStr for PlugIn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self::Never),
            _ => mesh::seconds(text).map(Self::After).map_err(|problem| format!("{problem}, or never")),
        }
    }
}

impl Options {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            power: Power::from_w(self.power_w),
            battery: Energy::from_wh(self.battery_wh),
            duration: self.duration,
            speed: self.speed,
            plug_in_after: match self.plug_in_after {
                PlugIn::After(delay) => Some(delay),
                PlugIn::Never => None,
            },
            monitor_grace: self.monitor_grace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Engine {
        #[command(flatten)]
        options: Options,
    }

    fn read(args: &[&str]) -> Result<Options, String> {
        let args = ["engine", "--charge-point", "MAD-01"].iter().chain(args);
        Engine::try_parse_from(args).map(|engine| engine.options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_a_fast_charger_and_a_car_that_takes_most_of_an_hour() {
        let given = read(&[]).unwrap();
        assert_eq!((given.power_w, given.battery_wh, given.speed, given.duration), (50_000, 40_000, 1, None));
        assert_eq!(given.plug_in_after, PlugIn::After(Duration::from_secs(1)));
        assert_eq!(given.monitor_grace, Duration::from_secs(3));
        assert_eq!((given.listen.port(), given.central.to_string()), (50061, "127.0.0.1:50051".into()));
    }

    #[test]
    fn flags_are_checked() {
        assert_eq!(read(&["--plug-in-after", "never"]).unwrap().plug_in_after, PlugIn::Never);
        for (flag, value, says) in [
            ("--plug-in-after", "soon", "or never"),
            ("--power-w", "0", "1..="),
            ("--battery-wh", "10000001", "10000000"),
            ("--speed", "0", "1..="),
            ("--central", "central", "host:port"),
        ] {
            let said = read(&[flag, value]).unwrap_err();
            assert!(said.contains(flag) && said.contains(says), "{said}");
        }
    }
}
