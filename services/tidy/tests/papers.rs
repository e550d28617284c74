//! What the papers say is there, and what is there they say: the map, the metrics, the errors.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use tidy::{File, files, none, paths};

fn paper(path: &str) -> File {
    files(path).into_iter().find(|file| file.path == path).expect("the paper is there")
}

/// What matches, each with the file and line where it is found first.
fn found(files: &[File], pattern: &str) -> BTreeMap<String, String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    let mut all = BTreeMap::new();
    for file in files {
        for captures in pattern.captures_iter(&file.text) {
            let name = captures.get(1).expect("a group");
            let line = file.text[..name.start()].lines().count().max(1);
            all.entry(name.as_str().to_owned()).or_insert(format!("{}:{line} {}", file.path, name.as_str()));
        }
    }
    all
}

/// Code that runs, without what is for tests.
fn product() -> Vec<File> {
    let tests = Regex::new(r"(?s)#\[cfg\(test\)\]\s*mod \w+ \{.*").expect("a pattern");
    let ours = |file: &File| {
        file.path.contains("/src/") && !file.is_test() && !file.path.starts_with("services/tidy/")
    };
    let without_tests = |file: File| File { text: tests.replace(&file.text, "").into_owned(), ..file };
    files(".rs").into_iter().filter(ours).map(without_tests).collect()
}

/// Both ways: what only one of the two has is listed, with where it is.
fn same(rule: &str, code: &BTreeMap<String, String>, paper: &BTreeMap<String, String>) {
    let only = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| -> Vec<String> {
        one.iter().filter(|(name, _)| !other.contains_key(*name)).map(|(_, at)| at.clone()).collect()
    };
    assert!(!code.is_empty() && !paper.is_empty(), "{rule}: nothing was found to compare");
    none(rule, &[only(code, paper), only(paper, code)].concat());
}

/// The papers that say where things are in the repository.
const OF_THE_SOURCE: [&str; 2] = ["docs/ARCHITECTURE.md", "docs/RELIABILITY.md"];

/// Names in backquotes that are paths: with a folder, or with the ending of a file. What begins with a slash is a
/// machine's.
fn paths_in(paper: &File) -> Vec<(String, usize)> {
    let quoted = Regex::new(r"`([^`\n]+)`").expect("a pattern");
    let path = r"^[\w.\-][\w.\-/]*(/[\w.\-]*|\.(rs|md|proto|yaml|toml|binpb|sh))$";
    let path = Regex::new(path).expect("a pattern");
    let mut named = Vec::new();
    for (at, line) in paper.text.lines().enumerate() {
        let names = quoted.captures_iter(line).map(|captures| captures[1].to_owned());
        named.extend(names.filter(|name| path.is_match(name)).map(|name| (name, at + 1)));
    }
    named
}

#[test]
fn every_path_that_a_paper_on_the_source_names_exists() {
    let there: Vec<String> = paths("").into_iter().map(|path| format!("/{path}/")).collect();
    let exists = |name: &str| {
        let whole = format!("/{}/", name.trim_end_matches('/'));
        let folder = name.ends_with('/');
        there.iter().any(|path| path.contains(&whole) && !(folder && path.ends_with(&whole)))
    };
    let mut gone = Vec::new();
    for name in OF_THE_SOURCE {
        let named = paths_in(&paper(name)).into_iter().filter(|(path, _)| !exists(path));
        gone.extend(named.map(|(path, line)| format!("{name}:{line} {path}")));
    }
    none("every path that docs/ARCHITECTURE.md and docs/RELIABILITY.md name exists", &gone);
}

#[test]
fn every_folder_of_source_is_in_the_map() {
    let map = paper("docs/ARCHITECTURE.md").text;
    let folders: BTreeSet<String> = files(".rs")
        .into_iter()
        .filter(|file| file.path.contains("/src/"))
        .filter_map(|file| Some(file.path.rsplit_once('/')?.0.to_owned()))
        .collect();
    let is_named = |folder: &String| match folder.strip_suffix("/src") {
        Some(name) => {
            let short = name.trim_start_matches("services/");
            map.contains(&format!("`{name}`")) || map.contains(&format!("`{short}`"))
        }
        None => {
            let name = folder.rsplit('/').next().unwrap_or_default();
            map.contains(&format!("`{name}/")) || map.contains(&format!("/{name}/"))
        }
    };
    let missing: Vec<String> = folders.into_iter().filter(|folder| !is_named(folder)).collect();
    none("every folder of source is named in docs/ARCHITECTURE.md", &missing);
}

#[test]
fn every_metric_is_in_the_operators_guide_and_the_other_way_round() {
    let code = product();
    // The proof reads metrics of the product: what it names is no metric of its own.
    let code: Vec<File> = code.into_iter().filter(|file| !file.path.starts_with("services/proof/")).collect();
    let mut made = found(&code, r#""(evmesh_[a-z_]*[a-z])(?:\{\w+\})?""#);
    // Central counts its events by their names.
    let counters: Vec<File> =
        code.into_iter().filter(|file| file.path == "services/central/src/counters.rs").collect();
    for (event, at) in found(&counters, r#"\(\s*"([a-z_]+)",\s*""#) {
        if !event.starts_with("evmesh_") {
            made.insert(format!("evmesh_central_{event}_total"), at);
        }
    }
    let guide = found(&[paper("docs/OPERATIONS.md")], r"`(evmesh_[a-z_]*[a-z])(?:\{[^`]*\})?`");
    same("every metric is in docs/OPERATIONS.md and every one there is in the code", &made, &guide);
}

#[test]
fn every_reason_of_an_error_is_in_its_paper_and_the_other_way_round() {
    let code = product();
    // Where a reason is written down: the list of the rules' reasons, a constant of the same name, or the making of a
    // failure.
    let lists = Regex::new(r"(?ms)^super::words! \{(.*?)^\}").expect("a pattern");
    let in_lists: Vec<File> = code
        .iter()
        .map(|file| {
            // What is no list becomes empty lines, so that lines are still counted right.
            let kept = lists.captures_iter(&file.text).map(|captures| {
                let list = captures.get(1).expect("a group");
                "\n".repeat(file.text[..list.start()].lines().count()) + list.as_str()
            });
            File { path: file.path.clone(), text: kept.collect() }
        })
        .collect();
    let mut made = found(&in_lists, r#"= "([A-Z_]+)""#);
    for (name, at) in found(&code, r#"const [A-Z_]+: &(?:'static )?str = "([A-Z_]+)""#) {
        if code.iter().any(|file| file.text.contains(&format!("const {name}: &"))) {
            made.insert(name, at);
        }
    }
    let short = "precondition|aborted|unavailable|exhausted";
    let failures = format!(r"(?:Failure|Self)::(?:new\(\s*[\w:]+\s*,|(?:{short})\()");
    made.extend(found(&code, &format!(r#"\b{failures}\s*"([A-Z_]+)""#)));
    // A value becomes a failure with a code and a reason.
    made.extend(found(&code, r#"=> \(Code::\w+, "([A-Z_]+)"\)"#));
    let told = found(&[paper("docs/errors.md")], r"(?m)^\| `([A-Z_]+)` \|");
    same("every reason is in docs/errors.md and every one there is in the code", &made, &told);
}
