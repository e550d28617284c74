//! Cards, and what their drivers have blocked.

use super::{decode, encode, id};
use crate::error::Unreadable;
use domain::{
    Wall,
    cards::{
        CardHash,
        held::{Block, Card},
    },
};
use evmesh_proto::store::{StoredCard, StoredCardBlock};

const WHAT: &str = "a card";

pub fn card_value(card: &Card) -> Vec<u8> {
    let Card { hash, driver, expires, blocked, good } = card;
    encode(&StoredCard {
        hash: hash.0.to_vec(),
        driver_id: driver.to_string(),
        expires_ms: expires.map(|at| at.0),
        blocked: *blocked,
        good_ms: good.0,
    })
}

pub fn card(bytes: &[u8]) -> Result<Card, Unreadable> {
    let StoredCard { hash, driver_id, expires_ms, blocked, good_ms } = decode(WHAT, bytes)?;
    let hash = hash.try_into().map_err(|_| Unreadable::new(WHAT, "its digest has not 32 bytes"))?;
    let (driver, expires) = (id(WHAT, &driver_id)?, expires_ms.map(Wall));
    Ok(Card { hash: CardHash(hash), driver, expires, blocked, good: Wall(good_ms) })
}

pub fn card_block_value(block: &Block) -> Vec<u8> {
    encode(&StoredCardBlock { at_ms: block.at.0 })
}

pub fn card_block(bytes: &[u8]) -> Result<Block, Unreadable> {
    let StoredCardBlock { at_ms } = decode("a card's block", bytes)?;
    Ok(Block { at: Wall(at_ms) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let driver = || "101".parse().unwrap();
        let plain =
            Card { hash: CardHash([7; 32]), driver: driver(), expires: None, blocked: false, good: Wall(0) };
        let full = Card { expires: Some(Wall(5)), blocked: true, good: Wall(3), ..plain.clone() };
        for one in [plain, full] {
            assert_eq!(card(&card_value(&one)).unwrap(), one);
        }
        let block = Block { at: Wall(4) };
        assert_eq!(card_block(&card_block_value(&block)).unwrap(), block);
        assert!(card(b"").is_err() && card(b"\xff").is_err() && card_block(b"\xff").is_err());
    }
}
