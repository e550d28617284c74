//! The stored offset of a partition is the oldest that some session's saved reading does not yet cover.

use crate::world::{World, cp, record};
use domain::SupplyState;
use domain::network::{CallOutcome, Command, MessageKind, Source};

fn at(offset: i64) -> Option<Source> {
    Some(Source { partition: 0, offset })
}

#[test]
fn readings_hold_the_offset_until_they_are_saved() {
    let mut world = World::with_points(&["A", "B"]);
    let a = world.supplying("a", "A");
    let b = world.supplying("b", "B");
    let reading = MessageKind::Reading;
    world.telemetry("A", Some("a"), Some((a.clone(), 2)), reading, 20, at(10));
    world.telemetry("B", Some("b"), Some((b.clone(), 2)), reading, 20, at(11));
    world.telemetry("A", Some("a"), Some((a.clone(), 3)), reading, 30, at(12));
    assert_eq!(world.net.offsets(), [Source { partition: 0, offset: 10 }]);
    let saved = world.net.checkpoint(1);
    let told = saved[0].told().unwrap().energy;
    assert_eq!((saved.len(), told.wh()), (1, 30), "the one that holds the oldest goes first");
    assert_eq!(world.net.offsets(), [Source { partition: 0, offset: 11 }]);
    world.net.checkpoint(500);
    assert_eq!(world.net.offsets(), [Source { partition: 0, offset: 13 }]);
    assert!(world.net.checkpoint(500).is_empty());
}

#[test]
fn a_repeat_of_what_grpc_told_first_holds_the_offset_too() {
    let mut world = World::with_points(&["A"]);
    let a = world.supplying("a", "A");
    world.advance(3_000, &["A"]);
    world.answer("A", CallOutcome::Done, Some(record(&a, "a", SupplyState::Supplying, 5, 50)), vec![]);
    world.telemetry("A", Some("a"), Some((a.clone(), 5)), MessageKind::Reading, 50, at(7));
    assert_eq!(world.net.offsets(), [Source { partition: 0, offset: 7 }], "its reading is in memory only");
}

#[test]
fn messages_without_a_reading_and_unreadable_ones_are_read_past() {
    let mut world = World::with_points(&["A"]);
    world.telemetry("NOWHERE", Some("a"), None, MessageKind::Reading, 1, at(3));
    world.send(Command::Unreadable { source: Source { partition: 1, offset: 8 }, sealed: None });
    let next = |partition, offset| Source { partition, offset };
    assert_eq!(world.net.offsets(), [next(0, 4), next(1, 9)]);
    assert!(!world.pages.points.contains_key(&cp("NOWHERE")));
}

#[test]
fn no_partition_waits_for_ever_behind_a_busier_one() {
    let mut world = World::with_points(&["A", "B", "C"]);
    let (a, b, c) = (world.supplying("a", "A"), world.supplying("b", "B"), world.supplying("c", "C"));
    let mut next = [0_i64; 2];
    for seq in 2..20 {
        for (id, session, partition) in [("A", &a, 0), ("B", &b, 0), ("C", &c, 1)] {
            let offset = next[partition];
            next[partition] += 1;
            let source = Source { partition: partition as i32, offset };
            let who = id.to_lowercase();
            let reading = MessageKind::Reading;
            world.telemetry(id, Some(&who), Some((session.clone(), seq)), reading, seq * 10, Some(source));
        }
        world.net.checkpoint(2); // fewer than there are sessions
    }
    let behind: Vec<i64> = world.net.offsets().iter().zip(next).map(|(at, next)| next - at.offset).collect();
    assert!(behind.iter().all(|behind| *behind <= 4), "{behind:?}");
}
