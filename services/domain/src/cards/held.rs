//! Central's cards: as the registry told them, and as their drivers blocked them. They are known from here while the
//! registry is away.

use super::CardHash;
use crate::{CardId, DriverId, Wall};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// A card, as the registry tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub hash: CardHash,
    /// Who is billed.
    pub driver: DriverId,
    /// It is worth nothing from then on; `None`: it has no end.
    pub expires: Option<Wall>,
    /// The registry has blocked it.
    pub blocked: bool,
    /// When the registry said last that it is good.
    pub good: Wall,
}

/// A driver's own block. It holds until the registry says later than that that the card is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub at: Wall,
}

/// What a driver's word changes of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    Newly,
    /// It was blocked, and is so from now on.
    Again,
    /// Nothing.
    Already,
}

/// A part of what the registry says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// From here on all cards are told, until `complete`.
    pub begins: bool,
    pub told: Vec<(CardId, Card)>,
    /// All have been told since `begins`.
    pub complete: bool,
}

/// What somebody shows at a charge point, to say whose a supply there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: it is a guest's.
    Guest,
    /// A driver's id, which anybody can type.
    Driver(DriverId),
    /// A card; `None`: the registry has not been heard yet, and no card can be looked up.
    Card(Option<CardHash>),
}

/// Whose a supply is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub driver: DriverId,
    /// The card that was shown.
    pub card: Option<CardId>,
}

impl Holder {
    /// Somebody who showed no card.
    pub fn bare(driver: DriverId) -> Self {
        Self { driver, card: None }
    }
}

/// Why what is shown does not say whose a supply is. It tells a stranger nothing of a card's driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a driver's id is not enough here: show the driver's card, or ask as a guest")]
    NoCard,
    #[error(
        "cards cannot be looked up yet: central has not heard of the registry; ask again later, or as a guest"
    )]
    NotHeard,
    #[error("this card is not known; ask whoever gave it out to register it")]
    Unknown,
    #[error("this card is blocked; ask whoever gave it out for another one, or to unblock it")]
    Blocked,
    #[error("this card has expired; ask whoever gave it out for another one")]
    Expired,
    /// For so long.
    #[error("too many cards that are not known were shown here; wait a minute, or ask as a guest")]
    TooManyTried(Duration),
}

/// All that is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cards {
    cards: BTreeMap<CardId, Card>,
    by_hash: HashMap<CardHash, CardId>,
    /// Of cards that are held; of a rebuilt store of others too, until the registry has told all.
    blocks: BTreeMap<CardId, Block>,
    /// Those told since the registry began to tell all; `None`: it has told.
    told: Option<BTreeSet<CardId>>,
    changed: BTreeSet<CardId>,
    changed_blocks: BTreeSet<CardId>,
}

/// What has changed of them, as it is now; `None`: it is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    pub cards: Vec<(CardId, Option<Card>)>,
    pub blocks: Vec<(CardId, Option<Block>)>,
}

impl Cards {
    /// From what was written.
    pub fn restore(
        cards: impl IntoIterator<Item = (CardId, Card)>,
        blocks: impl IntoIterator<Item = (CardId, Block)>,
    ) -> Self {
        let mut all = Self { blocks: blocks.into_iter().collect(), ..Self::default() };
        cards.into_iter().for_each(|(id, card)| all.put(id, card));
        all.changed.clear();
        all
    }

    pub fn len(&self) -> usize {
        self.cards.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// The card of this number, good or not.
    pub fn find(&self, hash: &CardHash) -> Option<&CardId> {
        self.by_hash.get(hash)
    }

    /// Whose a supply is for which this is shown. Where those who call have `identities`, a driver's id alone is
    /// nobody's.
    ///
    /// # Errors
    ///
    /// If that does not say whose.
    pub fn whose(&self, now: Wall, shown: &Shown, identities: bool) -> Result<Holder, Refused> {
        let hash = match shown {
            Shown::Guest => return Ok(Holder::bare(DriverId::guest())),
            Shown::Driver(driver) if driver.is_guest() || !identities => {
                return Ok(Holder::bare(driver.clone()));
            }
            Shown::Driver(_) => return Err(Refused::NoCard),
            Shown::Card(hash) => hash.ok_or(Refused::NotHeard)?,
        };
        let id = self.by_hash.get(&hash).ok_or(Refused::Unknown)?;
        let card = self.cards.get(id).ok_or(Refused::Unknown)?;
        if card.blocked || self.is_blocked(id) {
            return Err(Refused::Blocked);
        }
        if card.expires.is_some_and(|at| at <= now) {
            return Err(Refused::Expired);
        }
        Ok(Holder { driver: card.driver.clone(), card: Some(id.clone()) })
    }

    fn is_blocked(&self, id: &CardId) -> bool {
        self.blocks.contains_key(id)
    }

    /// Its driver wants it to be good for nothing. What that changes; `None`: this driver has no such card. Said again
    /// it holds from then on: the registry may have made it good in between, and not be heard yet.
    pub fn block(&mut self, now: Wall, driver: &DriverId, id: &CardId) -> Option<Blocked> {
        let card = self.cards.get(id).filter(|card| card.driver == *driver)?;
        let at = now.max(card.good); // the registry's clock may be ahead
        let before = self.blocks.get(id).copied();
        if before.is_some_and(|before| at <= before.at) {
            return Some(Blocked::Already);
        }
        self.changed_blocks.insert(id.clone());
        self.blocks.insert(id.clone(), Block { at });
        Some(if before.is_none() { Blocked::Newly } else { Blocked::Again })
    }

    /// Takes the registry's news.
    pub fn hear(&mut self, news: News) {
        if news.begins {
            self.told = Some(BTreeSet::new());
        }
        for (id, card) in news.told {
            if let Some(told) = &mut self.told {
                told.insert(id.clone());
            }
            self.put(id, card);
        }
        if news.complete
            && let Some(told) = self.told.take()
        {
            let untold = |id: &&CardId| !told.contains(*id);
            let gone: BTreeSet<_> =
                self.cards.keys().chain(self.blocks.keys()).filter(untold).cloned().collect();
            gone.iter().for_each(|id| self.remove(id));
        }
    }

    fn put(&mut self, id: CardId, card: Card) {
        if self.cards.get(&id) == Some(&card) {
            return;
        }
        if self.blocks.get(&id).is_some_and(|block| block.at < card.good) {
            self.unblock(&id);
        }
        // A number that was given out anew is another card's from now on.
        if let Some(before) = self.by_hash.get(&card.hash).filter(|before| **before != id).cloned() {
            self.remove(&before);
        }
        if let Some(before) = self.cards.get(&id) {
            self.by_hash.remove(&before.hash);
        }
        self.by_hash.insert(card.hash, id.clone());
        self.changed.insert(id.clone());
        self.cards.insert(id, card);
    }

    fn remove(&mut self, id: &CardId) {
        self.unblock(id);
        if let Some(card) = self.cards.remove(id) {
            self.by_hash.remove(&card.hash);
            self.changed.insert(id.clone());
        }
    }

    fn unblock(&mut self, id: &CardId) {
        if self.blocks.remove(id).is_some() {
            self.changed_blocks.insert(id.clone());
        }
    }

    /// What has changed since this was asked last, to be written.
    pub fn take_changes(&mut self) -> Changed {
        let cards = std::mem::take(&mut self.changed).into_iter();
        let blocks = std::mem::take(&mut self.changed_blocks).into_iter();
        Changed {
            cards: cards.map(|id| (id.clone(), self.cards.get(&id).cloned())).collect(),
            blocks: blocks.map(|id| (id.clone(), self.blocks.get(&id).copied())).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
