use super::*;
use proptest::prelude::*;

const T0: Wall = Wall(1_800_000_000_000);

fn id(text: &str) -> CardId {
    format!("card-{text}").parse().unwrap()
}

fn driver(text: &str) -> DriverId {
    text.parse().unwrap()
}

fn later(ms: u64) -> Wall {
    T0 + Duration::from_millis(ms)
}

fn card(hash: u8, of: &str) -> Card {
    Card { hash: CardHash([hash; 32]), driver: driver(of), expires: None, blocked: false, good: T0 }
}

fn told(cards: &[(&str, Card)]) -> News {
    let told = cards.iter().map(|(name, card)| (id(name), card.clone())).collect();
    News { begins: true, told, complete: true }
}

fn shown(hash: u8) -> Shown {
    Shown::Card(Some(CardHash([hash; 32])))
}

#[test]
fn with_identities_a_supply_is_a_card_s_driver_s_or_a_guest_s() {
    let mut cards = Cards::default();
    let over = Card { expires: Some(T0), ..card(3, "103") };
    let blocked = Card { blocked: true, ..card(2, "102") };
    let soon = Card { expires: Some(Wall(T0.0 + 1)), ..card(4, "104") };
    cards.hear(told(&[("a", card(1, "101")), ("b", blocked), ("c", over), ("d", soon)]));
    for identities in [true, false] {
        let whose = |shown: &Shown| cards.whose(T0, shown, identities);
        for (hash, of, name) in [(1, "101", "a"), (4, "104", "d")] {
            let holder = Holder { driver: driver(of), card: Some(id(name)) };
            assert_eq!(whose(&shown(hash)), Ok(holder));
        }
        assert_eq!(whose(&shown(2)), Err(Refused::Blocked));
        assert_eq!(whose(&shown(3)), Err(Refused::Expired));
        assert_eq!(whose(&shown(9)), Err(Refused::Unknown));
        assert_eq!(whose(&Shown::Card(None)), Err(Refused::NotHeard));
        let guest = Holder::bare(DriverId::guest());
        for shown in [Shown::Guest, Shown::Driver(DriverId::guest())] {
            assert_eq!(whose(&shown), Ok(guest.clone()));
        }
        let bare = whose(&Shown::Driver(driver("101")));
        let expected = if identities { Err(Refused::NoCard) } else { Ok(Holder::bare(driver("101"))) };
        assert_eq!(bare, expected);
    }
}

#[test]
fn no_refusal_says_whose_a_card_is() {
    for refused in [Refused::NoCard, Refused::NotHeard, Refused::Unknown, Refused::Blocked, Refused::Expired]
    {
        assert!(!refused.to_string().chars().any(|c| c.is_ascii_digit()), "{refused}");
    }
}

#[test]
fn a_driver_s_block_holds_until_the_registry_says_later_that_the_card_is_good() {
    let mut cards = Cards::default();
    cards.hear(told(&[("a", card(1, "101"))]));
    cards.take_changes();
    assert_eq!(cards.block(later(5), &driver("102"), &id("a")), None, "another's is as unknown as none");
    assert_eq!(cards.block(later(5), &driver("101"), &id("z")), None);
    for (at, changes) in
        [(5, Blocked::Newly), (7, Blocked::Again), (7, Blocked::Already), (6, Blocked::Already)]
    {
        assert_eq!(cards.block(later(at), &driver("101"), &id("a")), Some(changes), "{at}");
    }
    let block = Block { at: later(7) };
    assert_eq!(cards.take_changes().blocks, [(id("a"), Some(block))], "as it was said last");
    // Blocked at the registry too, told from an older copy of it, or made good before its driver blocked it.
    for older in [
        card(1, "101"),
        Card { blocked: true, ..card(1, "101") },
        Card { good: Wall(0), ..card(1, "101") },
        Card { good: later(6), ..card(1, "101") },
        Card { good: later(7), ..card(1, "101") },
    ] {
        cards.hear(told(&[("a", older)]));
        assert_eq!(cards.whose(T0, &shown(1), true), Err(Refused::Blocked));
    }
    cards.hear(told(&[("a", Card { good: later(8), ..card(1, "101") })]));
    assert!(cards.whose(T0, &shown(1), true).is_ok());
    assert_eq!(cards.take_changes().blocks, [(id("a"), None)]);

    // The registry's clock is ahead: what it said before is no later word.
    cards.block(later(2), &driver("101"), &id("a"));
    let mut again = Cards::restore(cards.cards.clone(), cards.blocks.clone());
    assert_eq!(again.whose(T0, &shown(1), true), Err(Refused::Blocked));
    again.hear(told(&[("a", Card { good: later(9), ..card(1, "101") })]));
    assert!(again.whose(T0, &shown(1), true).is_ok());
}

#[test]
fn a_rebuilt_store_s_blocks_wait_for_the_registry_s_cards() {
    let mut cards =
        Cards::restore([], [(id("a"), Block { at: later(1) }), (id("z"), Block { at: later(7) })]);
    let part = News { complete: false, ..told(&[("a", card(1, "101"))]) };
    cards.hear(part);
    assert_eq!(cards.whose(T0, &shown(1), true), Err(Refused::Blocked));
    cards.hear(News { complete: true, ..News::default() });
    assert_eq!(cards.take_changes().blocks, [(id("z"), None)], "no card is left of it");
    assert_eq!(cards.whose(T0, &shown(1), true), Err(Refused::Blocked));
}

#[test]
fn a_number_given_out_anew_is_the_new_driver_s_and_what_is_not_told_any_more_is_gone() {
    let mut cards = Cards::default();
    cards.hear(told(&[("a", card(1, "101")), ("b", card(2, "102"))]));
    cards.block(T0, &driver("101"), &id("a"));
    cards.hear(News { told: vec![(id("c"), card(1, "103"))], complete: true, ..News::default() });
    assert_eq!(cards.whose(T0, &shown(1), true).unwrap().driver, driver("103"));
    assert_eq!(cards.find(&CardHash([1; 32])), Some(&id("c")));
    cards.take_changes();
    cards.hear(told(&[("c", card(1, "103"))]));
    assert_eq!(cards.whose(T0, &shown(2), true), Err(Refused::Unknown));
    assert_eq!(cards.take_changes(), Changed { cards: vec![(id("b"), None)], blocks: vec![] });
    assert_eq!((cards.len(), cards.is_empty()), (1, false));
}

proptest! {
    /// Whatever is told and blocked: what is written is what is held.
    #[test]
    fn what_was_written_is_what_is_held(moves in prop::collection::vec(
        (0..5_u8, 0..4_u8, 0..3_u64, any::<bool>(), any::<bool>(), any::<bool>()), 1..40
    )) {
        let (mut cards, mut written, mut blocks) = (Cards::default(), BTreeMap::new(), BTreeMap::new());
        for (name, hash, good, begins, complete, block) in moves {
            let one = (id(&name.to_string()), Card { good: later(good), ..card(hash, "101") });
            if block {
                cards.block(later(1), &driver("101"), &one.0);
            } else {
                cards.hear(News { begins, told: vec![one], complete });
            }
            let changed = cards.take_changes();
            for (id, card) in changed.cards {
                match card {
                    Some(card) => drop(written.insert(id, card)),
                    None => drop(written.remove(&id)),
                }
            }
            for (id, block) in changed.blocks {
                match block {
                    Some(block) => drop(blocks.insert(id, block)),
                    None => drop(blocks.remove(&id)),
                }
            }
            let restored = Cards::restore(written.clone(), blocks.clone());
            prop_assert_eq!((&restored.cards, &restored.blocks), (&cards.cards, &cards.blocks));
            prop_assert_eq!(&restored.by_hash, &cards.by_hash);
            prop_assert!(cards.by_hash.iter().all(|(hash, id)| cards.cards[id].hash == *hash));
        }
    }
}
