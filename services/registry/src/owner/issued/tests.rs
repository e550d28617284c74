use super::super::tests::at;
use super::*;
use crate::{Data, DataError, begun, owner::Input};
use domain::Wall;
use identity::{AskersKey, folder::KEY};
use mesh::{group_commit::Owner, store::MemoryStore};
use std::{fs, path::Path};

const ROLE: &str = "operator/ana";

/// So many seconds after the network began.
fn after(seconds: u64) -> Now {
    let (now, seconds) = (at(0), Duration::from_secs(seconds));
    Now { mono: now.mono + seconds, wall: now.wall + seconds }
}

fn issue(data: &Data, to: &Path, now: Now) -> Result<(), DataError> {
    data.issue(ROLE.parse().unwrap(), to, &[], 30 * KEPT, now.wall).map(drop)
}

fn open(store: MemoryStore, data: &Data) -> Owner<Registry, MemoryStore> {
    Registry::open(store, data).unwrap()
}

/// As the calls have it: what is decided is on disk, then let out.
fn decide(
    owner: &mut Owner<Registry, MemoryStore>,
    now: Now,
    decide: impl FnOnce(&mut Registry, Now, &mut Batch) + Send + 'static,
) {
    let input: Input = Box::new(move |registry, now, step| {
        decide(registry, now, &mut step.batch);
        let let_out = registry.let_out();
        step.effects.push(Box::new(move |_| {
            let_out();
            Ok(())
        }));
    });
    let effects = owner.step(now, [input]).unwrap();
    effects.into_iter().for_each(|effect| effect(&owner.store).unwrap());
}

fn look(owner: &mut Owner<Registry, MemoryStore>, now: Now) {
    decide(owner, now, Registry::take_in_issued);
}

fn names(data: &Data) -> Vec<String> {
    let copies = fs::read_dir(data.store().with_file_name("issued")).unwrap();
    let mut names: Vec<_> = copies.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn held(owner: &Owner<Registry, MemoryStore>) -> Vec<bool> {
    let all = owner.rules.enrolments.get(ROLE).into_iter().flat_map(|one| one.all());
    all.map(|one| one.revoked.is_some()).collect()
}

/// What the holder of this folder's key would be told.
fn renews(owner: &mut Owner<Registry, MemoryStore>, folder: &Path, now: Now) -> Result<(), String> {
    let request = identity::Request::with_key(&fs::read_to_string(folder.join(KEY)).unwrap()).unwrap();
    let asker = AskersKey::of_request(request.csr_pem()).unwrap();
    let renewed = owner.rules.certify(now, &mut Batch::default(), (None, false), &asker);
    renewed.map(drop).map_err(|failure| failure.reason.to_string())
}

#[test]
fn who_was_revoked_stays_so_with_a_copy_from_before_and_without_the_store() {
    let (top, data) = begun::folder(at(0).wall);
    let folders = ["thief", "before", "after"].map(|name| top.path().join(name));
    issue(&data, &folders[0], after(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    issue(&data, &folders[1], after(1)).unwrap();
    decide(&mut owner, after(2), |rules, now, batch| {
        rules.revoke(now, batch, ROLE, false).unwrap(); // the second copy was not read yet
    });
    look(&mut owner, after(3));
    assert_eq!(held(&owner), [true, true]);
    let marked = names(&data).iter().filter(|name| name.ends_with(".revoked")).count();
    assert_eq!((marked, names(&data).len()), (2, 3), "the first admin was not");
    look(&mut owner, after(3));
    assert!(issue(&data, &folders[0], after(4)).unwrap_err().to_string().contains("was revoked"));
    issue(&data, &folders[2], after(4)).unwrap();
    for store in [owner.store, MemoryStore::new()] {
        let mut owner = open(store, &data); // the other one was lost
        look(&mut owner, after(5));
        let mut held = held(&owner);
        held.sort();
        assert_eq!(held, [false, true, true]);
        for folder in &folders[..2] {
            assert!(renews(&mut owner, folder, after(5)).is_err());
        }
        assert_eq!(renews(&mut owner, &folders[2], after(5)), Ok(()));
    }
}

#[test]
fn a_copy_whose_mark_a_crash_cut_off_is_marked_at_the_next_look_whatever_its_name() {
    let (top, data) = begun::folder(at(0).wall);
    let copies = data.store().with_file_name("issued");
    fs::remove_dir_all(&copies).unwrap(); // the first admin's
    issue(&data, &top.path().join("one"), after(0)).unwrap();
    fs::rename(copies.join(&names(&data)[0]), copies.join("older.pem")).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    let input: Input = Box::new(|rules, now, step| {
        rules.revoke(now, &mut step.batch, ROLE, false).unwrap();
    });
    owner.step(after(1), [input]).unwrap(); // nothing of it was let out
    assert_eq!(names(&data), ["older.pem"]);
    let owner = open(owner.store, &data);
    let (Some(one), Wall(at)) = (owner.rules.enrolments.get(ROLE), after(1).wall) else { panic!("nobody") };
    assert_eq!(names(&data), [format!("{}.{at}.revoked", one.newest.serial)]);
}

#[test]
fn who_is_issued_again_renews_and_a_key_is_in_its_folder_before_it_has_the_name() {
    let (top, data) = begun::folder(at(0).wall);
    let [first, second] = ["first", "second"].map(|name| top.path().join(name));
    issue(&data, &first, after(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    issue(&data, &second, after(1)).unwrap();
    look(&mut owner, after(2));
    assert_eq!(renews(&mut owner, &second, after(2)), Ok(()));
    assert_eq!(renews(&mut owner, &first, after(2)), Err("IDENTITY_UNKNOWN".into()));
    // No copy can be written: the key is there all the same.
    let copies = data.store().with_file_name("issued");
    fs::remove_dir_all(&copies).unwrap();
    fs::write(&copies, "").unwrap();
    let third = top.path().join("third");
    issue(&data, &third, after(3)).unwrap_err();
    assert!(third.join(KEY).exists() && !third.join("certificate.pem").exists());
}

#[test]
fn who_is_issued_again_in_the_second_of_the_revocation_is_good() {
    let (top, data) = begun::folder(at(0).wall);
    let [first, second, third] = ["first", "second", "third"].map(|name| top.path().join(name));
    let moment = |millis: u64| {
        let (now, millis) = (after(0), Duration::from_millis(millis));
        Now { mono: now.mono + millis, wall: now.wall + millis }
    };
    issue(&data, &first, moment(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    issue(&data, &second, moment(100)).unwrap();
    decide(&mut owner, moment(200), |rules, now, batch| {
        rules.revoke(now, batch, ROLE, false).unwrap(); // the second copy was not read yet
    });
    issue(&data, &third, moment(300)).unwrap();
    look(&mut owner, moment(400));
    assert!(renews(&mut owner, &second, moment(500)).is_err());
    assert_eq!(renews(&mut owner, &third, moment(500)), Ok(()));
}

#[test]
fn what_another_authority_signed_is_not_taken_in() {
    let ((top, data), (_elsewhere, other)) = (begun::folder(at(0).wall), begun::folder(at(0).wall));
    issue(&data, &top.path().join("one"), after(0)).unwrap();
    issue(&other, &top.path().join("another"), after(0)).unwrap();
    let copies = data.store().with_file_name("issued");
    let central = data.own_identity().with_file_name("central").join("certificate.pem");
    fs::copy(central, copies.join("central.pem")).unwrap();
    fs::copy(top.path().join("another/certificate.pem"), copies.join("another.pem")).unwrap();
    assert_eq!(data.issued().len(), 2, "the first admin's too");
    assert_eq!(names(&data).len(), 4);
}

#[test]
fn a_clock_that_runs_ahead_costs_no_copy_that_is_known_nowhere_else() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    issue(&data, &top.path().join("one"), after(0)).unwrap();
    look(&mut owner, at(400));
    assert_eq!((names(&data).len(), held(&owner).len()), (1, 0), "the admin's was known");
    look(&mut owner, at(1));
    assert_eq!(held(&owner), [false]);
    look(&mut owner, at(30));
    assert_eq!(names(&data).len(), 1, "it ended a moment ago");
    look(&mut owner, at(31));
    assert_eq!(names(&data).len(), 0);
}
