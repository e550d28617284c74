//! The changelog of a store that went on without it: how far it may be ended, and when it is whole again.

use super::*;
use crate::changelog::{Found, WHOLE_KEY, Written};

fn copied() -> Bench {
    Bench::with(Config { confirm_copied: true, ..Config::default() })
}

/// What the publisher takes, and Kafka has.
fn published(bench: &mut Bench) -> Vec<(u64, Vec<u8>)> {
    let Owner { rules, store } = &mut bench.writer;
    let rows = rules.next_rows(store, usize::MAX).unwrap();
    rows.into_iter().map(|row| (row.version, row.key)).collect()
}

fn heard_of(bench: &mut Bench, rows: &[(u64, Vec<u8>)]) {
    bench.step(vec![Input::Published(rows.iter().map(|(version, _)| *version).collect())]);
}

fn looked(bench: &mut Bench, [ended, at_end]: [bool; 2]) {
    let StoredMeta { store_id: store, changelog_version: version, changelog_cluster_id: cluster, .. } =
        bench.writer.rules.meta.clone();
    let last = Some(Written { store, version, format: 2 });
    let found = Found { cluster, last, disturbed: false, ended, at_end, unkept: None };
    bench.step(vec![Input::Changelog(found)]);
}

#[test]
fn what_kafka_may_have_when_it_ends_is_all_that_was_ever_marked() {
    let mut bench = copied();
    bench.request("one").unwrap();
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
    let mut bench = copied();
    bench.request("one").unwrap();
    looked(&mut bench, [false, false]);
    let before = published(&mut bench);
    heard_of(&mut bench, &before);
    assert!(published(&mut bench).is_empty() && bench.writer.rules.lag(bench.now.wall).rows == 0);

    looked(&mut bench, [true, true]);
    let all = published(&mut bench);
    let keys = |rows: &[(u64, Vec<u8>)]| rows.iter().map(|(_, key)| key.clone()).collect::<BTreeSet<_>>();
    assert_eq!(keys(&all), keys(&before), "every row anew");
    let driver = bench.session("one").driver.clone();
    bench.give(Command::StopCharge { asked: asked(4), driver, session: None });
    assert_eq!(published(&mut bench)[..all.len()], all, "Kafka has not all of it");
    bench.crash();
    looked(&mut bench, [true, false]);
    let rest = published(&mut bench);
    assert!(rest.len() > all.len());
    heard_of(&mut bench, &rest);
    bench.connect();
    let whole = published(&mut bench);
    assert_eq!(keys(&whole), [WHOLE_KEY.to_vec()].into(), "with newer rows behind it");
    assert!(bench.writer.rules.lag(bench.now.wall).rows > 1);
    looked(&mut bench, [false, false]);
    let newer = published(&mut bench);
    assert!(!newer.is_empty() && !keys(&newer).contains(WHOLE_KEY));
}
