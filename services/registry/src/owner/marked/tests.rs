use super::super::tests::{BY_HAND, after, at, decide, held, issue, look, open, renews};
use super::*;
use crate::{
    Data, Error, begun,
    owner::{Input, TokenHash},
};
use domain::Now;
use identity::{AskersKey, Request, folder};
use mesh::{group_commit::Owner, store::MemoryStore};
use std::{fs, path::PathBuf};

const ROLE: &str = "charge-point/MAD-01/engine";

type Begun = Owner<Registry, MemoryStore>;

/// Somebody who is enrolled, in a folder with its key.
fn enrol(owner: &mut Begun, top: &tempfile::TempDir, name: &str, now: Now) -> PathBuf {
    let (request, at) = (Request::new().unwrap(), top.path().join(name));
    folder::private_folder(&at).unwrap();
    folder::write_file(&at, folder::KEY, &request.key_pem()).unwrap();
    let asker = AskersKey::of_request(request.csr_pem()).unwrap();
    let token = TokenHash(identity::sha256(name.as_bytes()));
    decide(owner, now, move |rules, now, batch| {
        rules.create_token(now, batch, (token, ROLE.into(), vec![])).unwrap();
        rules.certify(now, batch, (Some(token), false), &asker).unwrap();
    });
    at
}

fn revoke(owner: &mut Begun, now: Now, role: &'static str) {
    decide(owner, now, move |rules, now, batch| {
        rules.revoke(now, batch, role, false).unwrap();
    });
}

/// An older copy of a store.
fn copy_of(store: &MemoryStore) -> MemoryStore {
    let mut batch = Batch::default();
    let all = mesh::store::Store::range(store, &[], &[], usize::MAX).unwrap();
    all.into_iter().for_each(|(key, value)| batch.put(key, value));
    let mut copy = MemoryStore::new();
    mesh::store::Store::commit(&mut copy, batch).unwrap();
    copy
}

fn marks(data: &Data) -> Vec<PathBuf> {
    let Ok(all) = fs::read_dir(data.store().with_file_name("revoked")) else { return Vec::new() };
    all.map(|one| one.unwrap().path()).collect()
}

#[test]
fn who_was_revoked_renews_by_no_older_copy_and_without_the_store_whatever_the_clock_says() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    let thief = enrol(&mut owner, &top, "thief", at(0));
    let older = copy_of(&owner.store);
    revoke(&mut owner, at(10), ROLE);
    assert_eq!(marks(&data).len(), 1);
    for day in [11, 31, 119, 2_000, 12, 0] {
        for store in [copy_of(&older), MemoryStore::new()] {
            let mut owner = Registry::open_at(at(day), store, &data).unwrap();
            assert_eq!(renews(&mut owner, &thief, at(day)), Err("IDENTITY_REVOKED".into()), "{day}");
            assert!(owner.rules.enrolments.get(ROLE).unwrap().is_told(at(day).wall));
        }
    }
    // A registry that runs while its clock is ahead forgets nothing either.
    let mut owner = Registry::open_at(at(12), copy_of(&older), &data).unwrap();
    issue(&data, &top.path().join("ana"), at(2_000)).unwrap();
    look(&mut owner, at(2_000));
    revoke(&mut owner, at(2_000), BY_HAND);
    let mut owner = Registry::open_at(at(12), older, &data).unwrap();
    assert_eq!(renews(&mut owner, &thief, at(12)), Err("IDENTITY_REVOKED".into()));
    assert_eq!(marks(&data).len(), 2);
}

#[test]
fn what_was_issued_by_a_clock_since_set_right_and_revoked_then_renews_by_no_older_copy_and_by_no_hand() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    let [thief, good] = ["thief", "good"].map(|name| top.path().join(name));
    issue(&data, &thief, at(365)).unwrap();
    look(&mut owner, at(365));
    let older = copy_of(&owner.store);
    revoke(&mut owner, at(1), BY_HAND);
    issue(&data, &good, at(2)).unwrap();
    look(&mut owner, at(2));
    for store in [older, MemoryStore::new(), owner.store] {
        let mut owner = Registry::open_at(at(3), store, &data).unwrap();
        assert!(renews(&mut owner, &thief, at(3)).is_err());
        assert_eq!(renews(&mut owner, &good, at(3)), Ok(()));
    }
    let said = issue(&data, &thief, at(3)).unwrap_err().to_string();
    assert!(said.ends_with("was revoked; issue into an empty folder"), "{said}");
}

#[test]
fn who_was_enrolled_anew_is_good_without_the_store_too() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    let thief = enrol(&mut owner, &top, "thief", at(0));
    let older = copy_of(&owner.store);
    revoke(&mut owner, at(400), ROLE); // the clock was a year ahead
    let good = enrol(&mut owner, &top, "good", at(2));
    for store in [older, MemoryStore::new(), owner.store] {
        let mut owner = Registry::open_at(at(3), store, &data).unwrap();
        assert!(renews(&mut owner, &thief, at(3)).is_err());
        assert_eq!(renews(&mut owner, &good, at(3)), Ok(()));
        let list = owner.rules.enrolments.get(ROLE).unwrap();
        assert!(!list.is_revoked() && list.is_refused(at(3).wall), "{list:?}");
    }
}

#[tokio::test]
async fn who_is_known_by_its_mark_alone_is_given_a_certificate() {
    let (top, data) = begun::folder(at(0).wall);
    let now = Now { mono: domain::Mono::default(), wall: mesh::now().wall };
    let mut owner = Registry::open(MemoryStore::new(), &data).unwrap();
    enrol(&mut owner, &top, "before", now);
    revoke(&mut owner, now, ROLE);
    let good = enrol(&mut owner, &top, "good", now);
    let (office, running) = crate::start(Registry::open(MemoryStore::new(), &data).unwrap()).unwrap();
    let request = Request::with_key(&fs::read_to_string(good.join(folder::KEY)).unwrap()).unwrap();
    let asker = AskersKey::of_request(request.csr_pem()).unwrap();
    let given = office.certify(domain::Deed::default(), None, asker).await.unwrap();
    assert!(identity::is_for(&given.chain, &request));
    running.stop();
}

#[test]
fn a_revocation_that_is_killed_before_its_mark_is_done_and_before_its_commit_is_not() {
    for killed_after in [0, 1] {
        let (top, data) = begun::folder(at(0).wall);
        let mut owner = open(MemoryStore::new(), &data);
        let thief = enrol(&mut owner, &top, "thief", at(0));
        owner.store.fail_after(killed_after);
        let input: Input = Box::new(|rules, now, step| {
            rules.revoke(now, &mut step.batch, ROLE, false).unwrap();
        });
        assert_eq!(owner.step(at(1), [input]).is_ok(), killed_after == 1); // nothing of it was let out
        assert_eq!(marks(&data).len(), 0);
        let unfinished = data.store().with_file_name("revoked").join(".a.mark.new");
        folder::private_folder(unfinished.parent().unwrap()).unwrap();
        fs::write(&unfinished, "half of one").unwrap();
        let mut owner = Registry::open_at(at(1), copy_of(&owner.store), &data).unwrap();
        fs::remove_file(&unfinished).unwrap();
        assert_eq!(marks(&data).len() as u64, killed_after);
        assert_eq!(renews(&mut owner, &thief, at(1)).is_err(), killed_after == 1);
        let mut owner = Registry::open_at(at(1), MemoryStore::new(), &data).unwrap();
        let says = if killed_after == 1 { "IDENTITY_REVOKED" } else { "IDENTITY_UNKNOWN" };
        assert_eq!(renews(&mut owner, &thief, at(1)), Err(says.into()));
    }
}

#[test]
fn what_is_issued_by_a_clock_from_before_a_revocation_is_refused_and_a_token_helps() {
    let (top, data) = begun::folder(at(0).wall);
    let [thief, new] = ["thief", "new"].map(|name| top.path().join(name));
    issue(&data, &thief, at(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    revoke(&mut owner, at(365), BY_HAND);
    let said = issue(&data, &new, at(1)).unwrap_err().to_string();
    assert!(
        said.contains("operator/ana was revoked at 2028-01-15T08:00:00Z, which is yet to come"),
        "{said}"
    );
    assert!(said.ends_with("enrol it with a token ('evmesh registry token operator/ana')"), "{said}");
    assert!(!new.exists());
    let said = issue(&data, &thief, at(366)).unwrap_err().to_string();
    assert!(said.ends_with("was revoked; issue into an empty folder"), "{said}");
    issue(&data, &new, at(366)).unwrap();
    look(&mut owner, at(366));
    assert_eq!(renews(&mut owner, &new, at(366)), Ok(()));
}

#[test]
fn what_is_issued_for_a_revoked_key_before_its_mark_can_be_read_is_revoked() {
    let (top, data) = begun::folder(at(0).wall);
    let [thief, good] = ["thief", "good"].map(|name| top.path().join(name));
    issue(&data, &thief, at(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    revoke(&mut owner, at(1), BY_HAND);
    issue(&data, &good, at(2)).unwrap();
    look(&mut owner, at(2));
    marks(&data).into_iter().for_each(|mark| fs::remove_file(mark).unwrap());
    issue(&data, &thief, at(40)).unwrap();
    look(&mut owner, at(40));
    assert_eq!(renews(&mut owner, &thief, at(40)), Err("IDENTITY_UNKNOWN".into()));
    assert_eq!(renews(&mut owner, &good, at(40)), Ok(()));
    assert_eq!(held(&owner), [true, false]);
}

#[test]
fn of_too_many_marks_that_one_goes_that_ends_first() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    owner.rules.marks.most = 1;
    enrol(&mut owner, &top, "engine", at(0));
    issue(&data, &top.path().join("ana"), at(1)).unwrap();
    look(&mut owner, at(1));
    for roles in [[ROLE, BY_HAND], [BY_HAND, ROLE]] {
        roles.into_iter().for_each(|role| revoke(&mut owner, at(if role == ROLE { 2 } else { 3 }), role));
        let kept: Vec<_> = data.marks().unwrap().into_iter().map(|(role, _)| role).collect();
        assert_eq!((kept.len(), &*kept[0]), (1, BY_HAND));
    }
}

#[test]
fn without_a_mark_that_is_damaged_no_registry_starts() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    enrol(&mut owner, &top, "thief", at(0));
    revoke(&mut owner, at(1), ROLE);
    let path = marks(&data).remove(0);
    fs::write(&path, &fs::read(&path).unwrap()[..40]).unwrap();
    let refused = Registry::open_at(at(1), owner.store, &data).err().unwrap();
    assert!(refused.needs_a_person());
    let says = format!("the mark of a revocation in {} is damaged", path.display());
    assert!(refused.to_string().starts_with(&says), "{refused}");
    assert!(matches!(refused, Error::Data(DataError::Mark(_))));
}

#[test]
fn whoever_had_no_place_in_the_list_is_refused_with_the_others() {
    let (top, data) = begun::folder(at(0).wall);
    let mut owner = open(MemoryStore::new(), &data);
    let to = top.path().join("ana");
    let most = domain::enrolment::MAX_CERTIFICATES;
    (0..most + 2).for_each(|n| issue(&data, &to, after(n as u64)).unwrap());
    look(&mut owner, after(200));
    assert_eq!(held(&owner).len(), most);
    revoke(&mut owner, after(201), BY_HAND);
    assert_eq!(held(&owner), vec![true; most + 2]);
}
