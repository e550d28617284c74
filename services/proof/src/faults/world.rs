//! The network under test: every process, and the links between them.

use super::{
    kafka::{Kafka, SIDES},
    ports::Ports,
    process::{Group, Kind, Slot},
    proxy::Link,
};
use domain::Mono;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Mutex, PoisonError},
};

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
struct Cars {
    power_w: u32,
    battery_wh: u32,
    speed: u32,
    duration_s: Option<u32>,
    plug_in_after: &'static str,
    price: &'static str,
}

/// Supplies of 3 to 12 s; at the last two a person plugs the car in, or nobody does. The currencies have two, no and three
/// decimals.
const CARS: [Cars; 8] = [
    cars(50_000, 40_000, 960, None, "0.5", "0.35 EUR"),
    cars(50_000, 40_000, 600, None, "1", "0.354321 EUR"),
    cars(50_000, 40_000, 360, None, "0.3", "0.299 EUR"),
    cars(50_000, 40_000, 240, None, "2", "0.4 EUR"),
    cars(22_000, 7_777, 200, None, "0.7", "38.55 JPY"),
    cars(11_000, 40_000, 333, Some(5), "1.5", "0.045678 KWD"),
    cars(50_000, 40_000, 480, None, "never", "0.25 EUR"),
    cars(50_000, 40_000, 240, None, "never", "0.123456 EUR"),
];

const fn cars(
    power_w: u32,
    battery_wh: u32,
    speed: u32,
    duration_s: Option<u32>,
    plug_in_after: &'static str,
    price: &'static str,
) -> Cars {
    Cars { power_w, battery_wh, speed, duration_s, plug_in_after, price }
}

/// How many driver processes there are; the run's own drivers come on top.
const APPS: usize = 3;
/// Lines in each one's file: more than it gets through between two kills.
const LINES: usize = 400;

/// A charge point.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) id: String,
    pub(super) engine: Slot,
    pub(super) monitor: Slot,
    /// Where the engine is, without any link.
    pub(super) engine_address: SocketAddr,
    pub(super) monitor_address: SocketAddr,
    /// A person plugs in here.
    pub(super) by_hand: bool,
    /// Its price at first.
    pub(super) price: (String, i64),
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct World {
    pub(super) kafka: Kafka,
    pub(super) central: Slot,
    pub(super) points: Vec<Point>,
    pub(super) apps: Vec<Slot>,
    /// Central, without any link.
    pub(super) central_address: SocketAddr,
    /// Central, as drivers reach it.
    pub(super) central_for_drivers: SocketAddr,
    pub(super) metrics_address: SocketAddr,
    pub(super) links: Vec<Link>,
    /// What is disturbed now, how often, and until when it was.
    disturbed: Mutex<BTreeMap<String, (u32, Mono)>>,
    /// Last: it ends every process.
    _group: Group,
}

impl World {
    /// Makes what is needed; no process of it runs yet but the guard.
    pub(super) async fn new(
        evmesh: &Path,
        jars: &Path,
        folder: &Path,
        random: &mut fastrand::Rng,
    ) -> anyhow::Result<Self> {
        let group = Group::start()?;
        let mut ports = Ports::new();
        let kafka = Kafka::prepare(jars, folder, &mut ports, &group)?;
        let mut links = Vec::new();
        for (index, side) in SIDES.iter().enumerate() {
            let name = format!("{side}↔kafka");
            links.push(Link::start(name, kafka.outer[index], kafka.inner[index]).await?);
        }
        let (central_address, metrics_address) = (ports.take()?, ports.take()?);
        let central_for_drivers = ports.take()?;
        links.push(Link::start("drivers↔central", central_for_drivers, central_address).await?);
        let text = |value: &dyn std::fmt::Display| value.to_string();
        let flags = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let data = |name: &str| folder.join("data").join(name).display().to_string();
        // An engine or a driver knows only the listener of its side: central's is the first.
        let central = Slot::new(
            Kind::Central,
            "central",
            evmesh,
            flags(&[
                "central",
                "--plain",
                "--listen",
                &text(&central_address),
                "--metrics-address",
                &text(&metrics_address),
                "--data",
                &data("central"),
                "--kafka",
                &text(&kafka.outer[0]),
                "--reservation",
                &text(&RESERVATION_S),
                "--reservation-margin",
                &text(&MARGIN_S),
                "--authorize-timeout",
                &text(&AUTHORIZE_S),
                "--supply-silence",
                &text(&SILENCE_S),
                "--ask-interval",
                &text(&ASK_S),
            ]),
            folder,
            &group,
        );
        let mut points = Vec::new();
        for (index, cars) in CARS.iter().enumerate() {
            let id = format!("CP-{}", index + 1);
            let (engine_address, monitor_address) = (ports.take()?, ports.take()?);
            let (engine_link, attend, up) = (ports.take()?, ports.take()?, ports.take()?);
            links.push(Link::start(format!("central→{id}"), engine_link, engine_address).await?);
            links.push(Link::start(format!("monitor→{id}"), attend, engine_address).await?);
            links.push(Link::start(format!("{id}→central"), up, central_address).await?);
            let mut engine = flags(&[
                "engine",
                "--plain",
                "--charge-point",
                &id,
                "--listen",
                &text(&engine_address),
                "--central",
                &text(&up),
                "--data",
                &data(&id),
                "--kafka",
                &text(&kafka.outer[1]),
                "--power-w",
                &text(&cars.power_w),
                "--battery-wh",
                &text(&cars.battery_wh),
                "--speed",
                &text(&cars.speed),
                "--plug-in-after",
                cars.plug_in_after,
            ]);
            if let Some(duration) = cars.duration_s {
                engine.extend(["--duration".to_owned(), duration.to_string()]);
            }
            let monitor = flags(&[
                "monitor",
                "--plain",
                "--charge-point",
                &id,
                "--listen",
                &text(&monitor_address),
                "--central",
                &text(&up),
                "--engine",
                &text(&attend),
                "--engine-advertised",
                &text(&engine_link),
                "--location",
                if index % 2 == 0 { "Madrid" } else { "Sevilla" },
                "--price",
                cars.price,
            ]);
            let price: domain::Price = cars.price.parse()?;
            points.push(Point {
                engine: Slot::new(Kind::Engine, format!("{id}-engine"), evmesh, engine, folder, &group),
                monitor: Slot::new(Kind::Monitor, format!("{id}-monitor"), evmesh, monitor, folder, &group),
                id,
                engine_address,
                monitor_address,
                by_hand: cars.plug_in_after == "never",
                price: (
                    price.currency().to_string(),
                    i64::try_from(price.micros_per_kwh()).unwrap_or(i64::MAX),
                ),
            });
        }
        let mut apps = Vec::new();
        for number in 1..=APPS {
            let name = format!("app-{number}");
            let file = folder.join(format!("{name}.requests"));
            let line = |_| match random.usize(0..10) {
                0 => "any".to_owned(),
                1 => "any Sevilla".to_owned(),
                _ => points[random.usize(0..points.len())].id.clone(),
            };
            let lines: Vec<String> = (0..LINES).map(line).collect();
            fs::write(&file, lines.join("\n"))?;
            let arguments = flags(&[
                "driver",
                "--plain",
                "--driver",
                &name,
                "--central",
                &text(&central_for_drivers),
                "--kafka",
                &text(&kafka.outer[2]),
                "--output",
                "json",
                "--pause",
                "0.5",
                "--ticket-wait",
                "10",
                "--requests",
                &file.display().to_string(),
            ]);
            apps.push(Slot::new(Kind::Driver, name, evmesh, arguments, folder, &group));
        }
        Ok(Self {
            kafka,
            central,
            points,
            apps,
            central_address,
            central_for_drivers,
            metrics_address,
            links,
            disturbed: Mutex::default(),
            _group: group,
        })
    }

    /// Every process that is to run, Kafka first.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let of_points = self.points.iter().flat_map(|point| [&point.engine, &point.monitor]);
        [&self.kafka.slot, &self.central].into_iter().chain(of_points).chain(&self.apps)
    }

    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Something is being done to this part, which `whom` depends on, until the guard is dropped.
    pub(super) fn disturb(&self, whom: &str) -> Disturbance<'_> {
        let mut disturbed = self.disturbed.lock().unwrap_or_else(PoisonError::into_inner);
        disturbed.entry(whom.to_owned()).or_default().0 += 1;
        Disturbance { world: self, whom: whom.to_owned() }
    }

    /// Since when nothing was done to this part; `None` while something is.
    pub(super) fn calm_since(&self, whom: &str) -> Option<Mono> {
        let disturbed = self.disturbed.lock().unwrap_or_else(PoisonError::into_inner);
        match disturbed.get(whom) {
            None => Some(Mono::default()),
            Some((0, since)) => Some(*since),
            Some(_) => None,
        }
    }
}

/// See [`World::disturb`].
#[derive(Debug)]
pub(super) struct Disturbance<'a> {
    world: &'a World,
    whom: String,
}

impl Drop for Disturbance<'_> {
    fn drop(&mut self) {
        let mut disturbed = self.world.disturbed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, since)) = disturbed.get_mut(&self.whom) {
            *count = count.saturating_sub(1);
            *since = mesh::now().mono;
        }
    }
}
