//! The writer's part in cards: what the registry says is written, and their key with it, once all were told.

use super::Writer;
use crate::{Error, store::put_card_key};
use domain::{
    Now,
    cards::{CardHash, CardNumber, held::News},
    network::{Command, Effect},
};
use identity::CardKey;
use mesh::{group_commit::Step, store::Store};
use std::sync::{Arc, PoisonError, RwLock};

/// The key by which cards are looked up, for those who are shown one.
#[derive(Debug, Clone, Default)]
pub(super) struct CardKeys {
    /// `None`: the registry has not told all its cards yet.
    known: Arc<RwLock<Option<CardKey>>>,
    /// That of the cards that are being told.
    coming: Option<CardKey>,
}

impl CardKeys {
    pub(super) fn known(key: Option<CardKey>) -> Self {
        Self { known: Arc::new(RwLock::new(key)), coming: None }
    }

    /// What a number is looked up by; `None`: no card can be.
    pub(super) fn hash(&self, number: &CardNumber) -> Option<CardHash> {
        self.get().map(|key| key.hash(number))
    }

    fn get(&self) -> Option<CardKey> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, key: Option<CardKey>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

impl Writer {
    /// Whoever has these looks cards up from now on, as this writer does.
    pub(super) fn shares_card_key(&mut self, with: &CardKeys) {
        with.set(self.card_key.get());
        self.card_key = with.clone();
    }

    pub(super) fn cards_told(
        &mut self,
        now: Now,
        store: &dyn Store,
        (key, news): (Option<CardKey>, News),
        step: &mut Step<Effect>,
    ) -> Result<(), Error> {
        if key.is_some() {
            self.card_key.coming = key;
        }
        // By the key of before none of these is found: all is not told yet, and that is said.
        if let Some(key) = self.card_key.coming.take_if(|_| news.complete)
            && self.card_key.get().as_ref() != Some(&key)
        {
            put_card_key(&key, &mut step.batch);
            self.card_key.set(Some(key));
        }
        self.command(now, store, Command::Cards(news), None, step)
    }
}
