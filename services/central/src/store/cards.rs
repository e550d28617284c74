//! Cards, as the registry told them, and the key by which they are looked up: known while it is away. Not in the
//! changelog: whoever rebuilds a store hears of them from the registry. What drivers have blocked is: nobody else
//! knows it.

use super::{codec, keys, pages::each};
use crate::{Error, error::Unreadable};
use domain::{
    CardId,
    cards::held::{Cards, Changed},
};
use identity::CardKey;
use mesh::store::{Batch, Store};

pub(super) fn cards(store: &dyn Store) -> Result<Cards, Error> {
    let (mut cards, mut blocks) = (Vec::new(), Vec::new());
    each(store, keys::CARDS, |id, value| {
        cards.push((card_id(id)?, codec::card(value)?));
        Ok(())
    })?;
    each(store, keys::CARD_BLOCKS, |id, value| {
        blocks.push((card_id(id)?, codec::card_block(value)?));
        Ok(())
    })?;
    Ok(Cards::restore(cards, blocks))
}

fn card_id(key: &[u8]) -> Result<CardId, Unreadable> {
    let id = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| Unreadable::new("a card", "it has no id"))
}

/// Writes what has changed; gives the keys of the rows that the changelog has too.
pub(crate) fn put_cards(changed: &Changed, batch: &mut Batch) -> Vec<Vec<u8>> {
    for (id, card) in &changed.cards {
        match card {
            Some(card) => batch.put(keys::card(id), codec::card_value(card)),
            None => batch.delete(keys::card(id)),
        }
    }
    let put = |(id, block): &(CardId, Option<_>)| {
        let key = keys::card_block(id);
        match block {
            Some(block) => batch.put(key.clone(), codec::card_block_value(block)),
            None => batch.delete(key.clone()),
        }
        key
    };
    changed.blocks.iter().map(put).collect()
}

/// `None`: the registry has not told all its cards yet.
pub(crate) fn card_key(store: &dyn Store) -> Result<Option<CardKey>, Error> {
    let Some(value) = store.get(keys::CARD_KEY)? else { return Ok(None) };
    let key = <[u8; 32]>::try_from(value.as_slice());
    Ok(Some(CardKey::new(key.map_err(|_| Unreadable::new("the key of the cards", "it has not 32 bytes"))?)))
}

pub(crate) fn put_card_key(key: &CardKey, batch: &mut Batch) {
    batch.put(keys::CARD_KEY, key.bytes().as_slice());
}
