//! The command line: help, wrong usage, what is said when something is not there. No network runs here.

mod common;

use common::{Process, free_address, run};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

const ROLES: [&str; 15] = [
    "central",
    "engine",
    "monitor",
    "driver",
    "bridge",
    "operator",
    "point",
    "registry",
    "enrol",
    "check",
    "up",
    "fleet",
    "bench",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself_with_its_exit_codes() {
    let mut commands: Vec<Vec<String>> = vec![vec![]];
    let mut explained = 0;
    while let Some(command) = commands.pop() {
        explained += 1;
        let help = run([&command[..], &["--help".to_owned()]].concat());
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{command:?}");
        for text in ["Usage: evmesh", "Exit codes: 0 ", "--help"] {
            assert!(help.stdout.contains(text), "{command:?} does not say {text}:\n{}", help.stdout);
        }
        let listed = help.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
        let names =
            names.filter(|line| !line.starts_with([' ', '-'])).filter_map(|line| line.split(' ').next());
        commands.extend(names.filter(|name| *name != "help").map(|name| {
            let mut command = command.clone();
            command.push(name.to_owned());
            command
        }));
    }
    assert!(explained >= 24, "only {explained} commands were found");
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
    let help = help.env("EVMESH_KAFKA_PROPERTIES", "sasl.password=hunter2").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("EVMESH_KAFKA_PROPERTIES") && !help.contains("hunter2"), "{help}");
}

#[test]
fn wrong_usage_is_one_sentence_and_exit_code_2() {
    for (line, says) in [
        ("", "a command is missing"),
        ("centrall", "'centrall'"),
        ("central --bogus", "'--bogus'"),
        ("central --listen nowhere", "--listen"),
        ("monitor --charge-point A --listen 50071", "must be HOST:PORT"),
        ("up --metrics-address :9100", "must be HOST:PORT"),
        ("central --reservation 0", "from 1 to 86400 seconds"),
        ("engine", "--charge-point"),
        ("engine --charge-point a/b", "only letters, digits"),
        ("engine --charge-point A --speed 0", "--speed"),
        ("monitor", "--charge-point"),
        ("monitor --charge-point A --price cheap", "--price"),
        ("driver", "--driver"),
        ("driver --driver INVITADO", "--driver"),
        ("driver stop", "--driver"),
        ("driver --driver 7 stop", "'stop'"),
        ("driver charge", "'charge'"),
        ("operator", "a command is missing"),
        ("operator stop", "--all"),
        ("operator stop A --all", "--all"),
        ("operator price A 0.35 eur", "ISO 4217"),
        ("operator tickets --from yesterday", "2026-11-23T14:30:00Z"),
        ("operator tickets --from 2026-12-01 --to 2026-11-01", "nothing lies between"),
        ("operator sessions --from 2026-12-01 --to 2026-12-01", "nothing lies between"),
        ("operator sessions --to 2026-13-01", "2026-11-23"),
        ("operator status --output yaml", "[possible values: text, json, csv]"),
        ("operator stop --all --output csv", "--output csv is for lists"),
        ("operator watch --output csv", "--output csv is for lists"),
        ("point --engine nowhere show", "host:port"),
        ("registry", "a command is missing"),
        ("registry init --trust-domain Madrid --data x", "lower-case letters"),
        ("registry init --trust-domain madrid", "--data"),
        ("registry issue boss/ana --data x --to y", "must be registry, central/NAME"),
        ("registry issue admin/ana --data x --to y --days 0", "--days"),
        ("enrol", "<TOKEN>"),
        ("enrol x --identity y", "must be a whole token"),
        ("check", "<ADDR>"),
        ("check https://127.0.0.1:1", "must be host:port"),
        ("up --exit", "--requests"),
        ("up --speed 0 --listen 127.0.0.1:0 --engine-port-base 0", "speed"),
        ("up --log info,= --listen 127.0.0.1:0", "--log"),
        ("up --driver INVITADO", "--driver"),
        ("bench", "<ROW>"),
        ("bench intakes", "'intakes'"),
        ("bench intake --seconds 0", "must be above 0"),
        ("completions", "<SHELL>"),
        ("completions cmd.exe", "[possible values: bash,"),
        ("check 127.0.0.1:1 --output xml", "[possible values: text, json]"),
    ] {
        let run = run(line.split_whitespace());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
        let sentence = run.stderr.trim_end();
        assert!(sentence.starts_with("evmesh: ") && sentence.contains(says), "{line}: {sentence}");
        assert!(!sentence.contains('\n'), "{line}: {sentence}");
    }
}

#[test]
fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, port) =
        (taken.local_addr().unwrap().to_string(), taken.local_addr().unwrap().port().to_string());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store").display().to_string();
    let free = ["--listen", "127.0.0.1:0"];
    let commands = [
        (vec!["central", "--data", &data, "--listen", &address], "--listen"),
        (vec!["engine", "--charge-point", "A", "--data", &data, "--listen", &address], "--listen"),
        (vec!["monitor", "--charge-point", "A", "--listen", &address], "--listen"),
        (vec!["up", "--listen", &address], "--listen"),
        ([&["up"], &free[..], &["--engine-port-base", &port]].concat(), "--engine-port-base"),
        (
            [&["up", "--engine-port-base", "0"], &free[..], &["--monitor-port-base", &port]].concat(),
            "--monitor-port-base",
        ),
    ];
    let refused = |command: Vec<&str>, flag: &str| {
        let run = run(&command);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
        let last = run.stderr.lines().last().unwrap_or_default();
        let says = [&address, "the address is in use", &format!("choose another port with {flag}")];
        assert!(says.iter().all(|text| last.contains(text)), "{command:?}: {last}");
    };
    // All at once: each tries a little longer before it gives up.
    std::thread::scope(|scope| {
        for (command, flag) in commands {
            let refused = &refused;
            scope.spawn(move || refused(command, flag));
        }
    });
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
    assert!(run.stderr.contains(&data) && run.stderr.contains("process"), "{run:?}");
    drop(central);
}

#[test]
fn what_is_not_there_is_one_sentence_that_says_what_to_do() {
    let nobody = free_address();
    for (command, says) in [
        (vec!["operator", "--central", &nobody, "status"], "--central"),
        (vec!["operator", "--central", &nobody, "watch"], "--central"),
        (vec!["operator", "--central", &nobody, "stop", "--all"], "--central"),
        (vec!["point", "--engine", &nobody, "show"], "--engine"),
        (vec!["point", "--engine", &nobody, "supply"], "--engine"),
        (vec!["check", &nobody], "is it started"),
    ] {
        let run = run(&command);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
        let sentence = run.stderr.trim_end();
        assert!(sentence.contains(&nobody) && sentence.contains(says), "{command:?}: {sentence}");
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
        (["--requests", &requests], vec![requests.as_str(), "line 2", "'expect=rain'"]),
        (["--requests", &missing], vec![missing.as_str(), "--requests"]),
        (["--charge-points", &charge_points], vec![charge_points.as_str(), "line 3", "it has 2 parts"]),
        (["--charge-points", &missing], vec![missing.as_str()]),
    ] {
        let run = run([&["up", "--listen", "127.0.0.1:0", "--engine-port-base", "0"], &flags[..]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{flags:?}: {run:?}");
        assert!(says.iter().all(|text| run.stderr.contains(text)), "{flags:?}: {run:?}");
    }
}

#[test]
fn what_cannot_be_said_to_kafka_is_one_sentence_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let with_tls =
        if cfg!(feature = "kafka-tls") { "cannot read /nowhere/ca.pem" } else { "--features kafka-tls" };
    for (flags, says) in [
        (["--kafka-user", "central"], "need each other"),
        (["--kafka-identity", "/nowhere"], "need TLS: give --kafka-ca FILE"),
        (["--kafka-ca", "/nowhere/ca.pem"], with_tls),
    ] {
        let central = ["central", "--listen", "127.0.0.1:0", "--data", &data];
        let engine = ["engine", "--charge-point", "A", "--listen", "127.0.0.1:0", "--data", &data];
        for role in [
            &["check", "kafka"][..],
            &["bridge", "--data", &data],
            &central,
            &engine,
            &["driver", "--driver", "1"],
        ] {
            let run = run([role, &flags[..]].concat());
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{role:?} {flags:?}: {run:?}");
            assert!(run.stderr.lines().count() == 1 && run.stderr.contains(says), "{role:?}: {run:?}");
            assert!(!std::path::Path::new(&data).exists(), "{role:?} has made its store");
        }
    }
}

#[test]
fn where_no_identity_is_it_says_how_one_gets_there() {
    let top = tempfile::tempdir().unwrap();
    for folder in [top.path().to_owned(), top.path().join("nowhere")] {
        let said = run(["operator", "status", "--identity", folder.to_str().unwrap()]);
        let problem = "cannot be used: it has neither certificate.pem nor token; name another folder with --identity, \
                       or let 'evmesh enrol' make it";
        let sentence = format!("evmesh: the identity in {} {problem}\n", folder.display());
        assert_eq!((said.code, said.stderr), (1, sentence));
    }
}

/// What else may listen where a server of evmesh is looked for: it greets at once, or answers whatever it reads, or is
/// silent.
fn another_server(greeting: &'static [u8], answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has an address").to_string();
    // It ends with the test's process, and its connections with it.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut client in listener.incoming().flatten() {
            // Whoever hangs up early has heard enough.
            let _ = client.write_all(greeting);
            if !answer.is_empty() {
                let _ = client.read(&mut [0; 1024]);
                let _ = client.write_all(answer);
            }
            open.push(client);
        }
    });
    address
}

#[test]
fn where_something_else_listens_it_is_one_sentence_that_says_what_to_do() {
    let http =
        another_server(b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let ssh = another_server(b"SSH-2.0-OpenSSH_9.2\r\n", b"");
    // A server with TLS answers what is no handshake with an alert.
    let tls = another_server(b"", b"\x15\x03\x01\x00\x02\x02\x16");
    for server in [&http, &ssh, &tls] {
        for (command, next) in [
            (vec!["check", server], "is this the address of central, the registry, an engine or a monitor?"),
            (vec!["operator", "--central", server, "status"], "name another with --central"),
            (vec!["operator", "--central", server, "watch"], "name another with --central"),
            (vec!["point", "--engine", server, "show"], "name another with --engine"),
        ] {
            let run = run(&command);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
            let sentence = run.stderr.trim_end();
            let says =
                ["which wants an identity (--identity DIR)", "something else listens there", server, next];
            assert!(says.iter().all(|text| sentence.contains(text)), "{command:?}: {sentence}");
            assert!(!sentence.contains('\n'), "{command:?}: {sentence}");
        }
    }
    let driver = Process::start(["driver", "--driver", "1", "--central", &http, "--kafka", &free_address()]);
    driver.line(
        &["cannot reach central at", &http, "retrying", "something else listens there"],
        common::PATIENCE,
    );
}

#[test]
fn who_waits_for_longer_than_a_second_is_told_for_what() {
    let silent = another_server(b"", b"");
    for (command, waits) in [
        (vec!["check", &silent], "evmesh: waiting for "),
        (vec!["operator", "--central", &silent, "status"], "evmesh: waiting for central at "),
        (vec!["operator", "--central", &silent, "watch"], "evmesh: waiting for central at "),
        (vec!["point", "--engine", &silent, "show"], "evmesh: waiting for the engine at "),
    ] {
        let run = run(&command);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command:?}: {run:?}");
        let lines: Vec<&str> = run.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{command:?}: {run:?}");
        assert_eq!(lines[0], format!("{waits}{silent}"), "{command:?}");
        assert!(lines[1].contains(&silent), "{command:?}: {run:?}");
    }
    let driver =
        Process::start(["driver", "--driver", "1", "--central", &silent, "--kafka", &free_address()]);
    driver.line(&["evmesh: waiting for central at ", &silent], common::PATIENCE);
}

#[test]
fn check_answers_scripts_too() {
    let nobody = free_address();
    let check = run(["check", &nobody, "--output", "json"]);
    assert_eq!(check.code, 1);
    let answer: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(answer["status"], "UNREACHABLE");
    assert_eq!(answer["address"], nobody.as_str());
    assert_eq!(check.stderr, format!("evmesh: {}\n", answer["problem"].as_str().unwrap()));
}

#[test]
fn a_shell_completes_commands_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for word in ["operator", "resume", "reservation", "completions"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    // Bash is there wherever cargo is used on Linux; the script is tried in it.
    // From a file: as an argument it may be longer than the system takes.
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), run(["completions", "bash"]).stdout).unwrap();
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (count, word, before) = (words.len() - 1, words[words.len() - 1], words[words.len() - 2]);
        let ask = format!(
            "source '{}'\nCOMP_WORDS=({line} )\nCOMP_CWORD={count}\n_evmesh evmesh {word} {before}\necho \
             \"${{COMPREPLY[@]}}\"\n",
            script.path().display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("evmesh oper"), "operator");
    assert_eq!(complete("evmesh operator res"), "resume");
    assert_eq!(complete("evmesh central --reservation-m"), "--reservation-margin");
}

#[test]
fn every_command_has_a_man_page() {
    let page = run(["man"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    for text in [".TH evmesh 1", "Exit codes: 0", "evmesh\\-operator(1)"] {
        assert!(page.stdout.contains(text), "{text}:\n{}", page.stdout);
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let dir = dir.to_str().unwrap();
    assert_eq!(run(["man", "--dir", dir]).stdout, format!("the man pages are in {dir}\n"));
    for role in ROLES {
        let page = std::fs::read_to_string(format!("{dir}/evmesh-{role}.1")).unwrap();
        assert!(page.contains(".SH OPTIONS"), "{role}");
    }
    let stop = std::fs::read_to_string(format!("{dir}/evmesh-operator-stop.1")).unwrap();
    assert!(stop.contains("\\-\\-all") && stop.contains("EVMESH_OPERATOR_CENTRAL"), "{stop}");
    let nowhere = run(["man", "--dir", "/dev/null/man1"]);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.contains("--dir"), "{nowhere:?}");
}
