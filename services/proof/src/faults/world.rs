//! The network under test: every process, and the links between them.

use super::{
    kafka::{Kafka, SIDES},
    roles::{Cars, Roles, Watched},
};
use crate::process::{Group, Slot};
use domain::Mono;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Mutex, PoisonError},
};
use testing::{Mode, Proxy, free_address};

/// Supplies of 3 to 12 s; at the last two a person plugs the car in, or nobody does. The currencies have two, no and
/// three decimals.
const CARS: [Cars; 8] = [
    Cars::new(50_000, 40_000, 960, None, "0.5", "0.35 EUR"),
    Cars::new(50_000, 40_000, 600, None, "1", "0.354321 EUR"),
    Cars::new(50_000, 40_000, 360, None, "0.3", "0.299 EUR"),
    Cars::new(50_000, 40_000, 240, None, "2", "0.4 EUR"),
    Cars::new(22_000, 7_777, 200, None, "0.7", "38.55 JPY"),
    Cars::new(11_000, 40_000, 333, Some(5), "1.5", "0.045678 KWD"),
    Cars::new(50_000, 40_000, 480, None, "never", "0.25 EUR"),
    Cars::new(50_000, 40_000, 240, None, "never", "0.123456 EUR"),
];

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

/// A link between two processes.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    proxy: Proxy,
}

impl Link {
    async fn start(name: impl Into<String>, target: SocketAddr) -> Self {
        Self::start_at(name, free_address(), target).await
    }

    async fn start_at(name: impl Into<String>, address: SocketAddr, target: SocketAddr) -> Self {
        Self { name: name.into(), proxy: Proxy::start_at(address, target).await }
    }

    /// Where whoever it is for finds it.
    fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    pub(super) fn set(&self, mode: Mode) {
        self.proxy.set(mode);
    }
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
        let kafka = Kafka::prepare(jars, folder, &group)?;
        let mut links = Vec::new();
        for (index, side) in SIDES.iter().enumerate() {
            let name = format!("{side}↔kafka");
            links.push(Link::start_at(name, kafka.outer[index], kafka.inner[index]).await);
        }
        let (central_address, metrics_address) = (free_address(), free_address());
        let to_central = Link::start("drivers↔central", central_address).await;
        let central_for_drivers = to_central.address();
        links.push(to_central);
        let roles = Roles { evmesh, folder, group: &group, kafka: kafka.outer };
        let central = roles.central(central_address, metrics_address);
        let mut points = Vec::new();
        for (index, cars) in CARS.iter().enumerate() {
            let id = format!("CP-{}", index + 1);
            let (engine_address, monitor_address) = (free_address(), free_address());
            let to_engine = Link::start(format!("central→{id}"), engine_address).await;
            let attend = Link::start(format!("monitor→{id}"), engine_address).await;
            let up = Link::start(format!("{id}→central"), central_address).await;
            let price: domain::Price = cars.price.parse()?;
            points.push(Point {
                engine: roles.engine(&id, cars, engine_address, up.address()),
                monitor: roles.monitor(&Watched {
                    id: &id,
                    listen: monitor_address,
                    central: up.address(),
                    engine: attend.address(),
                    advertised: to_engine.address(),
                    location: if index % 2 == 0 { "Madrid" } else { "Sevilla" },
                    price: cars.price,
                }),
                id,
                engine_address,
                monitor_address,
                by_hand: cars.plug_in_after == "never",
                price: (
                    price.currency().to_string(),
                    i64::try_from(price.micros_per_kwh()).unwrap_or(i64::MAX),
                ),
            });
            links.extend([to_engine, attend, up]);
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
            apps.push(roles.driver(name, &file, central_for_drivers));
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
