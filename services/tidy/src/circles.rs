//! Circles: sets of nodes each of which can be reached from each other one.

use std::collections::{BTreeMap, BTreeSet};

/// Every circle among these arrows, as the nodes in it.
pub fn circles<N: Ord + Clone>(arrows: &[(N, N)]) -> Vec<Vec<N>> {
    let mut next: BTreeMap<&N, BTreeSet<&N>> = BTreeMap::new();
    for (from, to) in arrows.iter().filter(|(from, to)| from != to) {
        next.entry(from).or_default().insert(to);
    }
    let behind = |node: &N| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![node.clone()]);
        while let Some(node) = open.pop() {
            for to in next.get(&node).into_iter().flatten() {
                if seen.insert((*to).clone()) {
                    open.push((*to).clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&N, BTreeSet<N>> = next.keys().map(|node| (*node, behind(node))).collect();
    let mut circles: BTreeSet<Vec<N>> = BTreeSet::new();
    for (node, ahead) in &reached {
        if ahead.contains(*node) {
            let back = |other: &&N| reached.get(*other).is_some_and(|theirs| theirs.contains(*node));
            circles.insert(ahead.iter().filter(back).cloned().collect());
        }
    }
    circles.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_lines_are_none() {
        assert_eq!(circles(&[(1, 2), (2, 3), (1, 3)]), Vec::<Vec<i32>>::new());
        let two = [(1, 2), (2, 3), (3, 1), (3, 4), (4, 5), (5, 4), (6, 6)];
        assert_eq!(circles(&two), [vec![1, 2, 3], vec![4, 5]]);
    }
}
