//! A writer that is killed, again and again: nothing that it was told is on disk is missing, and its store is never
//! refused.

#![allow(clippy::unwrap_used)] // a test that finds nothing there has failed

use mesh::store::{Batch, Role, SledStore, Store as _};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const KILLS: u32 = 100;
const ROLE: Role = Role { name: "central", older_copies: true, must_exist: false };
/// Names the folder to the process that is to be killed: this test, started anew.
const CHILD: &str = "EVMESH_TEST_KILLED_STORE";
const NAME: &str = "a_writer_killed_a_hundred_times_loses_nothing_acknowledged";
/// The row with the number of the last commit.
const LAST: &[u8] = b"last";

fn last(store: &SledStore) -> u64 {
    let value = store.get(LAST).unwrap();
    value.map_or(0, |value| String::from_utf8(value).unwrap().parse().unwrap())
}

/// Commits without end, and says each number once its commit has returned.
fn write(folder: &Path) -> ! {
    let mut store = SledStore::open(folder, ROLE).unwrap();
    let (mut number, mut out) = (last(&store), std::io::stdout());
    loop {
        number += 1;
        let mut batch = Batch::default();
        batch.put(LAST, number.to_string());
        for row in 0..20_u64 {
            // Large enough that the journal's files take turns within some hundreds of commits.
            batch.put(format!("row-{:05}", (number * 31 + row * 97) % 500), number.to_string().repeat(1000));
        }
        batch.delete(format!("row-{:05}", number % 500));
        store.commit(batch).unwrap();
        writeln!(out, "acknowledged {number}").unwrap();
    }
}

#[test]
fn a_writer_killed_a_hundred_times_loses_nothing_acknowledged() {
    if let Some(folder) = std::env::var_os(CHILD) {
        write(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}"); // shown if this fails
    let mut random = fastrand::Rng::with_seed(seed);
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some are killed before their first commit, while the store opens; the others under load, in any turn.
        let commits = match kill % 4 {
            0 => 0,
            1 => random.u64(50..300),
            _ => random.u64(1..40),
        };
        let mut hear = |line: std::io::Result<String>| {
            if let Some((_, number)) = line.unwrap().split_once("acknowledged ")
                && let Ok(number) = number.parse::<u64>()
            {
                acknowledged = number;
                return true;
            }
            false
        };
        let heard = lines.by_ref().filter_map(|line| hear(line).then_some(())).take(commits as usize).count();
        assert_eq!(heard as u64, commits, "kill {kill}: the writer ended by itself");
        if commits == 0 {
            std::thread::park_timeout(Duration::from_micros(random.u64(..20_000)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts, too. The last line may be cut off.
        for line in lines {
            hear(line);
        }
        let store = SledStore::open(folder.path(), ROLE).expect("a killed writer's store is whole");
        assert!(last(&store) >= acknowledged, "kill {kill}: {} of {acknowledged}", last(&store));
    }
    eprintln!("{KILLS} kills, {acknowledged} commits acknowledged");
    assert!(acknowledged > u64::from(KILLS));
}
