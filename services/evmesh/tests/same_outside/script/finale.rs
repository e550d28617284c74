//! What is on the topics in the end, key by key: what comes first across keys is the machine's affair.

use super::opening::REAL;
use crate::{
    topics::{self, Message},
    world::World,
};
use evmesh_proto::topics::{
    CENTRAL_CHANGELOG, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, NETWORK_STATUS,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testing::contract::is_reading;

pub(super) async fn play(world: &mut World) {
    world.chapter("What the scripted engines were asked");
    let asked: Vec<_> = world.labs.iter().map(|(id, lab)| (*id, lab.asked())).collect();
    for (id, asked) in asked {
        for call in ["AuthorizeSupply", "RevokeAuthorization", "StopSupply", "ConfirmSettled"] {
            let mut requests: Vec<&Value> =
                asked.iter().filter(|(name, _)| name == call).map(|(_, it)| it).collect();
            if call == "ConfirmSettled" {
                // when it may is the machine's affair
                requests.sort_by_key(|request| request["session_id"].to_string());
            }
            for request in requests {
                world.value(&format!("{id} {call} "), request.clone());
            }
        }
    }

    world.chapter("driver_notifications");
    everyone_is_told(world).await;
    let messages = topics::read(&world.broker.options(), DRIVER_NOTIFICATIONS);
    sessions(world, &messages);

    world.chapter("cp_telemetry, of the real charge points");
    let mut messages = topics::read(&world.broker.options(), CP_TELEMETRY);
    messages.retain(|message| REAL.contains(&message.key.as_str()));
    sessions(world, &messages);

    world.chapter("cp_telemetry.dlq");
    for message in topics::read(&world.broker.options(), CP_TELEMETRY_DLQ) {
        letter(world, &message);
    }

    world.chapter("network_status");
    let messages = topics::read(&world.broker.options(), NETWORK_STATUS);
    let last = messages.last().expect("a broadcast");
    let headers: Vec<&String> = last.headers.keys().collect();
    world.value(&format!("{:?} {headers:?} ", last.key), last.json());

    world.chapter("central_changelog");
    let messages = topics::read(&world.broker.options(), CENTRAL_CHANGELOG);
    let keyed = messages.iter().all(|message| !message.key.is_empty());
    world.say(&format!("there: {}, every message with a key: {keyed}", !messages.is_empty()));
}

/// Each ticket of a driver with a name is announced.
async fn everyone_is_told(world: &mut World) {
    let request = json!({"page_size": 500});
    let all = world.ask("central", "OperatorService/ListTickets", &request).await.unwrap();
    let all = all["tickets"].as_array().unwrap();
    let due = all.iter().filter(|ticket| ticket["driver_id"] != "INVITADO").count();
    let told = |world: &World| {
        let messages = topics::read(&world.broker.options(), DRIVER_NOTIFICATIONS);
        messages.iter().filter(|message| message.json()["type"] == "TICKET").count()
    };
    world.eventually("each ticket is announced", |world| (told(world) >= due).then_some(())).await;
    assert_eq!(told(world), due, "INV-1: one announcement a ticket");
}

/// Key by key, session by session: the lifecycle in its order, then the readings. Those of real charge points are
/// one: how many there are, and of which supply, depends on the machine.
fn sessions(world: &mut World, messages: &[Message]) {
    let mut keys: BTreeMap<&str, Vec<(Value, &Message)>> = BTreeMap::new();
    let mut real = BTreeMap::new();
    for message in messages {
        let mut json = message.json();
        if is_reading(&json) && REAL.iter().any(|id| json["cp_id"] == *id) {
            for masked in ["cp_id", "user_id", "session_id", "event_id", "kwh", "importe", "kw", "seq"] {
                json[masked] = "(masked)".into();
            }
            json["timestamp"] = 0.into();
            real.insert(json.to_string(), (json, message));
        } else {
            keys.entry(&message.key).or_default().push((json, message));
        }
    }
    for (key, mut messages) in keys {
        let mut order: Vec<String> = Vec::new();
        for (json, _) in &messages {
            let session = json["session_id"].to_string();
            if !order.contains(&session) {
                order.push(session);
            }
        }
        let place = |json: &Value| {
            let session = json["session_id"].to_string();
            (order.iter().position(|it| *it == session), is_reading(json))
        };
        messages.sort_by_key(|(json, _)| place(json));
        for (json, message) in messages {
            let headers: Vec<&String> = message.headers.keys().collect();
            world.value(&format!("{key:?} {headers:?} "), json);
        }
    }
    for (json, message) in real.into_values() {
        let headers: Vec<&String> = message.headers.keys().collect();
        world.value(&format!("(each reading) {headers:?} "), json);
    }
}

/// A dead letter with its headers; where it stood is the broker's affair.
fn letter(world: &mut World, message: &Message) {
    let mut headers = message.headers.clone();
    for (name, value) in &mut headers {
        if ["partition", "offset", "traceparent"].contains(&name.as_str()) {
            *value = "(masked)".into();
        }
    }
    let payload = match message.payload.len() {
        0..1000 => message.json(),
        bytes => format!("({bytes} bytes)").into(),
    };
    world.value(&format!("{:?} {headers:?} ", message.key), payload);
}
