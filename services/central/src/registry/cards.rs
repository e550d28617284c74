//! What the registry says of cards.

use domain::{
    CardId, Wall,
    cards::{
        CardHash,
        held::{Card, News},
    },
};
use evmesh_proto::registry::{WatchIdentitiesResponse, WatchedCard};
use identity::CardKey;
use mesh::convert::{InvalidField, parse, wall};

/// What a message says of cards, and their key if it begins with it; `None`: nothing, as an older registry does.
pub(super) fn told(message: &mut WatchIdentitiesResponse) -> Option<(Option<CardKey>, News)> {
    let key = std::mem::take(&mut message.card_key);
    let key = <[u8; 32]>::try_from(key.as_slice()).ok().map(CardKey::new);
    let (begins, complete) = (key.is_some(), message.cards_complete);
    let cards = std::mem::take(&mut message.cards);
    let says = begins || complete || !cards.is_empty();
    says.then(|| (key, News { begins, told: cards.into_iter().filter_map(readable).collect(), complete }))
}

fn readable(card: WatchedCard) -> Option<(CardId, Card)> {
    let id = card.card_id.chars().take(domain::ids::MAX_ID_LEN).collect::<String>();
    read(card)
        .inspect_err(
            |why| tracing::warn!(card = id, %why, "the registry tells of a card that cannot be read"),
        )
        .ok()
}

fn read(card: WatchedCard) -> Result<(CardId, Card), InvalidField> {
    let WatchedCard { card_id, hash, driver_id, expire_time, blocked, good_time } = card;
    let hash = hash.try_into().map_err(|_| InvalidField::new("hash", "must have 32 bytes"))?;
    let (driver, expires) = (parse("driver_id", &driver_id)?, wall("expire_time", expire_time.as_ref())?);
    let good = wall("good_time", good_time.as_ref())?.unwrap_or(Wall(0));
    Ok((parse("card_id", &card_id)?, Card { hash: CardHash(hash), driver, expires, blocked, good }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::convert::timestamp;

    #[test]
    fn what_can_be_read_is_taken_and_a_message_without_cards_says_nothing_of_them() {
        let card = |id: &str, bytes: usize| WatchedCard {
            card_id: id.into(),
            hash: vec![7; bytes],
            driver_id: "101".into(),
            expire_time: Some(timestamp(Wall(9_000))),
            blocked: true,
            good_time: Some(timestamp(Wall(8_000))),
        };
        let cards = vec![card("card-a", 32), card("card-b", 31), card("", 32), card("04A1B2C3", 32)];
        let mut message = WatchIdentitiesResponse { cards, card_key: vec![8; 32], ..Default::default() };
        let (key, news) = told(&mut message).unwrap();
        assert_eq!(key, Some(CardKey::new([8; 32])));
        let (hash, driver) = (CardHash([7; 32]), "101".parse().unwrap());
        let held = Card { hash, driver, expires: Some(Wall(9_000)), blocked: true, good: Wall(8_000) };
        let all = vec![("card-a".parse().unwrap(), held)];
        assert_eq!(news, News { begins: true, told: all, complete: false });
        assert_eq!(told(&mut message), None, "it is taken out");
        let mut nothing = WatchIdentitiesResponse { complete: true, ..Default::default() };
        assert_eq!(told(&mut nothing), None);
    }
}
