//! Which certificates engines are told to refuse. What is the same for all of them is reckoned once a change.

use domain::{
    Wall,
    refusals::{List, MAX_REFUSALS},
    revocations::Serial,
};
use identity::RefusedDigest;
use std::{collections::HashSet, sync::Arc};

/// People's certificates: every engine is to refuse them.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// What runs out last comes first.
    list: List,
    digest: RefusedDigest,
}

impl People {
    /// Of more than an engine holds, what runs out last.
    pub(crate) fn new(mut list: List) -> Self {
        list.sort_by(|one, other| (other.1, &other.0).cmp(&(one.1, &one.0)));
        list.truncate(MAX_REFUSALS);
        let digest = digest(&list);
        Self { list, digest }
    }

    /// Has it any that the other one has not?
    pub(crate) fn has_more_than(&self, other: &Self) -> bool {
        let known: HashSet<_> = other.list.iter().collect();
        self.list.iter().any(|one| !known.contains(one))
    }
}

/// What one engine is to refuse.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Certificates of what stood at its own charge point.
    own: List,
    people: Arc<People>,
}

impl Told {
    pub(crate) fn new(own: impl Iterator<Item = (Serial, Wall)>, people: &Arc<People>) -> Self {
        Self { own: own.take(MAX_REFUSALS).collect(), people: people.clone() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.people.list.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &(Serial, Wall)> {
        self.own.iter().chain(&self.people.list).take(MAX_REFUSALS)
    }

    /// Of [`Self::all`], without going through all of it.
    pub(crate) fn digest(&self) -> RefusedDigest {
        let (people, room) = (&self.people.list, MAX_REFUSALS - self.own.len());
        let left_out = people.get(room..).unwrap_or_default();
        self.people.digest.with(digest(left_out)).with(digest(&self.own))
    }
}

/// What a call to an engine has to do with what that is to refuse.
#[derive(Debug, Clone)]
pub enum Telling {
    Nothing,
    /// The answer says whether it has heard all of this.
    Asks(Told),
    /// It is told all of this.
    Tells(Told),
}

fn digest(list: &[(Serial, Wall)]) -> RefusedDigest {
    RefusedDigest::of(list.iter().map(|(serial, ends)| (serial.as_ref(), *ends)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_what_is_told_however_much_that_is() {
        let list = |name: &str, count: usize| {
            let one = |n: usize| (format!("{name}{n}").into(), Wall(n as i64));
            (0..count).map(one).collect::<List>()
        };
        for (own, people) in [(0, 0), (0, 2), (2, 0), (2, 2), (3, MAX_REFUSALS + 5), (MAX_REFUSALS + 1, 9)] {
            let told =
                Told::new(list("own", own).into_iter(), &Arc::new(People::new(list("people", people))));
            let all: Vec<_> = told.all().cloned().collect();
            assert_eq!(all.len(), (own + people).min(MAX_REFUSALS));
            assert_eq!((told.digest(), told.is_empty()), (digest(&all), own + people == 0));
        }
        let [few, many] = [3, 5].map(|count| People::new(list("", count)));
        assert_eq!(few.list[0].1, Wall(2));
        assert!(many.has_more_than(&few) && !few.has_more_than(&many) && !few.has_more_than(&few));
    }
}
