//! The two networks that are compared, alike but for what protects them: central as a process, and beside it charge
//! points and drivers of this one.

use super::{
    point::{Kind, Point},
    server::{Server, eventually},
};
use crate::process::Group;
use evmesh_proto::driver::{ListTicketsRequest, driver_service_client::DriverServiceClient};
use identity::folder::NETWORK;
use mesh::{
    grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers, Security},
    kafka::KafkaOptions,
};
use registry::{Data, lifetime};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use testing::{free_address, of_folder};

/// Who makes tokens, and reads the audit.
pub(super) const ADMIN: &str = "admin/figures";

/// Where a run's things are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) evmesh: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) group: Group,
}

/// How callers show who they are: not at all, or by identities of this registry's.
#[derive(Debug)]
pub(super) enum Protection {
    Plain,
    Secured { data: PathBuf, registry: SocketAddr },
}

impl Protection {
    /// Somebody's of this role.
    pub(super) fn of(&self, role: &str) -> anyhow::Result<Security> {
        let Self::Secured { data, .. } = self else { return Ok(Security::Loopback) };
        let (role, to) = (role.parse()?, data.with_extension("given").join(role));
        let lifetime = lifetime(&role);
        Data::at(data).issue(role, &to, &[], lifetime, mesh::now().wall)?;
        Ok(of_folder(to))
    }
}

/// One of the two.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) protection: Protection,
    pub(super) address: SocketAddr,
    pub(super) central: Server,
    /// With the prefix of its own topics.
    pub(super) kafka: KafkaOptions,
}

impl Side {
    pub(super) async fn start(
        name: &str,
        place: &Place,
        protection: Protection,
        kafka: &KafkaOptions,
    ) -> anyhow::Result<Self> {
        let address = free_address();
        let data = place.folder.join(name).display().to_string();
        let mut kafka = kafka.clone();
        kafka.kafka_topic_prefix.push_str(name);
        let mut arguments: Vec<String> = ["central", "--plain", "--log", "warn"].map(str::to_owned).into();
        let mut flag = |flag: &str, value: String| arguments.extend([format!("--{flag}"), value]);
        flag("listen", address.to_string());
        flag("data", data);
        flag("kafka", kafka.kafka.clone());
        flag("kafka-topic-prefix", kafka.kafka_topic_prefix.clone());
        // Drivers reserve and cancel at will, and a car takes what the run tells of it.
        flag("unused-reservations", "0".to_owned());
        flag("supply-silence", "3600".to_owned());
        flag("charge-point-power-max", "500000000".to_owned());
        flag("session-energy-max", "10000".to_owned());
        if let Protection::Secured { data, registry } = &protection {
            flag("identity", data.join("identities/central").display().to_string());
            flag("registry", registry.to_string());
        }
        let log = place.folder.join(format!("{name}.log"));
        let central = Server::start((&place.evmesh, &log), arguments, &place.group)?;
        let side = Self { protection, address, central, kafka };
        let mut first = side.driver("first")?;
        eventually("central serves", async || first.list_tickets(tickets("first")).await.ok()).await?;
        Ok(side)
    }

    /// A driver with a connection of its own.
    pub(super) fn driver(&self, id: &str) -> anyhow::Result<DriverServiceClient<Peer>> {
        Ok(client(&self.peers(id)?, self.address))
    }

    /// As a driver reaches others.
    pub(super) fn peers(&self, driver: &str) -> anyhow::Result<Peers> {
        Ok(Peers::new(self.protection.of(&format!("driver/{driver}"))?))
    }

    pub(super) async fn point(&self, id: &str, kind: Kind) -> anyhow::Result<Point> {
        let of = |what: &str| self.protection.of(&format!("charge-point/{id}/{what}"));
        Point::start((id.to_owned(), kind), self.address, [of("engine")?, of("monitor")?]).await
    }
}

pub(super) fn client(peers: &Peers, central: SocketAddr) -> DriverServiceClient<Peer> {
    DriverServiceClient::new(peers.peer(&Address::from(central), Expected::Central, CALL_TIMEOUT))
}

/// A call that is as small as any: a driver's tickets, of whom there are none.
pub(super) fn tickets(driver: &str) -> ListTicketsRequest {
    ListTicketsRequest { driver_id: driver.to_owned(), ..ListTicketsRequest::default() }
}

/// How many authorities a folder believes.
pub(super) fn believed(folder: &Path) -> usize {
    let text = std::fs::read_to_string(folder.join(NETWORK)).unwrap_or_default();
    text.matches("BEGIN CERTIFICATE").count()
}
