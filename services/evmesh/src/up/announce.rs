//! What `evmesh up` says once everything is bound: where everything is, and lines to paste into a shell.

use super::{broker::Broker, folder::Folder, network::Network};
use serde_json::{Value, json};
use std::{fmt::Write as _, net::SocketAddr};

/// Where the parts of a network are.
#[derive(Debug)]
pub(super) struct Addresses {
    central: SocketAddr,
    /// The broker, and whose it is.
    kafka: String,
    /// For `--kafka`.
    broker: String,
    /// Each charge point's id, place, engine and monitor.
    charge_points: Vec<(String, String, SocketAddr, SocketAddr)>,
    /// Where the state is kept, and for how long.
    data: String,
    folder: String,
}

impl Addresses {
    /// Of a network that is bound.
    pub(super) fn of(network: &Network, broker: &Broker, folder: &Folder) -> Self {
        let charge_points = network.points.iter().map(|point| {
            (point.id.to_string(), point.location.clone(), point.engine_address(), point.monitor_address())
        });
        Self {
            central: network.central.local_addr(),
            kafka: broker.describe(),
            broker: broker.address().to_owned(),
            charge_points: charge_points.collect(),
            data: folder.describe(),
            folder: folder.path().display().to_string(),
        }
    }

    /// The first object for scripts.
    pub(super) fn json(&self) -> Value {
        let charge_points = self.charge_points.iter().map(|(id, location, engine, monitor)| {
            json!({
                "charge_point_id": id,
                "location": location,
                "engine": engine.to_string(),
                "monitor": monitor.to_string(),
            })
        });
        json!({
            "event": "started",
            "central": self.central.to_string(),
            "kafka": self.broker,
            "data": self.folder,
            "charge_points": charge_points.collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "central        {}", self.central);
        let _ = writeln!(text, "kafka          {}", self.kafka);
        let _ = writeln!(text, "state          {}", self.data);
        let widest = self.charge_points.iter().map(|(id, ..)| id.len()).max().unwrap_or_default();
        for (id, location, engine, monitor) in &self.charge_points {
            let line = format!("{id:<widest$}  engine {engine}  monitor {monitor}  {location}");
            let _ = writeln!(text, "{}", ui::cut(&line, ui::width()));
        }
        let _ = writeln!(text, "\nTo paste into another shell:");
        for (what, line) in self.lines() {
            let _ = writeln!(text, "  # {what}\n  {line}");
        }
        text
    }

    /// The same for the panel: as few lines as they fit on.
    pub(super) fn short(&self) -> String {
        let (central, kafka) = (self.central, &self.broker);
        let mut text = format!(
            "evmesh operator status --central {central}\n\
             evmesh driver --driver 101 --central {central} --kafka {kafka}\n"
        );
        // Writing to a string cannot fail.
        if let Some((_, _, engine, _)) = self.charge_points.first() {
            let _ = writeln!(text, "evmesh point show --engine {engine}");
        }
        let _ = write!(text, "grpcurl -plaintext {central} list\nstate {}\nengines", self.data);
        for (id, _, engine, _) in &self.charge_points {
            let _ = write!(text, "  {id} {engine}");
        }
        text
    }

    /// Each line with what it does.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let central = self.central;
        let driver = |method, request| call(central, "driver.v1.DriverService", method, request);
        let operator = |method| call(central, "operations.v1.OperatorService", method, "");
        let mut lines = vec![
            ("every service of central", format!("grpcurl -plaintext {central} list")),
            ("every charge point", driver("ListChargePoints", "")),
            (
                "a charge, at whichever charge point is free and cheapest",
                driver("RequestCharge", r#"{"driver_id": "101"}"#),
            ),
            ("that driver's sessions", driver("ListSessions", r#"{"driver_id": "101"}"#)),
            ("the network as it changes", operator("WatchNetwork")),
            ("every ticket", operator("ListTickets")),
        ];
        if let Some((id, _, engine, _)) = self.charge_points.first() {
            let at_engine = |method| call(*engine, "engine.v1.EnginePanelService", method, "");
            let named = format!(r#"{{"driver_id": "102", "charge_point_id": "{id}"}}"#);
            lines.extend([
                ("a charge at one charge point", driver("RequestCharge", &named)),
                ("its engine's state", at_engine("GetPanel")),
                ("its car is plugged in", at_engine("PlugIn")),
                ("it breaks; ClearFault mends it", at_engine("InjectFault")),
                ("the operator's tables", format!("evmesh operator status --central {central}")),
            ]);
        }
        lines
    }
}

fn call(server: SocketAddr, service: &str, method: &str, request: &str) -> String {
    let request = if request.is_empty() { String::new() } else { format!("-d '{request}' ") };
    format!("grpcurl -plaintext {request}{server} evmesh.{service}/{method}")
}
