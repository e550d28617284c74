//! The services of `evmesh up`: bound in the order in which they need each other's addresses, stopped in the order in
//! which they need each other.

use super::{
    charge_points::ChargePoint,
    folder::Folder,
    options::{Options, role},
    protection::Protection,
};
use crate::exit::{Because as _, Failure};
use domain::{ChargePointId, Energy, Location, Power};
use fleet::Fleet;
use futures_util::future::try_join_all;
use mesh::{Shutdown, grpc::SecurityOptions};
use std::{collections::BTreeMap, error::Error, net::SocketAddr, path::Path};
use tokio::task::JoinSet;

/// A network whose sockets are bound and whose stores are open.
pub(super) struct Network {
    /// Where everybody has an identity.
    pub(super) registry: Option<registry::Service>,
    pub(super) central: central::Service,
    pub(super) points: Vec<Point>,
    pub(super) bridge: Option<bridge::Service>,
    fleet: Option<fleet::Options>,
}

/// A charge point: its engine and its monitor.
pub(super) struct Point {
    pub(super) id: ChargePointId,
    pub(super) location: Location,
    engine: engine::Service,
    monitor: monitor::Service,
}

impl Point {
    pub(super) fn engine_address(&self) -> SocketAddr {
        self.engine.local_addr()
    }

    pub(super) fn monitor_address(&self) -> SocketAddr {
        self.monitor.local_addr()
    }
}

impl Network {
    /// Binds everything. The first thing that is wrong is one sentence.
    pub(super) async fn bind(
        options: &Options,
        charge_points: Vec<ChargePoint>,
        kafka: &str,
        folder: &Folder,
        protection: &Protection,
    ) -> Result<Self, Failure> {
        let kafka = options.of_kafka(kafka);
        let mut flags = vec![
            ("listen", options.listen.to_string()),
            ("data", folder.of("central").display().to_string()),
            // Its own engines simulate whatever they are told to: nothing of that is for a person to look at.
            (
                "charge-point-power-max",
                (Power::MAX.w() / 1000 * u64::from(options.speed.clamp(1, 10_000))).to_string(),
            ),
            ("session-energy-max", (Energy::MAX.wh() / 1000).to_string()),
        ];
        flags.extend(kafka.clone());
        // Before the registry, which takes in what was given out by hand at its start.
        let of_points = charge_points.iter().map(|one| protection.of_point(&one.id));
        let of_points = of_points.collect::<Result<Vec<_>, _>>()?;
        let registry = match protection.registry() {
            Some(data) => Some(bind_registry(options, data).await?),
            None => None,
        };
        let of_central = central::Options {
            security: protection.of("central/main")?,
            registry: registry.as_ref().map(|registry| registry.local_addr().into()),
            tokens: protection.tokens(),
            ..role("central", flags)?
        };
        let central = central::Service::bind(of_central).await.because()?;

        // Side by side: each waits for the disk.
        let points =
            (0..).zip(charge_points).zip(of_points).filter_map(|((index, charge_point), of_point)| {
                let of_network = (options, central.local_addr(), kafka.clone(), folder);
                of_point.map(|of_point| bind_point(of_network, index, charge_point, of_point))
            });
        let points = try_join_all(points).await?;
        let bridge = options.bridge.then(|| {
            let mut flags = vec![
                ("central", central.local_addr().to_string()),
                ("data", folder.of("bridge").display().to_string()),
            ];
            flags.extend(kafka.clone());
            let of_bridge =
                bridge::Options { security: protection.of("bridge/main")?, ..role("bridge", flags)? };
            bridge::Service::open(of_bridge).because()
        });
        let fleet = options.fleet.map(|count| of_fleet(count, central.local_addr(), kafka.clone()));
        Ok(Self { registry, central, points, bridge: bridge.transpose()?, fleet: fleet.transpose()? })
    }

    /// For people's hands at the charge points.
    pub(super) fn hands(&self) -> BTreeMap<ChargePointId, engine::Point> {
        let hands = self.points.iter().map(|point| (point.id.clone(), point.engine.point()));
        hands.collect()
    }

    /// Runs everything until the order to stop, or until one service fails: then the others are stopped, and its
    /// failure is returned. Charge points stop first, so that central hears of their last supplies.
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let mut points = JoinSet::new();
        for point in self.points {
            let (for_monitor, for_engine) = (shutdown.clone(), Shutdown::new());
            let stop_engine = for_engine.clone();
            // The monitor first, or it would complain of its engine; the engine ends its supply and tells Kafka.
            points.spawn(async move {
                let ended = point.monitor.run(for_monitor).await;
                stop_engine.start();
                ended.because()
            });
            points.spawn(async move { point.engine.run(for_engine).await.because() });
        }
        if let Some(bridge) = self.bridge {
            let shutdown = shutdown.clone();
            points.spawn(async move { bridge.run(shutdown).await.because() });
        }
        if let Some(fleet) = self.fleet {
            let shutdown = shutdown.clone();
            points.spawn(async move {
                Fleet::start(fleet, shutdown).await.because()?.run().await;
                Ok(())
            });
        }
        let (after_points, after_central) = (Shutdown::new(), Shutdown::new());
        let (stop_central, stop_registry) = (after_points.clone(), after_central.clone());
        let central = async {
            let ended = self.central.in_network(shutdown.clone()).run(after_points).await;
            shutdown.start();
            stop_registry.start();
            ended.because()
        };
        let registry = async {
            let Some(registry) = self.registry else { return Ok(()) };
            let ended = registry.run(after_central).await;
            shutdown.start(); // it may have failed
            ended.because()
        };
        let points = async {
            let ended = all(&mut points, &shutdown).await;
            shutdown.started().await;
            stop_central.start();
            ended
        };
        let (central, points, registry) = tokio::join!(central, points, registry);
        central.and(points).and(registry)
    }
}

/// The engine and the monitor of the charge point with this index, with what protects each.
async fn bind_point(
    (options, central, kafka, folder): (&Options, SocketAddr, Vec<(&'static str, String)>, &Folder),
    index: u16,
    ChargePoint { id, location, price }: ChargePoint,
    [for_engine, for_monitor]: [SecurityOptions; 2],
) -> Result<Point, Failure> {
    let mut flags = vec![
        ("charge-point", id.to_string()),
        ("listen", options.loopback(options.engine_port_base, index)?.to_string()),
        ("central", central.to_string()),
        ("data", folder.of(&format!("engine-{id}")).display().to_string()),
        ("speed", options.speed.to_string()),
    ];
    flags.extend(kafka);
    let of_engine = engine::Options { security: for_engine, ..role("engine", flags)? };
    let engine = engine::Service::bind(of_engine).await;
    let engine = engine.map_err(|error| because(&error, "--engine-port-base"))?;

    let flags = vec![
        ("charge-point", id.to_string()),
        ("location", location.to_string()),
        ("price", price.to_string()),
        ("listen", options.loopback(options.monitor_port_base, index)?.to_string()),
        ("engine", engine.local_addr().to_string()),
        ("central", central.to_string()),
    ];
    let of_monitor = monitor::Options { security: for_monitor, ..role("monitor", flags)? };
    let monitor = monitor::Service::bind(of_monitor).await;
    let monitor = monitor.map_err(|error| because(&error, "--monitor-port-base"))?;
    Ok(Point { id, location, engine, monitor })
}

/// A fleet of so many charge points, and of half as many drivers.
fn of_fleet(
    count: u32,
    central: SocketAddr,
    kafka: Vec<(&'static str, String)>,
) -> Result<fleet::Options, Failure> {
    let mut flags = vec![
        ("central", central.to_string()),
        ("charge-points", count.to_string()),
        ("drivers", count.div_ceil(2).to_string()),
    ];
    flags.extend(kafka);
    role("fleet", flags)
}

/// The registry of a network whose identities are in this folder: it is the same that made them.
async fn bind_registry(options: &Options, data: &Path) -> Result<registry::Service, Failure> {
    let listen = options.loopback(options.registry_port, 0)?.to_string();
    let of_registry = role("registry", vec![("listen", listen), ("data", data.display().to_string())])?;
    let registry = registry::Service::bind(of_registry).await;
    registry.map_err(|error| because(&error, "--registry-port"))
}

/// Waits for every task; the first that fails stops the rest, and is returned.
async fn all(tasks: &mut JoinSet<Result<(), Failure>>, shutdown: &Shutdown) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.because().flatten();
        if ended.is_err() {
            shutdown.start();
        }
        result = result.and(ended);
    }
    result
}

/// A service says `--listen` of its own command line; here the port has another flag.
fn because(error: &(dyn Error + 'static), flag: &str) -> Failure {
    match Failure::because(error) {
        Failure::Failed(text) => Failure::Failed(text.replace("--listen", flag)),
        other => other,
    }
}
