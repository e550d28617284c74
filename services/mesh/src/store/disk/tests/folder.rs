//! Whose a store's folder is, and that it stays.

use super::*;
use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

/// Something that makes a store's folder, the first one, vanish; the second one is free for that.
type Vanish = fn(&Path, &Path);

/// The modes of a folder and of all that is in it.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let below = files(folder).flat_map(|path| match path.is_dir() {
        true => modes(&path),
        false => vec![(path.clone(), mode(&path))],
    });
    std::iter::once((folder.to_owned(), mode(folder))).chain(below).collect()
}

#[test]
fn a_store_is_its_owners_alone_and_an_open_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    written(&path);
    let store = SledStore::open(&path, CENTRAL).unwrap();
    for (path, mode) in modes(&path) {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    drop(store);
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let error = SledStore::open(&path, CENTRAL).unwrap_err();
    let mends = format!("chmod -R go= '{}'", path.display());
    assert!(error.needs_a_person() && error.to_string().contains(&mends), "{error}");
}

#[test]
fn a_folder_that_vanishes_is_noticed_by_the_next_commit_even_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("store"), folder.path().join("away"));
    let ways: [Vanish; 3] = [
        |path, _| std::fs::remove_dir_all(path).unwrap(),
        |path, away| std::fs::rename(path, away).unwrap(),
        |path, away| {
            copy(path, away);
            std::fs::remove_dir_all(path).unwrap();
            std::fs::rename(away, path).unwrap();
        },
    ];
    for vanish in ways {
        for last in [Batch::default(), batch(&[("a", "2")], &[])] {
            let mut store = SledStore::open(&path, CENTRAL).unwrap();
            store.commit(batch(&[("a", "1")], &[])).unwrap();
            vanish(&path, &away);
            let error = store.commit(last).unwrap_err();
            assert!(matches!(error, StoreError::Gone { .. }) && error.needs_a_person(), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            drop(store);
            let _ = std::fs::remove_dir_all(&path);
            let _ = std::fs::remove_dir_all(&away);
        }
    }
}
