use super::super::tests::{BY_HAND, after, at, decide, held, issue, look, open, renews};
use super::*;
use crate::{Data, begun, data::Copies};
use domain::Wall;
use identity::folder::KEY;
use mesh::store::MemoryStore;
use std::fs;

fn names(data: &Data) -> Vec<String> {
    let copies = fs::read_dir(data.store().with_file_name("issued")).unwrap();
    let mut names: Vec<_> = copies.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn who_was_revoked_stays_so_with_a_copy_from_before_and_without_the_store() {
    let (top, data) = begun::folder(at(0).wall);
    let folders = ["thief", "before", "after"].map(|name| top.path().join(name));
    issue(&data, &folders[0], after(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    issue(&data, &folders[1], after(1)).unwrap();
    decide(&mut owner, after(2), |rules, now, batch| {
        rules.revoke(now, batch, BY_HAND, false).unwrap(); // the second copy was not read yet
    });
    look(&mut owner, after(3));
    assert_eq!(held(&owner), [true, true]);
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
fn what_an_older_version_marked_counts_for_a_certificate_that_ran_out_while_it_could_be_renewed() {
    let (top, data) = begun::folder(at(0).wall);
    let thief = top.path().join("thief");
    issue(&data, &thief, at(0)).unwrap();
    let before = open(MemoryStore::new(), &data);
    let copies = data.store().with_file_name("issued");
    let name = names(&data).into_iter().find(|name| {
        let text = fs::read_to_string(copies.join(name)).unwrap();
        identity::named_in(&text).unwrap().role.to_string() == BY_HAND
    });
    let (Some(name), Wall(revoked)) = (name, at(1).wall) else { panic!("no copy") };
    let serial = name.split('.').next().unwrap();
    fs::rename(copies.join(&name), copies.join(format!("{serial}.{revoked}.revoked"))).unwrap();
    // It renewed before, and what it has by then is not known; the store is an older copy, or lost.
    for store in [before.store, MemoryStore::new()] {
        let mut owner = Registry::open_at(at(100), store, &data).unwrap();
        look(&mut owner, at(100));
        assert_eq!(renews(&mut owner, &thief, at(100)), Err("IDENTITY_REVOKED".into()));
        assert!(issue(&data, &thief, at(100)).unwrap_err().to_string().contains("was revoked"));
        assert!(!names(&data).iter().any(|name| name.ends_with(".revoked")), "a mark of its own has it now");
    }
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
        rules.revoke(now, batch, BY_HAND, false).unwrap(); // the second copy was not read yet
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
    let mut known = Copies::default();
    assert_eq!(known.look(&data), 4);
    assert_eq!(known.in_order().len(), 2, "the first admin's too");
    assert_eq!((known.look(&data), names(&data).len()), (0, 4), "what it is was said once");
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

#[test]
fn each_copy_is_read_once_however_many_there_are_and_however_often_they_are_looked_at() {
    let (top, data) = begun::folder(at(0).wall);
    issue(&data, &top.path().join("one"), after(0)).unwrap();
    let copies = data.store().with_file_name("issued");
    let many = 500;
    let first = copies.join(&names(&data)[0]);
    for n in 2..many {
        fs::copy(&first, copies.join(format!("copy-{n}.pem"))).unwrap();
    }
    let mut owner = open(MemoryStore::new(), &data); // they are read here
    let mut look = |reads| {
        decide(&mut owner, after(1), move |rules, now, batch| {
            assert_eq!(rules.copies.look(&rules.data), reads);
            rules.take_in_issued(now, batch);
        });
    };
    look(0);
    issue(&data, &top.path().join("two"), after(1)).unwrap();
    look(1);
    fs::write(copies.join("copy-2.pem"), "another").unwrap();
    fs::remove_file(copies.join("copy-3.pem")).unwrap();
    look(1);
    look(0);
    assert_eq!(owner.rules.copies.in_order().len(), many - 1);
}

#[test]
fn the_copy_of_who_renewed_online_since_goes_when_it_has_run_out() {
    let (top, data) = begun::folder(at(0).wall);
    let one = top.path().join("one");
    issue(&data, &one, at(0)).unwrap();
    let mut owner = open(MemoryStore::new(), &data);
    assert_eq!(renews(&mut owner, &one, at(20)), Ok(()));
    assert_eq!(renews(&mut owner, &one, at(40)), Ok(()), "the first is in the list no more");
    assert!(owner.rules.enrolments.get(BY_HAND).unwrap().all().count() == 2);
    look(&mut owner, at(40));
    assert_eq!(names(&data), Vec::<String>::new());
}
