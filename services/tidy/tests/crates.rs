//! Who may depend on whom.

use std::collections::BTreeMap;
use tidy::{files, none};

/// The crates that put services together: the executable, what looks for a broken promise of the whole network, a
/// fleet, whose engines speak as the one engine does, and the bench, which writes and reads central's store as it does.
const ABOVE_SERVICES: [&str; 4] = ["bench", "evmesh", "fleet", "proof"];
const SERVICES: [&str; 6] = ["central", "engine", "monitor", "driver", "bridge", "registry"];

/// Each crate of the workspace, and the line of each of its dependencies, those for tests and builds too.
fn dependencies() -> BTreeMap<String, Vec<(String, usize, String)>> {
    let mut all = BTreeMap::new();
    for file in files("Cargo.toml").into_iter().filter(|file| file.path.starts_with("services/")) {
        let name = file.path.trim_start_matches("services/").trim_end_matches("/Cargo.toml").to_owned();
        let mut inside = false;
        let mut found = Vec::new();
        for (at, line) in file.text.lines().enumerate() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && let Some(end) = line.find(['.', ' ', '=']) {
                found.push((line[..end].to_owned(), at + 1, file.path.clone()));
            }
        }
        all.insert(name, found);
    }
    all
}

#[test]
fn no_service_depends_on_another() {
    let mut broken = Vec::new();
    for (name, found) in dependencies() {
        let allowed = ABOVE_SERVICES.contains(&name.split('/').next().unwrap_or_default());
        let services = found.iter().filter(|(on, ..)| SERVICES.contains(&on.as_str()));
        broken.extend(services.filter(|_| !allowed).map(|(on, line, path)| format!("{path}:{line} {on}")));
    }
    none("no service depends on another", &broken);
}

#[test]
fn the_rules_depend_on_nothing_that_acts() {
    let rules = &dependencies()["domain"];
    let allowed = ["thiserror", "proptest"];
    let others = rules.iter().filter(|(on, ..)| !allowed.contains(&on.as_str()));
    let broken: Vec<String> = others.map(|(on, line, path)| format!("{path}:{line} {on}")).collect();
    none("`domain` depends on `thiserror` alone, and on `proptest` for its tests", &broken);
}
