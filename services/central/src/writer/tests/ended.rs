//! The changelog of a store that went on without it, or that lacks rows: how far it may be ended, and when it is whole
//! again.

use super::*;
use crate::changelog::{END_KEY, Found, Marks, Reach, Standing, WHOLE_KEY, Written};
use std::collections::BTreeSet;

fn copied() -> Bench {
    Bench::with(Config { confirm_copied: true, ..Config::default() })
}

/// What the publisher takes, and Kafka has.
fn published(bench: &mut Bench) -> Vec<(u64, Vec<u8>)> {
    (0..9).for_each(|_| bench.step(Vec::new())); // one kind of rows each
    let Owner { rules, store } = &mut bench.writer;
    let rows = rules.next_rows(store, usize::MAX).unwrap();
    rows.into_iter().map(|row| (row.version, row.key)).collect()
}

fn heard_of(bench: &mut Bench, rows: &[(u64, Vec<u8>)]) {
    bench.step(vec![Input::Published(rows.iter().map(|(version, _)| *version).collect())]);
}

fn keys(rows: &[(u64, Vec<u8>)]) -> BTreeSet<Vec<u8>> {
    rows.iter().map(|(_, key)| key.clone()).collect()
}

/// The publisher found this last, or just before its own message; `None`: nothing.
fn looked(bench: &mut Bench, reach: Option<Reach>, disturbed: bool) {
    let StoredMeta { store_id: store, changelog_version: version, .. } = bench.writer.rules.meta.clone();
    let last = reach.map(|_| Written { store, version, format: 2 });
    let (cluster, reach) = ("one".to_owned(), reach.unwrap_or(Reach::Whole));
    bench.step(vec![Input::Changelog(Found { cluster, last, disturbed, reach, unkept: None })]);
}

/// With one session, a log that is whole, and these rows.
fn whole() -> (Bench, BTreeSet<Vec<u8>>) {
    let mut bench = copied();
    bench.request("one").unwrap();
    looked(&mut bench, None, false);
    let rows = published(&mut bench);
    heard_of(&mut bench, &rows);
    assert!(published(&mut bench).is_empty() && lag(&bench) == 0);
    (bench, keys(&rows))
}

fn lag(bench: &Bench) -> usize {
    bench.writer.rules.lag(bench.now.wall).rows
}

/// Publishes what there is, which has to be all of this, and that the log is whole.
fn refilled(bench: &mut Bench, all: &BTreeSet<Vec<u8>>) {
    looked(bench, Some(Reach::Ended), false);
    let mut behind = BTreeSet::new();
    while !behind.contains(WHOLE_KEY) {
        let rows = published(bench);
        assert!(!rows.is_empty() && (keys(&rows).len() == 1 || !keys(&rows).contains(WHOLE_KEY)));
        behind.extend(keys(&rows));
        heard_of(bench, &rows);
    }
    assert!(behind.is_superset(all), "every row anew");
    looked(bench, Some(Reach::WholeAgain), false);
    assert!(published(bench).is_empty() && lag(bench) == 0);
}

#[test]
fn what_kafka_may_have_when_it_ends_is_all_that_was_ever_marked() {
    let mut bench = copied();
    bench.request("one").unwrap();
    looked(&mut bench, None, false);
    let rows = published(&mut bench);
    bench.config.confirm_copied = false;
    bench.crash(); // before it has heard that Kafka has them
    let Owner { rules, store } = &bench.writer;
    assert_eq!(rules.meta.changelog_version, 0);
    let end = rules.changelog_end(store).unwrap().unwrap();
    assert_eq!(Some(end.version), rows.iter().map(|(version, _)| *version).max());
}

#[test]
fn a_log_that_has_ended_is_whole_once_it_has_every_row_whatever_changes_meanwhile() {
    let (mut bench, before) = whole();
    looked(&mut bench, Some(Reach::Ended), false);
    let all = published(&mut bench);
    assert_eq!(keys(&all), before, "every row anew");
    let driver = bench.session("one").driver.clone();
    bench.give(Command::StopCharge { asked: asked(4), driver, session: None });
    assert_eq!(published(&mut bench)[..all.len()], all, "Kafka has not all of it");
    bench.crash();
    looked(&mut bench, Some(Reach::Refilled), false);
    let rest = published(&mut bench);
    assert!(rest.len() > all.len());
    heard_of(&mut bench, &rest);
    bench.connect();
    assert_eq!(keys(&published(&mut bench)), [WHOLE_KEY.to_vec()].into(), "with newer rows behind it");
    assert!(lag(&bench) > 1);
    looked(&mut bench, Some(Reach::WholeAgain), false);
    let newer = published(&mut bench);
    assert!(!newer.is_empty() && !keys(&newer).contains(WHOLE_KEY));
}

#[test]
fn every_row_is_published_again_behind_an_end_alone() {
    let (mut bench, all) = whole();
    let disturbances = [(None, false), (Some(Reach::Whole), true), (Some(Reach::Refilled), true)];
    for (reach, disturbed) in disturbances {
        looked(&mut bench, reach, disturbed);
        assert_eq!(keys(&published(&mut bench)), [END_KEY.to_vec()].into(), "{reach:?}");
        bench.crash(); // before it was put: the row of another's is not last any more
        assert_eq!(lag(&bench), 2, "its key, and that it is not whole");
        looked(&mut bench, Some(Reach::Whole), false);
        assert_eq!(keys(&published(&mut bench)), [END_KEY.to_vec()].into(), "{reach:?}");
        refilled(&mut bench, &all);
    }
    looked(&mut bench, Some(Reach::Ended), true); // an older copy ended it
    assert!(keys(&published(&mut bench)).is_superset(&all));
    looked(&mut bench, Some(Reach::Whole), false); // what was under way then came behind its end
    assert_eq!(keys(&published(&mut bench)), [END_KEY.to_vec()].into());
    refilled(&mut bench, &all);

    bench.config.confirm_copied = false;
    bench.crash(); // it goes on without, and Kafka is never there to be told
    bench.config.confirm_copied = true;
    bench.crash();
    for reach in [Reach::Whole, Reach::Refilled] {
        assert!(!keys(&published(&mut bench)).is_superset(&all), "nothing is known of it");
        looked(&mut bench, Some(reach), false);
        assert_eq!(keys(&published(&mut bench)), [END_KEY.to_vec()].into(), "{reach:?}");
    }
    refilled(&mut bench, &all);
}

#[test]
fn that_a_log_is_whole_is_the_word_of_who_refilled_it() {
    let (mut bench, all) = whole();
    looked(&mut bench, Some(Reach::Ended), false);
    let rows = published(&mut bench);
    heard_of(&mut bench, &rows);
    assert_eq!(keys(&published(&mut bench)), [WHOLE_KEY.to_vec()].into());
    looked(&mut bench, Some(Reach::Ended), true); // it was ended just before that
    bench.crash();
    looked(&mut bench, Some(Reach::WholeAgain), false);
    assert_eq!(keys(&published(&mut bench)), [END_KEY.to_vec()].into());
    refilled(&mut bench, &all);
}

#[test]
fn an_engine_keeps_its_record_until_the_log_that_has_it_is_whole() {
    let (mut bench, _) = whole();
    looked(&mut bench, Some(Reach::Ended), false);
    bench.engine.supply(300);
    bench.engine.end(SupplyEnd::Completed);
    bench.connect();
    assert!(bench.session("one").ticket().is_some());
    for _ in ["what is marked", "and what came meanwhile"] {
        let rows = published(&mut bench);
        heard_of(&mut bench, &rows);
    }
    assert_eq!(bench.engine.unsettled.len(), 1, "kafka has it, and nothing could be rebuilt");
    bench.crash();
    looked(&mut bench, Some(Reach::Refilled), false);
    bench.connect();
    let rows = published(&mut bench);
    heard_of(&mut bench, &rows);
    assert_eq!(bench.engine.unsettled.len(), 1, "after a start too");
    let rows = published(&mut bench);
    let rows = if keys(&rows).contains(WHOLE_KEY) {
        rows
    } else {
        heard_of(&mut bench, &rows);
        published(&mut bench)
    };
    assert_eq!(keys(&rows), [WHOLE_KEY.to_vec()].into());
    looked(&mut bench, Some(Reach::WholeAgain), false);
    assert!(bench.engine.unsettled.is_empty());
}

/// How it stands to a log of its own that has this version last.
fn standing(bench: &mut Bench, version: u64) -> Standing {
    let store = bench.writer.rules.meta.store_id.clone();
    let last = Some(Written { store, version, format: 2 });
    let (cluster, reach) = ("one".to_owned(), Reach::Whole);
    bench.step(vec![Input::Changelog(Found { cluster, last, disturbed: false, reach, unkept: None })]);
    bench.writer.rules.standing()
}

/// It has marked more than this version, and ends no log that has it.
fn marked_beyond(bench: &Bench, known: u64) {
    let Owner { rules, store } = &bench.writer;
    assert!(Marks::restore(store, 0).unwrap().highest() >= known);
    assert!(rules.changelog_end(store).unwrap().unwrap().version < known, "it ends no log that knows more");
}

#[test]
fn an_older_copy_stays_one_at_its_next_start_whatever_it_marked() {
    let (mut bench, _) = whole();
    let known = bench.writer.rules.meta.changelog_version + 1;
    assert_eq!(standing(&mut bench, known), Standing::Ahead);
    bench.request("two").unwrap();
    bench.crash();
    marked_beyond(&bench, known);
    assert_eq!(standing(&mut bench, known), Standing::Ahead);
    bench.crash();
    self::looked(&mut bench, None, false);
    assert_eq!(bench.writer.rules.standing(), Standing::Ours, "the topic was deleted");
}

#[test]
fn an_older_copy_is_known_whatever_it_marked_before_anybody_looked() {
    let (mut bench, _) = whole();
    let known = bench.writer.rules.meta.changelog_version + 1;
    for _ in ["with kafka away", "and still"] {
        bench.crash();
        bench.request("two").unwrap();
    }
    marked_beyond(&bench, known);
    bench.config.confirm_copied = false;
    bench.crash();
    marked_beyond(&bench, known);
    bench.config.confirm_copied = true;
    bench.crash();
    assert_eq!(standing(&mut bench, known), Standing::Ahead);
}

#[test]
fn what_kafka_may_have_and_was_not_heard_of_makes_no_older_copy() {
    let (mut bench, _) = whole();
    bench.crash();
    looked(&mut bench, Some(Reach::Whole), false);
    let rows = published(&mut bench);
    let newest = rows.iter().map(|(version, _)| *version).max().unwrap();
    for _ in ["before it has heard", "before anybody looked"] {
        bench.crash();
    }
    assert_eq!(standing(&mut bench, newest), Standing::Ours);
}
