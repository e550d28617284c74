//! A network of separate processes, one a role, in whatever order a test starts them.

use super::{PATIENCE, Process, broker::Broker, free_address};
use tempfile::TempDir;

/// Where the roles of one network are and will be.
pub struct Roles {
    pub broker: Broker,
    pub central: String,
    folder: TempDir,
    points: Vec<(String, String, String)>,
}

/// How a monitor reaches its engine and central, and how central reaches that engine.
pub struct Ways<'a> {
    pub engine: &'a str,
    pub advertised: &'a str,
    pub central: &'a str,
}

/// What its engines simulate is not for a person to look at, however fast they are.
const BELIEVED: [&str; 4] = ["--charge-point-power-max", "500000000", "--session-energy-max", "10000"];

impl Roles {
    /// A network with these charge points; nothing is started.
    pub fn new(broker: Broker, charge_points: &[&str]) -> Self {
        let point = |id: &&str| (id.to_string(), free_address(), free_address());
        Self {
            broker,
            central: free_address(),
            folder: tempfile::tempdir().expect("a folder"),
            points: charge_points.iter().map(point).collect(),
        }
    }

    /// The address of a charge point's engine.
    pub fn engine_address(&self, id: &str) -> &str {
        &self.point(id).1
    }

    /// The address of a charge point's monitor.
    pub fn monitor_address(&self, id: &str) -> &str {
        &self.point(id).2
    }

    fn point(&self, id: &str) -> &(String, String, String) {
        self.points.iter().find(|point| point.0 == id).expect("a charge point of this network")
    }

    /// The folder of a role.
    pub fn data(&self, of: &str) -> String {
        self.folder.path().join(of).display().to_string()
    }

    fn start(&self, flags: &[&str], with_kafka: bool) -> Process {
        let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        if with_kafka {
            flags.extend(self.broker.flags());
        }
        Process::start(flags)
    }

    pub fn central(&self) -> Process {
        self.central_with(&BELIEVED)
    }

    pub fn central_with(&self, more: &[&str]) -> Process {
        let own = ["central", "--listen", &self.central, "--data", &self.data("central")];
        self.start(&[&own[..], more].concat(), true)
    }

    /// Where the system allows it so few open files.
    pub fn central_with_files(&self, files: u32) -> Process {
        let data = self.data("central");
        let own = ["central", "--listen", &self.central, "--data", &data];
        let flags = [&own[..], &BELIEVED].concat().into_iter().map(str::to_owned);
        Process::start_with_files(files, &flags.chain(self.broker.flags()).collect::<Vec<_>>())
    }

    /// Its cars take 40 kWh at 50 kW, at this speed: at 600 they are full after 4.8 s.
    pub fn engine(&self, id: &str, speed: u32) -> Process {
        let (_, address, _) = self.point(id);
        let (data, speed) = (self.data(id), speed.to_string());
        let flags = ["engine", "--charge-point", id, "--listen", address, "--central", &self.central];
        self.start(&[&flags[..], &["--data", &data, "--speed", &speed]].concat(), true)
    }

    pub fn monitor(&self, id: &str) -> Process {
        let engine = self.engine_address(id);
        self.monitor_by(id, &Ways { engine, advertised: engine, central: &self.central })
    }

    /// A monitor with its own ways to the others.
    pub fn monitor_by(&self, id: &str, ways: &Ways<'_>) -> Process {
        let address = self.monitor_address(id);
        let own = ["monitor", "--charge-point", id, "--listen", address];
        let place = ["--location", "Madrid", "--price", "0.35 EUR"];
        let ways =
            ["--central", ways.central, "--engine", ways.engine, "--engine-advertised", ways.advertised];
        self.start(&[&own[..], &place, &ways].concat(), false)
    }

    pub fn driver(&self, more: &[&str]) -> Process {
        self.start(&[&["driver", "--central", &self.central], more].concat(), true)
    }

    pub fn bridge(&self, more: &[&str]) -> Process {
        let own = ["bridge", "--central", &self.central, "--data", &self.data("bridge")];
        self.start(&[&own[..], more].concat(), true)
    }

    /// All of it, ready.
    pub fn all(&self, speed: u32) -> Vec<Process> {
        let mut processes = vec![self.central()];
        for (id, _, _) in &self.points {
            processes.extend([self.engine(id, speed), self.monitor(id)]);
        }
        for (id, _, _) in &self.points {
            super::becomes(&self.central, id, "ACTIVADO");
        }
        processes
    }

    /// A file with this text.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path.display().to_string()
    }

    /// Waits for the one ticket at a charge point, and returns it.
    pub fn ticket(&self, id: &str) -> serde_json::Value {
        super::eventually("a ticket", PATIENCE, || {
            let mut tickets = super::operator(&self.central, &["tickets", "--charge-point", id]);
            assert!(tickets.len() < 2, "INV-1: {tickets:?}");
            tickets.pop()
        })
    }
}
