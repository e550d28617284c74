//! Every kind of end, with real engines and monitors.

use super::opening::REAL;
use crate::world::World;
use serde_json::{Value, json};

const REQUEST: &str = "DriverService/RequestCharge";

/// A driver's request there, granted.
async fn granted(world: &mut World, driver: &str, charge_point: &str) -> String {
    let request = json!({"driver_id": driver, "charge_point_id": charge_point});
    let answer = world.call("central", REQUEST, request).await.expect("granted");
    answer["session"]["session_id"].as_str().unwrap().to_owned()
}

async fn denied(world: &mut World, charge_point: &str) {
    let request = json!({"driver_id": "399", "charge_point_id": charge_point});
    assert!(world.call("central", REQUEST, request).await.is_none());
}

pub(super) async fn play(world: &mut World) {
    world.chapter("A reservation, and supplies at three charge points");
    let expires = granted(world, "301", "MAD-02").await;
    let monitor_lost = granted(world, "302", "VLC-02").await;
    let interrupted = granted(world, "303", "VLC-03").await;
    let stopped = granted(world, "304", "VLC-01").await;
    for (driver, session) in [("302", &monitor_lost), ("303", &interrupted), ("304", &stopped)] {
        world.supplies(driver, session).await;
    }

    world.chapter("The engine is killed, and comes back");
    world.kill("engine VLC-03");
    world.faulted("VLC-03", "the connection broke").await;
    let troubled = |session: &Value| session["trouble"] != "";
    let session = world.session("303", &interrupted, "is in trouble", troubled).await;
    world.value("  trouble: ", session["trouble"].clone());
    denied(world, "VLC-03").await;
    world.start_engine("VLC-03");

    world.chapter("The monitor is killed");
    world.kill("monitor VLC-02");
    world.status("VLC-02", "DISCONNECTED").await;
    denied(world, "VLC-02").await;

    world.chapter("Stopped by the driver");
    world.call("central", "DriverService/StopCharge", json!({"driver_id": "304"})).await;
    world.settled("304", &stopped).await;

    world.chapter("What came of the others");
    world.settled("301", &expires).await;
    world.settled("302", &monitor_lost).await;
    world.call("VLC-02", "EnginePanelService/StartManualSupply", json!({})).await;
    world.settled("303", &interrupted).await;
    world.start_monitor("VLC-02");
    for id in REAL {
        world.status(id, "AVAILABLE").await;
    }

    operators_stop_and_fault(world).await;
    manual(world).await;
    apps(world).await;
}

async fn operators_stop_and_fault(world: &mut World) {
    world.chapter("Stopped by the operator");
    let session = granted(world, "305", "VLC-01").await;
    world.supplies("305", &session).await;
    world.call("central", "OperatorService/StopChargePoints", json!({"charge_point_ids": ["VLC-01"]})).await;
    world.settled("305", &session).await;
    denied(world, "VLC-01").await;
    world.broadcast("VLC-01", "PARADO").await;
    world.command(&["operator", "resume", "--all"]);
    world.status("VLC-01", "AVAILABLE").await;

    world.chapter("The engine breaks, and is mended");
    let session = granted(world, "306", "VLC-01").await;
    world.supplies("306", &session).await;
    world.broadcast("VLC-01", "SUMINISTRANDO").await;
    world.at_point("VLC-01", &["fault", "water in the socket"]);
    world.settled("306", &session).await;
    world.faulted("VLC-01", "water in the socket").await;
    denied(world, "VLC-01").await;
    world.broadcast("VLC-01", "AVERIADO").await;
    world.call("VLC-01", "EnginePanelService/StartManualSupply", json!({"driver_id": "399"})).await;
    world.at_point("VLC-01", &["repair", "--output", "json"]);
    world.status("VLC-01", "AVAILABLE").await;
}

async fn manual(world: &mut World) {
    world.chapter("Supplies asked for at the charge point: a driver's, and a guest's");
    world.at_point("MAD-02", &["supply", "--driver", "307"]);
    world.broadcast("MAD-02", "RESERVADO").await;
    world.at_point("MAD-02", &["plug"]);
    world.call("MAD-02", "EnginePanelService/PlugIn", json!({})).await;
    let of = json!({"driver_id": "307"});
    let is_settled = |answer: &Value| answer["sessions"][0]["settled"] == true;
    world.until("central", "DriverService/ListSessions", of.clone(), "it is settled", is_settled).await;
    world.call("central", "DriverService/ListSessions", of).await;
    world.status("MAD-02", "AVAILABLE").await;

    world.call("MAD-02", "EnginePanelService/StartManualSupply", json!({"request_id": "guest"})).await;
    world.call("MAD-02", "EnginePanelService/PlugIn", json!({})).await;
    let of = json!({"driver_id": "INVITADO"});
    world.until("central", "OperatorService/ListSessions", of, "it is settled", is_settled).await;
    world.at_point("MAD-02", &["unplug"]);
    world.status("MAD-02", "AVAILABLE").await;
    world.at_point("MAD-02", &["show"]);
    world.call("central", "OperatorService/ListTickets", json!({"charge_point_id": "MAD-02"})).await;
}

async fn apps(world: &mut World) {
    world.chapter("Drivers' apps");
    world.command(&["driver", "--driver", "308", "--charge-point", "MAD-01"]);
    world.status("MAD-01", "AVAILABLE").await;
    let text = "MAD-01\nNOWHERE expect=denied:CHARGE_POINT_UNKNOWN\nany Nowhere expect=denied\nMAD-01 expect=fault\n";
    let file = world.file("requests", text);
    for output in ["text", "json"] {
        let requests = ["--requests", &file, "--pause", "0", "--output", output];
        world.command(&[&["driver", "--driver", "309"], &requests[..]].concat());
        world.status("MAD-01", "AVAILABLE").await;
    }
}

pub(super) async fn restart(world: &mut World) {
    world.chapter("Central is killed in mid-supply, and comes back");
    let session = granted(world, "310", "MAD-01").await;
    world.supplies("310", &session).await;
    for lab in world.labs.values_mut() {
        lab.unwatched();
    }
    world.kill("central");
    let ended = |panel: &Value| panel["panel"]["last"]["session_id"] == session.as_str();
    world.until("MAD-01", "EnginePanelService/GetPanel", json!({}), "the supply has ended", ended).await;
    let unreachable = |panel: &Value| panel["panel"]["attended"] == true;
    world.until("MAD-02", "EnginePanelService/GetPanel", json!({}), "it is attended", unreachable).await;
    world.call("MAD-02", "EnginePanelService/StartManualSupply", json!({"driver_id": "311"})).await;
    world.command(&["operator", "status"]);
    world.start_central();
    world.settled("310", &session).await;
    for id in REAL {
        world.status(id, "AVAILABLE").await;
    }
    world.say("(what was answered before is answered again)");
    let request = json!({"driver_id": "230", "charge_point_id": "LAB-01", "request_id": "r-1"});
    world.call("central", REQUEST, request).await;
    let report = json!({"charge_point_id": "LAB-01", "epoch": 1, "health": "ENGINE_HEALTH_OK"});
    let registration = world.labs["LAB-01"].registration();
    world.call("central", "ChargePointService/RegisterChargePoint", registration).await;
    world.converse("central", "ChargePointService/ReportHealth", vec![report]).await;
    world.status("LAB-01", "DISCONNECTED").await;
}
