//! What the process tests share: the real executable, started on free ports and ended with the test.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod broker;
pub mod process;
pub mod recorded;
pub mod recorder;
pub mod registry;
pub mod roles;
pub mod secured;
pub mod topics;
pub mod up;

pub use process::{Process, Run, run};

use std::time::Duration;

/// How long anything may take that is not measured: two cores run everything at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An address on loopback where nothing listens.
pub fn free_address() -> String {
    testing::free_address().to_string()
}

/// Looks until the predicate gives something. Each look is a command of its own, so that it needs no pause.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = mesh::now().mono + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(mesh::now().mono < deadline, "not within {within:?}: {what}");
    }
}

/// A list of `evmesh operator`, as JSON.
pub fn operator(central: &str, command: &[&str]) -> Vec<serde_json::Value> {
    list(&ask(central, command))
}

fn ask(central: &str, command: &[&str]) -> Run {
    run([&["operator", "--central", central, "--output", "json"], command].concat())
}

fn list(run: &Run) -> Vec<serde_json::Value> {
    match run.json() {
        serde_json::Value::Array(rows) => rows,
        other => panic!("no list: {other}"),
    }
}

/// Waits until a charge point has a status, by `evmesh operator status`; central may still be starting.
pub fn becomes(central: &str, charge_point: &str, wanted: &str) {
    becomes_within(central, charge_point, wanted, PATIENCE);
}

/// The same, where it is promised how soon.
pub fn becomes_within(central: &str, charge_point: &str, wanted: &str, within: Duration) {
    eventually(&format!("{charge_point} is {wanted}"), within, || {
        (status(central, charge_point)? == wanted).then_some(())
    });
}

/// A charge point's status; `None` while central does not answer, or does not know it.
pub fn status(central: &str, charge_point: &str) -> Option<String> {
    let answer = ask(central, &["status"]);
    let rows = if answer.code == 0 { list(&answer) } else { Vec::new() };
    let row = rows.iter().find(|row| row["charge_point_id"] == charge_point)?;
    row["status"].as_str().map(str::to_owned)
}
