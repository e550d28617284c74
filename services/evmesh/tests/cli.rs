//! The command line: help, wrong usage, what is said when something is not there. No network runs here.

mod common;

use common::{Process, free_address, run};
use std::net::TcpListener;

const ROLES: [&str; 8] = [
    "central", "engine", "monitor", "driver", "operator", "point", "check", "up",
];

#[test]
fn every_command_explains_itself_with_its_exit_codes() {
    let operator = [
        "status", "watch", "stop", "resume", "price", "sessions", "tickets",
    ];
    let point = ["plug", "unplug", "supply", "fault", "repair", "show"];
    let mut commands: Vec<Vec<&str>> = vec![vec![]];
    commands.extend(ROLES.map(|role| vec![role]));
    commands.extend(operator.map(|command| vec!["operator", command]));
    commands.extend(point.map(|command| vec!["point", command]));
    for command in commands {
        let help = run([&command[..], &["--help"]].concat());
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command:?}");
        for text in ["Usage: evmesh", "Exit codes: 0 ", "--help"] {
            assert!(
                help.stdout.contains(text),
                "{command:?} does not say {text}:\n{}",
                help.stdout
            );
        }
    }
    let up = run(["up", "--help"]).stdout;
    for text in [
        "--requests <FILE>",
        "EVMESH_UP_REQUESTS",
        "[default: 127.0.0.1:50051]",
        "expect=fault",
        "in seconds",
    ] {
        assert!(up.contains(text), "{text}");
    }
    assert!(run(["--version"]).stdout.starts_with("evmesh "));
}

#[test]
fn no_help_shows_a_value_of_the_environment() {
    let mut help = common::process::command(["central", "--help"]);
    let help = help
        .env("EVMESH_KAFKA_PROPERTIES", "sasl.password=hunter2")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("EVMESH_KAFKA_PROPERTIES") && !help.contains("hunter2"),
        "{help}"
    );
}

#[test]
fn wrong_usage_is_one_sentence_and_exit_code_2() {
    for (line, says) in [
        ("", "a command is missing"),
        ("centrall", "'centrall'"),
        ("central --bogus", "'--bogus'"),
        ("central --listen nowhere", "--listen"),
        ("central --reservation 0", "from 1 to 86400 seconds"),
        ("engine", "--charge-point"),
        ("engine --charge-point a/b", "only letters, digits"),
        ("engine --charge-point A --speed 0", "--speed"),
        ("monitor", "--charge-point"),
        ("monitor --charge-point A --price cheap", "--price"),
        ("driver", "--driver"),
        ("driver --driver INVITADO", "--driver"),
        ("operator", "a command is missing"),
        ("operator stop", "--all"),
        ("operator stop A --all", "--all"),
        ("operator price A 0.35 eur", "ISO 4217"),
        ("operator tickets --driver 1 --charge-point A", "--charge-point"),
        ("operator status --output yaml", "[possible values: text, json]"),
        ("point --engine nowhere show", "host:port"),
        ("check", "<ADDR>"),
        ("check https://127.0.0.1:1", "TLS is not supported"),
        ("up --exit", "--requests"),
        ("up --speed 0 --listen 127.0.0.1:0 --engine-port-base 0", "speed"),
        ("up --log info,= --listen 127.0.0.1:0", "--log"),
        ("up --driver INVITADO", "--driver"),
    ] {
        let run = run(line.split_whitespace());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
        let sentence = run.stderr.trim_end();
        assert!(
            sentence.starts_with("evmesh: ") && sentence.contains(says),
            "{line}: {sentence}"
        );
        assert!(!sentence.contains('\n'), "{line}: {sentence}");
    }
}

#[test]
fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, port) = (
        taken.local_addr().unwrap().to_string(),
        taken.local_addr().unwrap().port().to_string(),
    );
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store").display().to_string();
    let free = ["--listen", "127.0.0.1:0"];
    for (command, flag) in [
        (vec!["central", "--data", &data, "--listen", &address], "--listen"),
        (
            vec![
                "engine",
                "--charge-point",
                "A",
                "--data",
                &data,
                "--listen",
                &address,
            ],
            "--listen",
        ),
        (
            vec!["monitor", "--charge-point", "A", "--listen", &address],
            "--listen",
        ),
        (vec!["up", "--listen", &address], "--listen"),
        (
            [&["up"], &free[..], &["--engine-port-base", &port]].concat(),
            "--engine-port-base",
        ),
        (
            [
                &["up", "--engine-port-base", "0"],
                &free[..],
                &["--monitor-port-base", &port],
            ]
            .concat(),
            "--monitor-port-base",
        ),
    ] {
        let run = run(&command);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
        let last = run.stderr.lines().last().unwrap_or_default();
        let says = [
            &address,
            "the address is in use",
            &format!("choose another port with {flag}"),
        ];
        assert!(says.iter().all(|text| last.contains(text)), "{command:?}: {last}");
    }
}

#[test]
fn a_store_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let (first, second) = (free_address(), free_address());
    let central = Process::start(["central", "--data", &data, "--listen", &first]);
    common::eventually("central serves", common::PATIENCE, || {
        (run(["check", &first]).code == 0).then_some(())
    });
    let run = run(["central", "--data", &data, "--listen", &second]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains(&data) && run.stderr.contains("process"),
        "{run:?}"
    );
    drop(central);
}

#[test]
fn what_is_not_there_is_one_sentence_that_says_what_to_do() {
    let nobody = free_address();
    for (command, says) in [
        (vec!["operator", "--central", &nobody, "status"], "--central"),
        (vec!["operator", "--central", &nobody, "watch"], "--central"),
        (
            vec!["operator", "--central", &nobody, "stop", "--all"],
            "--central",
        ),
        (vec!["point", "--engine", &nobody, "show"], "--engine"),
        (vec!["point", "--engine", &nobody, "supply"], "--engine"),
        (vec!["check", &nobody], "is it started?"),
    ] {
        let run = run(&command);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
        let sentence = run.stderr.trim_end();
        assert!(
            sentence.contains(&nobody) && sentence.contains(says),
            "{command:?}: {sentence}"
        );
        assert!(!sentence.contains('\n'), "{command:?}: {sentence}");
    }
}

#[test]
fn files_are_checked_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name).display().to_string();
        std::fs::write(&path, text).unwrap();
        path
    };
    let requests = file("requests", "MAD-01\nMAD-02 expect=rain\n");
    let charge_points = file("points", "# ours\nA; Madrid; 0.35 EUR\nB; Madrid\n");
    let missing = folder.path().join("missing").display().to_string();
    for (flags, says) in [
        (
            ["--requests", &requests],
            vec![requests.as_str(), "line 2", "'expect=rain'"],
        ),
        (["--requests", &missing], vec![missing.as_str(), "--requests"]),
        (
            ["--charge-points", &charge_points],
            vec![charge_points.as_str(), "line 3", "it has 2 parts"],
        ),
        (["--charge-points", &missing], vec![missing.as_str()]),
    ] {
        let run = run([
            &["up", "--listen", "127.0.0.1:0", "--engine-port-base", "0"],
            &flags[..],
        ]
        .concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{flags:?}: {run:?}");
        assert!(
            says.iter().all(|text| run.stderr.contains(text)),
            "{flags:?}: {run:?}"
        );
    }
}
