//! The commands that ask and order, against a running network: `check`, `operator`, `point`.

mod common;

use common::{PATIENCE, Process, becomes, free_address, operator, run, status, up::Up};
use evmesh_proto::{
    chargepoint::{RequestManualSupplyRequest, charge_point_service_client::ChargePointServiceClient},
    engine::{GetEngineStateRequest, engine_service_client::EngineServiceClient},
};
use std::net::TcpListener;

#[test]
fn check_says_whether_a_server_serves() {
    let up = Up::ready(&[]);
    for address in [up.central.clone(), up.engine("MAD-01"), up.monitor("MAD-01")] {
        let check = run(["check", &address]);
        assert_eq!((check.code, check.stdout), (0, format!("{address}: serving\n")));
        assert_eq!(run(["check", &address, "--ready"]).code, 0);
    }
    let service = "evmesh.driver.v1.DriverService";
    assert_eq!(run(["check", &up.central, "--service", service]).code, 0);
    let answer = run(["check", &up.central, "--output", "json"]).json();
    assert_eq!((&answer["status"], &answer["service"]), (&"SERVING".into(), &"".into()));
    let unknown = run(["check", &up.central, "--service", "nobody.v1.Service"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("nobody.v1.Service") && unknown.stderr.contains("list"), "{unknown:?}");

    let central = up.central.clone();
    drop(up);
    let dead = run(["check", &central]);
    assert_eq!(dead.code, 1);
    assert!(dead.stderr.contains("cannot reach"), "{dead:?}");
}

#[test]
fn check_is_bounded_and_tells_a_server_that_does_not_serve() {
    // It accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let before = mesh::now().mono;
    let check = run(["check", &address, "--timeout", "0.3"]);
    let took = mesh::now().mono.since(before);
    assert_eq!(check.code, 1);
    assert!(check.stderr.contains("did not answer within 300ms"), "{check:?}");
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = free_address();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(&address)).unwrap();
    runtime.spawn(async {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming).await
    });
    let check = run(["check", &address]);
    assert_eq!(check.code, 1);
    assert!(check.stderr.contains("is not serving"), "{check:?}");
}

#[test]
fn check_tells_a_server_that_lives_from_one_that_is_ready() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let data = folder.path().join("central").display().to_string();
    let flags = ["central", "--listen", &address, "--data", &data, "--max-concurrent-requests", "0"];
    let _full = Process::start(flags.map(str::to_owned));
    common::eventually("it serves", PATIENCE, || (run(["check", &address]).code == 0).then_some(()));
    let ready = run(["check", &address, "--ready"]);
    assert_eq!(ready.code, 1, "{ready:?}");
    assert!(ready.stderr.contains("is not ready: too many requests at once"), "{ready:?}");
    let told = run(["check", &address, "--ready", "--output", "json"]);
    assert!(told.code == 1 && told.stdout.contains(r#""status": "NOT_READY""#), "{told:?}");
}

#[test]
fn the_operator_sees_stops_resumes_and_prices() {
    let up = Up::ready(&[]);
    let central = ["operator", "--central", up.central.as_str()];
    let say = |command: &[&str]| run([&central[..], command].concat());

    let table = say(&["status"]);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("CHARGE POINT  LOCATION"), "{table:?}");
    assert_eq!(lines.len(), 5, "{table:?}");
    for text in ["VLC-01", "Valencia, Nord", "0.30 EUR/kWh", "ACTIVADO"] {
        assert!(lines[4].contains(text), "{text}: {}", lines[4]);
    }
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 80), "{table:?}");
    let ids: Vec<_> =
        operator(&up.central, &["status"]).iter().map(|row| row["charge_point_id"].clone()).collect();
    assert_eq!(ids, ["BCN-01", "MAD-01", "MAD-02", "VLC-01"]);
    let page = say(&["status", "--limit", "3"]);
    assert_eq!(page.stdout.lines().count(), 4, "{page:?}");
    assert!(page.stderr.contains("raise --limit"), "{page:?}");

    assert_eq!(say(&["stop", "MAD-01", "MAD-02"]).stdout, "2 charge points are out of service\n");
    becomes(&up.central, "MAD-01", "PARADO");
    becomes(&up.central, "BCN-01", "ACTIVADO");
    let denied = run(up.driver(&["--driver", "7", "--charge-point", "MAD-01"]));
    assert_eq!(denied.code, 1, "{denied:?}");
    assert!(denied.stdout.contains("CHARGE_POINT_OUT_OF_ORDER"), "{denied:?}");
    let cheap = ["--driver", "7", "--charge-point", "VLC-01", "--max-price", "0.29 EUR"];
    let too_dear = run(up.driver(&cheap));
    assert_eq!(too_dear.code, 1, "{too_dear:?}");
    assert!(too_dear.stdout.contains("PRICE_ABOVE_MAX"), "{too_dear:?}");
    assert_eq!(say(&["resume", "MAD-01"]).stdout, "1 charge point is in service\n");
    becomes(&up.central, "MAD-01", "ACTIVADO");
    assert_eq!(say(&["stop", "--all"]).stdout, "4 charge points are out of service\n");
    becomes(&up.central, "VLC-01", "PARADO");
    let resumed = say(&["resume", "--all", "--output", "json"]);
    assert_eq!(resumed.json()["charge_point_count"], 4);
    becomes(&up.central, "VLC-01", "ACTIVADO");

    let connected = say(&["forget", "VLC-01"]);
    assert_eq!(connected.code, 1);
    assert!(connected.stderr.contains("VLC-01 is connected; stop its monitor first"), "{connected:?}");

    let unknown = say(&["stop", "NOWHERE"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("NOWHERE") && unknown.stderr.starts_with("evmesh: "), "{unknown:?}");

    assert_eq!(say(&["price", "BCN-01", "0.5 EUR"]).code, 0);
    assert_eq!(say(&["price", "BCN-01", "0.55", "EUR"]).code, 0);
    let price = &operator(&up.central, &["status"])[0]["price"];
    assert_eq!((&price["currency_code"], &price["micros_per_kwh"]), (&"EUR".into(), &550_000.into()));

    assert_eq!(say(&["tickets"]).stdout, "no tickets\n");
    assert_eq!(operator(&up.central, &["sessions"]).len(), 0);
}

#[test]
fn a_monitor_beside_another_charge_points_engine_is_refused_and_both_are_named() {
    let up = Up::ready(&["--speed", "3000"]);
    let (engine, listen) = (up.engine("MAD-01"), free_address());
    let roles = ["--engine", &engine, "--central", &up.central, "--listen", &listen];
    let mut mistyped = Process::start([&["monitor", "--charge-point", "LAB-01"][..], &roles[..]].concat());
    mistyped.line(&["refuses", "is of MAD-01, not of LAB-01"], PATIENCE);
    let rows = operator(&up.central, &["status"]);
    assert_eq!(rows.len(), 4, "{rows:?}");
    let driver = run(up.driver(&["--driver", "7", "--charge-point", "MAD-01"]));
    assert_eq!(driver.code, 0, "the first is undisturbed: {driver:?}");
    let tickets = operator(&up.central, &["tickets"]);
    assert_eq!((tickets.len(), &tickets[0]["charge_point_id"]), (1, &"MAD-01".into()));
    mistyped.terminate();
    assert_eq!(mistyped.end(PATIENCE), 0);
}

#[test]
fn a_supply_asked_for_in_an_engines_name_is_refused_and_one_asked_for_there_is_granted() {
    let up = Up::ready(&["--speed", "3000"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (central, engine) = (format!("http://{}", up.central), format!("http://{}", up.engine("MAD-01")));
    let refused = runtime.block_on(async {
        // Whoever reaches an engine is told its store: it answers who asks for another one.
        let another = GetEngineStateRequest { instance_id: "another".into(), ..Default::default() };
        let mut engine = EngineServiceClient::connect(engine).await.unwrap();
        let state = engine.get_engine_state(another).await.unwrap().into_inner().state.unwrap();
        let request = RequestManualSupplyRequest {
            charge_point_id: "MAD-01".into(),
            instance_id: state.instance_id,
            driver_id: "42".into(),
            request_id: "once".into(),
            card: String::new(),
        };
        let mut central = ChargePointServiceClient::connect(central).await.unwrap();
        central.request_manual_supply(request).await.unwrap_err()
    });
    assert_eq!(mesh::grpc::reason(&refused).as_deref(), Some("ENGINE_REFUSED"));
    assert!(refused.message().contains("did not ask for it"), "{refused}");
    assert_eq!(status(&up.central, "MAD-01").as_deref(), Some("ACTIVADO"));
    let point = ["point", "--engine", &up.engine("MAD-01")];
    let supply = run([&point[..], &["supply", "--driver", "42"]].concat());
    assert_eq!(supply.code, 0, "{supply:?}");
    run([&point[..], &["plug"]].concat());
    let tickets = common::eventually("the ticket", PATIENCE, || {
        Some(operator(&up.central, &["tickets"])).filter(|tickets| !tickets.is_empty())
    });
    assert_eq!((tickets.len(), &tickets[0]["driver_id"]), (1, &"42".into()));
}

#[test]
fn watch_shows_every_charge_point_and_then_each_change() {
    let up = Up::ready(&[]);
    let mut text = Process::start(["operator", "watch", "--central", &up.central]);
    let json = Process::start(["operator", "watch", "--central", &up.central, "--output", "json"]);
    for id in ["BCN-01", "MAD-01", "MAD-02", "VLC-01"] {
        text.line(&[id, "ACTIVADO"], PATIENCE);
        json.line(&[id, "\"status\":\"ACTIVADO\""], PATIENCE);
    }
    assert_eq!(run(["operator", "stop", "MAD-02", "--central", &up.central]).code, 0);
    text.line(&["MAD-02", "PARADO"], PATIENCE);
    let changed = json.line(&["MAD-02", "PARADO"], PATIENCE);
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("a document a line");
    assert_eq!(changed["charge_point_id"], "MAD-02");
    text.terminate();
    assert_eq!(text.end(PATIENCE), 0);
}

#[test]
fn a_person_at_a_charge_point_takes_a_supply_and_breaks_and_mends() {
    // Slow enough that the supply does not end by itself.
    let up = Up::ready(&["--speed", "10"]);
    let engine = up.engine("MAD-01");
    let point = |command: &[&str]| run([&["point", "--engine", &engine], command].concat());
    let panel = |command: &[&str]| point(&[command, &["--output", "json"]].concat()).json();

    let shown = point(&["show"]);
    for text in ["charge point  MAD-01", "attended      yes", "fault         none", "session now   none"] {
        assert!(shown.stdout.contains(text), "{text}: {shown:?}");
    }
    let supply = panel(&["supply", "--driver", "42"]);
    assert_eq!(supply["current"]["driver_id"], "42", "{supply}");
    let session = supply["current"]["session_id"].as_str().unwrap().to_owned();
    point(&["plug"]);
    becomes(&up.central, "MAD-01", "SUMINISTRANDO");
    let again = point(&["plug"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.starts_with("evmesh: the engine at"), "{again:?}");
    let broken = panel(&["fault", "water in the socket"]);
    assert!(broken["fault"].as_str().unwrap().contains("water in the socket"), "{broken}");
    assert_eq!(broken["last"]["session_id"], session.as_str());
    becomes(&up.central, "MAD-01", "AVERIADO");
    let refused = point(&["supply"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(panel(&["repair"])["fault"], "");
    becomes(&up.central, "MAD-01", "ACTIVADO");

    let tickets = common::eventually("the ticket", PATIENCE, || {
        Some(operator(&up.central, &["tickets"])).filter(|tickets| !tickets.is_empty())
    });
    assert_eq!(tickets.len(), 1);
    assert_eq!((&tickets[0]["session_id"], &tickets[0]["outcome"]), (&session.into(), &"FAULTED".into()));

    // A guest, who unplugs when it is enough.
    assert_eq!(panel(&["supply"])["current"]["driver_id"], "INVITADO");
    point(&["plug"]);
    becomes(&up.central, "MAD-01", "SUMINISTRANDO");
    assert_eq!(panel(&["unplug"])["last"]["end"], "COMPLETED");
    let sessions = common::eventually("both sessions are settled", PATIENCE, || {
        let sessions = operator(&up.central, &["sessions", "--charge-point", "MAD-01"]);
        sessions.iter().all(|session| session["settled"] == true).then_some(sessions)
    });
    let drivers: Vec<_> = sessions.iter().map(|session| session["driver_id"].as_str().unwrap()).collect();
    assert_eq!(drivers, ["42", "INVITADO"]);
    assert_eq!(operator(&up.central, &["tickets", "--driver", "42"]).len(), 1);
    let at = |driver: &str, charge_point: &str| {
        operator(&up.central, &["tickets", "--driver", driver, "--charge-point", charge_point]).len()
    };
    assert_eq!((at("42", "MAD-01"), at("42", "MAD-02"), at("7", "MAD-01")), (1, 0, 0));
    let first = sessions[0]["create_time"].as_str().unwrap();
    let second = sessions[1]["create_time"].as_str().unwrap();
    let csv = |from: &str, to: &str| {
        let list = ["sessions", "--from", from, "--to", to, "--output", "csv"];
        let csv = run([&["operator", "--central", &up.central][..], &list].concat());
        assert_eq!(csv.outcome(), (0, String::new()), "{csv:?}");
        let rows = csv.stdout.split_terminator("\r\n").skip(1);
        rows.map(|row| row.split(',').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(csv("1970-01-01", "2100-01-01"), ["42", "INVITADO"]);
    assert_eq!(
        (csv("1970-01-01", second), csv(second, "2100-01-01")),
        (vec!["42".into()], vec!["INVITADO".into()])
    );
    assert_eq!(csv(first, second), ["42"]);
    let table = run(["operator", "sessions", "--central", &up.central]).stdout;
    assert!(table.contains("FAULTED") && table.contains("COMPLETED") && table.contains("issued"), "{table}");
}
