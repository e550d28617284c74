//! `evmesh up` with a file of requests: from nothing to the table of tickets.

mod common;

use common::{PATIENCE, Process, broker::Broker, free_address, operator, run, up};
use std::{path::Path, time::Duration};

/// The example has to be served in less than two minutes.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn the_example_is_served_to_its_end() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/requests.txt");
    let broker = Broker::open();
    let before = mesh::now().mono;
    let mut network = Process::start(up::flags(&broker, &["--requests", example, "--exit"]));
    let code = network.end(EXAMPLE_LIMIT);
    let took = mesh::now().mono.since(before);
    let said = network.text();
    assert_eq!(code, 0, "{said}");
    assert!(took < EXAMPLE_LIMIT, "{took:?}");

    assert_eq!(network.count(": asking for "), 10, "{said}");
    assert_eq!(network.count("authorised: "), 9, "{said}");
    assert_eq!(network.count("denied: "), 1, "{said}");
    assert_eq!(network.count("ticket: "), 9, "{said}");
    assert_eq!(network.count("(faulted)"), 1, "{said}");
    assert!(said.contains("10 of 10 requests concluded as expected"), "{said}");
    let table = said.lines().skip_while(|line| !line.starts_with("line  asked for"));
    let table: Vec<&str> = table.collect();
    assert!(table.len() > 10 && table.iter().all(|line| line.chars().count() <= 80), "{said}");
    assert!(said.contains("asking for any") && said.contains("CHARGE_POINT_UNKNOWN"), "{said}");
    // Live, each second: of nine supplies of 2 to 5 s each.
    assert!(network.count(" kW  ") >= 25, "{said}");
    // The order of the steps of the first request.
    let places = ["asking for MAD-01", "authorised: MAD-01", "MAD-01: 50.0 kW", "ticket: MAD-01"]
        .map(|text| said.find(text));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}\n{said}");
    // The partial ticket bills less than a full car.
    let faulted = network.line(&["ticket: MAD-02", "(faulted)"], PATIENCE);
    let energy: f64 = faulted.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(energy > 0.0 && energy < 40.0, "{faulted}");
    // What can be pasted names the services and where they are.
    for text in
        ["grpcurl -plaintext 127.0.0.1:", " list", "DriverService/RequestCharge", "EnginePanelService/PlugIn"]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    let state = network.line(&["state "], PATIENCE);
    let folder = state.split_whitespace().nth(1).unwrap();
    assert!(!Path::new(folder).exists(), "{folder} is still there");
}

#[test]
fn what_does_not_come_out_as_its_line_says_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, "NOWHERE\nMAD-01 expect=denied\nNOWHERE expect=denied:CHARGE_POINT_BUSY\n")
        .unwrap();
    let requests = ["--requests", file.to_str().unwrap(), "--exit", "--pause", "0.1"];
    let run = run(up::flags(&Broker::open(), &requests));
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("0 of 3 requests concluded as expected"), "{run:?}");
    assert_eq!(run.stdout.matches("NOT as expected").count(), 3, "{run:?}");
}

#[test]
fn scripts_get_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, "MAD-01\nNOWHERE expect=denied\n").unwrap();
    let more = ["--output", "json", "--requests", file.to_str().unwrap(), "--exit", "--pause", "0"];
    let run = run(up::flags(&Broker::open(), &more));
    assert_eq!(run.code, 0, "{run:?}");
    let events: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let (started, summary) = (&events[0], &events[events.len() - 1]);
    assert_eq!(
        (&started["event"], started["charge_points"].as_array().unwrap().len()),
        (&"started".into(), 4)
    );
    assert!(started["charge_points"][0]["engine"].as_str().unwrap().starts_with("127.0.0.1:"), "{started}");
    assert_eq!((&summary["event"], &summary["all_as_expected"]), (&"summary".into(), &true.into()));
    assert_eq!(summary["rows"][1]["reason"], "CHARGE_POINT_UNKNOWN");
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let places = ["ready", "requesting", "authorized", "consumption", "ticket", "denied", "finished"]
        .map(|name| names.iter().position(|one| *one == name));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?} {names:?}");
    // In full, where people see the end of it.
    assert!(summary["rows"][0]["session_id"].as_str().unwrap().len() > 20, "{summary}");
}

#[test]
fn scripts_follow_the_network_too_and_its_ordered_stop_warns_of_nothing() {
    let broker = Broker::open();
    let mut network = Process::start(up::flags(&broker, &["--output", "json"]));
    network.line(&["{\"event\":\"ready\"}"], PATIENCE);
    let line = network.line(&["\"event\":\"charge_point\"", "MAD-01"], PATIENCE);
    let changed: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&changed["charge_point_id"], &changed["price"]["currency_code"]),
        (&"MAD-01".into(), &"EUR".into())
    );
    let before = network.count("WARN");
    network.terminate();
    assert_eq!(network.end(PATIENCE), 0);
    assert_eq!(network.count("WARN"), before, "{}", network.text());
}

#[test]
fn the_state_is_kept_for_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("requests"), "any A\n").unwrap();
    std::fs::write(path("points"), "# two\nA-1; A street; 0.20 EUR\nB-1; B street; 0.10 EUR\n").unwrap();
    let (data, requests, points) = (path("data"), path("requests"), path("points"));
    let more = ["--data", &data, "--charge-points", &points];
    let drive = [&more[..], &["--requests", &requests, "--exit"]].concat();
    let first = run(up::flags(&Broker::open(), &drive));
    assert_eq!(first.code, 0, "{first:?}");

    // Another broker, as an embedded one is at each start; a store that was stopped in order.
    let second = up::Up::ready(&more);
    let tickets = operator(&second.central, &["tickets"]);
    assert_eq!(tickets.len(), 1, "{tickets:?}");
    assert_eq!(
        (&tickets[0]["charge_point_id"], &tickets[0]["amount"]["micros"]),
        (&"A-1".into(), &8_000_000.into())
    );
}

#[test]
fn a_network_that_cannot_get_ready_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, "any\n").unwrap();
    // Central admits no charge point of this name.
    let flags =
        up::flags(&Broker::open(), &["--requests", file.to_str().unwrap(), "--exit", "--ready-timeout", "6"]);
    let mut command = common::process::command(flags);
    let known = [
        ("EVMESH_CENTRAL_REGISTRATION", "known"),
        ("EVMESH_CENTRAL_KNOWN_CHARGE_POINTS", "MAD-01,MAD-02,BCN-01"),
    ];
    let output = command.envs(known).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let waiting = " of 4 charge points are available; ";
    assert!(stdout.contains("\nwaiting: ") && stdout.contains(waiting), "{stdout}");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("evmesh: after 6 s ") && last.contains("VLC-01 is not registered"), "{stderr}");
    assert!(!last.contains("MAD-01"), "{last}");
}

#[test]
fn a_network_whose_central_takes_long_to_open_its_store_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, "any\n").unwrap();
    let nobody = free_address();
    let flags = [
        &["up", "--plain", "--listen", "127.0.0.1:0", "--engine-port-base", "0"][..],
        &["--kafka", &nobody, "--requests", file.to_str().unwrap(), "--exit", "--speed", "1000"],
    ]
    .concat();
    // With no Kafka there, central looks for its changelog for so long, and serves nobody meanwhile: longer than a
    // silent connection is kept (3 s).
    let waits = [("EVMESH_CENTRAL_CHANGELOG_WAIT", "6")];
    let output = common::process::command(flags).envs(waits).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
}

#[test]
fn a_network_that_is_stopped_in_mid_supply_bills_it() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--speed", "10", "--data", folder.path().to_str().unwrap()];
    let mut network = up::Up::ready(&more);
    let driver = Process::start(network.driver(&["--driver", "7", "--charge-point", "MAD-01"]));
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);
    network.process.terminate();
    assert_eq!(network.process.end(PATIENCE), 0);
    drop(driver);

    // Whichever of the two got to know the end first: there is one ticket, and the next run has it.
    let network = up::Up::ready(&more);
    let tickets = common::eventually("the ticket", PATIENCE, || {
        Some(operator(&network.central, &["tickets"])).filter(|tickets| !tickets.is_empty())
    });
    assert_eq!((tickets.len(), &tickets[0]["driver_id"]), (1, &"7".into()), "{tickets:?}");
}

#[test]
fn what_is_cut_off_at_the_end_of_its_grace_has_an_exit_code_of_its_own() {
    let mut network = up::Up::ready(&["--grace", "0"]);
    network.process.terminate();
    assert_eq!(network.process.end(PATIENCE), 143);
    network.process.line(&["not stopped within the grace"], PATIENCE);
}

#[test]
fn a_stop_that_takes_longer_than_a_second_says_so() {
    let broker = Broker::embedded();
    let mut network = Process::start(up::flags(&broker, &[]));
    network.line(&["ready: every charge point is available"], PATIENCE);
    let central = network.line(&["central "], PATIENCE);
    let central = central.split_whitespace().last().unwrap();
    broker.down();
    network.line(&["kafka lost"], PATIENCE);
    // What is told of this charge waits for a broker until the stop gives it up.
    let flags = ["driver", "--driver", "7", "--charge-point", "MAD-01", "--central", central];
    let driver = Process::start([&flags[..], &broker.flags().each_ref().map(String::as_str)].concat());
    driver.line(&["authorised: MAD-01"], PATIENCE);
    network.terminate();
    network.line(&["evmesh: stopping in order"], PATIENCE);
    assert_eq!(network.end(PATIENCE), 0);
}

#[test]
fn a_secured_network_starts_without_a_charge_point_that_was_revoked_and_says_what_brings_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let (points, data) = (folder.path().join("points"), folder.path().join("data"));
    std::fs::write(&points, "A-1; A street; 0.20 EUR\nB-1; B street; 0.10 EUR\n").unwrap();
    let (points, data) = (points.display().to_string(), data.display().to_string());
    let more = ["--secure", "--data", &data, "--charge-points", &points];
    let broker = Broker::open();
    let ready = || {
        let network = Process::start(up::flags(&broker, &more));
        network.line(&["ready: every charge point is available"], PATIENCE);
        network
    };
    let stop = |mut network: Process| {
        network.terminate();
        assert_eq!(network.end(PATIENCE), 0, "{}", network.text());
    };
    let network = ready();
    let registry = network.line(&["registry "], PATIENCE);
    let registry = registry.split_whitespace().nth(1).unwrap();
    let admin = format!("{data}/identities/admin/admin");
    let who = ["--registry", registry, "--identity", &admin];
    let revoked = run([&["registry", "revoke", "charge-point/A-1/engine", "--now"][..], &who].concat());
    assert_eq!(revoked.code, 0, "{revoked:?}");
    stop(network);

    let network = ready();
    let engine = format!("{data}/identities/charge-point/A-1/engine");
    let says = format!(
        "A-1 is left out: charge-point/A-1/engine was revoked; to have it back, with another key, remove {engine} \
         and start again"
    );
    network.line(&[&says], PATIENCE);
    network.line(&["B-1  engine "], PATIENCE);
    assert_eq!(network.count("A-1  engine "), 0, "{}", network.text());
    stop(network);

    std::fs::remove_dir_all(engine).unwrap();
    let network = ready();
    network.line(&["A-1  engine "], PATIENCE);
    stop(network);
}

#[test]
fn a_driver_that_is_stopped_before_its_end_has_not_succeeded() {
    let network = up::Up::ready(&["--speed", "10"]);
    let mut driver = Process::start(network.driver(&["--driver", "7", "--charge-point", "MAD-01"]));
    driver.line(&["MAD-01: 50.0 kW"], PATIENCE);
    driver.terminate();
    assert_eq!(driver.end(PATIENCE), 1);
    driver.line(&["0 of 1 requests concluded as expected"], PATIENCE);
}

#[test]
fn a_charge_outlives_its_app_the_same_command_follows_it_and_stop_ends_it() {
    let network = up::Up::ready(&["--speed", "10"]);
    let flags = network.driver(&["--driver", "7", "--charge-point", "MAD-01"]);
    let ask = |what: &[&str]| {
        let own = ["--driver", "7", "--central", network.central.as_str()];
        run([&["driver"], what, &own].concat())
    };
    let mut app = Process::start(&flags);
    app.line(&["MAD-01: 50.0 kW"], PATIENCE);
    app.terminate();
    assert_eq!(app.end(PATIENCE), 1);
    let stop = format!("evmesh driver stop --driver 7 --central {}", network.central);
    app.line(&["the charge at MAD-01 goes on", &stop], PATIENCE);

    let mut again = Process::start(&flags);
    again.line(&["still open", "not asking again"], PATIENCE);
    again.line(&["MAD-01: 50.0 kW"], PATIENCE);
    let stopped = ask(&["stop"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.starts_with("the charge of driver 7 at MAD-01 is being stopped"), "{stopped:?}");
    again.line(&["ticket: MAD-01", "(stopped)"], PATIENCE);
    assert_eq!(again.end(PATIENCE), 1, "it did not come out as it should: {}", again.text());
    assert_eq!(again.count("goes on without this app"), 0, "{}", again.text());

    assert_eq!(operator(&network.central, &["sessions"]).len(), 1, "one charge, and no second one");
    let tickets = ask(&["tickets", "--output", "json"]).json();
    assert_eq!((tickets.as_array().unwrap().len(), &tickets[0]["outcome"]), (1, &"STOPPED".into()));
    assert!(ask(&["tickets"]).stdout.contains("MAD-01"));
    let nothing = ask(&["stop"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    assert!(nothing.stderr.contains("driver 7 has no open session"), "{nothing:?}");
}

#[test]
fn an_outcome_does_not_depend_on_who_reads_it() {
    let network = up::Up::ready(&[]);
    let mut driver =
        common::process::command(network.driver(&["--driver", "7", "--charge-point", "NOWHERE"]));
    let mut driver = driver.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(driver.stdout.take()); // as `| head` does
    assert_eq!(driver.wait().unwrap().code(), Some(1));
}

#[test]
fn a_secured_network_serves_those_whom_it_has_named_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("requests"), folder.path().join("data"));
    std::fs::write(&file, "MAD-01\n").unwrap();
    let more = ["--secure", "--data", data.to_str().unwrap(), "--requests", file.to_str().unwrap()];
    let broker = Broker::open();
    let mut network = Process::start(up::flags(&broker, &more));
    network.line(&["1 of 1 requests concluded as expected"], PATIENCE);
    network.line(&["identities ", "every connection is encrypted"], PATIENCE);
    let central = network.line(&["central "], PATIENCE);
    let central = central.split_whitespace().nth(1).unwrap();
    let identity = |role: &str| data.join("identities").join(role).display().to_string();
    let tickets = ["operator", "tickets", "--central", central];

    let asked = run([&tickets[..], &["--identity", &identity("admin/admin")]].concat());
    assert!(asked.code == 0 && asked.stdout.contains("MAD-01"), "{asked:?}");
    let of_plain = run(tickets);
    let says = "a server with TLS, which wants an identity (--identity DIR)";
    assert!(of_plain.code == 1 && of_plain.stderr.contains(says), "{of_plain:?}");
    let of_driver = run([&tickets[..], &["--identity", &identity("driver/101")]].concat());
    assert!(
        of_driver.code == 1 && of_driver.stderr.contains("driver/101 may not call ListTickets"),
        "{of_driver:?}"
    );
    let other = ["driver", "tickets", "--driver", "102", "--central", central];
    let of_other = run([&other[..], &["--identity", &identity("driver/101")]].concat());
    assert!(
        of_other.code == 1 && of_other.stderr.contains("does not act for another driver"),
        "{of_other:?}"
    );

    // Its registry gives out one more identity, and takes it back.
    let registry = network.line(&["registry "], PATIENCE);
    let registry = registry.split_whitespace().nth(1).unwrap();
    let ask = |words: &[&str]| {
        let asked = run([words, &["--registry", registry, "--identity", &identity("admin/admin")]].concat());
        assert_eq!(asked.code, 0, "{asked:?}");
        asked.stdout.trim().to_owned()
    };
    let viewer = folder.path().join("viewer").display().to_string();
    let word = ask(&["registry", "token", "viewer/ana"]);
    assert_eq!(run(["enrol", &word, "--identity", &viewer]).code, 0);
    let as_viewer = [&tickets[..], &["--identity", &viewer]].concat();
    assert_eq!(run(as_viewer.clone()).code, 0);
    ask(&["registry", "revoke", "viewer/ana"]);
    common::eventually("it is refused", Duration::from_secs(2), || {
        run(as_viewer.clone()).stderr.contains("the certificate of viewer/ana was revoked").then_some(())
    });

    // No key is anywhere but in its file.
    let said = network.text();
    let mut keys = 0;
    for role in ["central/main", "charge-point/MAD-01/engine", "charge-point/MAD-01/monitor", "admin/admin"] {
        let key = std::fs::read_to_string(Path::new(&identity(role)).join("key.pem")).unwrap();
        keys +=
            key.lines().filter(|line| line.len() == 64).inspect(|line| assert!(!said.contains(line))).count();
    }
    assert!(keys >= 8, "{keys}");

    // The next run goes on with the same authorities.
    network.kill();
    let mut again = Process::start(up::flags(&broker, &[&more[..], &["--exit"]].concat()));
    assert_eq!(again.end(EXAMPLE_LIMIT), 0, "{}", again.text());
}
