//! The operator's desk once all has happened: every list, page by page, in JSON and as tables.

use crate::world::World;
use serde_json::{Value, json};

pub(super) async fn play(world: &mut World) {
    world.chapter("All sessions and tickets");
    for name in ["OperatorService/ListSessions", "OperatorService/ListTickets"] {
        let mut token = Value::from("");
        loop {
            let request = json!({"page_size": 10, "page_token": token.as_str().unwrap_or_default()});
            let mut page = world.call("central", name, request).await.unwrap();
            token = page["next_page_token"].take();
            if token.as_str().unwrap_or_default().is_empty() {
                break;
            }
        }
    }
    world.call("central", "DriverService/ListTickets", json!({"driver_id": "309", "page_size": 1})).await;
    world.call("central", "DriverService/ListSessions", json!({"driver_id": "309", "page_size": 1})).await;

    world.chapter("The operator's desk");
    world.command(&["operator", "sessions", "--charge-point", "MAD-01"]);
    world.command(&["operator", "tickets", "--charge-point", "MAD-01"]);
    world.command(&["operator", "tickets", "--charge-point", "LAB-02"]);
    world.command(&["operator", "sessions"]);
    world.command(&["operator", "tickets", "--output", "json"]);
    world.command(&["operator", "stop", "NOWHERE"]);
    world.command(&["operator", "stop", "MAD-01", "MAD-02"]);
    world.command(&["operator", "stop", "--all", "--output", "json"]);
    world.command(&["operator", "resume", "--all"]);
    world.command(&["operator", "price", "MAD-01", "0.39", "EUR"]);
    world.command(&["operator", "price", "MAD-01", "0.39 EUR", "--output", "json"]);
    world.command(&["operator", "price", "NOWHERE", "0.39 EUR"]);
    world.command(&["operator", "status", "--limit", "3"]);
    world.command(&["operator", "status", "--output", "json"]);
}
