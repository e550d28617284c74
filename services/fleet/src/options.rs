//! How large a fleet is, and what happens in it.

use domain::{Energy, Power, simulated::Settings};
use mesh::{flags, grpc::Address, kafka::KafkaOptions};
use std::time::Duration;

/// Charge points at one site: central takes a hundred from one address where anyone may register.
pub(crate) const SITE: u32 = 100;
/// A supply ends without its monitor after this. They are in one process: nothing is lost between them.
const MONITOR_GRACE: Duration = Duration::from_secs(10);
/// A charge point whose readings others tell is looked at so often: a car comes so much late, and no monitor is missed.
const UNREAD: Duration = Duration::from_secs(3);
/// What a car takes there: a watt-hour in a hundred seconds.
const NEXT_TO_NOTHING_W: u64 = 36;

/// A fleet of simulated charge points in memory, and its drivers.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many charge points (count, 1 to 1000000). They are called FLEET-000001 and so on.
    #[arg(long, value_name = "COUNT", env = "EVMESH_FLEET_CHARGE_POINTS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub charge_points: u32,

    /// How many drivers come to them, again and again (count, 0 to 1000000).
    #[arg(long, value_name = "COUNT", env = "EVMESH_FLEET_DRIVERS", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub drivers: u32,

    /// A driver asks for its next charge so long after the last one, in the mean (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_PAUSE", default_value = "30",
          value_parser = flags::positive_seconds)]
    pub pause: Duration,

    /// How long a car stays at most, in the mean; each by chance from half to one and a half times that (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_STAY", default_value = "60",
          value_parser = flags::positive_seconds)]
    pub stay: Duration,

    /// How long it takes in the mean until a charge point breaks, for ten seconds; without it, none does (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_FAULTS", value_parser = flags::positive_seconds)]
    pub faults: Option<Duration>,

    /// So often all monitors lose central at once, and come back (seconds); without it, never.
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_STORMS", value_parser = flags::positive_seconds)]
    pub storms: Option<Duration>,

    /// Power of a supply (watts).
    #[arg(long, value_name = "WATTS", env = "EVMESH_FLEET_POWER_W", default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(1..=Power::MAX.w()))]
    pub power_w: u64,

    /// Central, for its monitors and its drivers: on this machine, as each site's address is.
    #[arg(long, value_name = "HOST:PORT", env = "EVMESH_FLEET_CENTRAL", default_value = flags::CENTRAL)]
    pub central: Address,

    /// So often a line says how the fleet is (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_EVERY", default_value = "5",
          value_parser = flags::positive_seconds)]
    pub every: Duration,

    /// It ends by itself after this (seconds); without it, at Ctrl-C.
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_RUNS", value_parser = flags::positive_seconds)]
    pub runs: Option<Duration>,

    #[command(flatten)]
    pub kafka: KafkaOptions,

    /// Its charge points tell no readings: whoever holds the fleet tells them in their stead, of any energy. They take
    /// next to nothing themselves, and say that they could deliver the most that there is.
    #[arg(skip)]
    pub told_by_others: bool,
}

impl Options {
    pub(crate) fn sites(&self) -> u32 {
        self.charge_points.div_ceil(SITE)
    }

    /// How often a charge point looks at what is due.
    pub(crate) fn look_every(&self) -> Duration {
        if self.told_by_others { UNREAD } else { Duration::from_secs(1) }
    }

    /// Of one charge point, whose cars stay so long.
    pub(crate) fn settings(&self) -> Settings {
        let power_w = if self.told_by_others { NEXT_TO_NOTHING_W } else { self.power_w };
        Settings {
            power: Power::from_w(power_w),
            battery: Energy::MAX,
            duration: Some(self.stay.mul_f64(0.5 + fastrand::f64())),
            speed: 1,
            plug_in_after: Some(Duration::from_secs(1)),
            monitor_grace: MONITOR_GRACE,
        }
    }
}
