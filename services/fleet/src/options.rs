//! How large a fleet is, and what happens in it.

use domain::{Energy, Power, simulated::Settings};
use mesh::{flags, grpc::Address, kafka::KafkaOptions};
use std::{ops::Range, time::Duration};

/// A supply ends without its monitor after this. They are in one process: nothing is lost between them.
const MONITOR_GRACE: Duration = Duration::from_secs(10);
/// A charge point whose readings others tell is looked at so often: a car comes so much late, and no monitor is missed.
const UNREAD: Duration = Duration::from_secs(3);
/// What a car takes there: a watt-hour in a hundred seconds.
const NEXT_TO_NOTHING_W: u64 = 36;

/// A fleet of simulated charge points in memory, and its drivers.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many charge points (count, 1 to 1000000). They are called FLEET-000001 and so on, or from --first on.
    #[arg(long, value_name = "COUNT", env = "EVMESH_FLEET_CHARGE_POINTS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub charge_points: u32,

    /// The number of its first charge point, for a fleet beside others (count, 1 to 1000000).
    #[arg(long, value_name = "NUMBER", env = "EVMESH_FLEET_FIRST", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub first: u32,

    /// How many charge points share a site: an address, a connection to central and one of central's (count, 1 to 100:
    /// central takes no more from one address where anyone may register).
    #[arg(long, value_name = "COUNT", env = "EVMESH_FLEET_SITE", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub site: u32,

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

    /// How long it takes from a driver's charge to its car's plug (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_PLUG_IN_AFTER", default_value = "1",
          value_parser = flags::positive_seconds)]
    pub plug_in_after: Duration,

    /// So often each monitor reports; without it, as often as central tells it to (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_REPORTS", value_parser = flags::positive_seconds)]
    pub reports: Option<Duration>,

    /// How long it takes in the mean until a charge point breaks, for ten seconds; without it, none does (seconds).
    #[arg(long, value_name = "SECONDS", env = "EVMESH_FLEET_FAULTS", value_parser = flags::positive_seconds)]
    pub faults: Option<Duration>,

    /// So often all monitors lose central at once, and come back, 256 at a time: they share this machine with central
    /// (seconds); without it, never.
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
        self.charge_points.div_ceil(self.site)
    }

    /// Its charge points, numbered from 0.
    pub(crate) fn numbers(&self) -> Range<u32> {
        self.first - 1..self.first - 1 + self.charge_points
    }

    /// Its drivers, numbered from 0: those of another fleet have other names, unless one has more of them than charge
    /// points.
    pub(crate) fn of_drivers(&self) -> Range<u32> {
        self.first - 1..self.first - 1 + self.drivers
    }

    /// The charge points of a site: two fleets of other charge points share no site's address.
    pub(crate) fn of_site(&self, site: u32) -> Range<u32> {
        let Range { start, end } = self.numbers();
        start + site * self.site..end.min(start + (site + 1) * self.site)
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
            plug_in_after: Some(self.plug_in_after),
            monitor_grace: MONITOR_GRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_have_each_charge_point_once() {
        let options = Options { charge_points: 250, first: 1_001, ..flags::defaults::<Options>(&[]) };
        let sites: Vec<_> = (0..options.sites()).map(|site| options.of_site(site)).collect();
        assert_eq!(sites, [1_000..1_100, 1_100..1_200, 1_200..1_250]);
        let alone = Options { site: 1, charge_points: 2, ..options };
        assert_eq!((alone.sites(), alone.of_site(1)), (2, 1_001..1_002));
    }
}
