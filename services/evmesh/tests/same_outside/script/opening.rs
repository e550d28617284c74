//! A network appears: five real charge points and three of the laboratory.

use crate::{lab::Lab, world::World};
use serde_json::json;

/// A car takes 20 kWh in 1.2 s, by itself.
const FAST: &[&str] = &["--speed", "1200", "--battery-wh", "20000", "--plug-in-after", "0.2"];
/// A car takes them in 2.4 s, once a person plugs it in.
const BY_HAND: &[&str] = &["--speed", "600", "--battery-wh", "20000", "--plug-in-after", "never"];
/// A car does not get full within the script. With its first reading it costs more than any exact supply, and no number
/// of ticks of its meter is as much energy as one: at 1200, twelve tenths of a second were.
const SLOW: &[&str] = &["--speed", "1210", "--battery-wh", "9000000", "--plug-in-after", "0.2"];
/// The same; and its engine does not wait long for its monitor.
const IMPATIENT: &[&str] =
    &["--speed", "1210", "--battery-wh", "9000000", "--plug-in-after", "0.2", "--monitor-grace", "2"];

/// The ids of the real ones.
pub(super) const REAL: [&str; 5] = ["MAD-01", "MAD-02", "VLC-01", "VLC-02", "VLC-03"];

pub(super) async fn play(world: &mut World) {
    world.chapter("A network appears");
    // Measured numbers that are the script's own, in each way in which they are written.
    for exact in [
        "20000", "20.0", "20.000", "7.00", "7.0", "7000000", "0.30", "0.35", "0.39", "0.45", "0.25", "0.1",
        "0.2",
    ] {
        world.mask.exact(exact);
    }
    for exact in ["50.0", "7.4", "0.0", "0.000", "0.00"] {
        world.mask.exact(exact);
    }
    world.start_central();
    world.start_point("MAD-01", ("Madrid, Atocha", "0.35 EUR"), FAST);
    world.start_point("MAD-02", ("Madrid, Chamartín", "0.35 EUR"), BY_HAND);
    world.start_point("VLC-01", ("Valencia, Nord", "0.45 EUR"), SLOW);
    world.start_point("VLC-02", ("Valencia, Port", "0.45 EUR"), IMPATIENT);
    world.start_point("VLC-03", ("Valencia, Sud", "0.45 EUR"), SLOW);
    for id in REAL {
        world.status(id, "AVAILABLE").await;
    }
    for id in ["LAB-01", "LAB-02", "LAB-03"] {
        let lab = Lab::start(id).await;
        world.mask.name(&lab.address.to_string(), &format!("engine of {id}"));
        let registration = lab.registration();
        world.labs.insert(id, lab);
        let registered = world.call("central", "ChargePointService/RegisterChargePoint", registration).await;
        let epoch = registered.unwrap()["epoch"].as_u64().unwrap();
        world.watch(id, epoch).await;
        world.status(id, "AVAILABLE").await;
    }

    world.call("central", "OperatorService/GetNetworkStatus", json!({})).await;
    world.call("central", "DriverService/ListChargePoints", json!({"location_prefix": "Valencia"})).await;
    let first =
        world.call("central", "DriverService/ListChargePoints", json!({"page_size": 5})).await.unwrap();
    let token = &first["next_page_token"];
    let next = json!({"page_size": 5, "page_token": token});
    world.call("central", "DriverService/ListChargePoints", next.clone()).await;
    let other = json!({"page_size": 5, "page_token": token, "available_only": true});
    world.call("central", "DriverService/ListChargePoints", other).await;
    let mut network = world.follow("OperatorService/WatchNetwork", &json!({})).await.unwrap();
    let whole = network.next().await.unwrap().unwrap();
    world.value("central OperatorService/WatchNetwork {} first ", whole);

    world.check(None);
    world.check(Some("MAD-01"));
    world.command(&["operator", "status"]);
    world.command(&["operator", "status", "--output", "json", "--limit", "2"]);
    world.command(&["operator", "tickets"]);
    world.command(&["operator", "sessions", "--driver", "nobody"]);
    world.at_point("MAD-01", &["show"]);
    world.at_point("MAD-01", &["show", "--output", "json"]);
    world.call("MAD-01", "EnginePanelService/GetPanel", json!({})).await;
}
