//! `evmesh bridge`: drivers of the old system, who publish to `driver_requests` what the seed's driver publishes, and
//! hear of it on `driver_notifications`.

mod common;

use common::{PATIENCE, becomes, broker::Broker, eventually, operator, roles::Roles, up};
use evmesh_proto::topics::{DRIVER_NOTIFICATIONS, DRIVER_REQUESTS};
use mesh::kafka::{KafkaOptions, Origin, Reader, ReaderEvent};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};
use testing::contract;

/// A car is full after 4.8 s.
const FAST: u32 = 600;
/// Notifications that may wait for the test: more than it makes.
const QUEUE: usize = 10_000;

/// Publishes as the old driver does: JSON, and no key. One partition, so that there is one order.
fn publish(kafka: &KafkaOptions, messages: &[Value]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &kafka.kafka).create().expect("a producer");
    let topic = kafka.topic(DRIVER_REQUESTS);
    for message in messages {
        let payload = message.to_string();
        let record = BaseRecord::<(), str>::to(&topic).partition(0).payload(&payload);
        assert!(producer.send(record).is_ok(), "{message}");
    }
    producer.flush(PATIENCE).expect("the broker takes them");
}

fn now() -> f64 {
    mesh::now().wall.seconds()
}

fn request(driver: &str, charge_point: &str) -> Value {
    json!({"user_id": driver, "cp_id": charge_point, "timestamp": now()})
}

/// What drivers are told, from the beginning.
struct Told {
    messages: Receiver<Value>,
    _reader: Reader,
}

impl Told {
    fn read(kafka: &KafkaOptions) -> Self {
        let (sender, messages) = sync_channel(QUEUE);
        let origin = Origin::Stored { cluster_id: None, offsets: Default::default() };
        let sink = move |event| match event {
            ReaderEvent::Message(message) => {
                contract::check_published(DRIVER_NOTIFICATIONS, &message.payload);
                let told: Value = serde_json::from_slice(&message.payload).expect("it is JSON");
                assert_eq!(told["user_id"].as_str().expect("a text").as_bytes(), message.key, "{told}");
                sender.send(told).is_ok()
            }
            ReaderEvent::ReadToEnd { .. }
            | ReaderEvent::Away
            | ReaderEvent::Pause
            | ReaderEvent::NewCluster { .. }
            | ReaderEvent::Gap { .. } => true,
        };
        let reader = Reader::spawn(kafka, DRIVER_NOTIFICATIONS, "bridge-test", origin, sink);
        Self { messages, _reader: reader.expect("it reads") }
    }

    /// What this driver is told, up to the first that fits.
    fn until(&self, driver: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut told = Vec::new();
        loop {
            let next = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {told:#?}"));
            let last = fits(&next);
            if next["user_id"] == driver {
                told.push(next);
            }
            if last {
                return told;
            }
        }
    }
}

fn types(told: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = told.iter().map(|told| told["type"].as_str().expect("a text")).collect();
    types.dedup();
    types
}

fn codes(told: &[Value]) -> Vec<&str> {
    let mut codes: Vec<&str> = told.iter().map(|told| told["code"].as_str().unwrap_or_default()).collect();
    codes.sort_unstable();
    codes
}

fn offsets(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join("offsets.json")
}

/// Until the bridge knows where it begins: what is published before that is nobody's.
fn begun(file: &Path) -> Vec<u8> {
    eventually("the bridge has begun", PATIENCE, || fs::read(file).ok())
}

#[test]
fn an_old_driver_is_granted_metered_and_billed_and_a_repeat_asks_nothing_twice() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let kafka = roles.broker.options();
    let _network = roles.all(FAST);
    let told = Told::read(&kafka);
    let mut bridge = roles.bridge(&[]);
    let file = offsets(roles.data("bridge"));
    let before = begun(&file);

    publish(&kafka, &[request("101", "MAD-01")]);
    let heard = told.until("101", |told| told["type"] == "TICKET");
    assert_eq!(types(&heard), ["AUTH_OK", "CONSUMO_UPDATE", "TICKET"], "{heard:#?}");
    assert_eq!((&heard[0]["cp_id"], &heard[0]["user_id"]), (&json!("MAD-01"), &json!("101")));
    let ticket = heard.last().expect("a ticket");
    assert_eq!((&ticket["kwh"], &ticket["importe"]), (&json!(40.0), &json!(14.0)), "{ticket}");
    assert_eq!(roles.ticket("MAD-01")["energy_wh"], ticket["energy_wh"]);

    // The power goes before the bridge has kept how far it was: after its return it reads the request again.
    let after = eventually("the bridge keeps how far it is", PATIENCE, || {
        fs::read(&file).ok().filter(|now| *now != before)
    });
    bridge.kill();
    fs::write(&file, &before).unwrap();
    let _again = roles.bridge(&[]);
    eventually("the request was read again", PATIENCE, || (fs::read(&file).ok()? == after).then_some(()));
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    assert_eq!(operator(&roles.central, &["sessions"]).len(), 1, "asked for once");
    publish(&kafka, &[request("101", "LAST")]);
    let heard = told.until("101", |told| told["cp_id"] == "LAST");
    assert_eq!(codes(&heard), ["CHARGE_POINT_UNKNOWN"], "nothing is told twice: {heard:#?}");
}

#[test]
fn what_is_not_granted_is_denied_once_with_its_reason() {
    let roles = Roles::new(Broker::open(), &[]);
    let kafka = roles.broker.options();
    let _network = roles.all(FAST);
    let told = Told::read(&kafka);
    let bridge = roles.bridge(&[]);
    begun(&offsets(roles.data("bridge")));

    let seed = json!({"user_id": "101", "cp_id": "MAD-01", "timestamp": 1699999999.0});
    let no_place = json!({"user_id": "101", "timestamp": now()});
    let nobody = json!({"cp_id": "MAD-01", "timestamp": now()});
    publish(&kafka, &[seed, request("101", "NOWHERE"), nobody, no_place, request("101", "LAST")]);
    let heard = told.until("101", |told| told["cp_id"] == "LAST");
    assert_eq!(types(&heard), ["AUTH_DENIED"]);
    let unknown = "CHARGE_POINT_UNKNOWN";
    assert_eq!(codes(&heard), [unknown, unknown, "INVALID_FIELD", "REQUEST_TOO_OLD"], "{heard:#?}");
    let find = |code: &str| heard.iter().find(|told| told["code"] == code).expect("it was told");
    let old = find("REQUEST_TOO_OLD")["reason"].as_str().expect("a sentence");
    assert!(old.contains("2023-11-14T22:13:19Z") && old.contains("the clock of the device"), "{old}");
    assert_eq!(find("INVALID_FIELD")["reason"], "cp_id must be given, as a text");
    let nowhere = heard.iter().find(|told| told["cp_id"] == "NOWHERE").expect("central told it");
    assert!(nowhere["request_id"].as_str().expect("of the bridge").starts_with("bridge-"), "{nowhere}");
    bridge.line(&["driver_requests has what cannot be answered", "user_id"], PATIENCE);
    assert!(operator(&roles.central, &["sessions"]).is_empty());
}

#[test]
fn a_request_waits_for_central_until_it_is_too_old() {
    let roles = Roles::new(Broker::open(), &[]);
    let kafka = roles.broker.options();
    let told = Told::read(&kafka);
    let mut impatient = roles.bridge(&["--max-age", "2"]);
    let file = offsets(roles.data("bridge"));
    let before = begun(&file);
    publish(&kafka, &[request("101", "MAD-01")]);
    let heard = told.until("101", |_| true);
    assert_eq!(codes(&heard), ["CENTRAL_UNREACHABLE"], "{heard:#?}");
    eventually("that is kept", PATIENCE, || (fs::read(&file).ok()? != before).then_some(()));
    impatient.terminate();
    assert_eq!(impatient.end(Duration::from_secs(10)), 0, "{}", impatient.text());

    // One that waits is asked for once central is there, and goes on waiting over a restart of the bridge.
    let mut bridge = roles.bridge(&[]);
    publish(&kafka, &[request("102", "NOWHERE")]);
    bridge.line(&["cannot reach central at "], PATIENCE);
    bridge.terminate();
    assert_eq!(bridge.end(Duration::from_secs(10)), 0, "{}", bridge.text());
    assert!(!bridge.text().contains("peer lost"), "one event once: {}", bridge.text());
    let _bridge = roles.bridge(&[]);
    let _central = roles.central();
    let heard = told.until("102", |told| told["user_id"] == "102");
    assert_eq!(codes(&heard), ["CHARGE_POINT_UNKNOWN"], "{heard:#?}");
}

#[test]
fn without_a_bridge_central_says_what_to_do() {
    let roles = Roles::new(Broker::open(), &[]);
    let kafka = roles.broker.options();
    let central = roles.central();
    eventually("central says so", PATIENCE, || {
        publish(&kafka, &[request("101", "MAD-01")]);
        (central.count("came on driver_requests") > 0).then_some(())
    });
    central.line(&["came on driver_requests", "start 'evmesh bridge'"], PATIENCE);
}

#[test]
fn a_network_in_one_process_has_its_bridge_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let network = up::Up::ready(&["--bridge", "--data", &data]);
    network.process.line(&["bridge ", "driver_requests"], PATIENCE);
    begun(&offsets(folder.path().join("bridge")));
    publish(&network.broker.options(), &[request("101", "VLC-01")]);
    let ticket = eventually("a ticket", PATIENCE, || operator(&network.central, &["tickets"]).pop());
    assert_eq!((&ticket["driver_id"], &ticket["charge_point_id"]), (&json!("101"), &json!("VLC-01")));
}
