//! The registry's cards: which there are, whose, and which are blocked.

use super::CardHash;
use crate::{CardId, DriverId, Wall};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// So many cards are registered at most, blocked ones too: two for each driver of a large network.
pub const MAX_CARDS: usize = 250_000;
/// The longest label of a card, in characters.
pub const MAX_LABEL: usize = 64;
/// A card is forgotten so long after its end: then its number is as unknown as any.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);
/// What tells two times apart.
const A_MOMENT: Duration = Duration::from_millis(1);

/// A card, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub hash: CardHash,
    /// Who is billed.
    pub driver: DriverId,
    /// What people call it.
    pub label: String,
    /// It is worth nothing from then on; `None`: it has no end.
    pub expires: Option<Wall>,
    /// When it was added.
    pub added: Wall,
    /// Since when it is blocked.
    pub blocked: Option<Wall>,
    /// When it was said to be good last: added, or unblocked. What its driver blocked later than that stays so.
    pub good: Wall,
}

impl Registered {
    fn is_over(&self, now: Wall) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// Which card somebody means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Id(CardId),
    Hash(CardHash),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error(
        "this number is that of card {0}, which is driver {1}'s; block that one first if it is to be another driver's, \
         or unblock it if it is to be good again"
    )]
    Duplicate(CardId, DriverId),
    #[error("there is no such card")]
    Unknown,
    #[error("the registry has {MAX_CARDS} cards already, as many as it may have")]
    TooMany,
}

/// What is to be written: a card, or that it is gone.
pub type Change = (CardId, Option<Registered>);

/// All cards of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cards {
    cards: BTreeMap<CardId, Registered>,
    by_hash: HashMap<CardHash, CardId>,
}

impl Cards {
    /// From what was written.
    pub fn restore(written: impl IntoIterator<Item = (CardId, Registered)>) -> Self {
        let mut all = Self::default();
        written.into_iter().for_each(|(id, card)| all.put((id, Some(card))));
        all
    }

    pub fn get(&self, id: &CardId) -> Option<&Registered> {
        self.cards.get(id)
    }

    pub fn len(&self) -> usize {
        self.cards.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Cards in the order of their ids, from the one after this on; of an empty text: all.
    pub fn after(&self, id: &str) -> impl Iterator<Item = (&CardId, &Registered)> {
        let later = (std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded);
        self.cards.range::<str, _>(later)
    }

    fn find(&self, which: &Which) -> Option<&CardId> {
        match which {
            Which::Id(id) => self.cards.get_key_value(id).map(|(id, _)| id),
            Which::Hash(hash) => self.by_hash.get(hash),
        }
    }

    /// A new card. A blocked card's number, or one's that is over, may be given out anew: the card of before is gone.
    /// Forgets what is over for long.
    ///
    /// # Errors
    ///
    /// If the number is that of a good card, or there are too many.
    pub fn add(&mut self, now: Wall, id: CardId, card: Registered) -> Result<Vec<Change>, Denied> {
        let before = self.by_hash.get(&card.hash).and_then(|id| self.cards.get_key_value(id));
        if let Some((known, known_card)) = before
            && known_card.blocked.is_none()
            && !known_card.is_over(now)
        {
            return Err(Denied::Duplicate(known.clone(), known_card.driver.clone()));
        }
        let over = |card: &Registered| card.expires.is_some_and(|at| at + FORGOTTEN_AFTER <= now);
        let gone = self.cards.iter().filter(|(_, known)| over(known) || known.hash == card.hash);
        let mut changes: Vec<Change> = gone.map(|(id, _)| (id.clone(), None)).collect();
        if self.cards.len() - changes.len() >= MAX_CARDS {
            return Err(Denied::TooMany);
        }
        changes.push((id, Some(card)));
        Ok(self.done(changes))
    }

    /// It is good for nothing from now on. Repeating it changes nothing. Gives its id.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn block(&mut self, now: Wall, which: &Which) -> Result<(CardId, Vec<Change>), Denied> {
        let id = self.find(which).ok_or(Denied::Unknown)?.clone();
        let card = self.cards.get(&id).filter(|card| card.blocked.is_none()).cloned();
        let change = card.map(|card| (id.clone(), Some(Registered { blocked: Some(now), ..card })));
        Ok((id, self.done(change)))
    }

    /// It is good again, also if it was its driver who blocked it, at central, of which nothing is known here: so it is
    /// said anew each time, and later than before, whatever the clock says.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn unblock(&mut self, now: Wall, which: &Which) -> Result<(CardId, Vec<Change>), Denied> {
        let id = self.find(which).ok_or(Denied::Unknown)?.clone();
        let card = self.cards.get(&id).cloned().ok_or(Denied::Unknown)?;
        let good = now.max(card.good + A_MOMENT);
        let change = (id.clone(), Some(Registered { blocked: None, good, ..card }));
        Ok((id, self.done([change])))
    }

    fn done(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
        let changes: Vec<Change> = changes.into_iter().collect();
        changes.iter().cloned().for_each(|change| self.put(change));
        changes
    }

    fn put(&mut self, (id, card): Change) {
        match card {
            Some(card) => {
                self.by_hash.insert(card.hash, id.clone());
                self.cards.insert(id, card);
            }
            None => {
                if let Some(card) = self.cards.remove(&id)
                    && self.by_hash.get(&card.hash) == Some(&id)
                {
                    self.by_hash.remove(&card.hash);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Wall = Wall(1_800_000_000_000);

    fn id(text: &str) -> CardId {
        format!("card-{text}").parse().unwrap()
    }

    fn card(hash: u8, driver: &str) -> Registered {
        Registered {
            hash: CardHash([hash; 32]),
            driver: driver.parse().unwrap(),
            label: String::new(),
            expires: None,
            added: T0,
            blocked: None,
            good: T0,
        }
    }

    #[test]
    fn a_number_is_one_card_s_until_that_is_blocked_or_over() {
        let mut all = Cards::default();
        all.add(T0, id("a"), card(1, "101")).unwrap();
        let taken = all.add(T0, id("b"), card(1, "102")).unwrap_err();
        assert_eq!(taken, Denied::Duplicate(id("a"), "101".parse().unwrap()));
        let hash = Which::Hash(CardHash([1; 32]));
        let (blocked, changes) = all.block(T0, &hash).unwrap();
        assert_eq!((blocked, changes.len()), (id("a"), 1));
        assert_eq!(all.block(T0, &Which::Id(id("a"))).unwrap(), (id("a"), vec![]), "a repeat");
        let changes = all.add(T0, id("b"), card(1, "102")).unwrap();
        assert_eq!(changes[0], (id("a"), None));
        assert_eq!((all.find(&hash), all.get(&id("a"))), (Some(&id("b")), None));

        let expires = Some(T0 + Duration::from_secs(1));
        all.add(T0, id("c"), Registered { expires, ..card(2, "103") }).unwrap();
        assert!(all.add(T0, id("d"), card(2, "104")).is_err());
        let late = T0 + Duration::from_secs(1);
        all.add(late, id("d"), card(2, "104")).unwrap();
        assert_eq!(all.after("").map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["card-b", "card-d"]);
        assert_eq!(all.after("card-b").count(), 1);
        let all_again = Cards::restore(all.after("").map(|(id, card)| (id.clone(), card.clone())));
        assert_eq!(all_again, all);
    }

    #[test]
    fn each_unblocking_says_anew_that_it_is_good_and_what_is_over_for_long_is_forgotten() {
        let mut all = Cards::default();
        let expires = Some(T0);
        all.add(T0, id("a"), Registered { expires, ..card(1, "101") }).unwrap();
        all.block(T0, &Which::Id(id("a"))).unwrap();
        for (now, good) in [(T0 + A_MOMENT * 9, 9), (T0 + A_MOMENT * 20, 20), (T0, 21)] {
            let (_, changes) = all.unblock(now, &Which::Id(id("a"))).unwrap();
            let card = all.get(&id("a")).unwrap();
            assert_eq!((card.good, card.blocked, changes.len()), (T0 + A_MOMENT * good, None, 1));
        }
        assert_eq!(all.unblock(T0, &Which::Id(id("z"))), Err(Denied::Unknown));
        assert_eq!(all.block(T0, &Which::Hash(CardHash([9; 32]))), Err(Denied::Unknown));
        let changes = all.add(T0 + FORGOTTEN_AFTER, id("b"), card(2, "102")).unwrap();
        assert_eq!((changes[0].clone(), all.len()), ((id("a"), None), 1));
        assert!(!all.is_empty());
    }

    #[test]
    fn there_are_so_many_at_most() {
        let numbered = |n: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_be_bytes());
            (id(&n.to_string()), Registered { hash: CardHash(hash), ..card(0, "101") })
        };
        let mut all = Cards::restore((0..MAX_CARDS).map(numbered));
        let (one_more, card) = numbered(MAX_CARDS);
        assert_eq!(all.add(T0, one_more.clone(), card.clone()), Err(Denied::TooMany));
        let (_, first) = numbered(0);
        all.block(T0, &Which::Hash(first.hash)).unwrap();
        all.add(T0, one_more, first).unwrap(); // in the place of the blocked one
        assert_eq!(all.len(), MAX_CARDS);
    }
}
