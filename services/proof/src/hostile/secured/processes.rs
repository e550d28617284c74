//! The processes of the network where everybody has an identity: two charge points, one of which is behind a gateway.

use super::{GATEWAY, SITE, Secured};
use crate::{
    hostile::network::{BATTERY_WH, HONEST},
    process::{Kind, Slot},
};
use std::net::SocketAddr;
use testing::free_address;

/// What an engine delivers (watts), so many times faster than time.
const POWER_W: u64 = 50_000;
/// See [`POWER_W`].
const SPEED: u64 = 60;

type Flags = Vec<(&'static str, String)>;

impl Secured {
    /// The registry's first, then central's, then each charge point's two.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<Slot>> {
        let registry = vec![
            ("data", self.path("registry")),
            ("listen", self.registry.to_string()),
            ("metrics-address", self.registry_metrics.to_string()),
        ];
        let central = vec![
            ("listen", self.central.to_string()),
            ("data", self.path("data/central")),
            ("charge-point-power-max", (POWER_W * SPEED / 1000).to_string()),
            ("identity", self.path("registry/identities/central")),
            ("registry", self.registry.to_string()),
            ("token-keys", self.token_keys.display().to_string()),
            ("metrics-address", self.metrics.to_string()),
            ("changelog-wait", "0".to_owned()),
        ];
        let own = ["engine", "monitor"].map(|role| format!("charge-point/{HONEST}/{role}"));
        let [engine, monitor] = self.charge_point(HONEST, free_address(), &own)?;
        let [site_engine, site_monitor] =
            self.charge_point(SITE, self.site_engine, &[GATEWAY, GATEWAY].map(str::to_owned))?;
        Ok(vec![
            self.slot(Kind::Registry, "registry", &["registry", "run"], registry),
            self.slot(Kind::Central, "central", &["central", "--kafka-in-clear"], self.on_kafka(central)),
            engine,
            monitor,
            site_engine,
            site_monitor,
        ])
    }

    /// An engine and a monitor, under these identities.
    fn charge_point(&self, id: &str, at: SocketAddr, roles: &[String; 2]) -> anyhow::Result<[Slot; 2]> {
        let [of_engine, of_monitor] = roles;
        let own = |role: &str| Ok::<_, anyhow::Error>(self.issued(role)?.display().to_string());
        let of_point = [("charge-point", id.to_owned()), ("central", self.central.to_string())];
        let engine = [
            ("listen", at.to_string()),
            ("data", self.path(&format!("data/{id}"))),
            ("power-w", POWER_W.to_string()),
            ("battery-wh", BATTERY_WH.to_string()),
            ("speed", SPEED.to_string()),
            ("plug-in-after", "0".to_owned()),
            ("identity", own(of_engine)?),
        ];
        let monitor = [
            ("listen", free_address().to_string()),
            ("engine", at.to_string()),
            ("price", "0.30 EUR".to_owned()),
            ("location", "Madrid".to_owned()),
            ("identity", own(of_monitor)?),
        ];
        let engine = self.on_kafka([&of_point[..], &engine].concat());
        let monitor = [&of_point[..], &monitor].concat();
        Ok([
            self.slot(Kind::Engine, &format!("{id}-engine"), &["engine"], engine),
            self.slot(Kind::Monitor, &format!("{id}-monitor"), &["monitor"], monitor),
        ])
    }

    fn on_kafka(&self, mut flags: Flags) -> Flags {
        flags.push(("kafka", self.kafka.kafka.clone()));
        flags.push(("kafka-topic-prefix", self.kafka.kafka_topic_prefix.clone()));
        flags
    }

    fn slot(&self, kind: Kind, name: &str, words: &[&str], flags: Flags) -> Slot {
        let flags = flags.into_iter().flat_map(|(flag, value)| [format!("--{flag}"), value]);
        let words = words.iter().map(|word| (*word).to_owned()).chain(["--plain".to_owned()]);
        Slot::new(kind, name, &self.evmesh, words.chain(flags).collect(), &self.folder, &self._group)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
