//! What the engine publishes: every lifecycle event, in order, however late Kafka comes; readings while it is there.

#![allow(clippy::unwrap_used)] // clippy's exception for tests does not cover what they share

mod common;

use common::{DEADLINE, Engine, options};
use domain::Trace;
use evmesh_proto::{
    engine::{InjectFaultRequest, SupplyEnd},
    topics::{CP_TELEMETRY, Telemetry, TelemetryType},
};
use mesh::kafka::{KafkaOptions, Origin, Reader, ReaderEvent};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tempfile::tempdir;
use testing::{TestBroker, broker, embedded_broker, eventually};

/// Everything on the topic, in order: one charge point is one key, and so one partition.
struct Topic {
    messages: Arc<Mutex<Vec<(String, Telemetry)>>>,
    _reader: Reader,
}

impl Topic {
    fn read(kafka: &KafkaOptions) -> Self {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let seen = messages.clone();
        let origin = Origin::Stored { cluster_id: None, offsets: BTreeMap::new() };
        let reader = Reader::spawn(kafka, CP_TELEMETRY, "test", origin, move |event| {
            if let ReaderEvent::Message(message) = event {
                let telemetry: Telemetry = serde_json::from_slice(&message.payload).unwrap();
                if let Some(session) = &telemetry.session_id {
                    let trace = message.trace.map(Trace::id);
                    assert_eq!(trace, Some(Trace::of(session).id()), "a session is one trace");
                }
                seen.lock().unwrap().push((String::from_utf8(message.key).unwrap(), telemetry));
            }
            true
        });
        Self { messages, _reader: reader.unwrap() }
    }

    /// Waits until the predicate holds for all that came so far.
    async fn until(&self, what: &str, holds: impl Fn(&[Telemetry]) -> bool) -> Vec<Telemetry> {
        eventually(what, DEADLINE, || async {
            let messages = self.messages.lock().unwrap();
            assert!(messages.iter().all(|(key, message)| key == "MAD-01" && message.cp_id == "MAD-01"));
            let messages: Vec<_> = messages.iter().map(|(_, message)| message.clone()).collect();
            holds(&messages).then_some(messages)
        })
        .await
    }

    /// Waits for the last lifecycle event of a session, and for nothing to be left in the outbox.
    async fn ended(&self, engine: &Engine, session: &str) -> Vec<Telemetry> {
        let is_end =
            |message: &Telemetry| message.end().is_some() && message.session_id.as_deref() == Some(session);
        let messages = self.until("the end is published", |messages| messages.iter().any(is_end)).await;
        let mut view = engine.view.clone();
        view.wait_for(|view| view.unsent == 0).await.unwrap();
        messages
    }
}

fn lifecycle(messages: &[Telemetry]) -> Vec<(String, TelemetryType)> {
    messages
        .iter()
        .filter(|message| message.kind == TelemetryType::SessionStarted || message.end().is_some())
        .map(|message| (message.event_id.clone().unwrap_or_default(), message.kind))
        .collect()
}

#[tokio::test]
async fn a_supply_is_told_from_its_start_to_its_end() {
    let kafka: TestBroker = broker();
    let folder = tempdir().unwrap();
    let topic = Topic::read(&kafka.options());
    let engine = Engine::start(options(folder.path(), kafka.options())).await;
    // A first supply wakes the client up: readings before the broker is known are dropped.
    let _monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    topic.ended(&engine, "s1").await;
    engine.granted(2, "s2").await;
    let messages = topic.ended(&engine, "s2").await;
    let metered = |message: &Telemetry| message.session_id.as_deref() == Some("s2") && message.kwh.is_some();
    let mut second: Vec<_> = messages.into_iter().filter(metered).collect();
    second.sort_by_key(|message| message.seq);
    let told: Vec<_> =
        second.iter().map(|message| (message.kind, message.seq.unwrap(), message.kwh.unwrap())).collect();
    assert_eq!(told[0], (TelemetryType::SessionStarted, 1, 0.0));
    assert_eq!((told[1].0, told[2].0), (TelemetryType::Consumption, TelemetryType::Consumption));
    assert_eq!(told[3], (TelemetryType::SupplyEnd, 4, 0.025));
    assert!(told.iter().all(|(_, seq, _)| (1..=4).contains(seq)) && told.len() == 4, "{told:?}");
    for message in &second {
        assert_eq!(message.user_id.as_deref(), Some("ana"));
        assert_eq!(message.event_id.clone().unwrap(), format!("s2-{}", message.seq.unwrap()));
        assert!(message.timestamp.unwrap() > 1_700_000_000.0);
    }
    assert_eq!(second[3].importe, Some(0.01), "0.0075 EUR, rounded as it is billed");
    engine.stop().await;
}

#[tokio::test]
async fn without_kafka_supplies_go_on_and_their_events_come_later_in_order() {
    let kafka = embedded_broker();
    let broker = kafka.embedded().unwrap();
    broker.down().unwrap();
    let folder = tempdir().unwrap();
    let options = options(folder.path(), kafka.options());
    let engine = Engine::start(options.clone()).await;
    let monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    assert_eq!(engine.ended("s1").await.energy_wh, 25);
    engine.panel().inject_fault(InjectFaultRequest { reason: "smoke".into() }).await.unwrap();
    assert_eq!(engine.view.borrow().unsent, 3);
    engine.kill().await; // what was not sent is on disk
    drop(monitor);

    let engine = Engine::start(options).await;
    assert_eq!(engine.view.borrow().unsent, 3);
    let _monitor = engine.attended(1).await;
    engine.granted(2, "s2").await;
    engine.supplying("s2", 1).await;
    broker.up().unwrap();
    let topic = Topic::read(&kafka.options());
    let messages = topic.ended(&engine, "s2").await;
    let told = lifecycle(&messages);
    let kinds: Vec<_> = told.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(
        kinds,
        [
            TelemetryType::SessionStarted,
            TelemetryType::SupplyEnd,
            TelemetryType::EngineFault,
            TelemetryType::SessionStarted,
            TelemetryType::SupplyEnd,
        ]
    );
    let ids: Vec<_> = told.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((ids[0], ids[1], ids[3]), ("s1-1", "s1-4", "s2-1"));
    assert!(ids[2].starts_with(&engine.instance), "{ids:?}");
    engine.stop().await;
}

#[tokio::test]
async fn an_interrupted_supply_is_told_of_at_the_next_start() {
    let kafka = broker();
    let folder = tempdir().unwrap();
    let topic = Topic::read(&kafka.options());
    let options = options(folder.path(), kafka.options());
    let engine = Engine::start(options.clone()).await;
    let monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    engine.supplying("s1", 2).await;
    engine.kill().await;
    drop(monitor);
    let engine = Engine::start(options).await;
    let messages = topic.ended(&engine, "s1").await;
    let last = messages.last().unwrap();
    let record = &engine.state().await.unsettled[0];
    assert_eq!(record.end(), SupplyEnd::Interrupted);
    assert_eq!((last.kind, last.reason.as_deref()), (TelemetryType::Fault, Some("interrupted")));
    assert_eq!((last.seq, last.kwh), (Some(record.seq), Some(record.energy_wh as f64 / 1000.0)));
    engine.stop().await;
}

#[tokio::test]
async fn a_stop_in_good_order_tells_its_end_first() {
    let kafka = broker();
    let folder = tempdir().unwrap();
    let topic = Topic::read(&kafka.options());
    let engine = Engine::start(options(folder.path(), kafka.options())).await;
    let _monitor = engine.attended(1).await;
    engine.granted(1, "s1").await;
    topic.until("the start is published", |messages| !messages.is_empty()).await;
    let view = engine.view.clone();
    engine.stop().await;
    assert_eq!(view.borrow().unsent, 0);
    topic
        .until("the end is published", |messages| {
            lifecycle(messages).last().is_some_and(|(_, kind)| *kind == TelemetryType::Fault)
        })
        .await;
}
