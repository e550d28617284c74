//! Broadcasts that came in several messages are shown whole, or not at all.

/// The most parts of one broadcast: far beyond a network of 1,000,000 charge points, and a bound for what a mistaken
/// message can make the app hold.
pub const MAX_PARTS: u32 = 1024;

/// Where a message stands in its broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub broadcast: String,
    /// From 1 to `parts`.
    pub part: u32,
    pub parts: u32,
}

/// Puts broadcasts together. It holds one at a time: they share one key, so their parts come in order, and a newer one
/// makes an incomplete older one worthless.
#[derive(Debug)]
pub struct Broadcasts<T> {
    broadcast: String,
    parts: Vec<Option<Vec<T>>>,
}

impl<T> Default for Broadcasts<T> {
    fn default() -> Self {
        Self { broadcast: String::new(), parts: Vec::new() }
    }
}

impl<T> Broadcasts<T> {
    /// Takes a message; gives a broadcast once it is whole. A message without a part is a whole one.
    pub fn accept(&mut self, part: Option<Part>, items: Vec<T>) -> Option<Vec<T>> {
        let Some(Part { broadcast, part, parts }) = part else {
            return Some(items);
        };
        if !(1..=MAX_PARTS).contains(&parts) || !(1..=parts).contains(&part) {
            return None;
        }
        if self.broadcast != broadcast || self.parts.len() != parts as usize {
            self.broadcast = broadcast;
            self.parts = (0..parts).map(|_| None).collect();
        }
        self.parts[part as usize - 1] = Some(items);
        if self.parts.iter().any(Option::is_none) {
            return None;
        }
        self.broadcast.clear();
        Some(std::mem::take(&mut self.parts).into_iter().flatten().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(broadcast: &str, part: u32, parts: u32) -> Option<Part> {
        Some(Part { broadcast: broadcast.into(), part, parts })
    }

    #[test]
    fn only_whole_broadcasts_are_shown() {
        let mut broadcasts = Broadcasts::default();
        for (which, items, whole) in [
            (None, vec![1], Some(vec![1])),
            (part("a", 1, 2), vec![1, 2], None),
            (part("a", 1, 2), vec![1, 2], None), // a copy
            (part("a", 2, 2), vec![3], Some(vec![1, 2, 3])),
            (part("b", 1, 3), vec![1], None),
            (part("b", 3, 3), vec![3], None),
            (part("c", 1, 2), vec![7], None), // b lost a part
            (part("c", 2, 2), vec![8], Some(vec![7, 8])),
            (part("d", 0, 2), vec![1], None),
            (part("d", 3, 2), vec![1], None),
            (part("d", 1, 0), vec![1], None),
            (part("d", 1, u32::MAX), vec![1], None),
            (part("e", 1, 1), vec![9], Some(vec![9])),
        ] {
            assert_eq!(broadcasts.accept(which.clone(), items), whole, "{which:?}");
        }
    }

    proptest! {
        #[test]
        fn in_whatever_order_its_parts_come_a_broadcast_is_put_together_in_theirs(
            order in (1_usize..20).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle())
        ) {
            let mut broadcasts = Broadcasts::default();
            let n = order.len();
            for (at, index) in order.iter().enumerate() {
                let whole = broadcasts.accept(part("x", *index as u32 + 1, n as u32), vec![*index]);
                prop_assert_eq!(whole, (at + 1 == n).then(|| (0..n).collect()));
            }
        }
    }
}
