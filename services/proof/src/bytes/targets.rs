//! The targets. Each says whether it understood its input, and panics where a promise is broken.

use super::calls::calls;
use crate::engine_process::{Engine, Page as EnginePage};
use crate::pages::Page;
use central::{
    store::{RowKind, codec, read_rows},
    writer::{Incoming, Input, Writer},
};
use domain::network::{Command, Config, Source};
use domain::requests::{Broadcasts, FreePoint};
use domain::simulated::Settings;
use domain::{Energy, Mono, Now, Power, Wall};
use evmesh_proto::{
    network::ChargePointStatus,
    topics::{DriverRequest, NetworkStatus, Notification, Telemetry},
};
use mesh::store::{Batch, MemoryStore, Store as _};
use serde::{Serialize, de::DeserializeOwned};
use std::{cell::RefCell, fmt::Debug, time::Duration};

/// A function of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As `--target` names it, and its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Its share of the inputs: cheap ones take more.
    pub(crate) weight: u64,
    /// Throws one input; was it understood?
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub const ALL: [Target; 11] = [
    Target { name: "telemetry", weight: 4, run: telemetry },
    Target { name: "notification", weight: 4, run: notification },
    Target { name: "network_status", weight: 4, run: network_status },
    Target { name: "charge_request", weight: 4, run: charge_request },
    Target { name: "requests_file", weight: 4, run: requests_file },
    Target { name: "words", weight: 4, run: words },
    Target { name: "sealed", weight: 4, run: sealed },
    Target { name: "calls", weight: 4, run: calls },
    Target { name: "central_store", weight: 4, run: central_store },
    Target { name: "central_start", weight: 2, run: central_start },
    Target { name: "engine_store", weight: 4, run: engine_store },
];

/// A moment so many seconds after the beginning.
fn at(seconds: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(seconds * 1000).unwrap_or(i64::MAX);
    Now { mono: Mono(seconds * 1_000_000_000), wall: Wall(wall) }
}

/// What is read is written and read as itself.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(payload).ok()?;
    let again = serde_json::to_vec(&value).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&again).expect("what was written can be read"), value);
    Some(value)
}

/// A disk with one charge point.
fn disk() -> MemoryStore {
    thread_local! {
        static DISK: RefCell<Option<MemoryStore>> = const { RefCell::new(None) };
    }
    DISK.with_borrow_mut(|disk| {
        let prepared = disk.get_or_insert_with(|| {
            let mut store = MemoryStore::new();
            let id = "an id is an id";
            let point = domain::network::ChargePoint {
                id: "MAD-01".parse().expect(id),
                location: "Madrid".parse().expect("a place"),
                price: "0.30 EUR".parse().expect("a price is a price"),
                engine_address: "127.0.0.1:1".into(),
                instance: "store".parse().expect(id),
                monitor: "monitor".parse().expect(id),
                epoch: 1,
                highest_authorization: 7,
                out_of_order: false,
                never_supplied: false,
                rated: None,
                seals_from: None,
                revoked: None,
            };
            let mut batch = Batch::default();
            batch.put("cMAD-01", codec::charge_point_value(&point));
            store.commit(batch).expect("memory takes it");
            store
        });
        prepared.clone()
    })
}

/// `cp_telemetry`: a bad message goes to the dead letters with its reason, a good one is applied, and the next one is
/// taken.
pub fn telemetry(payload: &[u8]) -> bool {
    round_trip::<Telemetry>(payload);
    let read = central::messages::decode(b"MAD-01", payload);
    let mut central = Writer::open(disk(), Config::default(), at(1)).expect("a good store");
    let message = |offset, payload: &[u8]| {
        let source = Source { partition: 0, offset };
        Input::Messages(vec![Incoming::new(source, b"MAD-01".to_vec(), payload.to_vec(), None)])
    };
    central.step(at(2), vec![message(1, payload)]).expect("memory takes it");
    let letters = read_rows(&central.store, RowKind::DeadLetter, 0, 10).expect("memory is read");
    if read.is_err() {
        assert_eq!(letters.len(), 1, "a bad message has one dead letter");
    }
    for (_, letter) in &letters {
        assert!(!letter.headers["reason"].is_empty() && letter.payload.len() <= payload.len());
    }
    // The next good one is served, and time goes on.
    let good = br#"{"type":"CONSUMO","cp_id":"MAD-01","user_id":"101","kwh":0.3}"#;
    central.step(at(3), vec![message(2, good), Input::Command(Command::Tick)]).expect("memory takes it");
    central.close().expect("memory takes it");
    read.is_ok()
}

/// `cp_telemetry`, sealed: whatever is opened was sealed with that very key.
pub fn sealed(message: &[u8]) -> bool {
    let opened = identity::SealingSecret::new([7; 32]).open(message, &mut Vec::new());
    if let Ok(name) = &opened {
        assert_eq!(name.to_string(), "MAD-01/4/13004c1d", "no other key has sealed anything");
    }
    opened.is_ok()
}

/// `driver_requests`, as the bridge reads it.
pub fn charge_request(payload: &[u8]) -> bool {
    round_trip::<DriverRequest>(payload);
    bridge::understood(payload, at(1).wall)
}

/// `driver_notifications`, as a driver reads it.
pub fn notification(payload: &[u8]) -> bool {
    let shown = driver::topics::notification(payload, "101").is_some();
    let read = round_trip::<Notification>(payload).is_some();
    assert!(read || !shown, "what cannot be read is not shown");
    read
}

/// `network_status`, as a driver reads it, message after message.
pub fn network_status(payload: &[u8]) -> bool {
    thread_local! {
        static FREE: RefCell<Broadcasts<(FreePoint, ChargePointStatus)>> = RefCell::default();
    }
    let read = round_trip::<NetworkStatus>(payload);
    FREE.with_borrow_mut(|broadcasts| driver::topics::free(payload, broadcasts));
    read.is_some()
}

/// A driver's file of requests.
pub fn requests_file(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    match domain::requests::parse("requests.txt", &text) {
        Ok(lines) => {
            assert!(!lines.is_empty() && lines.len() <= text.lines().count());
            true
        }
        Err(wrong) => {
            assert!(wrong.to_string().starts_with("requests.txt"), "{wrong}");
            false
        }
    }
}

/// Ids, prices, currencies, addresses and traces: each reads what it shows as itself.
pub fn words(text: &[u8]) -> bool {
    fn shown<T: std::str::FromStr + ToString + PartialEq + Debug>(text: &str) -> bool {
        let Ok(value) = text.parse::<T>() else { return false };
        let again = value.to_string();
        assert_eq!(again.parse::<T>().ok().as_ref(), Some(&value), "'{text}' is shown as '{again}'");
        true
    }
    let text = String::from_utf8_lossy(text);
    [
        shown::<domain::ChargePointId>(&text),
        shown::<domain::DriverId>(&text),
        shown::<domain::SessionId>(&text),
        shown::<domain::RequestId>(&text),
        shown::<domain::InstanceId>(&text),
        shown::<domain::Currency>(&text),
        shown::<domain::Price>(&text),
        shown::<mesh::grpc::Address>(&text),
        shown::<domain::Trace>(&text),
    ]
    .contains(&true)
}

/// The kind of entry in the store, and its key.
fn central_key(kind: u8) -> &'static [u8] {
    match kind % 7 {
        0 => b"cMAD-01",
        1 => b"ss1",
        2 => b"rRequestCharge\x00101\0r1\0",
        3 => b"o\0\0\0\0\0\0\0\x01",
        4 => b"k\0\0\0\0",
        5 => b"b30313233343536373839616263646566",
        _ => b"m",
    }
}

/// What [`central_key`] is given for a key's first byte.
fn kind_of(prefix: u8) -> u8 {
    b"csrokbm".iter().position(|known| *known == prefix).map_or(prefix, |at| at as u8)
}

/// One entry of central's store.
pub fn central_store(input: &[u8]) -> bool {
    let Some((&kind, value)) = input.split_first() else { return false };
    let key = central_key(kind_of(kind));
    let Ok(page) = Page::read(key, value) else { return false };
    if page != Page::Other {
        let again = Page::read(key, &page.write());
        assert_eq!(again.expect("what was written can be read"), page);
    }
    true
}

/// A start of central with an entry like that in its store: it is refused, or serves.
pub fn central_start(input: &[u8]) -> bool {
    let Some((&kind, value)) = input.split_first() else { return false };
    let (mut store, key) = (disk(), central_key(kind_of(kind)));
    let mut batch = Batch::default();
    batch.put(key, value);
    if key == b"ss1" {
        batch.put("as1", "");
    }
    store.commit(batch).expect("memory takes it");
    let Ok(mut central) = Writer::open(store, Config::default(), at(1)) else { return false };
    // Time goes on, for longer than any deadline.
    for seconds in [2, 10, 100, 100_000, 10_000_000] {
        if central.step(at(seconds), vec![Input::Command(Command::Tick)]).is_err() {
            return false;
        }
    }
    central.close().expect("memory takes it");
    true
}

fn engine_key(kind: u8) -> &'static [u8] {
    match kind % 3 {
        0 => b"engine",
        1 => b"ended/\0\0\0\0\0\0\0\x07",
        _ => b"event/\0\0\0\0\0\0\0\x01",
    }
}

/// One entry of an engine's store, and a start with it.
pub fn engine_store(input: &[u8]) -> bool {
    let Some((&kind, value)) = input.split_first() else { return false };
    let key = engine_key(kind);
    let mut store = MemoryStore::new();
    let mut batch = Batch::default();
    batch.put(key, value);
    store.commit(batch).expect("memory takes it");
    if let Ok(mut engine) = engine(store) {
        engine.step(at(10_000), Vec::new()).expect("memory takes it");
    }
    let Ok(page) = EnginePage::read(key, value) else { return false };
    let again = EnginePage::read(key, &page.write());
    assert_eq!(again.expect("what was written can be read"), page);
    true
}

fn engine(store: MemoryStore) -> Result<Engine<MemoryStore>, engine::Error> {
    let settings = Settings {
        power: Power::from_w(7400),
        battery: Energy::from_wh(30_000),
        duration: None,
        speed: 1,
        plug_in_after: Some(Duration::from_secs(1)),
        monitor_grace: Duration::from_secs(3),
    };
    let (point, instance) = ("MAD-01".parse().expect("an id"), "store".parse().expect("an id"));
    Engine::open(store, point, &instance, settings, at(1))
}
