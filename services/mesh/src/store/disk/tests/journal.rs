//! What a killed process, a power cut and a damaged journal leave.

use super::*;
use std::collections::BTreeMap;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Commits at random, and what the rows are after each.
struct Player {
    random: fastrand::Rng,
    store: SledStore,
    rows: Rows,
}

impl Player {
    fn new(folder: &Path) -> Self {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}"); // shown if this fails
        let mut store = SledStore::open(folder, CENTRAL).unwrap();
        store.pace = Pace { rows_a_turn: 60, rows_at_once: 5, rows_at_most: 20 };
        Self { random: fastrand::Rng::with_seed(seed), store, rows: Rows::new() }
    }

    fn key(&mut self) -> Vec<u8> {
        format!("{}/{:02}", ["a", "b", "c"][self.random.usize(..3)], self.random.u8(..100)).into()
    }

    fn commits(&mut self) {
        let mut batch = Batch::default();
        for _ in 0..self.random.usize(1..12) {
            let key = self.key();
            if self.random.u8(..3) == 0 {
                self.rows.remove(&key);
                batch.delete(key);
            } else {
                // Some are large enough for a file of their own.
                let bytes = if self.random.u8(..100) == 0 { 150_000 } else { 200 };
                let value = vec![self.random.u8(..); self.random.usize(..bytes)];
                self.rows.insert(key.clone(), value.clone());
                batch.put(key, value);
            }
        }
        self.store.commit(batch).unwrap();
    }

    /// Whatever is asked is answered as it is now, wherever it is.
    fn asks(&mut self) {
        for _ in 0..20 {
            let key = self.key();
            assert_eq!(self.store.get(&key).unwrap().as_ref(), self.rows.get(&key));
        }
        let key = self.key();
        let prefix = [&b""[..], b"a/", b"b/", b"c/"][self.random.usize(..4)];
        let limit = self.random.usize(..80);
        let from = key.as_slice().max(prefix);
        let expected =
            self.rows.range(from.to_vec()..).filter(|(key, _)| key.starts_with(prefix)).take(limit);
        let expected: Vec<Entry> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(self.store.range(&key, prefix, limit).unwrap(), expected);
    }
}

fn is(folder: &Path, rows: &Rows) {
    let store = SledStore::open(folder, CENTRAL).unwrap();
    let found: Rows = super::rows(&store).into_iter().collect();
    assert!(&found == rows, "{} rows, and {} are there", rows.len(), found.len());
}

fn is_of_journal(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    super::super::journal::FILES.contains(&name) || name == whole::FILE
}

#[test]
fn a_killed_store_has_all_that_was_acknowledged_whatever_sled_had_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let [path, killed, flushed] = ["store", "killed", "flushed"].map(|name| folder.path().join(name));
    let mut player = Player::new(&path);
    let (mut syncs, mut halves) = (0, 0);
    copy(&path, &flushed);
    for _ in 0..300 {
        let was_syncing = player.store.syncing.is_some();
        player.commits();
        player.asks();
        let mut has_synced = was_syncing && player.store.syncing.is_none();
        if player.store.syncing.is_some() && player.random.bool() {
            player.store.synced().unwrap();
            has_synced = true;
        }
        if has_synced {
            syncs += 1;
            std::fs::remove_dir_all(&flushed).unwrap();
            copy(&path, &flushed);
        }
        // As the process leaves it; nobody can copy what is being written: the kills of `tests/kills.rs` hit that.
        if player.store.syncing.is_none() {
            halves += usize::from(player.store.tally.sequence < player.store.turned_at);
            copy(&path, &killed);
            is(&killed, &player.rows);
            is(&killed, &player.rows); // its start left nothing to do
            std::fs::remove_dir_all(&killed).unwrap();
        }
        // As a power cut may: of sled's files no more than it had when it last said so.
        copy(&flushed, &killed);
        files(&path).filter(|path| is_of_journal(path)).for_each(|file| {
            std::fs::copy(&file, killed.join(file.file_name().unwrap())).unwrap();
        });
        is(&killed, &player.rows);
        std::fs::remove_dir_all(&killed).unwrap();
    }
    assert!(syncs > 20 && halves > 5, "{syncs} syncs, {halves} times sled had a part of a turn");
}

#[test]
fn in_order_everything_ends_in_sled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut player = Player::new(&path);
    (0..50).for_each(|_| player.commits());
    let Player { store, rows, .. } = player;
    drop(store);
    super::super::journal::FILES.iter().for_each(|name| remove(&path.join(name)));
    is(&path, &rows);
}

#[test]
fn a_journal_damaged_anywhere_is_refused_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let [path, damaged] = ["store", "damaged"].map(|name| folder.path().join(name));
    let mut player = Player::new(&path);
    (0..60).for_each(|_| player.commits());
    let (mut whole, mut refused) = (0, 0);
    for n in 0..120 {
        copy(&path, &damaged);
        let file = damaged.join(super::super::journal::FILES[n % 2]);
        let bytes = std::fs::metadata(&file).unwrap().len();
        let at = player.random.u64(..bytes);
        match n % 4 {
            0 | 1 => overwrite(&file, at, &[player.random.u8(..)]),
            2 => std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(at).unwrap(),
            _ => remove(&file),
        }
        match SledStore::open(&damaged, CENTRAL) {
            Ok(store) => {
                let found: Rows = super::rows(&store).into_iter().collect();
                assert!(found == player.rows, "{n}: rows went without a word");
                whole += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Lost { .. }) && error.needs_a_person(), "{n}: {error:?}");
                refused += 1;
            }
        }
        std::fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
}

/// What sled has is on its way to the disk until the sender tells so, and a while longer.
fn syncs_slowly(store: &mut SledStore) -> std::sync::mpsc::SyncSender<()> {
    let (go_on, waits) = std::sync::mpsc::sync_channel(1);
    store.synced().unwrap();
    store.syncing = Some(thread::spawn(move || {
        let _ = waits.recv();
        thread::sleep(std::time::Duration::from_millis(50));
        Ok(())
    }));
    go_on
}

#[test]
fn until_the_disk_has_sleds_it_gets_no_more_and_no_file_of_the_journal_is_written_over() {
    for has_all in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut player = Player::new(&folder.path().join("store"));
        while player.store.waiting.of_last_turn() == 0 {
            player.commits();
        }
        while has_all && player.store.waiting.of_last_turn() > 0 {
            player.commits();
        }
        let (turned_at, left) = (player.store.turned_at, player.store.waiting.of_last_turn());
        let go_on = syncs_slowly(&mut player.store);
        let turn = player.store.pace.rows_a_turn;
        while player.store.waiting.of_this_turn() < TURNS_WAITING * turn - 12 {
            player.commits();
            assert_eq!((player.store.turned_at, player.store.waiting.of_last_turn()), (turned_at, left));
        }
        go_on.send(()).unwrap();
        while player.store.turned_at == turned_at {
            let is_full = player.store.waiting.of_this_turn() >= TURNS_WAITING * turn;
            assert!(!is_full, "a commit waits for the disk, where so much is waiting");
            player.commits();
        }
        assert_eq!(player.store.turned_at, player.store.sequence, "the next turn begins");
    }
}

#[test]
fn a_version_that_knows_of_no_journal_opens_only_what_was_closed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let formats = || {
        let bytes = std::fs::read(path.join(whole::FILE)).unwrap();
        [bytes[0], bytes[512]]
    };
    for _ in 0..2 {
        let mut store = SledStore::open(&path, CENTRAL).unwrap();
        assert_eq!(formats(), [2, 2]);
        store.commit(batch(&[("a", "1")], &[])).unwrap();
        assert_eq!(formats(), [2, 2]);
        drop(store);
        assert_eq!(formats(), [1, 1]);
        assert!(journal_of(&path).concat().is_empty());
    }
}

fn journal_of(folder: &Path) -> [Vec<u8>; 2] {
    super::super::journal::FILES.map(|name| std::fs::read(folder.join(name)).unwrap())
}

#[test]
fn what_sled_may_not_have_stays_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut player = Player::new(&path);
    (0..20).for_each(|_| player.commits());
    let rows = player.rows.clone();
    let before = journal_of(&path);
    player.store.syncing = Some(thread::spawn(|| Err(failed("the test's disk is full"))));
    assert!(player.store.ends_turn().is_err());
    assert!(player.store.commit(batch(&[("a", "1")], &[])).is_err(), "nothing more is acknowledged");
    drop(player);
    assert!(journal_of(&path) == before);
    is(&path, &rows);
}

#[test]
fn a_commit_that_is_missing_before_others_is_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut player = Player::new(&path);
    let copied = folder.path().join("copied");
    copy(&path, &copied);
    let turned_at = player.store.turned_at;
    while player.store.turned_at == turned_at || player.store.journal.written() == 0 {
        player.commits();
    }
    files(&path).filter(|path| is_of_journal(path)).for_each(|file| {
        std::fs::copy(&file, copied.join(file.file_name().unwrap())).unwrap();
    });
    // As a power cut may leave it: its file 'committed' of before.
    let mut file = Committed::lock(&copied).unwrap().unwrap();
    let (id, _) = file.read().unwrap().unwrap().unwrap();
    file.opens(id, 1).unwrap();
    drop(file);
    // The older one of both.
    let older = super::super::journal::FILES
        .iter()
        .zip(journal_of(&copied))
        .min_by_key(|(_, bytes)| sequence_of(bytes));
    remove(&copied.join(older.unwrap().0));
    let error = SledStore::open(&copied, CENTRAL).unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error:?}");
}

/// Of a file's first record.
fn sequence_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[25..33].try_into().unwrap())
}
