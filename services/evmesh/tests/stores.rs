//! Stores that cannot be used, through the executable: exit code 3, and one sentence that says what, where, and what
//! next.

mod common;

use common::{Process, free_address, run};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

fn central(data: &Path, listen: &str) -> Vec<String> {
    [
        "central",
        "--plain",
        "--kafka",
        "127.0.0.1:1",
        "--listen",
        listen,
        "--data",
        &data.display().to_string(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn engine(data: &Path, listen: &str) -> Vec<String> {
    let data = data.display().to_string();
    [
        "engine",
        "--plain",
        "--kafka",
        "127.0.0.1:1",
        "--charge-point",
        "A",
        "--listen",
        listen,
        "--data",
        &data,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The command line of a role with its store in this folder, at this address.
type Command<'a> = &'a dyn Fn(&Path, &str) -> Vec<String>;

/// Runs a role until it serves, and stops it in order: its store is in the folder then.
fn once(command: Command<'_>, data: &Path) {
    let address = free_address();
    let mut process = Process::start(command(data, &address));
    common::eventually("it serves", common::PATIENCE, || (run(["check", &address]).code == 0).then_some(()));
    process.terminate();
    assert_eq!(process.end(common::PATIENCE), 0);
}

fn copy(from: &Path, to: &Path) {
    mesh::files::private_folder(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it can be read").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}

fn cut_off(data: &Path) {
    let log = fs::OpenOptions::new().write(true).open(data.join("db")).expect("the test's own folder");
    log.set_len(64).expect("the test's own folder");
    for snapshot in snapshots(data) {
        fs::remove_file(snapshot).expect("the test's own folder");
    }
}

fn snapshots(data: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data)
        .expect("the test's own folder")
        .map(|entry| entry.expect("the test's own folder").path());
    files
        .filter(|path| {
            path.file_name().expect("a file").to_str().expect("a name in UTF-8").starts_with("snap.")
        })
        .collect()
}

fn overwritten(data: &Path) {
    let length = fs::metadata(data.join("db")).expect("the test's own folder").len() as usize;
    fs::write(data.join("db"), vec![0xa5; length]).expect("the test's own folder");
}

fn emptied_but_for_the_proof(data: &Path) {
    for entry in fs::read_dir(data).expect("the test's own folder") {
        let path = entry.expect("the test's own folder").path();
        if path.is_dir() {
            fs::remove_dir_all(path).expect("the test's own folder");
        } else if path.file_name().expect("a file") != "committed" {
            fs::remove_file(path).expect("the test's own folder");
        }
    }
}

fn without_the_proofs_content(data: &Path) {
    fs::write(data.join("committed"), [7; 600]).expect("the test's own folder");
}

/// Exit code 3, nothing on stdout, and a last line that says all of this.
fn refused(command: &[String], says: &[&str]) {
    let run = run(command);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{command:?}: {run:?}");
    let last = run.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("evmesh: "), "{run:?}");
    assert!(says.iter().all(|text| last.contains(text)), "{says:?}: {last}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}

#[test]
fn a_damaged_store_is_refused_with_a_way_out_and_its_backup_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let central: Command = &central;
    for (role, command, way_out) in [
        ("central", central, "put its backup in its place, or move the folder away"),
        ("engine", &engine, "move the folder away and start with a new one"),
    ] {
        let (data, backup) = (folder.path().join(role), folder.path().join(format!("{role}-backup")));
        once(command, &data);
        copy(&data, &backup);
        for damage in [cut_off, overwritten, emptied_but_for_the_proof, without_the_proofs_content] {
            damage(&data);
            let path = data.display().to_string();
            refused(&command(&data, "127.0.0.1:0"), &[&path, way_out]);
            fs::remove_dir_all(&data).unwrap();
            copy(&backup, &data);
        }
        once(command, &data);
    }
}

#[test]
fn a_folder_that_is_open_to_others_is_refused_and_one_that_vanishes_ends_the_role() {
    let folder = tempfile::tempdir().unwrap();
    let central: Command = &central;
    for (role, command) in [("central", central), ("engine", &engine)] {
        let data = folder.path().join(role);
        once(command, &data);
        let mode = |mode| fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        let path = data.display().to_string();
        refused(&command(&data, "127.0.0.1:0"), &["(mode 0755)", &format!("chmod -R go= '{path}'")]);
        mode(0o700);
        let address = free_address();
        let mut process = Process::start(command(&data, &address));
        process.line(&[if role == "central" { "central serves" } else { "engine ready" }], common::PATIENCE);
        fs::remove_dir_all(&data).unwrap();
        if role == "engine" {
            // It looks at its store whenever it is asked something.
            run(["point", "--engine", &address, "plug"]);
        }
        process.line(&["evmesh: ", &path, "was removed or replaced"], common::PATIENCE);
        assert_eq!(process.end(common::PATIENCE), 3);
    }
}

#[test]
fn another_roles_store_and_a_missing_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, none) = (folder.path().join("central"), folder.path().join("none"));
    once(&central, &one);
    refused(&engine(&one, "127.0.0.1:0"), &["of the role 'central', not 'engine'", "--data"]);
    for command in [central(&none, "127.0.0.1:0"), engine(&none, "127.0.0.1:0")] {
        let command = [command, vec!["--store-must-exist".to_owned()]].concat();
        refused(&command, &[&none.display().to_string(), "there is no store", "start once without the flag"]);
    }
}
