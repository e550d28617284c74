//! Roles as separate processes, on the embedded broker or on the one that `EVMESH_TEST_KAFKA` names: started in any
//! order, and stopped in order. What happens when one of them dies is in `failures.rs`.

mod common;

use common::{
    PATIENCE, Process, becomes, broker::Broker, free_address, operator, registry::begun, roles::Roles, run,
};
use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

/// Ready so long after the last dependency has appeared (INV-9).
const READY: Duration = Duration::from_secs(10);

/// A car is full after 4.8 s.
const FAST: u32 = 600;
/// A car is full after 48 s: it does not get there by itself within a test.
const SLOW: u32 = 60;

#[test]
fn roles_start_in_any_order_and_kafka_last() {
    let roles = Roles::new(Broker::closed(), &["MAD-01", "MAD-02"]);
    let file = roles
        .file("requests", "MAD-02 expect=fault\nNOWHERE expect=denied:CHARGE_POINT_UNKNOWN\nany\nMAD-01\n");
    // Everyone before those that they need.
    let monitor = roles.monitor("MAD-02");
    let mut first = roles.driver(&["--driver", "1", "--charge-point", "MAD-01"]);
    first.line(&["cannot reach central"], PATIENCE);
    let engines = ["MAD-01", "MAD-02"].map(|id| roles.engine(id, FAST));
    let central = roles.central();
    let _monitors = [monitor, roles.monitor("MAD-01")];
    for id in ["MAD-01", "MAD-02"] {
        becomes(&roles.central, id, "ACTIVADO");
    }

    // Whether it came before or after its charge point is a matter of luck; it has an answer either way.
    first.end(PATIENCE);
    // Without Kafka a request is granted, and its supply ends in its one ticket.
    let mut second = roles.driver(&["--driver", "2", "--charge-point", "MAD-02"]);
    assert_eq!(second.end(PATIENCE), 0, "{}", second.text());
    assert_eq!(roles.ticket("MAD-02")["outcome"], "COMPLETED");

    roles.broker.appear();
    central.line(&["kafka reached"], READY);
    for engine in &engines {
        engine.line(&["kafka reached"], READY);
    }
    let mut driver = roles.driver(&["--driver", "101", "--requests", &file, "--pause", "0.5"]);
    driver.line(&["MAD-02: 50.0 kW"], PATIENCE);
    assert_eq!(run(["point", "--engine", roles.engine_address("MAD-02"), "fault", "a test"]).code, 0);
    driver.line(&["ticket: MAD-02", "(faulted)"], PATIENCE);
    assert_eq!(run(["point", "--engine", roles.engine_address("MAD-02"), "repair"]).code, 0);
    assert_eq!(driver.end(PATIENCE), 0, "{}", driver.text());
    driver.line(&["4 of 4 requests concluded as expected"], PATIENCE);
    for process in engines.iter().chain([&central]) {
        assert_eq!(process.count("kafka reached"), 1, "{}", process.text());
        assert_eq!(process.count("kafka lost"), 0, "{}", process.text());
    }
}

#[test]
fn every_role_stops_in_order_when_it_is_told_to() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let mut processes = roles.all(SLOW);
    let mut driver = roles.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);

    // The engine ends its supply, and tells of it before it goes.
    stop(&mut processes[1]);
    let ticket = roles.ticket("MAD-01");
    assert_ne!(ticket["energy_wh"], 0, "{ticket}");
    becomes(&roles.central, "MAD-01", "AVERIADO");
    stop(&mut processes[2]);
    becomes(&roles.central, "MAD-01", "DESCONECTADO");
    driver.line(&["ticket: MAD-01"], PATIENCE);
    driver.end(PATIENCE);

    // What central answered is still there after its stop.
    stop(&mut processes[0]);
    processes[0] = roles.central();
    common::eventually("central is back", PATIENCE, || {
        (run(["check", &roles.central]).code == 0).then_some(())
    });
    assert_eq!(operator(&roles.central, &["tickets"]), [ticket]);
}

/// SIGTERM, and the end in order: exit code 0 within the grace of 10 s.
fn stop(process: &mut Process) {
    process.terminate();
    assert_eq!(process.end(Duration::from_secs(10)), 0, "{}", process.text());
}

#[test]
fn a_role_that_waits_for_its_port_stops_when_it_is_told_to() {
    // The end of a connection that a client has holds the port, for longer than any grace.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let held = client.local_addr().unwrap();
    let (network, kafka) = (begun(), free_address());
    let (address, port) = (held.to_string(), held.port().to_string());
    let [central, engine] = ["c", "e"].map(|data| network.path(data).display().to_string());
    let central = ["central", "--listen", &address, "--data", &central, "--kafka", &kafka];
    let engine =
        ["engine", "--listen", &address, "--data", &engine, "--kafka", &kafka, "--charge-point", "A"];
    let place = ["--location", "Madrid", "--price", "0.35 EUR"];
    let monitor = [&["monitor", "--listen", &address, "--charge-point", "A"][..], &place].concat();
    let registry = ["registry", "run", "--listen", &address, "--data", &network.data];
    let up = ["up", "--plain", "--secure", "--kafka", &kafka, "--listen", "127.0.0.1:0"];
    let up = [&up[..], &["--engine-port-base", "0", "--monitor-port-base", &port]].concat();
    for (words, temporaries) in
        [(&central[..], 0), (&engine[..], 0), (&monitor[..], 0), (&registry[..], 0), (&up[..], 1)]
    {
        let mut process = Process::start(words);
        process.line(&[&address, "is still held by a connection that ended a moment ago"], PATIENCE);
        assert_eq!(process.temporaries(), temporaries, "{}", process.text());
        stop(&mut process);
        assert_eq!(process.temporaries(), 0, "{}", process.text());
    }
}

#[test]
fn a_driver_is_told_at_once_when_nothing_is_free() {
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let _processes = roles.all(SLOW);
    let first = roles.driver(&["--driver", "1"]);
    first.line(&["authorised: MAD-01"], PATIENCE);
    let mut second = roles.driver(&["--driver", "2", "--output", "json"]);
    assert_eq!(second.end(PATIENCE), 1, "{}", second.text());
    second.line(&["\"event\":\"denied\"", "NO_CHARGE_POINT_FREE"], PATIENCE);
}

#[test]
fn open_files_are_asked_for_and_strangers_do_not_use_them_up() {
    const FILES: u32 = 200;
    let roles = Roles::new(Broker::open(), &["MAD-01"]);
    let central = roles.central_with_files(FILES);
    let (_engine, monitor) = (roles.engine("MAD-01", FAST), roles.monitor("MAD-01"));
    becomes(&roles.central, "MAD-01", "ACTIVADO");
    assert_eq!(central.files_allowed(), u64::from(FILES));

    // Strangers connect without end, and say nothing. Its engine, its monitor, Kafka and a driver notice nothing.
    let charged = std::sync::atomic::AtomicBool::new(false);
    let connected = std::thread::scope(|scope| {
        let strangers = scope.spawn(|| {
            let mut held = std::collections::VecDeque::new();
            let mut connected = 0;
            while !charged.load(std::sync::atomic::Ordering::Relaxed) {
                held.extend(std::net::TcpStream::connect(&roles.central));
                connected += 1;
                if held.len() > 2 * FILES as usize {
                    held.pop_front();
                }
            }
            connected
        });
        for driver in ["101", "102"] {
            let mut charging = roles.driver(&["--driver", driver, "--charge-point", "MAD-01"]);
            let code = charging.end(PATIENCE);
            if code != 0 {
                charged.store(true, std::sync::atomic::Ordering::Relaxed);
                panic!("{}", charging.text());
            }
        }
        charged.store(true, std::sync::atomic::Ordering::Relaxed);
        strangers.join().expect("they only connect")
    });
    assert!(connected > 4 * FILES, "only {connected} connections");
    assert_eq!(central.count("is disconnected"), 0, "{}", central.text());
    assert_eq!(monitor.count("cannot reach central"), 0, "{}", monitor.text());
    assert_eq!(central.count("does not answer central"), 0, "{}", central.text());
}
