//! "When something dies": each row of the design's table, with real processes at their default intervals: what people
//! see, how soon, and what comes of the supply.

mod common;

use common::{
    PATIENCE, Process, becomes, becomes_within,
    broker::Broker,
    eventually, operator,
    roles::{Roles, Ways},
    run, status,
};
use evmesh_proto::{
    driver::{StopChargeRequest, driver_service_client::DriverServiceClient},
    topics::{CP_TELEMETRY, DRIVER_NOTIFICATIONS},
};
use mesh::kafka::{Origin, Reader, ReaderEvent};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::Proxy;
use tokio::runtime::Runtime;

/// Ready so long after the last dependency has appeared (INV-9).
const READY: Duration = Duration::from_secs(10);
/// A monitor that died is seen at once; so long has whoever looks by a command of its own.
const MONITOR_SEEN: Duration = Duration::from_secs(2);
/// An engine that died is seen, and its driver told, within this.
const ENGINE_SEEN: Duration = Duration::from_secs(3);
/// The engine's grace, which ends a supply without its monitor, and the way of its last word to the ticket.
const GRACE_OVER: Duration = Duration::from_secs(3 + 3);
/// Three health intervals of a second, and one look.
const PARTITION_SEEN: Duration = Duration::from_secs(3 + 1);

/// A car is full after 4.8 s.
const FAST: u32 = 600;
/// A car is full after 48 s: it does not get there by itself within a test.
const SLOW: u32 = 60;

/// A network in which a driver's car is being charged.
fn supplying(broker: Broker, speed: u32) -> (Roles, Vec<Process>, Process) {
    let roles = Roles::new(broker, &["MAD-01"]);
    let processes = roles.all(speed);
    let driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);
    (roles, processes, driver)
}

#[test]
fn monitor_killed_disconnected_at_once_and_the_supply_ends_after_the_grace() {
    let (roles, mut processes, mut driver) = supplying(Broker::open(), SLOW);
    let killed = mesh::now().mono;
    processes[2].kill();
    becomes_within(&roles.central, "MAD-01", "DESCONECTADO", MONITOR_SEEN);

    // The engine gives it its grace, then ends the supply; it is billed.
    driver.line(&["the charge failed", "the charge point lost its monitor"], GRACE_OVER);
    driver.line(&["ticket: MAD-01", "(faulted)"], GRACE_OVER);
    let took = mesh::now().mono.since(killed);
    assert!((Duration::from_secs(2)..GRACE_OVER).contains(&took), "three pings are missed first: {took:?}");
    assert_eq!(driver.end(PATIENCE), 1, "{}", driver.text());
    let ticket = roles.ticket("MAD-01");
    assert_eq!((&ticket["outcome"], &ticket["estimated"]), (&"FAULTED".into(), &false.into()));
    let kinds = messages(&roles, CP_TELEMETRY, |kinds| kinds.contains(&"CONEXION_PERDIDA".to_owned()));
    assert_eq!(kinds.last().map(String::as_str), Some("CONEXION_PERDIDA"), "{kinds:?}");

    // It refuses new supplies, one asked for at the charge point too.
    let mut next = roles.driver(&["--driver", "8", "--charge-point", "MAD-01"]);
    next.line(&["denied", "CHARGE_POINT_DISCONNECTED"], PATIENCE);
    assert_eq!(next.end(PATIENCE), 1);
    let manual = run(["point", "--engine", roles.engine_address("MAD-01"), "supply"]);
    assert!(manual.code == 1 && manual.stderr.contains("monitor"), "{manual:?}");

    processes[2] = roles.monitor("MAD-01");
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
}

#[test]
fn engine_killed_faulted_and_the_driver_told_and_its_meter_billed_on_return() {
    let (roles, mut processes, mut driver) = supplying(Broker::open(), SLOW);
    driver.line(&["MAD-01: 50.0 kW", "1.6"], PATIENCE);
    let killed = mesh::now().mono;
    processes[1].kill();
    driver.line(&["the charge failed", "so far"], ENGINE_SEEN);
    becomes_within(&roles.central, "MAD-01", "AVERIADO", ENGINE_SEEN);
    let took = mesh::now().mono.since(killed);
    assert!(took < ENGINE_SEEN, "{took:?}");
    assert_eq!(
        operator(&roles.central, &["tickets"]),
        Vec::<Value>::new(),
        "its reading is not the final one"
    );

    processes[1] = roles.engine("MAD-01", SLOW);
    assert_eq!(driver.end(PATIENCE), 1, "{}", driver.text());
    let ticket = roles.ticket("MAD-01");
    assert_eq!((&ticket["outcome"], &ticket["estimated"]), (&"FAULTED".into(), &false.into()));
    let panel = run(["point", "--engine", roles.engine_address("MAD-01"), "show", "--output", "json"]).json();
    assert_eq!(ticket["energy_wh"], panel["last"]["energy_wh"], "what its disk has is billed: {panel}");
    assert!((1_600..40_000).contains(&ticket["energy_wh"].as_u64().unwrap()), "{ticket}");
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
}

#[test]
fn power_cut_the_driver_is_told_free_when_it_asks_and_billed_on_return() {
    let (roles, mut processes, mut driver) = supplying(Broker::open(), SLOW);
    driver.line(&["MAD-01: 50.0 kW", "1.6"], PATIENCE);
    let killed = mesh::now().mono;
    processes[1].kill();
    processes[2].kill();
    driver.line(&["the charge failed", "so far"], ENGINE_SEEN);
    becomes_within(&roles.central, "MAD-01", "DESCONECTADO", ENGINE_SEEN);
    let took = mesh::now().mono.since(killed);
    assert!(took < ENGINE_SEEN, "{took:?}");
    let open = &operator(&roles.central, &["sessions"])[0];
    assert_eq!((&open["state"], &open["power_w"]), (&"SUPPLYING".into(), &0.into()), "{open}");
    assert!(open["trouble"].as_str().is_some_and(|trouble| trouble.contains("does not answer")), "{open}");

    stop_charge(&roles.central, "7");
    let stopped = &operator(&roles.central, &["sessions"])[0];
    assert_eq!((&stopped["state"], &stopped["outcome"]), (&"ENDED".into(), &"STOPPED".into()), "{stopped}");
    assert_eq!(operator(&roles.central, &["tickets"]), Vec::<Value>::new(), "it waits for the meter");

    processes[1] = roles.engine("MAD-01", SLOW);
    processes[2] = roles.monitor("MAD-01");
    let ticket = roles.ticket("MAD-01");
    assert_eq!((&ticket["outcome"], &ticket["estimated"]), (&"STOPPED".into(), &false.into()), "{ticket}");
    let _ = driver.end(PATIENCE);
}

#[test]
fn driver_killed_the_supply_goes_on_and_its_result_is_there_on_return() {
    let roles = Roles::new(Broker::open(), &["MAD-01", "MAD-02"]);
    let _processes = roles.all(FAST);
    let mut driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);
    driver.kill();
    let ticket = roles.ticket("MAD-01"); // the supply goes on without it
    assert_eq!((&ticket["energy_wh"], &ticket["outcome"]), (&40_000.into(), &"COMPLETED".into()));
    let mut back = roles.driver(&["--driver", "7", "--charge-point", "MAD-02"]);
    back.line(&["before: ticket: MAD-01", "40.000 kWh", "14.00 EUR"], READY);
    assert_eq!(back.end(PATIENCE), 0, "{}", back.text());
}

#[test]
fn central_killed_the_supply_ends_no_other_begins_and_all_is_applied_on_return() {
    let (roles, mut processes, mut driver) = supplying(Broker::open(), FAST);
    processes[0].kill();
    for process in [&driver, &processes[2]] {
        process.line(&["cannot reach central"], ENGINE_SEEN);
    }
    // The supply goes on and ends without it, and no other begins.
    let engine = roles.engine_address("MAD-01");
    eventually("the supply ends", PATIENCE, || {
        let panel = run(["point", "--engine", engine, "show", "--output", "json"]).json();
        (panel["last"]["end"] == "COMPLETED").then_some(())
    });
    let manual = run(["point", "--engine", engine, "supply"]);
    assert!(manual.code != 0 && manual.stderr.contains("central"), "{manual:?}");

    processes[0] = roles.central();
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
    assert_eq!(driver.end(PATIENCE), 0, "{}", driver.text());
    let ticket = roles.ticket("MAD-01");
    assert_eq!((&ticket["energy_wh"], &ticket["amount"]["micros"]), (&40_000.into(), &14_000_000.into()));
    assert_eq!((&ticket["outcome"], &ticket["estimated"]), (&"COMPLETED".into(), &false.into()));
}

#[test]
fn central_without_monitors_shows_every_charge_point_disconnected() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let mut processes = roles.all(FAST);
    for process in &mut processes {
        process.kill();
    }
    processes[0] = roles.central();
    becomes_within(&roles.central, "MAD-01", "DESCONECTADO", READY);
    processes[1] = roles.engine("MAD-01", FAST);
    processes[2] = roles.monitor("MAD-01");
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
}

#[test]
fn central_killed_or_its_streams_cut_in_between_and_the_operator_s_watch_goes_on() {
    let roles = Roles::new(Broker::open(), &["MAD-01", "MAD-02"]);
    let mut processes = roles.all(SLOW);
    let runtime = Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start(roles.central.parse().unwrap()));
    let mut watch = Process::start(["operator", "watch", "--central", &proxy.address().to_string()]);

    // A proxy cuts what is idle, again and again: it goes on, says so once, and repeats nothing.
    for id in ["MAD-01", "MAD-02"] {
        watch.line(&[id, "ACTIVADO"], PATIENCE);
        proxy.cut_standing();
        assert_eq!(run(["operator", "--central", &roles.central, "stop", id]).code, 0);
        watch.line(&[id, "PARADO"], READY);
        assert_eq!(watch.count(id), 2, "{}", watch.text());
    }

    processes[0].kill();
    watch.line(&["cannot reach central", "retrying"], ENGINE_SEEN);
    processes[0] = roles.central();
    watch.line(&["central at ", " answers"], READY);
    becomes_within(&roles.central, "MAD-01", "PARADO", READY);
    assert_eq!(run(["point", "--engine", roles.engine_address("MAD-01"), "fault", "a torn cable"]).code, 0);
    watch.line(&["MAD-01", "AVERIADO", "a torn cable"], READY);
    let said = ["ended the stream", "cannot reach central", " answers"].map(|text| watch.count(text));
    assert_eq!(said, [1, 1, 1], "{}", watch.text());
    processes[4].kill();
    watch.line(&["MAD-02", "DESCONECTADO"], READY);
    assert_eq!(run(["operator", "--central", &roles.central, "forget", "MAD-02"]).code, 0);
    watch.line(&["MAD-02", "is forgotten"], READY);
    watch.terminate();
    assert_eq!(watch.end(PATIENCE), 0);
}

#[test]
fn kafka_killed_calls_work_supplies_end_and_events_arrive_later_in_order() {
    let roles = Roles::new(Broker::embedded(), &["MAD-01", "MAD-02"]);
    let processes = roles.all(SLOW);
    let (central, engine) = (&processes[0], &processes[1]);
    let mut first = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    first.line(&["MAD-01: 50.0 kW"], PATIENCE);
    roles.broker.down();
    for process in [central, engine] {
        process.line(&["kafka lost"], PATIENCE);
    }

    // A request, a stop and a query work, and both supplies end with their tickets.
    let mut second = roles.driver(&["--driver", "8", "--charge-point", "MAD-02"]);
    second.line(&["authorised: MAD-02"], READY);
    eventually("the second supply", PATIENCE, || {
        let supplying =
            |session: &Value| session["charge_point_id"] == "MAD-02" && session["state"] == "SUPPLYING";
        operator(&roles.central, &["sessions"]).iter().any(supplying).then_some(())
    });
    for driver in ["7", "8"] {
        stop_charge(&roles.central, driver);
    }
    for (id, driver) in [("MAD-01", &mut first), ("MAD-02", &mut second)] {
        assert_eq!(roles.ticket(id)["outcome"], "STOPPED");
        driver.end(PATIENCE);
        driver.line(&["ticket", id], PATIENCE);
    }

    roles.broker.up();
    for process in [central, engine] {
        process.line(&["kafka reached again"], READY);
    }
    let ends = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "SUPPLY_END").count() == 2;
    let kinds = messages(&roles, CP_TELEMETRY, ends);
    for kind in ["SESSION_STARTED", "SUPPLY_END"] {
        assert_eq!(kinds.iter().filter(|it| *it == kind).count(), 2, "{kinds:?}");
    }
    let tickets = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "TICKET").count() == 2;
    let told = messages(&roles, DRIVER_NOTIFICATIONS, tickets);
    assert_eq!(told.iter().filter(|kind| *kind == "AUTH_OK").count(), 2, "{told:?}");
}

#[test]
fn kafka_lost_and_back_in_mid_supply_costs_nobody_anything() {
    let roles = Roles::new(Broker::embedded(), &["MAD-01"]);
    let processes = roles.all(120); // a car is full after 24 s
    let (central, engine) = (&processes[0], &processes[1]);
    let mut driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);
    roles.broker.down();
    for process in [central, engine] {
        process.line(&["kafka lost"], PATIENCE);
    }
    let shown = driver.count("MAD-01: 50.0 kW");
    roles.broker.up();
    for process in [central, engine] {
        process.line(&["kafka reached again"], READY);
    }
    assert_eq!(driver.end(PATIENCE), 0, "{}", driver.text());
    assert!(driver.count("MAD-01: 50.0 kW") > shown, "{}", driver.text());
    let ticket = roles.ticket("MAD-01");
    assert_eq!((&ticket["energy_wh"], &ticket["outcome"]), (&40_000.into(), &"COMPLETED".into()));
    for process in [central, engine] {
        assert_eq!(process.count("kafka lost"), 1, "{}", process.text());
        assert_eq!(process.count("kafka reached again"), 1, "{}", process.text());
    }
}

#[test]
fn network_silent_between_monitor_and_central_is_found_and_heals() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let (_central, _engine) = (roles.central(), roles.engine("MAD-01", FAST));
    let runtime = Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start(roles.central.parse().unwrap()));
    let (engine, by) = (roles.engine_address("MAD-01"), proxy.address().to_string());
    let mut monitor = roles.monitor_by("MAD-01", &Ways { engine, advertised: engine, central: &by });
    becomes(&roles.central, "MAD-01", "ACTIVADO");

    // Slow, but not for three intervals: nobody notices.
    proxy.set_silent(true);
    let slow_until = mesh::now().mono + Duration::from_millis(1500);
    while mesh::now().mono < slow_until {
        assert_eq!(status(&roles.central, "MAD-01").as_deref(), Some("ACTIVADO"));
    }
    proxy.set_silent(false);
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);

    // Half-open: the connection stands, and nothing passes.
    proxy.set_silent(true);
    becomes_within(&roles.central, "MAD-01", "DESCONECTADO", PARTITION_SEEN);
    monitor.line(&["cannot reach central"], PARTITION_SEEN);
    proxy.set_silent(false);
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
    assert!(monitor.runs());
}

#[test]
fn network_silent_between_monitor_and_engine_is_found_and_heals() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let (_central, mut engine) = (roles.central(), roles.engine("MAD-01", SLOW));
    let runtime = Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start(roles.engine_address("MAD-01").parse().unwrap()));
    let (by, advertised) = (proxy.address().to_string(), roles.engine_address("MAD-01"));
    let ways = Ways { engine: &by, advertised, central: &roles.central };
    let mut monitor = roles.monitor_by("MAD-01", &ways);
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    let driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);

    // For central the engine is lost, for the engine its monitor is.
    proxy.set_silent(true);
    becomes_within(&roles.central, "MAD-01", "AVERIADO", PARTITION_SEEN);
    driver.line(&["ticket: MAD-01", "(faulted)"], GRACE_OVER);
    proxy.set_silent(false);
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
    assert!(monitor.runs() && engine.runs());
}

#[test]
fn network_silent_between_central_and_engine_is_a_denial_and_heals() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let (_central, mut engine) = (roles.central(), roles.engine("MAD-01", FAST));
    let runtime = Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start(roles.engine_address("MAD-01").parse().unwrap()));
    let (own, advertised) = (roles.engine_address("MAD-01"), proxy.address().to_string());
    let ways = Ways { engine: own, advertised: &advertised, central: &roles.central };
    let mut monitor = roles.monitor_by("MAD-01", &ways);
    becomes(&roles.central, "MAD-01", "ACTIVADO");

    proxy.set_silent(true);
    let mut denied = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    denied.line(&["denied", "ENGINE_SILENT"], PARTITION_SEEN);
    assert_eq!(denied.end(PATIENCE), 1);
    becomes_within(&roles.central, "MAD-01", "AVERIADO", PARTITION_SEEN);
    proxy.set_silent(false);
    becomes_within(&roles.central, "MAD-01", "ACTIVADO", READY);
    let mut granted = roles.driver(&["--driver", "8", "--charge-point", "MAD-01"]);
    assert_eq!(granted.end(PATIENCE), 0, "{}", granted.text());
    assert!(monitor.runs() && engine.runs());
}

/// Orders the end of a driver's charge.
fn stop_charge(central: &str, driver: &str) {
    let runtime = Runtime::new().expect("a runtime starts");
    let ordered = runtime.block_on(async {
        let mut client = DriverServiceClient::connect(format!("http://{central}")).await?;
        let request = StopChargeRequest { driver_id: driver.into(), ..StopChargeRequest::default() };
        Ok::<_, Box<dyn std::error::Error>>(client.stop_charge(request).await?)
    });
    assert!(ordered.is_ok(), "{ordered:?}");
}

/// The types of a topic's messages without readings, once they satisfy the predicate. Each session's rise in `seq`.
fn messages(roles: &Roles, topic: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::<Value>::new()));
    let sink = seen.clone();
    let origin = Origin::Stored { cluster_id: None, offsets: Default::default() };
    let _reader = Reader::spawn(&roles.broker.options(), topic, "a-test", origin, move |event| {
        if let ReaderEvent::Message(message) = event {
            let message = serde_json::from_slice(&message.payload).expect("it is JSON");
            sink.lock().expect("no reader panics").push(message);
        }
        true
    })
    .expect("its settings are right");
    let runtime = Runtime::new().expect("a runtime starts");
    runtime.block_on(testing::eventually("the messages", READY, || async {
        let seen = seen.lock().expect("no reader panics");
        let lifecycle = |message: &&Value| !testing::contract::is_reading(message);
        let mut last = std::collections::BTreeMap::new();
        for message in seen.iter().filter(lifecycle) {
            let (session, seq) = (message["session_id"].to_string(), message["seq"].as_u64());
            assert!(last.insert(session, seq) <= Some(seq), "out of order: {message}");
        }
        let kinds = seen.iter().filter(lifecycle).filter_map(|message| message["type"].as_str());
        let kinds: Vec<String> = kinds.map(str::to_owned).collect();
        enough(&kinds).then_some(kinds)
    }))
}
