//! The topics' contract, `proto/asyncapi.yaml`, as a test holds it against a message.

use evmesh_proto::topics::{Telemetry, TelemetryType};
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// The document; its references point into it.
pub fn asyncapi() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        serde_yaml_ng::from_str(include_str!("../../../proto/asyncapi.yaml")).expect("it is YAML")
    })
}

/// The messages of a topic: each one's name, which is the `type` of its payload, and its description.
pub fn messages(topic: &str) -> impl Iterator<Item = (&'static str, &'static Value)> {
    let channels = object(&asyncapi()["channels"]);
    let channel = channels.values().find(|channel| channel["address"] == topic);
    let channel = channel.unwrap_or_else(|| panic!("no topic {topic} in proto/asyncapi.yaml"));
    object(&channel["messages"]).iter().map(|(name, reference)| {
        let at = reference["$ref"].as_str().expect("a reference");
        let message = asyncapi().pointer(&at[1..]).expect("what is referred to is there");
        (name.as_str(), message)
    })
}

/// The name of the one message that has no `type`.
const WITHOUT_TYPE: &str = "CHARGE_REQUEST";

/// What is wrong with a message of a topic; empty for one that fits its schema.
pub fn wrong(topic: &str, payload: &Value) -> Vec<String> {
    let kind = payload["type"].as_str().unwrap_or(WITHOUT_TYPE);
    match messages(topic).find(|(name, _)| *name == kind) {
        Some((_, message)) => violations(&message["payload"], payload),
        None => vec![format!("{topic} has no message {kind}")],
    }
}

/// Is it told again and again while a supply goes on, and so may be lost? Others tell of what happened once.
pub fn is_reading(payload: &Value) -> bool {
    let goes_on = |told: Telemetry| told.kind != TelemetryType::SessionStarted && told.end().is_none();
    payload["type"] == "CONSUMO_UPDATE" || serde_json::from_value(payload.clone()).is_ok_and(goes_on)
}

/// Panics unless a message that evmesh publishes fits its schema, and all of its fields are described there.
pub fn check_published(topic: &str, payload: &[u8]) {
    let payload: Value = serde_json::from_slice(payload).expect("it is JSON");
    let mut wrong = wrong(topic, &payload);
    wrong.extend(undescribed(topic, &payload));
    assert!(wrong.is_empty(), "{topic}: {payload}: {wrong:#?}");
}

/// Panics unless the headers of a message of a topic, of this `type`, fit their schema.
pub fn check_headers(topic: &str, name: &str, headers: &Value) {
    let (_, message) = messages(topic).find(|(it, _)| *it == name).expect("a message");
    let wrong = violations(&message["headers"], headers);
    assert!(wrong.is_empty(), "{topic}: {headers}: {wrong:#?}");
}

/// Readers ignore unknown fields, so that a schema allows them; evmesh itself publishes none.
fn undescribed(topic: &str, payload: &Value) -> Vec<String> {
    let schemas = &asyncapi()["components"]["schemas"];
    let known = match topic {
        evmesh_proto::topics::CP_TELEMETRY => &schemas["telemetry"],
        evmesh_proto::topics::DRIVER_NOTIFICATIONS => &schemas["notification"],
        evmesh_proto::topics::DRIVER_REQUESTS => &schemas["request"],
        evmesh_proto::topics::AUDIT_ANCHORS => &schemas["audit_anchor"],
        _ => &schemas["network_status"],
    };
    let fields = |payload: &Value, known: &Value| {
        let known = object(&known["properties"]);
        let unknown = object(payload).keys().filter(|name| !known.contains_key(*name));
        unknown.map(|name| format!("{name} is not described")).collect::<Vec<_>>()
    };
    let mut unknown = fields(payload, known);
    for entry in payload["cps"].as_array().into_iter().flatten() {
        unknown.extend(fields(entry, &schemas["charge_point"]));
    }
    unknown
}

fn violations(schema: &Value, instance: &Value) -> Vec<String> {
    // References are resolved from the root: so the root is the whole document, with this schema as its own.
    let mut root = object(asyncapi()).clone();
    root.insert("allOf".to_owned(), Value::Array(vec![schema.clone()]));
    let validator = jsonschema::draft7::new(&Value::Object(root)).expect("the schema is one");
    let errors = validator.iter_errors(instance);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}
