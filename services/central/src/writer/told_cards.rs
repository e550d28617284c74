//! The writer's part in cards: what the registry says is written, and their key with it, once all were told.

use super::{Writer, card_keys::CardKeys};
use crate::{Error, store::put_card_key};
use domain::{
    Now,
    cards::held::News,
    network::{Command, Effect},
};
use identity::CardKey;
use mesh::{group_commit::Step, store::Store};

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
