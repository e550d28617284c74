//! Who is revoked at the registry is refused by central: whole secured networks of real processes.

mod common;

use common::{PATIENCE, Process, broker::Broker, eventually, free_address, run};
use evmesh_proto::{
    engine::{
        AttendRequest, GetPanelRequest, engine_panel_service_client::EnginePanelServiceClient,
        engine_service_client::EngineServiceClient,
    },
    operations::{
        ListTicketsRequest, WatchNetworkRequest, WatchNetworkResponse,
        operator_service_client::OperatorServiceClient,
    },
};
use mesh::grpc::{CALL_TIMEOUT, Expected, Peer, Peers, SecurityOptions, reason};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;
use tonic::{Code, Status, Streaming};

/// What is promised, from the answer to the revocation on.
const WITHIN: Duration = Duration::from_secs(2);

/// A network with a registry, whose processes a test starts.
struct Network {
    top: TempDir,
    broker: Broker,
    registry: String,
    central: String,
}

impl Network {
    fn begun() -> Self {
        let top = tempfile::tempdir().expect("a folder");
        let (broker, registry, central) = (Broker::open(), free_address(), free_address());
        let network = Self { top, broker, registry, central };
        let made = run(["registry", "init", "--trust-domain", "madrid", "--data", &network.path("registry")]);
        assert_eq!(made.code, 0, "{made:?}");
        network
    }

    fn path(&self, name: &str) -> String {
        self.top.path().join(name).display().to_string()
    }

    fn admin(&self) -> String {
        self.path("registry/identities/admin")
    }

    /// The registry, serving.
    fn registry(&self) -> Process {
        let data = self.path("registry");
        let registry = Process::start(["registry", "run", "--data", &data, "--listen", &self.registry]);
        registry.line(&["registry ready"], PATIENCE);
        registry
    }

    /// Central, serving; it has heard of the registry if that is there.
    fn central(&self, with_registry: bool) -> Process {
        let (identity, data) = (self.path("registry/identities/central"), self.path("central"));
        let own = ["central", "--listen", &self.central, "--data", &data, "--identity", &identity];
        let more = ["--registry", &self.registry, "--changelog-wait", "0"];
        let flags = own.iter().chain(&more).map(ToString::to_string).chain(self.broker.flags());
        let central = Process::start(flags.collect::<Vec<_>>());
        central.line(&["central serves"], PATIENCE);
        if with_registry {
            central.line(&["is heard", "revoked certificates are refused"], PATIENCE);
        }
        central
    }

    fn ask(&self, words: &[&str]) -> String {
        let asked = run(
            [&["registry"], words, &["--registry", &self.registry, "--identity", &self.admin()]].concat()
        );
        let waits = |line: &str| line.starts_with("evmesh: waiting for the registry"); // a second, on a busy machine
        assert!(asked.code == 0 && asked.stderr.lines().all(waits), "{asked:?}");
        asked.stdout.trim().to_owned()
    }

    /// The folder of somebody who is enrolled with a new key.
    fn enrol(&self, role: &str, folder: &str) -> String {
        let (token, folder) = (self.ask(&["token", role]), self.path(folder));
        let enrolled = run(["enrol", &token, "--identity", &folder]);
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        folder
    }

    /// Central as the one in this folder has it.
    fn operator(&self, folder: &str) -> OperatorServiceClient<Peer> {
        let options = SecurityOptions { identity: Some(PathBuf::from(folder)), ..SecurityOptions::default() };
        let peers = Peers::new(options.open("anybody", |_| true).expect("an identity"));
        let central = self.central.parse().expect("an address");
        OperatorServiceClient::new(peers.peer(&central, Expected::Central, CALL_TIMEOUT))
    }

    fn charge_point(&self, role: &str, more: &[&str]) -> Process {
        self.enrol(&format!("charge-point/MAD-01/{role}"), role);
        self.started(role, more)
    }

    /// One that is enrolled.
    fn started(&self, role: &str, more: &[&str]) -> Process {
        let folder = self.path(role);
        let own = [role, "--charge-point", "MAD-01", "--central", &self.central, "--identity", &folder];
        let flags = own.iter().chain(more).map(ToString::to_string);
        let kafka = self.broker.flags().into_iter().filter(|_| role == "engine");
        Process::start(flags.chain(kafka).collect::<Vec<_>>())
    }

    /// A whole charge point, available; and where its engine is.
    fn whole_charge_point(&self) -> (Process, Process, String) {
        let (engine, data) = (free_address(), self.path("engine-data"));
        let of_engine = self.charge_point("engine", &["--listen", &engine, "--data", &data]);
        let place = ["--location", "Madrid", "--price", "0.35 EUR", "--listen", "127.0.0.1:0"];
        let monitor = self.charge_point("monitor", &[&place[..], &["--engine", &engine]].concat());
        eventually("MAD-01 is available", PATIENCE, || (self.status()? == "ACTIVADO").then_some(()));
        (of_engine, monitor, engine)
    }

    /// The engine as the one in this folder has it.
    fn engine(&self, folder: &str, engine: &str) -> Peer {
        let options = SecurityOptions { identity: Some(PathBuf::from(folder)), ..SecurityOptions::default() };
        let peers = Peers::new(options.open("anybody", |_| true).expect("an identity"));
        let expected = Expected::Engine("MAD-01".parse().expect("an id"));
        peers.peer(&engine.parse().expect("an address"), expected, CALL_TIMEOUT)
    }

    fn status(&self) -> Option<String> {
        let words = [
            "operator",
            "--central",
            &self.central,
            "--identity",
            &self.admin(),
            "--output",
            "json",
            "status",
        ];
        let asked = run(words);
        let all = (asked.code == 0).then(|| asked.json())?;
        let one = all.as_array()?.iter().find(|one| one["charge_point_id"] == "MAD-01")?;
        one["status"].as_str().map(str::to_owned)
    }
}

async fn call(client: &mut OperatorServiceClient<Peer>) -> Result<(), Status> {
    client.list_tickets(ListTicketsRequest::default()).await.map(drop)
}

/// A stream that goes on.
async fn watch(client: &mut OperatorServiceClient<Peer>) -> Streaming<WatchNetworkResponse> {
    let mut stream = client.watch_network(WatchNetworkRequest {}).await.expect("it may").into_inner();
    stream.message().await.expect("it goes on").expect("a message");
    stream
}

/// How it ends, within what is promised.
async fn ended(stream: &mut Streaming<WatchNetworkResponse>) -> Status {
    let ended = async {
        while stream.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    tokio::time::timeout(WITHIN, ended).await.expect("within 2 s").expect_err("with a reason")
}

fn is_revoked(refused: &Status) {
    let found = (refused.code(), reason(refused));
    assert_eq!(found, (Code::Unauthenticated, Some("IDENTITY_REVOKED".to_owned())), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_is_revoked_is_out_within_two_seconds_and_stays_out() {
    let network = Network::begun();
    let mut registry = network.registry();
    let mut central = network.central(true);
    let [ana, bob] = ["ana", "bob"].map(|name| network.enrol(&format!("operator/{name}"), name));
    let [mut of_ana, mut of_bob] = [&ana, &bob].map(|folder| network.operator(folder));
    let (mut stream, mut other) = (watch(&mut of_ana).await, watch(&mut of_bob).await);
    let said = network.ask(&["revoke", "operator/ana"]);
    assert_eq!(said, "operator/ana is revoked, and has no token; central refuses it within 2 s");
    is_revoked(&ended(&mut stream).await);
    is_revoked(&call(&mut of_ana).await.unwrap_err());
    call(&mut of_bob).await.unwrap();

    // The registry goes, and central with it: it knows by itself.
    registry.kill();
    central.line(&["nothing is heard of the registry"], PATIENCE);
    central.kill();
    let central = network.central(false);
    is_revoked(&call(&mut network.operator(&ana)).await.unwrap_err());
    call(&mut network.operator(&bob)).await.unwrap();
    assert!(other.message().await.is_err(), "its central was killed");

    // The registry is back, and is heard again.
    let _registry = network.registry();
    central.line(&["is back, and heard: 1 revoked certificates are refused"], PATIENCE);
    let mut of_bob = network.operator(&bob);
    let mut stream = watch(&mut of_bob).await;
    network.ask(&["revoke", "operator/bob", "--now"]);
    is_revoked(&ended(&mut stream).await);

    // Enrolled again, with another key, they are served; by the key of before they are not.
    let anew = network.enrol("operator/ana", "ana-again");
    call(&mut network.operator(&anew)).await.unwrap();
    is_revoked(&call(&mut network.operator(&ana)).await.unwrap_err());
}

#[test]
fn a_charge_point_that_is_revoked_now_is_cut_off_within_two_seconds_and_charges_nobody() {
    let network = Network::begun();
    let _registry = network.registry();
    let central = network.central(true);
    let (_engine, monitor, _) = network.whole_charge_point();

    network.ask(&["revoke", "charge-point/MAD-01/monitor", "--now"]);
    monitor.line(&["the certificate of charge-point/MAD-01/monitor was revoked"], WITHIN);
    network.ask(&["revoke", "charge-point/MAD-01/engine", "--now"]);
    central.line(&["charge-point/MAD-01/engine is revoked"], WITHIN);
    let driver = network.enrol("driver/101", "driver");
    let asked = ["--central", &network.central, "--identity", &driver, "--charge-point", "MAD-01"];
    let asked = ["driver", "--driver", "101"].iter().chain(&asked).map(ToString::to_string);
    let denied = run(asked.chain(network.broker.flags()).collect::<Vec<_>>());
    assert!(denied.code != 0 && !denied.stdout.contains("TICKET"), "{denied:?}");
}

async fn panel(engine: &Peer) -> Result<(), Status> {
    EnginePanelServiceClient::new(engine.clone()).get_panel(GetPanelRequest::default()).await.map(drop)
}

/// How calls are refused, within what is promised.
async fn refused_soon(call: impl AsyncFn() -> Result<(), Status>) -> Status {
    testing::eventually("it is refused", WITHIN, async || call().await.err()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_refuses_an_operator_within_two_seconds_and_after_its_restart() {
    let network = Network::begun();
    let _registry = network.registry();
    let mut central = network.central(true);
    let (mut engine, _monitor, at) = network.whole_charge_point();
    let [ana, bob] = ["ana", "bob"].map(|name| network.enrol(&format!("operator/{name}"), name));
    let [of_ana, of_bob] = [&ana, &bob].map(|folder| network.engine(folder, &at));
    panel(&of_ana).await.unwrap();
    panel(&of_bob).await.unwrap();
    network.ask(&["revoke", "operator/ana"]);
    is_revoked(&refused_soon(async || panel(&of_ana).await).await);
    panel(&of_bob).await.unwrap();

    // Nobody is left who could tell it again.
    central.kill();
    engine.kill();
    let data = network.path("engine-data");
    let _engine = network.started("engine", &["--listen", &at, "--data", &data]);
    let back = async || panel(&network.engine(&bob, &at)).await.ok();
    testing::eventually("the engine is back", PATIENCE, back).await;
    is_revoked(&panel(&network.engine(&ana, &at)).await.unwrap_err());

    // It was away when somebody was revoked.
    network.ask(&["revoke", "operator/bob"]);
    let _central = network.central(true);
    let revoked = |refused: &Status| reason(refused).as_deref() == Some("IDENTITY_REVOKED");
    let hears = async || panel(&network.engine(&bob, &at)).await.err().filter(revoked);
    testing::eventually("it hears of it", PATIENCE, hears).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_refuses_a_monitor_that_is_revoked_and_hears_of_others_after_that() {
    let network = Network::begun();
    let _registry = network.registry();
    let central = network.central(true);
    let (mut engine, _monitor, at) = network.whole_charge_point();
    let of_monitor = network.engine(&network.path("monitor"), &at);
    let attends = async || {
        let pings = tokio_stream::pending::<AttendRequest>();
        EngineServiceClient::new(of_monitor.clone()).attend(pings).await.map(drop)
    };
    attends().await.unwrap();
    network.ask(&["revoke", "charge-point/MAD-01/monitor", "--now"]);
    is_revoked(&refused_soon(attends).await);

    // From here on it is called for nothing else; and it is away when somebody else is revoked.
    let eva = network.enrol("operator/eva", "eva");
    panel(&network.engine(&eva, &at)).await.unwrap();
    engine.kill();
    network.ask(&["revoke", "operator/eva"]);
    central.line(&["operator/eva is revoked"], WITHIN);
    let data = network.path("engine-data");
    let _engine = network.started("engine", &["--listen", &at, "--data", &data]);
    let revoked = |refused: &Status| reason(refused).as_deref() == Some("IDENTITY_REVOKED");
    let hears = async || panel(&network.engine(&eva, &at)).await.err().filter(revoked);
    testing::eventually("it is told again", PATIENCE, hears).await;
}
