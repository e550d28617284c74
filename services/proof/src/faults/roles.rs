//! The processes of the executable, each with its command line.

use crate::process::{Group, Kind, Slot};
use std::{fmt::Display, net::SocketAddr, path::Path};

/// How long a reservation waits for its car (seconds): short, so that many expire.
pub(super) const RESERVATION_S: u64 = 6;
/// How much longer central waits: its default.
pub(super) const MARGIN_S: u64 = 2;
/// How long an engine may take to authorise: central's default.
pub(super) const AUTHORIZE_S: u64 = 5;
/// How long a supply may be silent (seconds).
const SILENCE_S: u64 = 15;
/// How often an engine with an unsettled session is asked (seconds).
const ASK_S: u64 = 10;

/// One kind of charge point: how its cars are.
pub(super) struct Cars {
    power_w: u32,
    battery_wh: u32,
    speed: u32,
    duration_s: Option<u32>,
    pub(super) plug_in_after: &'static str,
    pub(super) price: &'static str,
}

impl Cars {
    pub(super) const fn new(
        power_w: u32,
        battery_wh: u32,
        speed: u32,
        duration_s: Option<u32>,
        plug_in_after: &'static str,
        price: &'static str,
    ) -> Self {
        Self { power_w, battery_wh, speed, duration_s, plug_in_after, price }
    }
}

/// Starts processes, in this folder.
pub(super) struct Roles<'a> {
    pub(super) evmesh: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) group: &'a Group,
    /// Where Kafka is, for central, for engines and for drivers: each knows only the listener of its side.
    pub(super) kafka: [SocketAddr; 3],
}

/// What a monitor is told.
pub(super) struct Watched<'a> {
    pub(super) id: &'a str,
    pub(super) listen: SocketAddr,
    pub(super) central: SocketAddr,
    pub(super) engine: SocketAddr,
    /// Where central finds the engine.
    pub(super) advertised: SocketAddr,
    pub(super) location: &'a str,
    pub(super) price: &'a str,
}

impl Roles<'_> {
    pub(super) fn central(&self, listen: SocketAddr, metrics: SocketAddr) -> Slot {
        let flags: [(&str, &dyn Display); 12] = [
            ("listen", &listen),
            ("metrics-address", &metrics),
            ("data", &self.data("central")),
            ("kafka", &self.kafka[0]),
            ("reservation", &RESERVATION_S),
            ("reservation-margin", &MARGIN_S),
            ("authorize-timeout", &AUTHORIZE_S),
            ("supply-silence", &SILENCE_S),
            ("ask-interval", &ASK_S),
            // Its drivers reserve and cancel at will, which is no fault of theirs here.
            ("unused-reservations", &0),
            // The cars are as fast as their plan wants, and none of them is for a person to look at.
            ("charge-point-power-max", &500_000_000),
            ("session-energy-max", &10_000),
        ];
        self.slot(Kind::Central, "central".to_owned(), &flags)
    }

    pub(super) fn engine(&self, id: &str, cars: &Cars, listen: SocketAddr, central: SocketAddr) -> Slot {
        let data = self.data(id);
        let mut flags: Vec<(&str, &dyn Display)> = vec![
            ("charge-point", &id),
            ("listen", &listen),
            ("central", &central),
            ("data", &data),
            ("kafka", &self.kafka[1]),
            ("power-w", &cars.power_w),
            ("battery-wh", &cars.battery_wh),
            ("speed", &cars.speed),
            ("plug-in-after", &cars.plug_in_after),
        ];
        if let Some(duration) = &cars.duration_s {
            flags.push(("duration", duration));
        }
        self.slot(Kind::Engine, format!("{id}-engine"), &flags)
    }

    pub(super) fn monitor(&self, of: &Watched<'_>) -> Slot {
        let flags: [(&str, &dyn Display); 7] = [
            ("charge-point", &of.id),
            ("listen", &of.listen),
            ("central", &of.central),
            ("engine", &of.engine),
            ("engine-advertised", &of.advertised),
            ("location", &of.location),
            ("price", &of.price),
        ];
        self.slot(Kind::Monitor, format!("{}-monitor", of.id), &flags)
    }

    pub(super) fn driver(&self, name: String, requests: &Path, central: SocketAddr) -> Slot {
        let flags: [(&str, &dyn Display); 7] = [
            ("driver", &name.clone()),
            ("central", &central),
            ("kafka", &self.kafka[2]),
            ("output", &"json"),
            ("pause", &"0.5"),
            ("ticket-wait", &"10"),
            ("requests", &requests.display()),
        ];
        self.slot(Kind::Driver, name, &flags)
    }

    fn slot(&self, kind: Kind, name: String, flags: &[(&str, &dyn Display)]) -> Slot {
        let mut arguments = vec![kind.word().to_owned(), "--plain".to_owned()];
        for (flag, value) in flags {
            arguments.extend([format!("--{flag}"), value.to_string()]);
        }
        Slot::new(kind, name, self.evmesh, arguments, self.folder, self.group)
    }

    fn data(&self, name: &str) -> String {
        self.folder.join("data").join(name).display().to_string()
    }
}
