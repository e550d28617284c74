//! What the process tests share: the real executable, started on free ports and ended with the test.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod broker;
pub mod process;
pub mod roles;
pub mod up;

pub use process::{Process, Run, run};

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How long anything may take that is not measured: two cores run everything at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The ports that tests take: below those from which the system takes the ports of outgoing connections, so that none of
/// these comes between a choice and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// An address on loopback where nothing listens. Each is given once in this process: several may be chosen before the first
/// one is used.
pub fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Test processes that run at once start at different places.
    let start = std::process::id().wrapping_mul(101);
    for _ in 0..count {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset).expect("it is within the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
    panic!("no port from {} to {} is free", PORTS.start, PORTS.end);
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
    eventually(&format!("{charge_point} is {wanted}"), PATIENCE, || {
        let answer = ask(central, &["status"]);
        let rows = if answer.code == 0 {
            list(&answer)
        } else {
            Vec::new()
        };
        let row = rows.iter().find(|row| row["charge_point_id"] == charge_point)?;
        (row["status"] == wanted).then_some(())
    });
}
