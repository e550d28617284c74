//! The bench that cannot measure: one sentence, and nothing left behind. That it measures, `.ci/bench` shows on an Apache
//! Kafka.

mod common;

use common::{PATIENCE, Process, broker::Broker, free_address, run};

#[test]
fn without_a_kafka_it_says_so_and_leaves_nothing_behind() {
    let mut bench = Process::start(["bench", "intake", "--kafka", &free_address()]);
    assert_eq!(bench.end(PATIENCE), 1);
    assert!(bench.text().contains("evmesh: no Kafka answers at 127.0.0.1:"), "{}", bench.text());
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
        bench.text().ends_with("evmesh: the bench was interrupted: it has no figures"),
        "{}",
        bench.text()
    );
    assert_eq!((bench.temporaries(), commands_with(&folder)), (0, 0));
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
