//! What comes by Kafka from strangers: bare messages, which move what is shown and bill nothing, and dead letters.

use super::laboratory::reads;
use crate::{lab::Mood, topics, world::World};
use evmesh_proto::{engine::SupplyEnd, topics::CP_TELEMETRY};
use serde_json::{Value, json};

fn write(world: &World, messages: &[Value]) {
    let messages: Vec<_> =
        messages.iter().map(|message| ("LAB-01", message.to_string().into_bytes())).collect();
    topics::write(&world.broker.options(), CP_TELEMETRY, &messages);
}

/// Gives the session that ends by silence, some seconds later.
pub(super) async fn play(world: &mut World) -> String {
    world.chapter("Bare messages");
    let request = json!({"driver_id": "280", "charge_point_id": "LAB-01"});
    let answer = world.call("central", "DriverService/RequestCharge", request).await.unwrap();
    let session = answer["session"]["session_id"].as_str().unwrap().to_owned();
    for number in [
        "750", "0.75", "0.750", "0.22", "0.23", "225000", "220000", "0.225", "600", "0.6", "0.600", "0.18",
        "180000",
    ] {
        world.mask.exact(number);
    }
    world.labs["LAB-01"].inside().supply(600);
    write(world, &[json!({"type": "SESSION_STARTED", "cp_id": "LAB-01", "user_id": "280"})]);
    let is = |session: &Value| session["energy_wh"].as_u64() == Some(600);
    world.session("280", &session, "supplies", is).await;
    write(
        world,
        &[json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "280", "kwh": 0.75, "importe": 9.99})],
    );
    let is = |session: &Value| session["energy_wh"].as_u64() == Some(750);
    world.session("280", &session, "shows the bare reading", is).await;
    world
        .call("central", "DriverService/GetSession", json!({"driver_id": "280", "session_id": session}))
        .await;
    world.labs["LAB-01"].inside().end(SupplyEnd::EngineFault);
    write(world, &[json!({"type": "SUPPLY_END", "cp_id": "LAB-01", "user_id": "280", "kwh": 0.75})]);
    world.settled("280", &session).await;

    world.chapter("Dead letters");
    let wrong = [
        "no JSON".into(),
        json!([]),
        json!({"type": "NEW", "cp_id": "LAB-01"}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01"}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1"}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "a b", "kwh": 1}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": "much"}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1e12}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "kw": 1e9}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "session_id": "s"}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "session_id": "s", "seq": 0}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "session_id": "a b", "seq": 1}),
        json!({"type": "CONSUMO", "cp_id": "a b", "user_id": "1", "kwh": 1}),
        json!({"type": "CONSUMO", "cp_id": "NOWHERE", "user_id": "1", "kwh": 1}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "999", "kwh": 1}),
        json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "session_id": "s", "seq": 1}),
        json!({"type": "SUPPLY_END", "cp_id": "LAB-01", "user_id": "1", "kwh": 1, "session_id": "s", "seq": 2}),
    ];
    write(world, &wrong);
    let messages: [(&str, Vec<u8>); 2] = [("LAB-01", vec![0xff, 0xfe]), ("LAB-01", vec![b' '; 20_000])];
    topics::write(&world.broker.options(), CP_TELEMETRY, &messages);
    // Its own letter tells that all before it have been read.
    let last = json!({"type": "CONSUMO", "cp_id": "LAB-01", "user_id": "1", "kwh": -2});
    write(world, &[last]);
    world.dead_letter_with("kwh is -2").await;

    world.chapter("A supply at the laboratory, whose engine falls silent");
    let request = json!({"driver_id": "290", "charge_point_id": "LAB-03"});
    let answer = world.call("central", "DriverService/RequestCharge", request).await.unwrap();
    let session = answer["session"]["session_id"].as_str().unwrap().to_owned();
    reads(world, "LAB-03", "290", &session, 900).await;
    world.labs["LAB-03"].set(Mood::Silent);
    session
}

/// The silence has lasted long enough; then the engine speaks again.
pub(super) async fn the_silence_is_over(world: &mut World, session: &str) {
    world.chapter("What came of the silence");
    world.session("290", session, "has ended", |session| session["state"] == "SESSION_STATE_ENDED").await;
    world
        .call("central", "DriverService/GetSession", json!({"driver_id": "290", "session_id": session}))
        .await;
    world.labs["LAB-03"].set(Mood::Willing);
    world.settled("290", session).await;
    world.status("LAB-03", "AVAILABLE").await;
}
