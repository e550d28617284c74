//! What is wrong with a request, for each call: code, sentence, field. Nothing of it changes anything.

use crate::world::World;
use serde_json::{Value, json};

pub(super) async fn play(world: &mut World) {
    world.chapter("Bad input");
    for (name, request) in drivers().into_iter().chain(charge_points()).chain(operators()) {
        world.call("central", name, request).await;
    }
    for (name, request) in engines() {
        world.call("MAD-01", name, request).await;
    }
    streams(world).await;

    let request_charge = "/evmesh.driver.v1.DriverService/RequestCharge";
    world.raw("(no protobuf)", request_charge, vec![0xff, 0xff], &[]).await;
    world.raw("(a text that is not UTF-8)", request_charge, vec![0x0a, 1, 0xff], &[]).await;
    world.raw("(5 MB)", request_charge, vec![0; 5_000_000], &[]).await;
    world.raw("(compressed)", request_charge, Vec::new(), &[("grpc-encoding", "zstd")]).await;
    world.raw("(no such method)", "/evmesh.driver.v1.DriverService/RequestTea", Vec::new(), &[]).await;
    world.raw("(no such service)", "/evmesh.tea.v1.TeaService/RequestTea", Vec::new(), &[]).await;
    world.raw("(another's service)", "/evmesh.engine.v1.EngineService/StopSupply", Vec::new(), &[]).await;
}

fn drivers() -> Vec<(&'static str, Value)> {
    let long = "x".repeat(65);
    vec![
        ("DriverService/RequestCharge", json!({})),
        ("DriverService/RequestCharge", json!({"driver_id": "a b"})),
        ("DriverService/RequestCharge", json!({"driver_id": "INVITADO"})),
        ("DriverService/RequestCharge", json!({"driver_id": long})),
        ("DriverService/RequestCharge", json!({"driver_id": "1", "charge_point_id": "a/b"})),
        ("DriverService/RequestCharge", json!({"driver_id": "1", "location_prefix": "M".repeat(129)})),
        (
            "DriverService/RequestCharge",
            json!({"driver_id": "1", "charge_point_id": "MAD-01", "location_prefix": "Madrid"}),
        ),
        ("DriverService/RequestCharge", json!({"driver_id": "1", "request_id": long})),
        ("DriverService/StopCharge", json!({"driver_id": ""})),
        ("DriverService/StopCharge", json!({"driver_id": "1", "session_id": "ñ"})),
        ("DriverService/StopCharge", json!({"driver_id": "1", "request_id": "a\nb"})),
        ("DriverService/GetSession", json!({"driver_id": "1"})),
        ("DriverService/GetSession", json!({"driver_id": "", "session_id": "s"})),
        ("DriverService/GetTicket", json!({"driver_id": "1", "session_id": "a b"})),
        ("DriverService/ListSessions", json!({"driver_id": "1", "page_size": -1})),
        ("DriverService/ListSessions", json!({"driver_id": "1", "page_size": 501})),
        ("DriverService/ListSessions", json!({"driver_id": "1", "page_token": "of nobody"})),
        ("DriverService/ListTickets", json!({"driver_id": "1", "page_token": "00"})),
        ("DriverService/ListTickets", json!({"driver_id": "-", "page_size": 1_000_000})),
        ("DriverService/ListChargePoints", json!({"page_size": -5})),
        ("DriverService/ListChargePoints", json!({"location_prefix": "a\u{7}"})),
        // Good input about what is not there.
        ("DriverService/RequestCharge", json!({"driver_id": "1", "charge_point_id": "NOWHERE"})),
        (
            "DriverService/RequestCharge",
            json!({"driver_id": "1", "location_prefix": "Nowhere", "request_id": "n-1"}),
        ),
        ("DriverService/StopCharge", json!({"driver_id": "1"})),
        ("DriverService/StopCharge", json!({"driver_id": "1", "session_id": "unknown"})),
        ("DriverService/GetSession", json!({"driver_id": "1", "session_id": "unknown"})),
        ("DriverService/GetTicket", json!({"driver_id": "1", "session_id": "unknown"})),
        ("DriverService/ListSessions", json!({"driver_id": "1"})),
        ("DriverService/ListTickets", json!({"driver_id": "1"})),
    ]
}

fn charge_points() -> Vec<(&'static str, Value)> {
    let good = json!({
        "charge_point_id": "NEW", "location": "", "price": {"currency_code": "EUR", "micros_per_kwh": 1},
        "engine_address": "127.0.0.1:1", "instance_id": "i", "monitor_id": "m",
    });
    let with = |field: &str, value: Value| {
        let mut request = good.clone();
        request[field] = value;
        ("ChargePointService/RegisterChargePoint", request)
    };
    let manual = |request: Value| ("ChargePointService/RequestManualSupply", request);
    vec![
        with("charge_point_id", "".into()),
        with("location", "x".repeat(129).into()),
        with("price", Value::Null),
        with("price", json!({"currency_code": "euro", "micros_per_kwh": 1})),
        with("price", json!({"currency_code": "EUR", "micros_per_kwh": -1})),
        with("price", json!({"currency_code": "EUR", "micros_per_kwh": 10_000_000_000_001_u64})),
        with("engine_address", "nowhere".into()),
        with("engine_address", "https://a:1".into()),
        with("instance_id", "".into()),
        with("monitor_id", "a b".into()),
        with("newest_epoch", ((1_u64 << 53) + 1).into()),
        manual(json!({"charge_point_id": "", "instance_id": "i"})),
        manual(json!({"charge_point_id": "MAD-01", "instance_id": ""})),
        manual(json!({"charge_point_id": "MAD-01", "instance_id": "i", "driver_id": "a b"})),
        manual(json!({"charge_point_id": "MAD-01", "instance_id": "not-its-own"})),
        manual(json!({"charge_point_id": "NOWHERE", "instance_id": "i"})),
    ]
}

fn operators() -> Vec<(&'static str, Value)> {
    let price = |micros: i64| json!({"currency_code": "EUR", "micros_per_kwh": micros});
    let ids: Vec<String> = (0..1001).map(|number| format!("P-{number}")).collect();
    vec![
        ("OperatorService/StopChargePoints", json!({})),
        ("OperatorService/StopChargePoints", json!({"charge_point_ids": ["MAD-01"], "all": true})),
        ("OperatorService/StopChargePoints", json!({"charge_point_ids": ["MAD-01", "a b"]})),
        ("OperatorService/StopChargePoints", json!({"charge_point_ids": ids})),
        ("OperatorService/StopChargePoints", json!({"charge_point_ids": ["MAD-01", "NOWHERE"]})),
        ("OperatorService/ResumeChargePoints", json!({})),
        ("OperatorService/ResumeChargePoints", json!({"charge_point_ids": ["NOWHERE"]})),
        ("OperatorService/ResumeChargePoints", json!({"all": true, "request_id": "x".repeat(65)})),
        ("OperatorService/SetPrice", json!({"charge_point_id": "MAD-01"})),
        ("OperatorService/SetPrice", json!({"charge_point_id": "", "price": price(1)})),
        ("OperatorService/SetPrice", json!({"charge_point_id": "MAD-01", "price": price(-1)})),
        ("OperatorService/SetPrice", json!({"charge_point_id": "NOWHERE", "price": price(1)})),
        ("OperatorService/GetNetworkStatus", json!({"page_size": 501})),
        ("OperatorService/GetNetworkStatus", json!({"page_token": "?"})),
        ("OperatorService/ListSessions", json!({"driver_id": "1", "charge_point_id": "MAD-01"})),
        ("OperatorService/ListSessions", json!({"driver_id": "a b"})),
        ("OperatorService/ListTickets", json!({"charge_point_id": "a b"})),
        ("OperatorService/ListTickets", json!({"page_size": -1})),
        ("OperatorService/ListTickets", json!({"driver_id": "nobody"})),
    ]
}

fn engines() -> Vec<(&'static str, Value)> {
    let authorization = json!({
        "instance_id": "another", "authorization_number": 1, "session_id": "s", "driver_id": "1",
        "price": {"currency_code": "EUR", "micros_per_kwh": 1}, "duration": "60s",
    });
    let with = |field: &str, value: Value| {
        let mut request = authorization.clone();
        request[field] = value;
        ("EngineService/AuthorizeSupply", request)
    };
    vec![
        with("instance_id", "".into()),
        with("authorization_number", 0.into()),
        with("authorization_number", ((1_u64 << 53) + 1).into()),
        with("session_id", "".into()),
        with("driver_id", "a b".into()),
        with("price", Value::Null),
        with("duration", Value::Null),
        with("duration", "0.5s".into()),
        with("duration", "86401s".into()),
        with("driver_id", "1".into()),
        ("EngineService/RevokeAuthorization", json!({"instance_id": "another", "session_id": "s"})),
        (
            "EngineService/RevokeAuthorization",
            json!({"instance_id": "another", "session_id": "s", "authorization_number": 1}),
        ),
        ("EngineService/StopSupply", json!({"instance_id": "another"})),
        ("EngineService/StopSupply", json!({"instance_id": "another", "session_id": "s"})),
        ("EngineService/GetEngineState", json!({})),
        ("EngineService/GetEngineState", json!({"instance_id": "another"})),
        ("EngineService/ConfirmSettled", json!({"instance_id": "another", "session_ids": ["a b"]})),
        ("EngineService/ConfirmSettled", json!({"instance_id": "another", "session_ids": ["s"]})),
        ("EnginePanelService/StartManualSupply", json!({"driver_id": "a b"})),
        ("EnginePanelService/StartManualSupply", json!({"request_id": "x".repeat(65)})),
        ("EnginePanelService/InjectFault", json!({"reason": "x".repeat(257)})),
    ]
}

/// Streams that ask what they may not: each ends with its refusal.
async fn streams(world: &mut World) {
    let report = |id: &str, epoch: u64, health: &str| {
        let health = format!("ENGINE_HEALTH_{health}");
        json!({"charge_point_id": id, "epoch": epoch, "health": health})
    };
    let reports = "ChargePointService/ReportHealth";
    for one in [
        vec![],
        vec![report("MAD-01", 1, "UNSPECIFIED")],
        vec![report("a b", 1, "OK")],
        vec![report("NOWHERE", 1, "OK")],
        vec![report("LAB-01", 0, "OK")],
    ] {
        world.converse("central", reports, one).await;
    }
    let long = json!({"charge_point_id": "LAB-01", "health": "ENGINE_HEALTH_OK", "reason": "x".repeat(257)});
    world.converse("central", reports, vec![long]).await;
    let unknown = json!({"driver_id": "1", "session_id": "unknown"});
    let answer = world.follow("DriverService/WatchSession", &unknown).await;
    let answer = answer.map(|_| json!("a stream"));
    world.note("central", "DriverService/WatchSession", unknown, &answer);
    world.converse("MAD-01", "EngineService/Attend", vec![json!({"epoch": (1_u64 << 53) + 1})]).await;

    // A charge point that another monitor, or another store, claims while it is there.
    let lab = world.labs["LAB-01"].registration();
    let mut other = lab.clone();
    other["monitor_id"] = "another-monitor".into();
    world.call("central", "ChargePointService/RegisterChargePoint", other).await;
    world.closed_registration(lab.clone()).await;
    let mut other = lab;
    other["instance_id"] = "another-store".into();
    world.call("central", "ChargePointService/RegisterChargePoint", other).await;
}
