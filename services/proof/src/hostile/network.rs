//! The network that is attacked: central and two charge points as processes, on a broker of their own.

use super::honest::Attacked;
use crate::process::{self, Group, Kind, Slot};
use anyhow::Context as _;
use evmesh_proto::{
    driver::{ListChargePointsRequest, RequestChargeRequest, driver_service_client::DriverServiceClient},
    network::{ChargePointStatus, Session, Ticket},
    operations::{
        ForgetChargePointRequest, ListTicketsRequest, operator_service_client::OperatorServiceClient,
    },
};
use mesh::kafka::KafkaOptions;
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use testing::{TestBroker, embedded_broker, free_address};
use tonic::{Status, transport::Channel};

/// Everything is up within this.
const READY: Duration = Duration::from_secs(30);

/// What a car takes at each charge point (watt-hours), and what a kWh costs there (millionths of a euro).
pub(super) const BATTERY_WH: u64 = 1_000;
/// See [`BATTERY_WH`].
pub(super) const MICROS_PER_KWH: i64 = 300_000;
/// What [`BATTERY_WH`] cost (millionths of a euro).
pub(super) const BILL: i64 = 300_000;
/// Where honest people charge.
pub(super) const HONEST: &str = "MAD-01";
/// The other charge point that is what it says; its place, and that of every charge point of a scene's own.
pub(super) const OTHER: &str = "MAD-02";
/// See [`OTHER`].
pub(super) const ELSEWHERE: &str = "elsewhere";

#[derive(Debug)]
pub(super) struct Network {
    pub(super) central: SocketAddr,
    pub(super) kafka: KafkaOptions,
    pub(super) evmesh: PathBuf,
    pub(super) folder: PathBuf,
    /// The engines of [`HONEST`] and of [`OTHER`].
    pub(super) engines: [SocketAddr; 2],
    /// Central, then an engine and a monitor for each charge point.
    slots: Vec<Slot>,
    _broker: TestBroker,
    /// Last: it ends every process.
    _group: Group,
}

impl Network {
    /// With more of central's flags than it has in any case.
    pub(super) async fn start(evmesh: &Path, folder: &Path, rules: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (group, broker) = (Group::start()?, embedded_broker());
        let kafka = broker.options();
        let (servers, prefix) = (kafka.kafka.clone(), kafka.kafka_topic_prefix.clone());
        let central = free_address();
        let slot = |kind: Kind, name: &str, flags: &[(&str, String)]| {
            let mut arguments = vec![kind.word().to_owned(), "--plain".to_owned()];
            arguments.extend(flags.iter().flat_map(|(flag, value)| [format!("--{flag}"), value.clone()]));
            Slot::new(kind, name, evmesh, arguments, folder, &group)
        };
        let data = |name: &str| folder.join("data").join(name).display().to_string();
        let broker_flags = [("kafka", servers), ("kafka-topic-prefix", prefix)];
        let (power, speed) = (50_000_u64, 60_u64);
        let flags = [
            ("listen", central.to_string()),
            ("data", data("central")),
            ("charge-point-power-max", (power * speed / 1000).to_string()),
        ];
        let rules: Vec<_> = rules.iter().map(|(flag, value)| (*flag, (*value).to_owned())).collect();
        let mut slots = vec![slot(Kind::Central, "central", &[&flags[..], &rules, &broker_flags].concat())];
        let engines = [free_address(), free_address()];
        for (id, engine, place) in [(HONEST, engines[0], "Madrid"), (OTHER, engines[1], ELSEWHERE)] {
            let (engine, monitor) = (engine.to_string(), free_address().to_string());
            let (named, to_central) = (("charge-point", id.to_owned()), ("central", central.to_string()));
            let flags = [
                named.clone(),
                to_central.clone(),
                ("listen", engine.clone()),
                ("data", data(id)),
                ("power-w", power.to_string()),
                ("battery-wh", BATTERY_WH.to_string()),
                ("speed", speed.to_string()),
                ("plug-in-after", "0".to_owned()),
            ];
            let name = format!("{id}-engine");
            slots.push(slot(Kind::Engine, &name, &[&flags[..], &broker_flags].concat()));
            let (price, place) = (("price", "0.30 EUR".to_owned()), ("location", place.to_owned()));
            let flags = [named, to_central, ("listen", monitor), ("engine", engine), price, place];
            slots.push(slot(Kind::Monitor, &format!("{id}-monitor"), &flags));
        }
        for slot in &slots {
            slot.start(&mut *slot.take().await)?;
        }
        let (evmesh, folder) = (evmesh.to_owned(), folder.to_owned());
        let network = Self { central, kafka, evmesh, folder, engines, slots, _broker: broker, _group: group };
        network.is_free(HONEST).await?;
        network.is_free(OTHER).await?;
        Ok(network)
    }

    /// A connection of its caller's own.
    pub(super) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        self.connect_from(None).await
    }

    /// The same, from another address of this host.
    pub(super) async fn connect_from(
        &self,
        from: Option<IpAddr>,
    ) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Channel::from_shared(format!("http://{}", self.central));
        endpoint.expect("an address makes a URI").local_address(from).connect().await
    }

    pub(super) async fn drivers(&self) -> anyhow::Result<DriverServiceClient<Channel>> {
        Ok(DriverServiceClient::new(self.connect().await?))
    }

    pub(super) async fn operators(&self) -> anyhow::Result<OperatorServiceClient<Channel>> {
        Ok(OperatorServiceClient::new(self.connect().await?))
    }

    /// Waits until it takes a request.
    pub(super) async fn is_free(&self, id: &str) -> anyhow::Result<()> {
        let available = Some(ChargePointStatus::Available);
        eventually("it is free", async || (self.status(id).await == available).then_some(())).await
    }

    /// A charge point's status; `None` if central does not know it, or does not answer.
    pub(super) async fn status(&self, id: &str) -> Option<ChargePointStatus> {
        let list = self.drivers().await.ok()?.list_charge_points(ListChargePointsRequest::default()).await;
        let points = list.ok()?.into_inner().charge_points;
        points.iter().find(|point| point.charge_point_id == id).map(|point| point.status())
    }

    /// The charge points that central knows.
    pub(super) async fn charge_points(&self) -> anyhow::Result<Vec<String>> {
        let list = self.drivers().await?.list_charge_points(ListChargePointsRequest::default()).await?;
        Ok(list.into_inner().charge_points.into_iter().map(|point| point.charge_point_id).collect())
    }

    pub(super) async fn request(&self, driver: &str, charge_point: &str) -> Result<Session, Status> {
        let mut drivers = self.drivers().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = RequestChargeRequest {
            driver_id: driver.into(),
            charge_point_id: charge_point.into(),
            ..Default::default()
        };
        let granted = drivers.request_charge(request).await?.into_inner();
        granted.session.ok_or_else(|| Status::internal("a session was promised"))
    }

    /// The tickets of a driver, or of a charge point, where they are named.
    pub(super) async fn tickets(&self, driver: &str, charge_point: &str) -> anyhow::Result<Vec<Ticket>> {
        let list = ListTicketsRequest {
            driver_id: driver.into(),
            charge_point_id: charge_point.into(),
            page_size: 500,
            ..Default::default()
        };
        Ok(self.operators().await?.list_tickets(list).await?.into_inner().tickets)
    }

    /// A driver charges here, and is billed to the last unit.
    pub(super) async fn charges(&self, driver: &str, charge_point: &str) -> anyhow::Result<()> {
        let session = self.request(driver, charge_point).await.context("an honest request is denied")?;
        let ticket =
            eventually("a ticket", async || self.tickets(driver, charge_point).await.ok()?.pop()).await?;
        let micros = ticket.amount.as_ref().map(|amount| amount.micros);
        anyhow::ensure!(
            ticket.session_id == session.session_id
                && (ticket.energy_wh, micros) == (BATTERY_WH, Some(BILL))
                && !ticket.estimated,
            "not what was charged: {ticket:?}"
        );
        Ok(())
    }

    /// What a scene brought into the network leaves it again.
    pub(super) async fn forget(&self, charge_point: &str) -> anyhow::Result<()> {
        let mut operators = self.operators().await?;
        let request = ForgetChargePointRequest { charge_point_id: charge_point.into(), ..Default::default() };
        eventually("it is forgotten", async || operators.forget_charge_point(request.clone()).await.ok())
            .await?;
        Ok(())
    }

    /// Its monitor dies and comes back.
    pub(super) async fn restart_monitor_of_other(&self) -> anyhow::Result<()> {
        restart(&self.slots[4]).await
    }

    pub(super) async fn restart_central(&self) -> anyhow::Result<()> {
        restart(&self.slots[0]).await
    }

    /// What central has logged.
    pub(super) fn log_of_central(&self) -> anyhow::Result<Vec<u8>> {
        Ok(std::fs::read(self.slots[0].log())?)
    }

    /// What central has resident (bytes).
    pub(super) async fn memory_of_central(&self) -> anyhow::Result<u64> {
        let central = &self.slots[0];
        let id = central.id(&*central.take().await).context("central does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("/proc has no VmRSS")? * 1024)
    }
}

async fn restart(process: &Slot) -> anyhow::Result<()> {
    let mut life = process.take().await;
    anyhow::ensure!(process.kill(&mut life), "{} does not run", process.name);
    process.start(&mut life)
}

impl Attacked for Network {
    async fn driver(&self) -> Result<Channel, tonic::transport::Error> {
        self.connect().await
    }

    async fn operator(&self) -> Result<Channel, tonic::transport::Error> {
        self.connect().await
    }
}

/// Looks until there is something, as long as [`READY`].
pub(super) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    process::eventually(what, (READY, Duration::from_millis(50)), look).await
}
