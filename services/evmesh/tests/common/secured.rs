//! A network in which everybody has an identity, of separate processes that a test starts.

use super::{
    PATIENCE, Process,
    broker::Broker,
    eventually, free_address,
    registry::{Network, begun, token},
    run,
};
use std::time::Duration;

/// Where its roles are and will be; its registry is `common::registry::started`.
pub struct Secured {
    pub network: Network,
    pub broker: Broker,
    pub registry: String,
    pub central: String,
}

impl Secured {
    /// Nothing is started.
    pub fn begun() -> Self {
        let (registry, central) = (free_address(), free_address());
        Self { network: begun(), broker: Broker::open(), registry, central }
    }

    pub fn path(&self, name: &str) -> String {
        self.network.path(name).display().to_string()
    }

    /// The folder of somebody who is enrolled with a new key.
    pub fn enrol(&self, role: &str, folder: &str) -> String {
        let (token, folder) = (token(&self.network, &self.registry, role), self.path(folder));
        let enrolled = run(["enrol", &token, "--identity", &folder]);
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        folder
    }

    /// It says all that it can, so that a test sees what is never said.
    pub fn start(&self, words: &[&str], with_kafka: bool) -> Process {
        let flags = words.iter().chain(&["--log", "debug"]).map(ToString::to_string);
        let kafka = self.broker.flags().into_iter().filter(|_| with_kafka);
        Process::start(flags.chain(kafka).collect::<Vec<_>>())
    }

    /// Central, serving.
    pub fn central(&self) -> Process {
        let (identity, data) = (format!("{}/identities/central", self.network.data), self.path("central"));
        let own = ["central", "--kafka-in-clear", "--listen", &self.central, "--data", &data];
        let words = [&own[..], &["--identity", &identity, "--registry", &self.registry]].concat();
        let central = self.start(&words, true);
        central.line(&["central serves"], PATIENCE);
        central
    }

    pub fn engine(&self, id: &str, address: &str, identity: &str, more: &[&str]) -> Process {
        let data = self.path(id);
        let own = ["engine", "--charge-point", id, "--central", &self.central, "--identity", identity];
        self.start(&[&own[..], &["--listen", address, "--data", &data], more].concat(), true)
    }

    /// The monitor of the engine at this address.
    pub fn monitor(&self, id: &str, engine: &str, identity: &str) -> Process {
        let own = ["monitor", "--charge-point", id, "--central", &self.central, "--identity", identity];
        let place = ["--location", "Madrid", "--price", "0.35 EUR", "--listen", "127.0.0.1:0"];
        self.start(&[&own[..], &place, &["--engine", engine]].concat(), false)
    }

    /// What the admin's question to central gives; `None` while it fails.
    pub fn operator(&self, words: &[&str]) -> Option<serde_json::Value> {
        let own = ["operator", "--central", &self.central, "--identity", &self.network.admin()];
        let asked = run([&own[..], &["--output", "json"], words].concat());
        (asked.code == 0).then(|| asked.json())
    }

    /// Waits until a charge point has a status.
    pub fn becomes(&self, id: &str, status: &str, within: Duration) {
        eventually(&format!("{id} is {status}"), within, || {
            let all = self.operator(&["status"])?;
            let one = all.as_array()?.iter().find(|one| one["charge_point_id"] == id)?.clone();
            (one["status"] == status).then_some(())
        });
    }
}
