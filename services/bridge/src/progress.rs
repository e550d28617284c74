//! How far the topic is read: the next message of each partition before which everything is concluded. Plain data.

use crate::offsets::Position;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whose the offsets are; `None` before the first contact with a broker.
    cluster_id: Option<String>,
    partitions: BTreeMap<i32, Partition>,
    /// Rises with each beginning, so that what was taken before it moves nothing after it.
    beginnings: u64,
}

#[derive(Debug)]
struct Partition {
    beginning: u64,
    /// Above all that was taken.
    next: i64,
    /// What was taken and is not concluded.
    under_way: BTreeSet<i64>,
}

/// A message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    beginning: u64,
}

impl Progress {
    /// Goes on where it was, or begins.
    pub(crate) fn of(kept: Option<Position>) -> Self {
        let mut progress = Self::default();
        if let Some(Position { cluster_id, offsets }) = kept {
            progress.begin(cluster_id, offsets);
        }
        progress
    }

    /// Another cluster, or the first one: what was known of the one before counts no more.
    pub(crate) fn begin(&mut self, cluster_id: String, from: BTreeMap<i32, i64>) {
        self.cluster_id = Some(cluster_id);
        self.partitions.clear();
        for (partition, next) in from {
            self.partition(partition).next = next;
        }
    }

    /// A partition is read from its beginning, wherever that is now.
    pub(crate) fn begin_again(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// A message was read.
    pub(crate) fn take(&mut self, partition: i32, offset: i64) -> Place {
        let of = self.partition(partition);
        of.next = of.next.max(offset.saturating_add(1));
        of.under_way.insert(offset);
        Place { partition, offset, beginning: of.beginning }
    }

    /// Nothing more has to be done for a message.
    pub(crate) fn conclude(&mut self, place: Place) {
        if let Some(of) = self.partitions.get_mut(&place.partition)
            && of.beginning == place.beginning
        {
            of.under_way.remove(&place.offset);
        }
    }

    /// Where to go on after a restart; `None` before the first contact with a broker.
    pub(crate) fn position(&self) -> Option<Position> {
        let offsets = self.partitions.iter().map(|(partition, of)| {
            let next = of.under_way.first().copied().unwrap_or(of.next);
            (*partition, next)
        });
        Some(Position { cluster_id: self.cluster_id.clone()?, offsets: offsets.collect() })
    }

    fn partition(&mut self, partition: i32) -> &mut Partition {
        let Self { partitions, beginnings, .. } = self;
        partitions.entry(partition).or_insert_with(|| {
            *beginnings += 1;
            Partition { beginning: *beginnings, next: 0, under_way: BTreeSet::new() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offsets: &[(i32, i64)]) -> Option<Position> {
        Some(Position { cluster_id: "a".into(), offsets: offsets.iter().copied().collect() })
    }

    #[test]
    fn it_goes_on_at_the_first_that_is_not_concluded() {
        let mut progress = Progress::of(at(&[(0, 5), (1, 9)]));
        assert_eq!(progress.position(), at(&[(0, 5), (1, 9)]));
        let places = [5, 6, 8].map(|offset| progress.take(0, offset));
        progress.conclude(places[2]);
        progress.conclude(places[1]);
        assert_eq!(progress.position(), at(&[(0, 5), (1, 9)]), "5 is under way");
        progress.conclude(places[0]);
        assert_eq!(progress.position(), at(&[(0, 9), (1, 9)]));
    }

    #[test]
    fn it_begins_where_the_reader_does() {
        let mut progress = Progress::of(None);
        assert_eq!(progress.position(), None);
        progress.begin("a".into(), BTreeMap::from([(0, 7), (1, 0)]));
        assert_eq!(progress.position(), at(&[(0, 7), (1, 0)]));
        progress.take(2, 0);
        assert_eq!(progress.position(), at(&[(0, 7), (1, 0), (2, 0)]));
    }

    #[test]
    fn what_belongs_to_another_beginning_moves_nothing() {
        let mut progress = Progress::of(at(&[(0, 5)]));
        let before = progress.take(0, 5);
        progress.begin_again(0);
        assert_eq!(progress.position(), at(&[]), "a missing partition is read from its beginning");
        let again = progress.take(0, 5);
        progress.conclude(before);
        assert_eq!(progress.position(), at(&[(0, 5)]));
        progress.begin("a".into(), BTreeMap::new());
        let of_another = progress.take(0, 5);
        progress.conclude(again);
        assert_eq!(progress.position(), at(&[(0, 5)]));
        progress.conclude(of_another);
        assert_eq!(progress.position(), at(&[(0, 6)]));
    }
}
