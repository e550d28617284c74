//! The topics' contract, `proto/asyncapi.yaml`: its examples are those of the Rust types, and what a network publishes
//! fits its schemas.

mod common;

use common::{PATIENCE, Process, broker::Broker, up};
use evmesh_proto::topics::{
    AUDIT_ANCHORS, AuditAnchor, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, DRIVER_REQUESTS,
    DriverRequest, NETWORK_STATUS, NETWORK_STATUS_KEY, NetworkStatus, Notification, Telemetry,
};
use mesh::kafka::{Message, Origin, Reader, ReaderEvent};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::mpsc::{Receiver, sync_channel},
};
use testing::contract;

const TOPICS: [&str; 6] =
    [AUDIT_ANCHORS, CP_TELEMETRY, CP_TELEMETRY_DLQ, DRIVER_NOTIFICATIONS, DRIVER_REQUESTS, NETWORK_STATUS];

/// Messages that may wait between the readers and the test: more than its network publishes.
const QUEUE: usize = 10_000;

#[test]
fn every_example_is_what_the_code_reads_and_writes() {
    let channels = contract::asyncapi()["channels"].as_object().unwrap();
    let described: Vec<_> = channels.values().map(|channel| channel["address"].as_str().unwrap()).collect();
    assert_eq!(described, TOPICS);
    for topic in TOPICS {
        for (name, message) in contract::messages(topic) {
            let examples = message["examples"].as_array().unwrap();
            assert!(!examples.is_empty(), "{name} has no example");
            for example in examples {
                let payload = &example["payload"];
                if let Some(headers) = example.get("headers") {
                    contract::check_headers(topic, name, headers);
                }
                match topic {
                    AUDIT_ANCHORS => again::<AuditAnchor>(topic, payload),
                    CP_TELEMETRY => again::<Telemetry>(topic, payload),
                    DRIVER_NOTIFICATIONS => again::<Notification>(topic, payload),
                    DRIVER_REQUESTS => again::<DriverRequest>(topic, payload),
                    NETWORK_STATUS => again::<NetworkStatus>(topic, payload),
                    // It is there because it could not be read.
                    _ => assert!(serde_json::from_str::<Telemetry>(payload.as_str().unwrap()).is_err()),
                }
            }
        }
    }
}

/// The example fits its schema, and comes through the Rust type unchanged.
fn again<T: Serialize + DeserializeOwned>(topic: &str, payload: &Value) {
    contract::check_published(topic, payload.to_string().as_bytes());
    let read: T =
        serde_json::from_value(payload.clone()).unwrap_or_else(|error| panic!("{payload}: {error}"));
    assert_eq!(&serde_json::to_value(read).expect("it is JSON"), payload);
}

#[test]
fn what_breaks_the_contract_is_told() {
    let reading = json!({"type": "CONSUMO", "cp_id": "A", "user_id": "1", "kwh": 1.0});
    let with = |field: &str, value: Value| {
        let mut message = reading.clone();
        message[field] = value;
        contract::wrong(CP_TELEMETRY, &message)
    };
    assert!(contract::wrong(CP_TELEMETRY, &reading).is_empty());
    assert!(with("new", json!([])).is_empty(), "unknown fields are allowed");
    for (field, value) in [
        ("type", json!("NEW")),
        ("cp_id", json!("a b")),
        ("user_id", json!(7)),
        ("kwh", json!(-0.1)),
        ("kwh", json!("1.0")),
        ("session_id", json!("without a number")),
    ] {
        assert!(!with(field, value.clone()).is_empty(), "{field}: {value}");
    }
    let empty = json!({"type": "TICKET", "cp_id": "A", "user_id": "1", "timestamp": 0.0});
    assert!(!contract::wrong(DRIVER_NOTIFICATIONS, &empty).is_empty(), "a ticket without its energy");
    let part = json!({"type": "NETWORK_STATUS_UPDATE", "cps": [], "part": 1});
    assert!(!contract::wrong(NETWORK_STATUS, &part).is_empty(), "a part of how many?");
}

#[test]
fn all_that_a_network_publishes_fits_the_contract() {
    let broker = Broker::open();
    let (readers, messages) = read_all(&broker);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, "VLC-01\nNOWHERE expect=denied\nMAD-02 expect=fault\n").unwrap();
    let file = file.display().to_string();
    let mut network = Process::start(up::flags(&broker, &["--requests", &file, "--exit", "--pause", "0.1"]));

    let wanted: BTreeSet<&str> = [
        "SESSION_STARTED",
        "CONSUMO",
        "SUPPLY_END",
        "AVERIADO",
        "AUTH_OK",
        "AUTH_DENIED",
        "CONSUMO_UPDATE",
        "SUPPLY_ERROR",
        "TICKET",
        "NETWORK_STATUS_UPDATE",
    ]
    .into();
    let mut seen = BTreeSet::new();
    while !wanted.iter().all(|kind| seen.contains(*kind)) {
        let (topic, message) = messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {seen:?}"));
        seen.insert(fits(topic, &message));
    }
    assert_eq!(network.end(PATIENCE), 0, "{}", network.text());
    drop(readers);
    for (topic, message) in messages.try_iter() {
        fits(topic, &message);
    }
}

/// Checks a message with its key and its trace; gives its type.
fn fits(topic: &'static str, message: &Message) -> String {
    let payload: Value = serde_json::from_slice(&message.payload)
        .unwrap_or_else(|error| panic!("{topic}: {error}: {}", String::from_utf8_lossy(&message.payload)));
    contract::check_published(topic, &message.payload);
    let key = match topic {
        CP_TELEMETRY => &payload["cp_id"],
        DRIVER_NOTIFICATIONS => &payload["user_id"],
        AUDIT_ANCHORS => &payload["store_id"],
        _ => &Value::from(NETWORK_STATUS_KEY),
    };
    assert_eq!(key.as_str().expect("a text").as_bytes(), message.key, "{topic}: {payload}");
    assert!(
        message.trace.is_some() || payload["session_id"].is_null(),
        "{topic}: a session's message is traced: {payload}"
    );
    payload["type"].as_str().expect("a text").to_owned()
}

/// Reads every topic from its beginning.
fn read_all(broker: &Broker) -> (Vec<Reader>, Receiver<(&'static str, Message)>) {
    let (sender, messages) = sync_channel(QUEUE);
    let readers = TOPICS.map(|topic| {
        let sender = sender.clone();
        let origin = Origin::Stored { cluster_id: None, offsets: Default::default() };
        let sink = move |event| match event {
            ReaderEvent::Message(message) => sender.send((topic, message)).is_ok(),
            ReaderEvent::ReadToEnd { .. }
            | ReaderEvent::Away
            | ReaderEvent::Pause
            | ReaderEvent::NewCluster { .. }
            | ReaderEvent::Gap { .. } => true,
        };
        Reader::spawn(&broker.options(), topic, "contract", origin, sink).expect("it reads")
    });
    (readers.into(), messages)
}
