//! Apache Kafka as a process of the run's own: one node, killed and started again on the same ports and data.

use crate::process::{Group, Kind, Slot};
use anyhow::Context as _;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};
use testing::free_address;

/// Who reaches Kafka by a link of its own, so that it alone can be cut off.
pub(super) const SIDES: [&str; 3] = ["central", "engines", "drivers"];

/// Where Kafka is.
#[derive(Debug)]
pub(super) struct Kafka {
    pub(super) slot: Slot,
    /// For the run itself: no link between.
    pub(super) direct: SocketAddr,
    /// Where each of [`SIDES`] is let in, behind its link.
    pub(super) inner: [SocketAddr; 3],
    /// The address of the link of each of [`SIDES`].
    pub(super) outer: [SocketAddr; 3],
}

/// The folder with the jars: the one named, or what `.ci/kafka` prepared.
pub(super) fn jars(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(folder) = named {
        return Ok(folder.to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let beside = std::env::current_exe()?;
    let beside = beside.ancestors().nth(2).map(Path::to_owned);
    for target in [Some(target), beside].into_iter().flatten() {
        for entry in fs::read_dir(target.join("ci/kafka")).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("lib-") && !name.to_string_lossy().ends_with(".part") {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!(
        "Apache Kafka's jars are not here: run '.ci/kafka start' and '.ci/kafka stop' once, or name their folder \
         with --kafka-home"
    )
}

impl Kafka {
    /// Formats its storage; nothing is started yet.
    pub(super) fn prepare(jars: &Path, folder: &Path, group: &Group) -> anyhow::Result<Self> {
        let (direct, controller) = (free_address(), free_address());
        let inner = SIDES.map(|_| free_address());
        let outer = SIDES.map(|_| free_address());
        let data = folder.join("kafka-data");
        let listeners = |addresses: &[SocketAddr; 3]| {
            let named = SIDES.iter().zip(addresses);
            let each = named.map(|(side, address)| format!("{}://{address}", side.to_uppercase()));
            format!("PLAIN://{direct},{}", each.collect::<Vec<_>>().join(","))
        };
        let protocols = ["PLAIN", "CONTROLLER"].map(|name| format!("{name}:PLAINTEXT")).join(",");
        let sides = SIDES.map(|side| format!("{}:PLAINTEXT", side.to_uppercase())).join(",");
        // A broker that was killed is let in again once its last session has run out: 9 s unless told otherwise.
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.bootstrap.servers={controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners={inner},CONTROLLER://{controller}\n\
             advertised.listeners={outer},CONTROLLER://{controller}\n\
             listener.security.protocol.map={protocols},{sides}\n\
             inter.broker.listener.name=PLAIN\n\
             log.dirs={data}\n\
             broker.heartbeat.interval.ms=500\n\
             broker.session.timeout.ms=2000\n\
             num.partitions=4\n\
             num.network.threads=2\n\
             num.io.threads=2\n\
             log.cleaner.dedupe.buffer.size=8388608\n\
             offsets.topic.num.partitions=4\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            inner = listeners(&inner),
            outer = listeners(&outer),
            data = data.display(),
        );
        let file = folder.join("kafka.properties");
        fs::write(&file, properties)?;
        let java = |more: &[&str]| {
            // A small heap and a quick start: it is killed again and again, on a machine that does other things too.
            let options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
            let mut all: Vec<String> = options.iter().map(ToString::to_string).collect();
            all.push(jars.join("*").display().to_string());
            all.extend(more.iter().map(ToString::to_string));
            all
        };
        let path = file.display().to_string();
        let format = ["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", &path];
        let formatted = Command::new("java").args(java(&format)).output().context("Java 17 is needed")?;
        anyhow::ensure!(
            formatted.status.success(),
            "Kafka's storage cannot be formatted: {}",
            String::from_utf8_lossy(&formatted.stderr)
        );
        let arguments = java(&["kafka.Kafka", &path]);
        let slot = Slot::new(Kind::Broker, "kafka", Path::new("java"), arguments, folder, group);
        Ok(Self { slot, direct, inner, outer })
    }
}

/// Any id will do: the storage is new.
const CLUSTER: &str = "AAAAAAAAQACAAAAAAAAAAQ";
