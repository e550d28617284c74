//! The same outside: a scripted network gives the transcript that it gave before.
//!
//! The script plays every call, every kind of end, denials and bad input, the messages on all topics and the command
//! line, on real processes and on scripted charge points, and writes down what it is answered. `transcript.txt` is
//! what the executable of d12cf37 answered. Times, random ids and what depends on the moment are masked ([`mask`]);
//! everything else, sentences included, is compared to the letter. What central keeps for itself (the changelog's
//! rows) is not: that it is there is all that is noted.
//!
//! A change that is meant to be seen outside is recorded anew, and the transcript's difference is reviewed like code:
//!
//! ```sh
//! SAME_OUTSIDE_RECORD=1 cargo test --test same_outside
//! ```

#![allow(clippy::unwrap_used)] // a script that finds nothing there has failed

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod lab;
mod mask;
mod network;
mod script;
mod wire;
mod world;

use common::topics;
use std::path::Path;

#[test]
fn the_network_says_what_it_said_before() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let said = runtime.block_on(script::play());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/same_outside/transcript.txt");
    if std::env::var_os("SAME_OUTSIDE_RECORD").is_some() {
        std::fs::write(&file, said).unwrap();
        return;
    }
    let before = std::fs::read_to_string(&file).unwrap();
    let difference = difference(&before, &said);
    assert!(difference.is_empty(), "{} says otherwise:\n{difference}", file.display());
}

/// The lines that only one of them has, each after the last heading before it; empty where both are the same.
fn difference(before: &str, now: &str) -> String {
    let (before, now): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    // The longest common subsequence, from the end.
    let mut common = vec![vec![0_usize; now.len() + 1]; before.len() + 1];
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in now.iter().enumerate().rev() {
            common[i][j] =
                if old == new { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut heading, mut lines) = (0, 0, "", Vec::new());
    while i < before.len() || j < now.len() {
        if i < before.len() && j < now.len() && before[i] == now[j] {
            if before[i].starts_with("## ") {
                heading = before[i];
            }
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if !heading.is_empty() {
            lines.push(std::mem::take(&mut heading).to_owned());
        }
        if j >= now.len() || i < before.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(format!("- {}", before[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", now[j]));
            j += 1;
        }
    }
    lines.join("\n")
}

#[test]
fn a_difference_is_told_line_by_line() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), "");
    assert_eq!(difference("## one\na\nb\nc\n", "## one\na\nx\nc\nd\n"), "## one\n- b\n+ x\n+ d");
}
