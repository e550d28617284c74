//! The bench that cannot measure: one sentence, and nothing left behind. That it measures, `.ci/bench` shows on an
//! Apache Kafka.

mod common;

use common::{PATIENCE, Process, broker::Broker, free_address, run};
use serde_json::json;

#[test]
fn without_a_kafka_it_says_so_and_leaves_nothing_behind() {
    let mut bench = Process::start(["bench", "intake", "disk", "--kafka", &free_address()]);
    assert_eq!(bench.end(PATIENCE), 1);
    assert!(bench.text().contains("evmesh: no Kafka answers at 127.0.0.1:"), "{}", bench.text());
    assert_eq!(bench.text().matches("no Kafka").count(), 1, "once for all rows: {}", bench.text());
    assert_eq!(bench.temporaries(), 0);
}

#[test]
fn interrupted_it_says_so_and_leaves_nothing_behind() {
    let broker = Broker::open();
    let mut bench = Process::start(["bench", "intake", "--kafka", &broker.options().kafka]);
    bench.line(&["1000 charge points connect"], PATIENCE);
    let folder = bench.temporary().display().to_string();
    assert!(commands_with(&folder) > 0, "a central runs");
    bench.terminate();
    assert_eq!(bench.end(PATIENCE), 1);
    assert!(
        bench.text().ends_with("evmesh: the bench was interrupted before it was done"),
        "{}",
        bench.text()
    );
    assert_eq!((bench.temporaries(), commands_with(&folder)), (0, 0));
}

#[test]
fn what_was_measured_is_printed_and_drawn_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let [report, curves] = ["report.json", "curves"].map(|name| folder.path().join(name));
    let figure = |size, value| {
        let load = json!({"offered": null, "achieved": null, "runs": 3, "spread": 0.1, "notes": []});
        json!({"name": "intake: CPU of central a reading", "size": size, "value": value, "unit": "µs",
            "limit": null, "ratio": null, "load": load})
    };
    let machine = json!({"cpu": "Some CPU", "cores": 2, "memory_mb": 4096});
    let rows = [figure(10_000, 9.5), figure(100_000, 9.0)];
    let missing = ["disk is not measured: it is full"];
    let text = json!({"machine": machine, "commit": null, "rows": rows, "missing": missing}).to_string();
    std::fs::write(&report, text).expect("a report");

    let [report, curves] = [&report, &curves].map(|path| path.display().to_string());
    let told = run(["bench", "--from", &report, "--output", "markdown", "--plot", &curves]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    for text in
        ["| 10,000 | 9.50 µs | ≤ 10: yes |", "| 100,000 | 9 µs | ≤ 8: **no** |", "- disk is not measured"]
    {
        assert!(told.stdout.contains(text), "{text}: {}", told.stdout);
    }
    let curve = std::fs::read_to_string(format!("{curves}/intake-cpu-of-central-a-reading.svg"));
    assert!(curve.expect("a curve").starts_with("<svg "));

    assert_eq!(run(["bench", "--output", "markdown"]).code, 2, "neither rows nor reports");
}

#[test]
fn rows_and_sizes_are_explained() {
    let help = run(["bench", "--help"]);
    for text in ["catch-up", "intake-single", "--size <SIZE>", "--kafka <HOST:PORT>", "--seconds <SECONDS>"] {
        assert!(help.stdout.contains(text), "{text}: {}", help.stdout);
    }
}

/// How many processes have this text in their command line.
fn commands_with(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("a list of processes");
    let lines = processes.filter_map(|process| std::fs::read(process.ok()?.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}
