//! What the house's order asks of its source, held by tests: `cargo test -p tidy`. Each rule is one test and names
//! file and line of what breaks it.
//!
//! Here is what the rules share: the files under git ([`files`]), a crate's modules and who uses whom ([`modules`]),
//! and circles among them ([`circles`]). It reads text and syntax, not types: a method that is called on a value of
//! another module's type is no use that it sees, the name of the type is.

pub mod circles;
pub mod modules;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A file under git, or new and not ignored.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root of the repository: `services/mesh/src/lib.rs`.
    pub path: String,
    pub text: String,
}

impl File {
    /// Is it a test: run by `cargo test` alone, or what such tests share?
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        ["/tests/", "/testing/"].iter().any(|folder| self.path.contains(folder))
            || matches!(name, "tests.rs" | "properties.rs")
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every path of the repository that ends like this, in order. What is deleted and not committed yet is gone.
///
/// # Panics
///
/// Without git: then there is nothing to say what belongs to the repository.
pub fn paths(ending: &str) -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut paths: Vec<String> = names.lines().map(str::to_owned).collect();
    paths.retain(|path| path.ends_with(ending) && root().join(path).is_file());
    paths.sort();
    paths
}

/// Every file of the repository whose name ends like this, in the order of their paths.
///
/// # Panics
///
/// If one of them is not text.
pub fn files(ending: &str) -> Vec<File> {
    let read = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).expect("source is text");
        File { path, text }
    };
    paths(ending).into_iter().map(read).collect()
}

/// Fails with the whole list of what breaks a rule, a line each.
///
/// # Panics
///
/// If there is anything on the list.
pub fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}; {} break it:\n{}", broken.len(), broken.join("\n"));
}
