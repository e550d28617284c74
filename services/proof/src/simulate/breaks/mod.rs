//! Shows that the simulation can see: deliberately broken variants of the product, each of which must be caught.
//!
//! The breaks never reach the product's own build. Its sources are copied to a folder under `target/`, all breaks are
//! put into the copy, each switched on by name at run time, and the copy's `proof` runs the seeds. That the copy with
//! nothing switched on breaks no promise is tried first.

use anyhow::{Context as _, anyhow, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A text of the product, and what stands in its place in the copy.
#[derive(Debug, Clone, Copy)]
struct Edit {
    /// The file, from the workspace's folder.
    file: &'static str,
    /// It occurs exactly once there, or the table is out of date.
    original: &'static str,
    /// Behaves like the original unless `domain::broken` names this break.
    broken: &'static str,
}

/// One broken variant.
#[derive(Debug, Clone, Copy)]
struct Break {
    name: &'static str,
    /// The promises that it breaks: to see one of them is enough.
    promises: &'static [&'static str],
    edits: &'static [Edit],
}

macro_rules! edit {
    ($file:literal: $original:literal => $broken:literal) => {
        Edit { file: concat!("services/", $file), original: $original, broken: $broken }
    };
}

mod revoked;
mod table;

/// Every broken variant.
fn breaks() -> impl Iterator<Item = &'static Break> {
    table::BREAKS.iter().chain(revoked::BREAKS)
}

/// The variable that switches one break on, in the copy.
const SWITCH: &str = "PROOF_BREAK";
/// The copy's `proof` has another name: its executable must not take the product's place.
const PACKAGE: &str = "proof-broken";
/// So many seeds may pass before a break counts as not seen.
const MOST_SEEDS: u64 = 6_000;
/// So many seeds must pass with nothing broken.
const SOUND_SEEDS: u64 = 60;

/// Put at the end of the copy's `domain`: is this break switched on?
const IS_BROKEN: &str = r#"
/// Only in a copy made to be broken.
pub fn broken(name: &str) -> bool {
    static NAME: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("PROOF_BREAK").unwrap_or_default());
    *NAME == name
}
"#;

/// Breaks the copy in every way; success only if each was caught.
pub(super) fn run(only: Option<&str>) -> anyhow::Result<ExitCode> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = home.canonicalize().context("the workspace's sources are needed to break a copy of them")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| home.join("target"), PathBuf::from);
    let copy = target.join("breaks");
    let mut sources = read_sources(&home)?;
    apply(&mut sources)?;
    write_sources(&sources, &copy)?;
    println!("building the copy, with {} breaks in it …", breaks().count());
    let executable = build(&copy, &target)?;
    let sound = seeds(&executable, "", SOUND_SEEDS)?;
    ensure!(sound.violation.is_none(), "the copy breaks a promise with nothing switched on: {sound:?}");
    println!("{:>6} seeds: nothing switched on, and no promise broken", sound.seeds);
    let missed = try_each(&executable, only)?;
    if missed.is_empty() {
        println!("every break was caught");
        return Ok(ExitCode::SUCCESS);
    }
    println!("not caught as expected: {}", missed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Tries each on a core of its own: a variant's seeds come one after the other, so that the first one is found again.
/// The names of those that were not caught as expected.
fn try_each(executable: &Path, only: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let variants: Vec<_> = breaks().filter(|variant| only.is_none_or(|only| only == variant.name)).collect();
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let try_next = || {
        while let Some(variant) = variants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = seeds(executable, variant.name, MOST_SEEDS)?;
            if !is_caught(variant, &found) {
                missed.lock().unwrap_or_else(PoisonError::into_inner).push(variant.name);
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|threads| {
        let trying: Vec<_> = (0..cores).map(|_| threads.spawn(try_next)).collect();
        trying.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(missed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Says what came of it.
fn is_caught(variant: &Break, found: &Found) -> bool {
    let Break { name, promises, .. } = variant;
    match &found.violation {
        Some((promise, text)) if promises.contains(&promise.as_str()) => {
            println!("{:>6} seeds: {name} breaks {promise}: {text}", found.seeds);
            return true;
        }
        Some((promise, text)) => {
            println!("{:>6} seeds: {name} breaks {promise}, and not {promises:?}: {text}", found.seeds);
        }
        None => println!("{:>6} seeds: {name} was not caught", found.seeds),
    }
    false
}

/// What is needed to build, by its path from the workspace's folder.
type Sources = BTreeMap<PathBuf, Vec<u8>>;

fn read_sources(home: &Path) -> anyhow::Result<Sources> {
    let mut sources = Sources::new();
    for part in ["Cargo.toml", "Cargo.lock", "build.rs", "clippy.toml", "proto", "services"] {
        read_tree(home, Path::new(part), &mut sources)?;
    }
    Ok(sources)
}

fn read_tree(home: &Path, part: &Path, sources: &mut Sources) -> anyhow::Result<()> {
    let path = home.join(part);
    let cannot = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        sources.insert(part.to_owned(), fs::read(&path).with_context(cannot)?);
        return Ok(());
    }
    for entry in fs::read_dir(&path).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        if name != "target" {
            read_tree(home, &part.join(name), sources)?;
        }
    }
    Ok(())
}

/// Puts every break into the sources. Each original text must be there exactly once: else the table is out of date,
/// and a break that was never made would pass for caught.
fn apply(sources: &mut Sources) -> anyhow::Result<()> {
    for Break { name, edits, .. } in breaks() {
        for edit in *edits {
            let source = sources.get_mut(Path::new(edit.file));
            let source = source.with_context(|| format!("{name}: there is no {}", edit.file))?;
            let text = std::str::from_utf8(source).with_context(|| edit.file.to_owned())?;
            let times = text.matches(edit.original).count();
            ensure!(times == 1, "{name}: {} has its text {times} times: {}", edit.file, edit.original);
            ensure!(
                edit.broken.contains(&format!("\"{name}\"")) || edits.len() > 1,
                "{name} is not switched"
            );
            *source = text.replace(edit.original, edit.broken).into_bytes();
        }
    }
    let domain = Path::new("services/domain/src/lib.rs");
    sources.get_mut(domain).context("there is no domain")?.extend_from_slice(IS_BROKEN.as_bytes());
    let package = Path::new("services/proof/Cargo.toml");
    let text = String::from_utf8(sources.remove(package).context("there is no proof")?)?;
    let named = text.replacen("name = \"proof\"", &format!("name = \"{PACKAGE}\""), 1);
    ensure!(
        !named.contains("[lib]"),
        "proof's library has a section: give it its name in the copy another way"
    );
    let library = "\n[lib]\nname = \"proof\"\n"; // as its program calls it
    sources.insert(package.to_owned(), (named + library).into_bytes());
    // Cargo tells a workspace's members apart by their names and versions, not by their folders: with the product's
    // own version the copy's crates would take the place of the product's among what is built.
    let workspace = Path::new("Cargo.toml");
    let text = String::from_utf8(sources.remove(workspace).context("there is no workspace")?)?;
    let version = concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"");
    ensure!(text.matches(version).count() == 1, "the workspace has its version not once: {version}");
    let other = text.replace(version, &format!("{}-broken\"", version.trim_end_matches('"')));
    sources.insert(workspace.to_owned(), other.into_bytes());
    Ok(())
}

/// Writes what has changed: the rest keeps its date, and what was built from it stays. What is no source any more goes.
fn write_sources(sources: &Sources, copy: &Path) -> anyhow::Result<()> {
    let mut before = Sources::new();
    if copy.exists() {
        read_tree(copy, Path::new(""), &mut before)?;
    }
    for part in before.keys().filter(|part| !sources.contains_key(*part)) {
        fs::remove_file(copy.join(part)).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    for (part, content) in sources {
        let path = copy.join(part);
        if fs::read(&path).ok().as_ref() != Some(content) {
            let cannot = || format!("cannot write {}", path.display());
            fs::create_dir_all(path.parent().unwrap_or(copy)).with_context(cannot)?;
            fs::write(&path, content).with_context(cannot)?;
        }
    }
    Ok(())
}

/// Builds the copy beside the product, so that what both depend on is built once.
fn build(copy: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", PACKAGE, "--target-dir"])
        .arg(target)
        .current_dir(copy)
        .status()
        .context("cargo is needed to build the broken copy")?;
    ensure!(built.success(), "the broken copy in {} does not build", copy.display());
    Ok(target.join("release").join(PACKAGE))
}

/// What became of some seeds.
#[derive(Debug)]
struct Found {
    seeds: u64,
    violation: Option<(String, String)>,
}

/// Runs seeds until a promise breaks.
fn seeds(executable: &Path, name: &str, most: u64) -> anyhow::Result<Found> {
    let output = Command::new(executable)
        .args(["simulate", "--until-broken", "--seeds", &most.to_string()])
        .env(SWITCH, name)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", executable.display()))?;
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let Some(ran) = lines.next().and_then(|line| line.parse().ok()) else {
        bail!("the broken copy says nothing of its seeds: {text}");
    };
    let violation = lines.next().and_then(|line| line.split_once('\t'));
    Ok(Found { seeds: ran, violation: violation.map(|(promise, text)| (promise.into(), text.into())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edit_finds_its_line() {
        let mut sources = read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
        apply(&mut sources).unwrap();
    }
}
