//! Things by their ids: found in the same time however many there are, and listed in the ids' order.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::Bound,
};

/// A value by each id. The map's order is by chance, so that nobody who chooses ids can make it slow: nothing is ever
/// listed in it.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    /// Boxed: most of a map that has just grown is empty.
    found: HashMap<K, Box<V>>,
    order: BTreeSet<K>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { found: HashMap::new(), order: BTreeSet::new() }
    }
}

/// Of many at once the order has no gaps, as it has where it grew.
impl<K: Clone + Ord + Hash, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        let (mut found, mut order) = (HashMap::new(), Vec::new());
        for (id, value) in values {
            order.push(id.clone());
            found.insert(id, Box::new(value));
        }
        Self { found, order: order.into_iter().collect() }
    }
}

impl<K: Clone + Ord + Hash, V> Table<K, V> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, id: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.found.get(id).map(Box::as_ref)
    }

    pub(super) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, id: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.found.get_mut(id).map(Box::as_mut)
    }

    /// In the place of what had this id.
    pub(super) fn insert(&mut self, id: K, value: V) {
        if self.found.insert(id.clone(), Box::new(value)).is_none() {
            self.order.insert(id);
        }
    }

    pub(super) fn remove(&mut self, id: &K) -> Option<V> {
        self.order.remove(id);
        self.found.remove(id).map(|value| *value)
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// All after this one, in order.
    pub(super) fn after(&self, id: Option<&K>) -> impl Iterator<Item = &V> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).filter_map(|id| self.get(id))
    }

    /// Does the same to each, in whatever order.
    pub(super) fn each_mut(&mut self, change: impl FnMut(&mut V)) {
        self.found.values_mut().map(Box::as_mut).for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_listed_and_in_order() {
        let mut table: Table<_, _> = [("b", 1), ("a", 2), ("b", 3)].into_iter().collect();
        table.insert("c", 3);
        table.insert("b", 4);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&"a", &2), (&"b", &4), (&"c", &3)]);
        assert_eq!(table.after(Some(&"a")).collect::<Vec<_>>(), [&4, &3]);
        table.each_mut(|value| *value += 1);
        assert_eq!((table.remove(&"b"), table.remove(&"b"), table.len()), (Some(5), None, 2));
        *table.get_mut("c").unwrap() = 9;
        assert_eq!((table.get("b"), table.get("c")), (None, Some(&9)));
        assert_eq!(table.after(None).collect::<Vec<_>>(), [&3, &9]);
    }
}
