//! Scripted engines: each refusal and each silence, orders in the middle of things, and supplies whose readings are
//! exact.

use crate::{lab::Mood, topics, world::World};
use evmesh_proto::{engine::CallResult, engine::SupplyEnd, topics::CP_TELEMETRY};
use serde_json::{Value, json};

const REQUEST: &str = "DriverService/RequestCharge";
const STOP: &str = "DriverService/StopCharge";

fn id(answer: &Value) -> String {
    answer["session"]["session_id"].as_str().expect("a session").to_owned()
}

pub(super) async fn play(world: &mut World) {
    refusals(world).await;
    silence(world).await;
    stopped_while_asked(world).await;
    a_supply_to_the_watt_hour(world).await;
    reservations_that_end(world).await;
    an_operators_stop(world).await;
    a_lost_store(world).await;
    inventions(world).await;
}

/// A reading of the session at a charge point of the laboratory, in its state and on Kafka.
pub(super) async fn reads(world: &mut World, lab: &str, driver: &str, session: &str, energy_wh: u64) {
    for number in [energy_wh.to_string(), format!("{:.3}", energy_wh as f64 / 1000.0)] {
        world.mask.exact(number);
    }
    let kwh = energy_wh as f64 / 1000.0;
    world.mask.exact(json!(kwh));
    for amount in [energy_wh * 250_000 / 1000, (energy_wh * 250 + 5_000) / 10_000 * 10_000] {
        world.mask.exact(amount);
        world.mask.exact(json!(amount as f64 / 1e6));
        world.mask.exact(format!("{:.2}", amount as f64 / 1e6));
    }
    world.authorized(session).await;
    let seq = world.labs[lab].inside().supply(energy_wh);
    let reading = json!({"type": "CONSUMO", "cp_id": lab, "user_id": driver, "session_id": session, "seq": seq,
        "kwh": kwh, "kw": 7.4, "timestamp": 1_700_000_000.5});
    topics::write(&world.broker.options(), CP_TELEMETRY, &[(lab, reading.to_string().into_bytes())]);
    let is = |session: &Value| session["energy_wh"].as_u64() == Some(energy_wh);
    world.session(driver, session, "has the reading", is).await;
}

async fn refusals(world: &mut World) {
    world.chapter("Each refusal of an engine");
    for refusal in [
        CallResult::Faulted,
        CallResult::Busy,
        CallResult::Unattended,
        CallResult::NumberStale,
        CallResult::WrongInstance,
    ] {
        world.say(&format!("({})", refusal.as_str_name()));
        world.labs["LAB-01"].set(Mood::Refuses(refusal));
        let driver = format!("2{:02}", refusal as i32);
        world.call("central", REQUEST, json!({"driver_id": driver, "charge_point_id": "LAB-01"})).await;
        world.labs["LAB-01"].set(Mood::Willing);
        world.status("LAB-01", "AVAILABLE").await;
        world.call("central", "DriverService/ListSessions", json!({"driver_id": driver})).await;
    }
}

async fn silence(world: &mut World) {
    world.chapter("An engine that does not answer");
    world.labs["LAB-02"].set(Mood::Silent);
    let asked = json!({"driver_id": "210", "charge_point_id": "LAB-02", "request_id": "silent"});
    world.call("central", REQUEST, asked.clone()).await;
    world.status("LAB-02", "FAULTED").await;
    world.say("(the same request again: the first answer)");
    world.call("central", REQUEST, asked).await;
    world.call("central", REQUEST, json!({"driver_id": "211", "charge_point_id": "LAB-02"})).await;
    world.command(&["operator", "sessions", "--driver", "210"]);
    world.labs["LAB-02"].set(Mood::Willing);
    world.status("LAB-02", "AVAILABLE").await;
    let closed = |session: &Value| session["settled"] == true;
    let sessions = world.ask("central", "DriverService/ListSessions", &json!({"driver_id": "210"})).await;
    let session = sessions.unwrap()["sessions"][0]["session_id"].as_str().unwrap().to_owned();
    world.session("210", &session, "is settled", closed).await;
    world.call("central", "DriverService/ListSessions", json!({"driver_id": "210"})).await;
}

async fn stopped_while_asked(world: &mut World) {
    world.chapter("Stopped while the engine is asked");
    world.labs["LAB-01"].set(Mood::Thinks);
    let asked_before = world.labs["LAB-01"].asked().len();
    let request = json!({"driver_id": "220", "charge_point_id": "LAB-01", "request_id": "thinks"});
    let asked = world.meanwhile(REQUEST, request.clone());
    world
        .eventually("the engine is asked", |world| {
            (world.labs["LAB-01"].asked().len() > asked_before).then_some(())
        })
        .await;
    world.call("central", "DriverService/ListSessions", json!({"driver_id": "220"})).await;
    world.call("central", REQUEST, json!({"driver_id": "221", "charge_point_id": "LAB-01"})).await;
    world.call("central", REQUEST, json!({"driver_id": "220"})).await;
    world.call("central", STOP, json!({"driver_id": "220"})).await;
    let answer = asked.await.unwrap();
    world.note("central", REQUEST, request.clone(), &answer);
    world.labs["LAB-01"].set(Mood::Willing);
    world.status("LAB-01", "AVAILABLE").await;
    world.say("(the same request again)");
    world.call("central", REQUEST, request).await;
    world.call("central", STOP, json!({"driver_id": "220"})).await;
    let settled = |answer: &Value| answer["sessions"][0]["settled"] == true;
    let list = json!({"driver_id": "220"});
    world.until("central", "DriverService/ListSessions", list.clone(), "it is settled", settled).await;
    world.call("central", "DriverService/ListSessions", list).await;
}

async fn a_supply_to_the_watt_hour(world: &mut World) {
    world.chapter("A supply to the watt-hour, stopped by its driver");
    let price = json!({"charge_point_id": "LAB-01", "request_id": "p-1",
        "price": {"currency_code": "EUR", "micros_per_kwh": 250_000}});
    world.call("central", "OperatorService/SetPrice", price.clone()).await;
    world.call("central", "OperatorService/SetPrice", price).await;
    let request = json!({"driver_id": "230", "charge_point_id": "LAB-01", "request_id": "r-1"});
    let answer = world.call("central", REQUEST, request.clone()).await.unwrap();
    let session = id(&answer);
    world.say("(a repeat, and the same request_id for something else)");
    world.call("central", REQUEST, request).await;
    let other = json!({"driver_id": "230", "charge_point_id": "LAB-02", "request_id": "r-1"});
    world.call("central", REQUEST, other).await;
    world.call("central", REQUEST, json!({"driver_id": "230", "charge_point_id": "LAB-02"})).await;
    world.call("central", REQUEST, json!({"driver_id": "231", "charge_point_id": "LAB-01"})).await;
    let watched = json!({"driver_id": "230", "session_id": session});
    let mut stream = world.follow("DriverService/WatchSession", &watched).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    world.value("central DriverService/WatchSession first ", first);

    reads(world, "LAB-01", "230", &session, 500).await;
    let dearer =
        json!({"charge_point_id": "LAB-01", "price": {"currency_code": "EUR", "micros_per_kwh": 300_000}});
    world.call("central", "OperatorService/SetPrice", dearer).await;
    reads(world, "LAB-01", "230", &session, 1_230).await;
    world.call("central", "DriverService/GetSession", watched.clone()).await;
    world.call("central", "DriverService/GetTicket", watched.clone()).await;
    world.say("(another driver sees nothing of it)");
    for name in ["DriverService/GetSession", "DriverService/GetTicket", STOP] {
        world.call("central", name, json!({"driver_id": "231", "session_id": session})).await;
    }
    world.command(&["operator", "status"]);
    let stop = json!({"driver_id": "230", "session_id": session, "request_id": "s-1"});
    world.call("central", STOP, stop.clone()).await;
    world.settled("230", &session).await;
    world.say("(a repeat, and one of a session that has ended)");
    world.call("central", STOP, stop).await;
    world.call("central", STOP, json!({"driver_id": "230", "session_id": session})).await;
    let mut last = Value::Null;
    while let Some(answer) = stream.next().await.unwrap() {
        last = answer;
    }
    world.value("central DriverService/WatchSession last ", last);
    world.command(&["operator", "tickets", "--driver", "230"]);
    world.command(&["operator", "sessions", "--driver", "230", "--output", "json"]);
}

async fn reservations_that_end(world: &mut World) {
    world.chapter("Reservations that come to nothing");
    world.say("(its driver stops it)");
    let request = json!({"driver_id": "240", "location_prefix": "Laboratory"});
    let answer = world.call("central", REQUEST, request).await.unwrap();
    world.call("central", STOP, json!({"driver_id": "240"})).await;
    world.settled("240", &id(&answer)).await;

    world.say("(the operator takes the charge point out of service)");
    let request = json!({"driver_id": "241", "charge_point_id": "LAB-02"});
    let answer = world.call("central", REQUEST, request.clone()).await.unwrap();
    let stop = json!({"charge_point_ids": ["LAB-02"], "request_id": "o-1"});
    world.call("central", "OperatorService/StopChargePoints", stop.clone()).await;
    world.call("central", "OperatorService/StopChargePoints", stop).await;
    world.settled("241", &id(&answer)).await;
    world.call("central", REQUEST, request).await;
    world.command(&["driver", "--driver", "242", "--charge-point", "LAB-02"]);
    world
        .call("central", "OperatorService/ResumeChargePoints", json!({"charge_point_ids": ["LAB-02"]}))
        .await;
    world.status("LAB-02", "AVAILABLE").await;
}

async fn an_operators_stop(world: &mut World) {
    world.chapter("A supply that the operator ends, and one that its engine completes");
    for (driver, by_operator) in [("250", true), ("251", false)] {
        let request = json!({"driver_id": driver, "charge_point_id": "LAB-02"});
        let session = id(&world.call("central", REQUEST, request).await.unwrap());
        reads(world, "LAB-02", driver, &session, 2_002).await;
        if by_operator {
            world.command(&["operator", "stop", "LAB-02"]);
        } else {
            world.labs["LAB-02"].inside().end(SupplyEnd::Completed);
            let end = json!({"type": "SUPPLY_END", "cp_id": "LAB-02", "user_id": driver, "session_id": session,
                "seq": 2, "kwh": 2.002});
            topics::write(&world.broker.options(), CP_TELEMETRY, &[("LAB-02", end.to_string().into_bytes())]);
        }
        world.settled(driver, &session).await;
        world.command(&["operator", "resume", "LAB-02", "--output", "json"]);
        world.status("LAB-02", "AVAILABLE").await;
    }
}

async fn a_lost_store(world: &mut World) {
    world.chapter(
        "An engine loses its store in mid-supply: an estimated ticket, which a late message does not change",
    );
    let request = json!({"driver_id": "260", "charge_point_id": "LAB-02"});
    let session = id(&world.call("central", REQUEST, request).await.unwrap());
    reads(world, "LAB-02", "260", &session, 3_000).await;
    let before = world.labs["LAB-02"].inside().questions;
    world.labs.get_mut("LAB-02").unwrap().unwatched();
    world.status("LAB-02", "DISCONNECTED").await;
    // It asks whether the engine lost its power too: what it hears is of the old store still.
    let asked = |world: &World| (world.labs["LAB-02"].inside().questions > before).then_some(());
    world.eventually("central asks the engine whose monitor is gone", asked).await;
    world.call("central", REQUEST, json!({"driver_id": "261", "charge_point_id": "LAB-02"})).await;
    // The old store may hold the id for three intervals; until then it answers, whenever central asks again.
    let register = "ChargePointService/RegisterChargePoint";
    let mut registration = world.labs["LAB-02"].registration();
    registration["instance_id"] = "second-store-of-LAB-02".into();
    world.until_refused("central", register, &registration, "INSTANCE_STALE").await;
    {
        let mut inside = world.labs["LAB-02"].inside();
        inside.instance = "second-store-of-LAB-02".into();
        (inside.current, inside.highest) = (None, 0);
    }
    let answer = world.until("central", register, registration.clone(), "it may register", |_| true).await;
    let epoch = answer["epoch"].as_u64().unwrap();
    world.note("central", register, registration, &Ok(answer));
    world.watch("LAB-02", epoch).await;
    world.settled("260", &session).await;
    world.status("LAB-02", "AVAILABLE").await;

    for number in ["3500", "3.5", "3.500"] {
        world.mask.exact(number);
    }
    let late = json!({"type": "CONSUMO", "cp_id": "LAB-02", "user_id": "260", "session_id": session, "seq": 99,
        "kwh": 3.5, "kw": 7.4});
    topics::write(&world.broker.options(), CP_TELEMETRY, &[("LAB-02", late.to_string().into_bytes())]);
    let marker = json!({"type": "CONSUMO", "cp_id": "LAB-02", "user_id": "260", "kwh": -1});
    topics::write(&world.broker.options(), CP_TELEMETRY, &[("LAB-02", marker.to_string().into_bytes())]);
    world.dead_letters(1).await;
    world.settled("260", &session).await;
}

async fn inventions(world: &mut World) {
    world.chapter("Sessions that an engine claims and central never authorised");
    use evmesh_proto::{engine, network::Price};
    {
        let mut inside = world.labs["LAB-02"].inside();
        inside.highest += 10;
        let highest = inside.highest;
        for (number, driver) in [(1, "270"), (2, "INVITADO")] {
            inside.unsettled.push(engine::SupplyRecord {
                session_id: format!("invented-{number}"),
                driver_id: driver.into(),
                price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 125_000 }),
                authorization_number: highest - 5 + number,
                state: engine::SupplyState::Ended.into(),
                end: SupplyEnd::MonitorLost.into(),
                seq: 9,
                energy_wh: 4_004,
                ..engine::SupplyRecord::default()
            });
        }
    }
    // The answer to any call tells of them.
    let answer =
        world.call("central", REQUEST, json!({"driver_id": "271", "charge_point_id": "LAB-02"})).await;
    let invented = json!({"driver_id": "270", "session_id": "invented-1"});
    world.call("central", "DriverService/GetSession", invented.clone()).await;
    world.call("central", "DriverService/GetTicket", invented).await;
    world.call("central", "OperatorService/ListSessions", json!({"driver_id": "INVITADO"})).await;
    {
        let mut inside = world.labs["LAB-02"].inside();
        assert_eq!(inside.unsettled.len(), 2, "they are its own, and stay there");
        inside.unsettled.clear();
    }
    world.call("central", STOP, json!({"driver_id": "271"})).await;
    world.settled("271", &id(&answer.unwrap())).await;
}
