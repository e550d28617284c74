//! Inside a crate modules have an order: types below, users above.

use std::collections::BTreeSet;
use tidy::circles::circles;
use tidy::modules::{Modules, Name, Use};
use tidy::{files, none};

/// The root of every crate of the product that has modules. Not `proof`: its simulation is one world, and every host
/// in it knows that world.
fn crates() -> Vec<String> {
    let is_root = |path: &String| {
        let root = path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
        root && path.starts_with("services/") && !path.starts_with("services/proof/")
    };
    files(".rs").into_iter().map(|file| file.path).filter(is_root).collect()
}

fn shown(name: &[String]) -> String {
    if name.is_empty() { "the crate's root".into() } else { name.join("::") }
}

/// The circles among these uses, and the lines that close each.
fn described(root: &str, uses: &[(Name, Name, &Use)]) -> Vec<String> {
    let arrows: Vec<(Name, Name)> = uses.iter().map(|(from, to, _)| (from.clone(), to.clone())).collect();
    let mut described = Vec::new();
    for circle in circles(&arrows) {
        let names: Vec<String> = circle.iter().map(|name| shown(name)).collect();
        described.push(format!("{root}: {}", names.join(" <-> ")));
        let inside = |name: &Name| circle.contains(name);
        let lines = uses.iter().filter(|(from, to, _)| from != to && inside(from) && inside(to));
        described
            .extend(lines.map(|(from, to, at)| format!("    {} -> {}: {}", shown(from), shown(to), at.at)));
    }
    described
}

/// As a reader of the folders sees it: each module with all that is inside it, beside its neighbours.
#[test]
fn no_circle_between_neighbours() {
    let mut broken = Vec::new();
    for root in crates() {
        let uses = Modules::read(&root).uses();
        let parents: BTreeSet<&[String]> =
            uses.iter().flat_map(|found| (0..found.from.len()).map(|depth| &found.from[..depth])).collect();
        for parent in parents {
            let child = |name: &Name| {
                let inside = name.len() > parent.len() && name.starts_with(parent);
                inside.then(|| name[..=parent.len()].to_vec())
            };
            let between: Vec<_> = uses
                .iter()
                .filter_map(|found| Some((child(&found.from)?, child(&found.to)?, found)))
                .collect();
            broken.extend(described(&root, &between));
        }
    }
    none("no circle between neighbouring modules", &broken);
}

/// As the compiler sees it: every module by itself, a parent apart from its children.
#[test]
fn no_circle_between_any_two_modules() {
    let mut broken = Vec::new();
    for root in crates() {
        let uses = Modules::read(&root).uses();
        let each: Vec<_> = uses.iter().map(|found| (found.from.clone(), found.to.clone(), found)).collect();
        broken.extend(described(&root, &each));
    }
    none("no circle between any two modules", &broken);
}
