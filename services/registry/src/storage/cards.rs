//! Cards, and the key of their digests.

use super::{hash, rows};
use crate::{error::Error, stored::ValueError};
use domain::{
    CardId, Wall,
    cards::{
        CardHash,
        registered::{Change, Registered},
    },
};
use evmesh_proto::store::StoredRegisteredCard;
use identity::{CardKey, Secret};
use mesh::{
    convert::parse,
    store::{Batch, Store},
};
use prost::Message as _;
use std::{io, path::Path};

const KEY: &[u8] = b"card-key";
const CARD: &[u8] = b"card/";

/// Made once a store. With another one no card is known any more.
pub(crate) fn card_key(store: &mut impl Store, folder: &Path) -> Result<CardKey, Error> {
    if let Some(value) = store.get(KEY)? {
        let key = hash("card-key", &value).map_err(ValueError::from);
        return key.map(CardKey::new).map_err(|source| wrong(folder, "key of cards", source));
    }
    let secret = Secret::random().map_err(|error| Error::Random(io::Error::other(error.to_string())))?;
    let mut batch = Batch::default();
    batch.put(KEY, secret.0);
    store.commit(batch)?;
    Ok(CardKey::new(secret.0))
}

pub(crate) fn load_cards(store: &impl Store, folder: &Path) -> Result<Vec<(CardId, Registered)>, Error> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| card(&key[CARD.len()..], &value);
    let cards = rows(store, CARD)?.into_iter().map(read);
    cards.collect::<Result<_, _>>().map_err(|source| wrong(folder, "card", source))
}

fn wrong(folder: &Path, what: &'static str, source: ValueError) -> Error {
    Error::Value { folder: folder.to_owned(), what, source }
}

pub(crate) fn write_card(batch: &mut Batch, (id, card): &Change) {
    let key = [CARD, id.as_str().as_bytes()].concat();
    match card {
        Some(card) => batch.put(key, card_value(card).encode_to_vec()),
        None => batch.delete(key),
    }
}

fn card_value(card: &Registered) -> StoredRegisteredCard {
    let Registered { hash, driver, label, expires, added, blocked, good } = card;
    StoredRegisteredCard {
        hash: hash.0.to_vec(),
        driver_id: driver.to_string(),
        label: label.clone(),
        expires_ms: expires.map(|at| at.0),
        added_ms: added.0,
        blocked_ms: blocked.map(|at| at.0),
        good_ms: good.0,
    }
}

fn card(key: &[u8], value: &[u8]) -> Result<(CardId, Registered), ValueError> {
    let StoredRegisteredCard { hash: digest, driver_id, label, expires_ms, added_ms, blocked_ms, good_ms } =
        StoredRegisteredCard::decode(value)?;
    let card = Registered {
        hash: CardHash(hash("hash", &digest)?),
        driver: parse("driver_id", &driver_id)?,
        label,
        expires: expires_ms.map(Wall),
        added: Wall(added_ms),
        blocked: blocked_ms.map(Wall),
        good: Wall(good_ms),
    };
    Ok((parse("key", &String::from_utf8_lossy(key))?, card))
}
