//! The network that is attacked: central and two charge points as processes, on a broker of their own.

use crate::process::{Group, Kind, Slot};
use anyhow::Context as _;
use evmesh_proto::{
    driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient},
    network::ChargePointStatus,
};
use mesh::{
    kafka::KafkaOptions,
    testing::{TestBroker, embedded_broker, free_address},
};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

/// Everything is up within this.
const READY: Duration = Duration::from_secs(30);

/// What a car takes at each charge point (watt-hours), and what a kWh costs there (millionths of a euro).
pub(super) const BATTERY_WH: u64 = 1_000;
/// See [`BATTERY_WH`].
pub(super) const MICROS_PER_KWH: u64 = 300_000;
/// Where honest people charge.
pub(super) const HONEST: &str = "MAD-01";

#[derive(Debug)]
pub(super) struct Network {
    pub(super) central: SocketAddr,
    pub(super) kafka: KafkaOptions,
    slots: Vec<Slot>,
    _broker: TestBroker,
    /// Last: it ends every process.
    _group: Group,
}

impl Network {
    pub(super) async fn start(evmesh: &Path, folder: &Path) -> anyhow::Result<Self> {
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
        let flags = [("listen", central.to_string()), ("data", data("central"))];
        let mut slots = vec![slot(Kind::Central, "central", &[&flags[..], &broker_flags].concat())];
        for id in [HONEST, "MAD-02"] {
            let (engine, monitor) = (free_address().to_string(), free_address().to_string());
            let (named, to_central) = (("charge-point", id.to_owned()), ("central", central.to_string()));
            let flags = [
                named.clone(),
                to_central.clone(),
                ("listen", engine.clone()),
                ("data", data(id)),
                ("power-w", "50000".to_owned()),
                ("battery-wh", BATTERY_WH.to_string()),
                ("speed", "60".to_owned()),
                ("plug-in-after", "0".to_owned()),
            ];
            let name = format!("{id}-engine");
            slots.push(slot(Kind::Engine, &name, &[&flags[..], &broker_flags].concat()));
            let price = ("price", "0.30 EUR".to_owned());
            let flags = [named, to_central, ("listen", monitor), ("engine", engine), price];
            slots.push(slot(Kind::Monitor, &format!("{id}-monitor"), &flags));
        }
        for slot in &slots {
            slot.start(&mut *slot.take().await)?;
        }
        let network = Self { central, kafka, slots, _broker: broker, _group: group };
        network.ready().await?;
        Ok(network)
    }

    /// A connection of its caller's own.
    pub(super) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Channel::from_shared(format!("http://{}", self.central));
        endpoint.expect("an address makes a URI").connect().await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let until = Instant::now() + READY;
        loop {
            let free = self.free().await;
            if matches!(free, Ok(2)) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "not ready within {READY:?}: {free:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn free(&self) -> anyhow::Result<usize> {
        let mut client = DriverServiceClient::new(self.connect().await?);
        let answer = client.list_charge_points(ListChargePointsRequest::default()).await?.into_inner();
        let free =
            |point: &&evmesh_proto::network::ChargePoint| point.status() == ChargePointStatus::Available;
        Ok(answer.charge_points.iter().filter(free).count())
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
