//! The services as production serves them, over stores in memory and without sockets, Kafka or one another.

use central::{
    events::Events,
    roster::{self, Roster},
    writer::{self, Outlets, Writer},
};
use evmesh_proto::store::StoredEngine;
use mesh::{
    Shutdown, flags, group_commit,
    grpc::{ServerOptions, Stack},
    kafka::{KafkaOptions, Producer},
    store::{Batch, MemoryStore, Store as _},
};
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use registry::{Beginning, Data, Registry};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// No call takes longer: the peers that could be asked are not there.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Nobody listens here.
const NOWHERE: &str = "127.0.0.1:1";

/// Central, an engine and a registry.
pub(super) struct Servers {
    central: Stack,
    engine: Stack,
    registry: Stack,
    // They serve as long as these are kept.
    _writer: writer::Running,
    _registrar: group_commit::Running<registry::Error>,
    stop: Shutdown,
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.start();
    }
}

impl Servers {
    /// Needs a tokio runtime.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let stop = Shutdown::new();
        let (central, writer) = central(&stop)?;
        let (registry, registrar) = registry()?;
        let engine = engine(&stop).await?;
        Ok(Self { central, engine, registry, _writer: writer, _registrar: registrar, stop })
    }

    /// The one that serves this method.
    pub(super) fn of(&mut self, method: &MethodDescriptor) -> &mut Stack {
        match method.parent_service().parent_file().package_name() {
            "evmesh.engine.v1" => &mut self.engine,
            "evmesh.registry.v1" => &mut self.registry,
            _ => &mut self.central,
        }
    }
}

fn kafka() -> KafkaOptions {
    KafkaOptions::at(NOWHERE)
}

fn central(stop: &Shutdown) -> anyhow::Result<(Stack, writer::Running)> {
    let mut options = central::Options { kafka: kafka(), ..flags::defaults(&[]) };
    options.server = server();
    options.rules.authorize_timeout = TIMEOUT;
    let writer = Writer::open(MemoryStore::new(), options.rules.config()?, mesh::now())?;
    let outlets = Outlets {
        events: Events::new().0,
        producer: Producer::new(&options.kafka, "bytes")?,
        notifications: Arc::default(),
        dead_letters: Arc::default(),
        changelog: Arc::default(),
        lag: watch::Sender::default(),
        refused: Default::default(),
    };
    let (handle, running) = central::start(writer, outlets, TIMEOUT, mesh::grpc::Peers::default())?;
    let roster = roster::spawn(watch::Sender::new(Arc::new(Roster::default())), handle.clone(), stop.clone());
    Ok((central::server(&options, &handle, roster, Default::default()).without_socket(), running))
}

async fn engine(stop: &Shutdown) -> anyhow::Result<Stack> {
    // A store that has begun: its examples name its instance.
    let (mut store, mut batch) = (MemoryStore::new(), Batch::default());
    let begun = StoredEngine {
        format: engine::FORMAT,
        charge_point_id: "MAD-01".into(),
        instance_id: "store".into(),
        ..StoredEngine::default()
    };
    batch.put("engine", begun.encode_to_vec());
    store.commit(batch)?;
    let given =
        ["--charge-point", "MAD-01", "--listen", "127.0.0.1:0", "--central", NOWHERE, "--kafka", NOWHERE];
    let options = flags::defaults(&given);
    let service = engine::Service::bind_on(options, move || Ok(Box::new(store))).await?;
    let calls = engine::server(&server(), &service.point()).without_socket();
    tokio::spawn(service.run(stop.clone()));
    Ok(calls)
}

fn registry() -> anyhow::Result<(Stack, group_commit::Running<registry::Error>)> {
    let folder = tempfile::tempdir()?;
    let data = Data::at(folder.path());
    let (central, admin) = ("main".parse()?, "admin".parse()?);
    let beginning = Beginning { trust_domain: "bytes".parse()?, central, admin, hosts: Vec::new() };
    data.init(beginning, mesh::now().wall)?;
    let (office, running) = registry::start(Registry::open(MemoryStore::new(), &data)?)?;
    Ok((registry::server(&server(), office, NOWHERE.parse()?).without_socket(), running))
}

/// A call may wait for a peer that is not there, but not for long.
fn server() -> ServerOptions {
    ServerOptions { request_timeout: TIMEOUT, ..ServerOptions::default() }
}
