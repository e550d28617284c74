//! Colours on a terminal, and none under `NO_COLOR`: in panels and in logs. The terminal is one of util-linux's
//! `script`.

mod common;

use common::{broker::Broker, free_address, up, up::Up};
use std::{
    io::Read as _,
    process::{Command, Stdio},
};

/// What a terminal of 80 columns and 24 lines is sent: until the text appears, or to the end of the command.
fn on_a_terminal(command: &[&str], no_color: bool, until: Option<&str>) -> String {
    let words = [&[env!("CARGO_BIN_EXE_evmesh")], command].concat();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols 80 rows 24; exec {}", quoted.join(" "));
    // Whatever is wrong, it ends.
    let mut terminal = Command::new("timeout");
    terminal.args(["60", "script", "--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("EVMESH_") || name.starts_with("CLICOLOR")) {
            terminal.env_remove(name);
        }
    }
    terminal.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    if no_color {
        terminal.env("NO_COLOR", "1");
    }
    let mut terminal = terminal
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("'timeout' and 'script' are there");
    let mut output = terminal.stdout.take().expect("piped");
    let (mut sent, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&sent);
        if until.is_some_and(|until| text.contains(until)) {
            break;
        }
        match output.read(&mut buffer).expect("it can be read") {
            0 => break,
            read => sent.extend_from_slice(&buffer[..read]),
        }
    }
    // A terminal that is gone ends whoever used it. It may have ended before.
    let id = terminal.id().to_string();
    let _ = Command::new("kill").arg(id).status();
    terminal.wait().expect("it ends");
    let text = String::from_utf8_lossy(&sent).into_owned();
    assert!(until.is_none_or(|until| text.contains(until)), "{command:?} did not show {until:?}:\n{text}");
    text
}

/// Is there an order to choose a colour? Those that go back to the terminal's own, and bold, are none.
fn is_coloured(text: &str) -> bool {
    text.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|one: char| one.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (order, rest) = rest.split_at(end);
        let colours = |number: &str| matches!(number.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107));
        rest.starts_with('m') && order.split(';').any(colours)
    })
}

#[test]
fn what_is_a_colour() {
    for (text, coloured) in [
        ("plain", false),
        ("\x1b[39m\x1b[49m\x1b[0m\x1b[1mbold\x1b[2;31H", false),
        ("\x1b[32mgreen", true),
        ("\x1b[38;5;208morange", true),
        ("\x1b[1;31mred", true),
    ] {
        assert_eq!(is_coloured(text), coloured, "{text:?}");
    }
}

#[test]
fn no_color_is_honoured_by_panels_and_logs() {
    let folder = tempfile::tempdir().unwrap();
    let requests = folder.path().join("requests");
    std::fs::write(&requests, "NOWHERE expect=denied\n").unwrap();
    let requests = requests.to_str().unwrap();
    let network = Up::ready(&[]);
    let broker = Broker::open();
    let up = up::flags(&broker, &["--requests", requests, "--exit"]);
    let up: Vec<&str> = up.iter().map(String::as_str).filter(|flag| *flag != "--plain").collect();
    let driver = network.driver(&["--driver", "7", "--charge-point", "NOWHERE"]);
    let driver: Vec<&str> = driver.iter().map(String::as_str).collect();
    let data = |name: &str| folder.path().join(name).display().to_string();
    let nobody = free_address();
    for (number, no_color) in [(0, false), (1, true)] {
        // A folder each: a terminal that is gone does not wait for the engine that was on it.
        let (shown, logged) = (data(&format!("shown-{number}")), data(&format!("logged-{number}")));
        let elsewhere = ["--kafka", &nobody, "--central", &nobody];
        let alone = ["engine", "--charge-point", "A", "--listen", "127.0.0.1:0"];
        let engine = [&alone[..], &elsewhere, &["--data", &shown]].concat();
        let logs = [&alone[..], &elsewhere, &["--data", &logged, "--plain"]].concat();
        let monitor = ["monitor", "--charge-point", "A", "--listen", "127.0.0.1:0", "--engine", &nobody];
        for (command, until) in [
            (&["operator", "watch", "--central", &network.central][..], Some("ACTIVADO")),
            (&driver, None),
            (&up, None),
            (&engine, Some("guest")),
            (&logs, Some("engine ready")),
            (&monitor, Some("quits")),
        ] {
            let sent = on_a_terminal(command, no_color, until);
            assert_eq!(is_coloured(&sent), !no_color, "{command:?}, NO_COLOR {no_color}:\n{sent:?}");
        }
    }
}
