//! The key by which cards are looked up: the writer has it, and whoever is shown a card.

use domain::cards::{CardHash, CardNumber};
use identity::CardKey;
use std::sync::{Arc, PoisonError, RwLock};

/// The key by which cards are looked up, for those who are shown one.
#[derive(Debug, Clone, Default)]
pub(super) struct CardKeys {
    /// `None`: the registry has not told all its cards yet.
    known: Arc<RwLock<Option<CardKey>>>,
    /// That of the cards that are being told.
    pub(super) coming: Option<CardKey>,
}

impl CardKeys {
    pub(super) fn known(key: Option<CardKey>) -> Self {
        Self { known: Arc::new(RwLock::new(key)), coming: None }
    }

    /// What a number is looked up by; `None`: no card can be.
    pub(super) fn hash(&self, number: &CardNumber) -> Option<CardHash> {
        self.get().map(|key| key.hash(number))
    }

    pub(super) fn get(&self) -> Option<CardKey> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, key: Option<CardKey>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = key;
    }
}
