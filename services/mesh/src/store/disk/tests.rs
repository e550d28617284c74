//! Real folders, damaged in every way that was thought of.

use super::super::tests::{batch, behaves, keys};
use super::{place::sled, *};
use crate::files::private_folder;

mod folder;
mod journal;

const CENTRAL: Role = Role { name: "central", older_copies: true, must_exist: false };
const ENGINE: Role = Role { name: "engine", older_copies: false, must_exist: false };

fn must_exist(role: Role) -> Role {
    Role { must_exist: true, ..role }
}

/// Writes a store of many commits, of which some rewrite what was there, and one row is large enough for a blob.
fn written(folder: &Path) {
    let mut store = SledStore::open(folder, CENTRAL).unwrap();
    for commit in 0..200_u32 {
        let mut changes = Batch::default();
        for row in 0..40_u32 {
            let key = format!("s{:04}", commit * 7 % 900 + row);
            changes.put(key, vec![(commit % 251) as u8; 150 + row as usize]);
        }
        store.commit(changes).unwrap();
    }
    let mut changes = Batch::default();
    changes.put("z", vec![7_u8; 2_000_000]);
    store.commit(changes).unwrap();
}

fn rows(store: &impl Store) -> Vec<Entry> {
    store.range(b"", b"", usize::MAX).unwrap()
}

fn copy(from: &Path, to: &Path) {
    private_folder(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_folder_keeps_what_was_committed_and_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store");
    let mut store = SledStore::open(&path, CENTRAL).unwrap();
    behaves(&mut store);
    let second = SledStore::open(&path, CENTRAL).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
    drop(store);
    let store = SledStore::open(&path, must_exist(CENTRAL)).unwrap();
    assert_eq!(keys(&store, "", "", 9), ["a/1", "b/2", "b/3", "c"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_a_plain_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a store").unwrap();
    assert!(matches!(SledStore::open(&file, CENTRAL), Err(StoreError::Open { .. })));
    let strange = folder.path().join("strange");
    private_folder(&strange).unwrap();
    std::fs::write(strange.join("conf"), "of another program").unwrap();
    for role in [CENTRAL, ENGINE] {
        let error = SledStore::open(&strange, role).unwrap_err();
        assert!(error.needs_a_person(), "{error:?}");
        assert!(error.to_string().contains(&strange.display().to_string()), "{error}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// Everything: the damage hit what held nothing.
    Whole,
    /// sled noticed.
    BySled,
    /// Only our proof did: sled would have gone on with less.
    ByProof,
}

/// Opens a damaged copy: it is refused in a sentence that names the folder and the way out, or it lacks nothing.
fn open(folder: &Path, whole: &[Entry]) -> Found {
    let error = match SledStore::open(folder, CENTRAL) {
        Ok(store) => {
            assert_eq!(rows(&store).len(), whole.len(), "rows went without a word");
            assert!(rows(&store) == whole, "rows changed without a word");
            return Found::Whole;
        }
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(error.needs_a_person(), "{error:?}");
    assert!(
        text.contains(&folder.display().to_string()) && text.contains("put its backup in its place"),
        "{text}"
    );
    match error {
        StoreError::Damaged { what, .. } if what.contains("sled") => Found::BySled,
        _ => Found::ByProof,
    }
}

/// Overwrites a part of a file.
fn overwrite(path: &Path, at: u64, with: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::Start(at)).unwrap();
    io::Write::write_all(&mut file, with).unwrap();
}

#[test]
fn a_store_file_cut_off_or_overwritten_anywhere_is_refused_or_whole() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}"); // shown if this fails
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let pristine = folder.path().join("pristine");
    written(&pristine);
    let mut found = std::collections::BTreeMap::new();
    for lifetime in 0..3_u32 {
        // From its second life on, a store has a snapshot of sled's, and other segments.
        if lifetime > 0 {
            let mut store = SledStore::open(&pristine, CENTRAL).unwrap();
            for n in 0..20_u32 {
                let gone = format!("s{:04}", n + lifetime * 20);
                store.commit(batch(&[(&format!("l{lifetime}{n}"), &n.to_string())], &[&gone])).unwrap();
            }
        }
        let untouched = folder.path().join("untouched");
        copy(&pristine, &untouched);
        let whole = rows(&SledStore::open(&untouched, CENTRAL).unwrap());
        std::fs::remove_dir_all(&untouched).unwrap();
        let bytes = std::fs::metadata(pristine.join("db")).unwrap().len();
        for n in 0..40_u64 {
            let damaged = folder.path().join(format!("{lifetime}-{n}"));
            copy(&pristine, &damaged);
            let db = damaged.join("db");
            let at = random.u64(..bytes);
            let longest = 1 << random.u32(1..18);
            let length = random.u64(1..=longest).min(bytes - at);
            let kind = match n % 5 {
                0 => {
                    std::fs::OpenOptions::new().write(true).open(&db).unwrap().set_len(at).unwrap();
                    "cut off"
                }
                1 => {
                    overwrite(&db, at, &vec![0; length as usize]);
                    "zeros"
                }
                2 => {
                    overwrite(
                        &db,
                        at,
                        &std::iter::repeat_with(|| random.u8(..)).take(length as usize).collect::<Vec<_>>(),
                    );
                    "random bytes"
                }
                3 => {
                    let segment = at / (512 * 1024) * (512 * 1024);
                    overwrite(&db, segment, &[0; 20]);
                    "a segment's head"
                }
                _ => {
                    overwrite(&db, at, &[random.u8(..)]);
                    "one byte"
                }
            };
            *found.entry((kind, open(&damaged, &whole))).or_insert(0) += 1;
            std::fs::remove_dir_all(damaged).unwrap();
        }
    }
    eprintln!("{found:#?}");
}

/// Damage to whole files, and what is said of it; the word is of the sentence.
type Damage = (&'static str, fn(&Path), &'static str);

const TO_FILES: &[Damage] = &[
    ("the log is empty", |folder| overwrite_whole(&folder.join("db"), b""), "damaged"),
    ("the log is zeros", |folder| overwrite_whole(&folder.join("db"), &[0; 1 << 20]), "damaged"),
    ("the log is missing", |folder| remove(&folder.join("db")), "damaged"),
    ("sled's settings are missing", |folder| remove(&folder.join("conf")), "WHOLE"),
    (
        "sled's settings are another's",
        |folder| overwrite_whole(&folder.join("conf"), b"of another program"),
        "damaged",
    ),
    ("the snapshot is cut off", |folder| cut_in_half(&snapshot(folder)), "damaged"),
    ("the snapshot is empty", |folder| overwrite_whole(&snapshot(folder), b""), "damaged"),
    ("the snapshot is missing", |folder| remove(&snapshot(folder)), "WHOLE"),
    ("the blobs are missing", |folder| blobs(folder).for_each(|blob| remove(&blob)), "damaged"),
    ("the blobs are cut off", |folder| blobs(folder).for_each(|blob| cut_in_half(&blob)), "damaged"),
    (
        "the blobs are altered",
        |folder| blobs(folder).for_each(|blob| overwrite(&blob, 5000, b"other")),
        "damaged",
    ),
    ("the folder is emptied but for the proof", empty_but_for_the_proof, "lost its newest changes"),
    ("the log and its snapshot went", remove_log_and_snapshot, "lost its newest changes"),
    (
        "the proof is unreadable",
        |folder| overwrite_whole(&folder.join(whole::FILE), &[7; 600]),
        "'committed' cannot be read",
    ),
    (
        "the proof is ahead",
        |folder| commit_in_proof(folder, 9999),
        "lost its newest changes: 9999 were acknowledged",
    ),
    ("the proof is of a newer version", newer_proof, "has format 9"),
];

fn overwrite_whole(path: &Path, with: &[u8]) {
    std::fs::write(path, with).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn cut_in_half(path: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

fn snapshot(folder: &Path) -> PathBuf {
    let is_one = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snap.");
    files(folder).filter(is_one).max().unwrap()
}

/// All of them: sled keeps one that it replaced until it gets to it, and only damage to the one in use can be seen.
fn blobs(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    files(&folder.join("blobs"))
}

fn remove_log_and_snapshot(folder: &Path) {
    remove(&snapshot(folder));
    remove(&folder.join("db"));
}

fn empty_but_for_the_proof(folder: &Path) {
    remove_log_and_snapshot(folder);
    remove(&folder.join("conf"));
    std::fs::remove_dir_all(folder.join("blobs")).unwrap();
}

fn commit_in_proof(folder: &Path, sequence: u64) {
    let mut file = Committed::lock(folder).unwrap().unwrap();
    let (id, _) = file.read().unwrap().unwrap().unwrap();
    file.write(id, sequence).unwrap();
}

fn newer_proof(folder: &Path) {
    let mut bytes = [&[9][..], &[0; 24]].concat();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    overwrite_whole(&folder.join(whole::FILE), &bytes);
}

#[test]
fn a_file_that_is_missing_or_anothers_is_refused_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pristine = folder.path().join("pristine");
    written(&pristine);
    let whole = rows(&SledStore::open(&pristine, CENTRAL).unwrap());
    for (n, (what, damage, word)) in TO_FILES.iter().enumerate() {
        let damaged = folder.path().join(n.to_string());
        copy(&pristine, &damaged);
        damage(&damaged);
        match SledStore::open(&damaged, CENTRAL) {
            Ok(store) => assert!(*word == "WHOLE" && rows(&store) == whole, "{what}: opened"),
            Err(error) => {
                let text = error.to_string();
                assert!(error.needs_a_person() && text.contains(word), "{what}: {text}");
                assert!(text.contains(&damaged.display().to_string()), "{what}: {text}");
            }
        }
        std::fs::remove_dir_all(damaged).unwrap();
    }
}

#[test]
fn a_restored_copy_is_taken_and_a_copy_without_its_proof_only_where_that_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("store"), folder.path().join("backup"));
    let mut store = SledStore::open(&path, CENTRAL).unwrap();
    store.commit(batch(&[("a", "1")], &[])).unwrap();
    drop(store);
    copy(&path, &backup);
    let mut store = SledStore::open(&path, CENTRAL).unwrap();
    store.commit(batch(&[("a", "2")], &[])).unwrap();
    drop(store);

    // Files of the copy among the newer ones: the store would have lost a commit.
    std::fs::copy(backup.join("db"), path.join("db")).unwrap();
    let _ = std::fs::remove_file(snapshot(&path));
    let error = SledStore::open(&path, CENTRAL).unwrap_err();
    assert!(matches!(error, StoreError::Lost { older_copies: true, .. }), "{error:?}");
    assert!(error.to_string().contains("to go on with what is left"), "{error}");
    remove(&path.join(whole::FILE));
    let mut store = SledStore::open(&path, CENTRAL).expect("a person said so");
    assert_eq!(store.get(b"a").unwrap(), Some(b"1".to_vec()));
    store.commit(batch(&[("a", "3")], &[])).unwrap();
    drop(store);
    assert!(SledStore::open(&path, CENTRAL).is_ok(), "it is proven again");

    // The whole copy in its place is what it was.
    std::fs::remove_dir_all(&path).unwrap();
    copy(&backup, &path);
    assert_eq!(SledStore::open(&path, CENTRAL).unwrap().get(b"a").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn an_engine_never_goes_on_without_the_proof() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(SledStore::open(&path, ENGINE).unwrap());
    commit_in_proof(&path, 9);
    let error = SledStore::open(&path, ENGINE).unwrap_err();
    assert!(
        matches!(error, StoreError::Lost { committed: 9, found: 1, older_copies: false, .. }),
        "{error:?}"
    );
    assert!(!error.to_string().contains("to go on with"), "{error}");
    remove(&path.join(whole::FILE));
    assert!(matches!(SledStore::open(&path, ENGINE), Err(StoreError::Unproven { .. })));
    assert!(
        matches!(SledStore::open(&path, ENGINE), Err(StoreError::Unproven { .. })),
        "asking again proves nothing"
    );
}

#[test]
fn another_roles_store_and_a_missing_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    assert!(matches!(SledStore::open(&path, must_exist(CENTRAL)), Err(StoreError::Missing { .. })));
    assert!(matches!(SledStore::open(&path, must_exist(CENTRAL)), Err(StoreError::Missing { .. })));
    drop(SledStore::open(&path, CENTRAL).unwrap());
    let error = SledStore::open(&path, ENGINE).unwrap_err();
    assert!(matches!(error, StoreError::OtherRole { .. }), "{error:?}");
    assert!(error.to_string().contains("is of the role 'central', not 'engine'"), "{error}");
    assert!(SledStore::open(&path, must_exist(CENTRAL)).is_ok());
}

#[test]
fn killed_while_it_begins_it_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    // Between any two of its first steps.
    let first = folder.path().join("first");
    private_folder(&first).unwrap();
    overwrite_whole(&first.join(whole::FILE), b"");
    assert!(SledStore::open(&first, CENTRAL).is_ok());
    let second = folder.path().join("second");
    private_folder(&second).unwrap();
    Committed::lock(&second).unwrap().unwrap().begin(&second, 7).unwrap();
    assert!(SledStore::open(&second, CENTRAL).is_ok());
    let third = folder.path().join("third");
    private_folder(&third).unwrap();
    Committed::lock(&third).unwrap().unwrap().begin(&third, 7).unwrap();
    drop(sled(&third).unwrap());
    assert!(SledStore::open(&third, CENTRAL).is_ok());
    let fourth = folder.path().join("fourth");
    drop(SledStore::open(&fourth, CENTRAL).unwrap());
    commit_in_proof(&fourth, 0);
    assert!(SledStore::open(&fourth, CENTRAL).is_ok());
}
