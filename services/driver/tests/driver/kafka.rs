//! The driver's app and its two topics.

use crate::common::*;
use driver::DriverEvent;
use evmesh_proto::{
    network::SessionOutcome,
    topics::{DRIVER_NOTIFICATIONS, NETWORK_STATUS, NETWORK_STATUS_KEY},
};
use mesh::kafka::Producer;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::interval;

/// The app reads from *latest*, so a test publishes again until its message came after the app's start.
const AGAIN: Duration = Duration::from_millis(200);

async fn publish(producer: &Producer, topic: &str, key: &str, message: &Value) {
    producer.send(topic, key, message.to_string().as_bytes(), &[]).await.unwrap();
}

fn readings(app: &App) -> Vec<u64> {
    let events = app.events().into_iter().filter_map(|event| match event {
        DriverEvent::Consumption { energy, .. } => Some(energy.wh()),
        _ => None,
    });
    events.collect()
}

fn free(event: &DriverEvent, first: &str) -> Option<usize> {
    match event {
        DriverEvent::FreeChargePoints(free) if free.first()?.id == first => Some(free.len()),
        _ => None,
    }
}

#[tokio::test]
async fn its_own_news_moves_the_view_and_others_news_does_not() {
    let (central, broker) = (Central::new(), testing::broker());
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    options.kafka = broker.options();
    let producer = Producer::new(&options.kafka, "stand-in").unwrap();
    let app = App::start(options).await;
    let session = app
        .told("authorised", |event| match event {
            DriverEvent::Authorized { session, .. } => Some(session.to_string()),
            _ => None,
        })
        .await;

    let update = |driver: &str, session: &str, seq: u64, kwh: f64| {
        json!({
            "type": "CONSUMO_UPDATE", "cp_id": "MANUAL", "user_id": driver, "kwh": kwh, "importe": 1.0, "kw": 7.4,
            "timestamp": 1.0, "session_id": session, "seq": seq, "event_id": format!("{driver}-{session}-{seq}"),
        })
    };
    let mut again = interval(AGAIN);
    let mut seq = 0;
    while readings(&app).is_empty() {
        again.tick().await;
        seq += 1;
        publish(&producer, DRIVER_NOTIFICATIONS, "ana", &update("ana", &session, seq, 1.0)).await;
        assert!(seq < 100, "no reading came");
    }
    // One partition's messages come in order: the last one shows that the others were read.
    let seq = seq + 1;
    for message in [
        update("eva", &session, seq, 2.0),
        update("ana", "s-99", seq, 3.0),
        update("ana", &session, seq - 1, 4.0),
        json!({"type": "CONSUMO_UPDATE", "cp_id": "MANUAL", "user_id": "ana", "kwh": "five"}),
        json!({
            "type": "SUPPLY_ERROR", "cp_id": "MANUAL", "user_id": "ana", "reason": "Avería detectada",
            "kwh_partial": 1.0, "importe_partial": 0.4, "timestamp": 1.0, "session_id": session, "seq": seq,
        }),
        update("ana", &session, seq + 1, 6.0),
    ] {
        publish(&producer, DRIVER_NOTIFICATIONS, "ana", &message).await;
    }
    testing::eventually("the last reading", SOON, || async { readings(&app).contains(&6_000).then_some(()) })
        .await;
    assert_eq!(readings(&app), [1_000, 6_000]);
    app.told("the error", |event| match event {
        DriverEvent::SupplyError { reason, .. } => (reason == "Avería detectada").then_some(()),
        _ => None,
    })
    .await;
    let concluded = app.events().iter().any(|event| matches!(event, DriverEvent::Concluded(_)));
    assert!(!concluded, "an error alone is not the end");

    central.supply(&session, 7_000);
    central.end(&session, SessionOutcome::Completed);
    let (summary, _) = app.ended().await;
    assert!(summary.all_as_expected(), "{summary:#?}");
}

#[tokio::test]
async fn a_broadcast_is_shown_once_it_is_whole() {
    let (central, broker) = (Central::new(), testing::broker());
    let running = central.start(anywhere()).await;
    let mut options = options(running.address);
    options.charge_point = Some("MANUAL".parse().unwrap());
    options.kafka = broker.options();
    let producer = Producer::new(&options.kafka, "stand-in").unwrap();
    let app = App::start(options).await;

    let point = |id: &str, status: &str| json!({"id": id, "status": status, "location": "Madrid"});
    let alone =
        json!({"type": "NETWORK_STATUS_UPDATE", "cps": [point("A", "ACTIVADO"), point("B", "RESERVADO")]});
    let mut again = interval(AGAIN);
    let mut tries = 0;
    while !app.events().iter().any(|event| free(event, "A").is_some()) {
        again.tick().await;
        tries += 1;
        publish(&producer, NETWORK_STATUS, NETWORK_STATUS_KEY, &alone).await;
        assert!(tries < 100, "no broadcast came");
    }
    let part = |broadcast: &str, part: u32, id: &str| {
        json!({
            "type": "NETWORK_STATUS_UPDATE", "cps": [point(id, "ACTIVADO")],
            "broadcast_id": broadcast, "part": part, "parts": 2,
        })
    };
    for message in [
        part("b-1", 1, "LOST-1"), // its second part is lost
        part("b-2", 1, "C"),
        part("b-2", 2, "D"),
    ] {
        publish(&producer, NETWORK_STATUS, NETWORK_STATUS_KEY, &message).await;
    }
    assert_eq!(app.told("the whole broadcast", |event| free(event, "C")).await, 2);
    assert!(!app.events().iter().any(|event| free(event, "LOST-1").is_some()));
    app.stop().await;
}
