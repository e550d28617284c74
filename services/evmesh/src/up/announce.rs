//! What `evmesh up` says once everything is bound: where everything is, and lines to paste into a shell.

use super::{
    broker::Broker,
    folder::Folder,
    network::Network,
    protection::{ADMIN, DRIVERS, Protection},
};
use identity::folder::{CORE, NETWORK};
use serde_json::{Value, json};
use std::{fmt::Write as _, net::SocketAddr};

/// Where the parts of a network are, in each form in which that is said.
#[derive(Debug)]
pub(super) struct Addresses {
    /// For people, with lines to paste.
    pub(super) text: String,
    /// The same for the panel: as few lines as they fit on, those first that are wanted first.
    pub(super) short: String,
    /// The first object for scripts.
    pub(super) json: Value,
}

impl Addresses {
    /// Of a network that is bound.
    pub(super) fn of(network: &Network, broker: &Broker, folder: &Folder, protection: &Protection) -> Self {
        Self {
            text: text(network, broker, folder, protection),
            short: short(network, broker, folder, protection),
            json: json(network, broker, folder, protection),
        }
    }
}

fn json(network: &Network, broker: &Broker, folder: &Folder, protection: &Protection) -> Value {
    let charge_points = network.points.iter().map(|point| {
        json!({
            "charge_point_id": point.id.as_str(),
            "location": point.location.as_str(),
            "engine": point.engine_address().to_string(),
            "monitor": point.monitor_address().to_string(),
        })
    });
    let mut started = json!({
        "event": "started",
        "central": network.central.local_addr().to_string(),
        "kafka": broker.address(),
        "data": folder.path().display().to_string(),
        "charge_points": charge_points.collect::<Vec<_>>(),
    });
    if let Some(identities) = protection.identities() {
        started["identities"] = identities.display().to_string().into();
    }
    if let Some(registry) = &network.registry {
        started["registry"] = registry.local_addr().to_string().into();
    }
    started
}

// Writing to a string cannot fail.
fn text(network: &Network, broker: &Broker, folder: &Folder, protection: &Protection) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "central        {}", network.central.local_addr());
    let _ = writeln!(text, "kafka          {}", broker.describe());
    let _ = writeln!(text, "state          {}", folder.describe());
    if let Some(identities) = protection.identities() {
        let _ = writeln!(
            text,
            "identities     {}: every connection is encrypted, but Kafka's",
            identities.display()
        );
    }
    if let Some(registry) = &network.registry {
        let _ = writeln!(text, "registry       {}", registry.local_addr());
    }
    if network.bridge.is_some() {
        let _ = writeln!(text, "bridge         driver_requests of the old system is answered");
    }
    let widest = network.points.iter().map(|point| point.id.as_str().len()).max().unwrap_or_default();
    for point in &network.points {
        let (id, engine, monitor) = (point.id.as_str(), point.engine_address(), point.monitor_address());
        let line = format!("{id:<widest$}  engine {engine}  monitor {monitor}  {}", point.location);
        let _ = writeln!(text, "{}", ui::cut(&line, ui::width()));
    }
    let _ = writeln!(text, "\nTo paste into another shell:");
    for (what, line) in lines(network, protection) {
        let _ = writeln!(text, "  # {what}\n  {line}");
    }
    text
}

fn short(network: &Network, broker: &Broker, folder: &Folder, protection: &Protection) -> String {
    let (central, kafka) = (network.central.local_addr(), broker.address());
    let (admin, driver) = (protection.flag(ADMIN), protection.flag(DRIVERS[0]));
    let grpcurl = protection.grpcurl(ADMIN, CORE);
    let mut text = format!(
        "evmesh operator status --central {central}{admin}\n\
         evmesh driver --driver 101 --central {central} --kafka {kafka}{driver}\n\
         grpcurl {grpcurl} {central} list\n"
    );
    if let Some(point) = network.points.first() {
        let _ = writeln!(text, "evmesh point show --engine {}{admin}", point.engine_address());
    }
    let _ = write!(text, "state {}\nengines", folder.describe());
    for point in &network.points {
        let _ = write!(text, "  {} {}", point.id, point.engine_address());
    }
    text
}

/// Each line with what it does.
fn lines(network: &Network, protection: &Protection) -> Vec<(&'static str, String)> {
    let central = network.central.local_addr();
    let as_admin = protection.grpcurl(ADMIN, CORE);
    let [as_driver, as_other] = DRIVERS.map(|driver| protection.grpcurl(driver, CORE));
    let driver = |method, request| call(&as_driver, central, "driver.v1.DriverService", method, request);
    let operator = |method| call(&as_admin, central, "operations.v1.OperatorService", method, "");
    let mut lines = vec![
        ("every service of central", format!("grpcurl {as_admin} {central} list")),
        ("every charge point", driver("ListChargePoints", "")),
        (
            "a charge, at whichever charge point is free and cheapest",
            driver("RequestCharge", r#"{"driver_id": "101"}"#),
        ),
        ("that driver's sessions", driver("ListSessions", r#"{"driver_id": "101"}"#)),
        ("the network as it changes", operator("WatchNetwork")),
        ("every ticket", operator("ListTickets")),
    ];
    if let Some(grpcurl) = protection.grpcurl_by_token() {
        let request = r#"-d '{"driver_id": "101"}'"#;
        let line = format!("{grpcurl} {request} {central} evmesh.driver.v1.DriverService/ListTickets");
        lines.push(("that driver's tickets, by a token instead of a certificate", line));
    }
    if let Some(point) = network.points.first() {
        let (id, engine) = (&point.id, point.engine_address());
        let as_admin = protection.grpcurl(ADMIN, NETWORK);
        let at_engine = |method| call(&as_admin, engine, "engine.v1.EnginePanelService", method, "");
        let named = format!(r#"{{"driver_id": "102", "charge_point_id": "{id}"}}"#);
        let other = call(&as_other, central, "driver.v1.DriverService", "RequestCharge", &named);
        let status = format!("evmesh operator status --central {central}{}", protection.flag(ADMIN));
        lines.extend([
            ("a charge at one charge point", other),
            ("its engine's state", at_engine("GetPanel")),
            ("its car is plugged in", at_engine("PlugIn")),
            ("it breaks; ClearFault mends it", at_engine("InjectFault")),
            ("the operator's tables", status),
        ]);
    }
    if let Some(registry) = &network.registry {
        let (registry, admin) = (registry.local_addr(), protection.flag(ADMIN));
        let token = format!("evmesh registry token operator/ana --registry {registry}{admin}");
        lines.push(("a token for one more operator: 'evmesh enrol' takes it", token));
    }
    lines
}

fn call(caller: &str, server: SocketAddr, service: &str, method: &str, request: &str) -> String {
    let request = if request.is_empty() { String::new() } else { format!("-d '{request}' ") };
    format!("grpcurl {caller} {request}{server} evmesh.{service}/{method}")
}
