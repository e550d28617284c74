//! The processes of the network: central, and the two roles of each real charge point.

use crate::{
    common::{PATIENCE, Process, free_address},
    world::World,
};
use serde_json::Value;

/// A real charge point: where its two roles listen, and what is its own.
pub(crate) struct Point {
    pub(crate) engine: String,
    pub(crate) monitor: String,
    place: &'static str,
    price: &'static str,
    flags: &'static [&'static str],
}

impl World {
    fn data(&self, of: &str) -> String {
        self.folder.path().join(of).display().to_string()
    }

    fn start(&mut self, name: String, flags: &[&str]) {
        self.processes.insert(name, Process::start(flags));
    }

    /// Starts central: reservations last three seconds, so that one can expire within the script.
    pub(crate) fn start_central(&mut self) {
        let (address, data, kafka) = (self.central.clone(), self.data("central"), self.broker.flags());
        let flags = ["central", "--listen", &address, "--data", &data, "--broadcast-interval", "0.5"];
        let rules = ["--reservation", "4", "--reservation-margin", "0.2", "--supply-silence", "8"];
        let engines = ["--engine-timeout", "2", "--authorize-timeout", "3"];
        let believed = ["--charge-point-power-max", "60000", "--session-energy-max", "10000"]; // at the script's speed
        let kafka: Vec<&str> = kafka.iter().map(String::as_str).collect();
        self.start("central".into(), &[&flags[..], &rules, &engines, &believed, &kafka].concat());
    }

    /// Asks another central, which takes listed charge points only, to register one.
    pub(crate) async fn closed_registration(&mut self, registration: Value) {
        let (address, data, kafka) = (free_address(), self.data("closed"), self.broker.flags());
        let flags = ["central", "--listen", &address, "--data", &data, "--registration", "known"];
        let known =
            ["--known-charge-point", "SOMEWHERE", "--kafka-topic-prefix", "closed-", "--kafka", &kafka[1]];
        self.start("closed".into(), &[&flags[..], &known].concat());
        self.processes["closed"].line(&["central serves"], PATIENCE);
        let name = "ChargePointService/RegisterChargePoint";
        let answer = self.wire.call(&address, name, &registration).await;
        self.note("central --registration known", name, registration, &answer);
        self.processes.remove("closed");
    }

    /// Starts a real charge point, both of its processes.
    pub(crate) fn start_point(
        &mut self,
        id: &'static str,
        (place, price): (&'static str, &'static str),
        flags: &'static [&'static str],
    ) {
        let point = Point { engine: free_address(), monitor: free_address(), place, price, flags };
        self.mask.name(&point.engine, &format!("engine of {id}"));
        self.mask.name(&point.monitor, &format!("monitor of {id}"));
        self.points.insert(id, point);
        self.start_engine(id);
        self.start_monitor(id);
    }

    pub(crate) fn start_engine(&mut self, id: &str) {
        let (point, data, kafka) = (&self.points[id], self.data(id), self.broker.flags());
        let (address, own, central) = (point.engine.clone(), point.flags, self.central.clone());
        let flags = ["engine", "--charge-point", id, "--listen", &address, "--central", &central];
        let kafka: Vec<&str> = kafka.iter().map(String::as_str).collect();
        self.start(format!("engine {id}"), &[&flags[..], &["--data", &data], own, &kafka].concat());
    }

    pub(crate) fn start_monitor(&mut self, id: &str) {
        let (point, central) = (&self.points[id], self.central.clone());
        let (engine, address) = (point.engine.clone(), point.monitor.clone());
        let (place, price) = (point.place, point.price);
        let flags = ["monitor", "--charge-point", id, "--listen", &address, "--location", place];
        let ways = ["--price", price, "--central", &central, "--engine", &engine];
        self.start(format!("monitor {id}"), &[&flags[..], &ways].concat());
    }

    /// Ends a process as a power cut would.
    pub(crate) fn kill(&mut self, name: &str) {
        self.say(&format!("(kill -9: {name})"));
        self.processes.get_mut(name).expect("it was started").kill();
    }

    /// The monitor of a charge point of the laboratory reports under this epoch from now on.
    pub(crate) async fn watch(&mut self, id: &str, epoch: u64) {
        let central = self.central.clone();
        self.labs.get_mut(id).expect("a laboratory").watched(&central, epoch).await;
    }
}
