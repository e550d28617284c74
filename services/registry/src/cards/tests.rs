use super::*;
use crate::{
    begun::{World, by},
    owner::Registry,
};
use domain::Deed;
use evmesh_proto::registry::registry_service_server::RegistryService as _;
use futures_util::StreamExt as _;
use mesh::{grpc::reason, store::MemoryStore};
use testing::known;
use tonic::{Request, Status};

const NUMBER: &str = "04:A1:B2:C3";
const OTHER: &str = "04:A1:B2:C4";

impl World {
    async fn add_card(&self, number: &str, driver: &str) -> Result<proto::Card, Status> {
        let (number, driver_id) = (number.to_owned(), driver.to_owned());
        let request = proto::AddCardRequest { number, driver_id, ..Default::default() };
        Ok(self.api.add_card(by("admin/ana", request)).await?.into_inner().card.unwrap())
    }

    async fn block(&self, card_id: &str, number: &str) -> Result<proto::Card, Status> {
        let request = proto::BlockCardRequest { card_id: card_id.into(), number: number.into() };
        Ok(self.api.block_card(by("admin/ana", request)).await?.into_inner().card.unwrap())
    }

    async fn unblock(&self, card_id: &str) -> proto::Card {
        let request = proto::UnblockCardRequest { card_id: card_id.into(), number: String::new() };
        self.api.unblock_card(by("admin/ana", request)).await.unwrap().into_inner().card.unwrap()
    }

    async fn list_cards(&self, page_size: i32, page_token: &str) -> proto::ListCardsResponse {
        let request = proto::ListCardsRequest { page_size, page_token: page_token.into() };
        self.api.list_cards(by("admin/ana", request)).await.unwrap().into_inner()
    }
}

fn why<T: std::fmt::Debug>(refused: Result<T, Status>) -> String {
    reason(&refused.unwrap_err()).unwrap()
}

#[tokio::test]
async fn a_card_is_added_listed_blocked_and_made_good_again() {
    let world = World::begun();
    let card = world.add_card(NUMBER, "101").await.unwrap();
    assert!(card.card_id.starts_with("card-") && card.card_id.len() == 15, "{card:?}");
    assert_eq!((card.driver_id.as_str(), card.block_time, card.expire_time), ("101", None, None));
    let duplicate = world.add_card("04a1b2c3", "102").await.unwrap_err();
    assert_eq!(reason(&duplicate).as_deref(), Some("CARD_DUPLICATE"));
    let says = format!("this number is that of card {}, which is driver 101's", card.card_id);
    assert!(duplicate.message().starts_with(&says) && !duplicate.message().contains("A1"), "{duplicate}");

    let blocked = world.block("", NUMBER).await.unwrap();
    assert_eq!((&blocked.card_id, blocked.block_time.is_some()), (&card.card_id, true));
    assert_eq!(world.block(&card.card_id, "").await.unwrap(), blocked, "a repeat");
    assert_eq!(world.unblock(&card.card_id).await, card);
    assert_eq!(why(world.block("card-0000000000", "").await), "CARD_UNKNOWN");
    assert_eq!(why(world.block("", OTHER).await), "CARD_UNKNOWN");
    assert_eq!(why(world.block(&card.card_id, NUMBER).await), "INVALID_FIELD");
    let mistaken = world.block("04a1b2c3", "").await.unwrap_err();
    assert_eq!(reason(&mistaken).as_deref(), Some("INVALID_FIELD"));
    assert!(!mistaken.message().contains("a1"), "{mistaken}");

    let other = world.add_card(OTHER, "102").await.unwrap();
    let mut ids = [card.card_id, other.card_id];
    ids.sort();
    let first = world.list_cards(1, "").await;
    assert_eq!((&first.cards[0].card_id, &first.next_page_token), (&ids[0], &ids[0]));
    let second = world.list_cards(1, &ids[0]).await;
    assert_eq!((&second.cards[0].card_id, second.next_page_token.as_str()), (&ids[1], ""));
}

#[tokio::test]
async fn what_cannot_be_a_card_is_refused_without_its_number() {
    let world = World::begun();
    let good = proto::AddCardRequest { number: NUMBER.into(), driver_id: "101".into(), ..Default::default() };
    let past = Some(timestamp(mesh::now().wall));
    for (field, wrong) in [
        ("number", proto::AddCardRequest { number: "04:A1:B2".into(), ..good.clone() }),
        ("driver_id", proto::AddCardRequest { driver_id: "INVITADO".into(), ..good.clone() }),
        ("driver_id", proto::AddCardRequest { driver_id: "04-a1-b2-c3".into(), ..good.clone() }),
        ("label", proto::AddCardRequest { label: "x".repeat(65), ..good.clone() }),
        ("label", proto::AddCardRequest { label: "04a1b2c3".into(), ..good.clone() }),
        ("label", proto::AddCardRequest { label: "gym (04_a1.b2 / c3)".into(), ..good.clone() }),
        ("expire_time", proto::AddCardRequest { expire_time: past, ..good.clone() }),
    ] {
        assert!(!format!("{wrong:?}").contains("A1"), "{wrong:?}");
        let refused = world.api.add_card(by("admin/ana", wrong)).await.unwrap_err();
        assert_eq!(reason(&refused).as_deref(), Some("INVALID_FIELD"), "{refused}");
        assert!(refused.message().contains(field) && !refused.message().contains("A1"), "{refused}");
    }
    assert!(world.list_cards(0, "").await.cards.is_empty());
}

#[tokio::test]
async fn central_hears_of_every_card_and_of_each_change_and_nobody_else_of_any() {
    let world = World::begun();
    let first = world.add_card(NUMBER, "101").await.unwrap();
    let watch = async |who: &str| {
        let request = by(who, proto::WatchIdentitiesRequest {});
        world.api.watch_identities(request).await.unwrap().into_inner()
    };
    let of_cards = |message: &Result<proto::WatchIdentitiesResponse, Status>| {
        message.as_ref().is_ok_and(|message| message.cards_complete)
    };
    let mut central =
        Box::pin(watch("central/main").await.filter(|message| std::future::ready(of_cards(message))));
    let message = central.next().await.unwrap().unwrap();
    let key: [u8; 32] = message.card_key.clone().try_into().unwrap();
    assert!(!format!("{message:?}").contains(&format!("{:?}", message.card_key)));
    let hash = CardKey::new(key).hash(&NUMBER.parse().unwrap());
    let told = |message: &proto::WatchIdentitiesResponse| {
        let one = |card: &proto::WatchedCard| (card.card_id.clone(), card.blocked);
        message.cards.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(told(&message), [(first.card_id.clone(), false)]);
    assert_eq!((&message.cards[0].hash[..], message.cards[0].driver_id.as_str()), (&hash.0[..], "101"));

    world.block(&first.card_id, "").await.unwrap();
    let message = central.next().await.unwrap().unwrap();
    assert_eq!((told(&message), message.card_key.len()), (vec![(first.card_id.clone(), true)], 0));
    // Unblocking is told each time: a driver may have blocked it, of which nothing is known here.
    let mut before = message.cards[0].good_time.unwrap();
    assert_eq!(Some(before), first.add_time);
    for _ in 0..2 {
        world.unblock(&first.card_id).await;
        let message = central.next().await.unwrap().unwrap();
        assert_eq!(told(&message), [(first.card_id.clone(), false)]);
        let good = message.cards[0].good_time.unwrap();
        assert!((good.seconds, good.nanos) > (before.seconds, before.nanos), "{good} is later than {before}");
        before = good;
    }

    for who in ["admin/ana", "charge-point/MAD-01/engine"] {
        let first = watch(who).await.next().await.unwrap().unwrap();
        assert!(first.cards.is_empty() && first.card_key.is_empty() && first.complete, "{who}");
    }
}

#[tokio::test]
async fn who_was_revoked_changes_no_card() {
    let world = World::begun();
    let token = domain::enrolment::TokenHash([1; 32]);
    let enrol = move |rules: &mut Registry, now, batch: &mut Batch| {
        rules.create_token(now, batch, (token, "admin/eve".into(), vec![]))
    };
    world.api.office.decide(enrol).await.unwrap();
    let asker = identity::AskersKey::of_request(identity::Request::new().unwrap().csr_pem()).unwrap();
    world.api.office.certify(Deed::default(), Some(token), asker).await.unwrap();
    let serial = |rules: &mut Registry, now, batch: &mut Batch| {
        rules.revoke(now, batch, "admin/eve", true)?;
        Ok(rules.enrolments().get("admin/eve").unwrap().newest.serial.clone())
    };
    let serial = world.api.office.decide(serial).await.unwrap();
    // Nor by one that the list lacks, since it was lost.
    for shown in [serial.as_str(), "unlisted"] {
        let mesh::grpc::Actor::Known(mut eve) = known("admin/eve") else { panic!("she is known") };
        eve.serial = Some(shown.into());
        let request =
            proto::AddCardRequest { number: NUMBER.into(), driver_id: "1".into(), ..Default::default() };
        let mut request = Request::new(request);
        request.extensions_mut().insert(mesh::grpc::Actor::Known(eve));
        assert_eq!(why(world.api.add_card(request).await), "IDENTITY_REVOKED", "{shown}");
    }
}

#[test]
fn a_registry_that_starts_again_knows_its_cards_and_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = MemoryStore::new();
    let mut cards = Cards::open(&mut store, folder.path(), 1).unwrap();
    let now = mesh::now();
    let new = |number: &str| {
        New::read(proto::AddCardRequest {
            number: number.into(),
            driver_id: "101".into(),
            expire_time: Some(timestamp(now.wall + std::time::Duration::from_secs(60))),
            label: "gym".into(),
        })
    };
    let mut batch = Batch::default();
    let card = cards.add(now, &mut batch, new(NUMBER).unwrap()).unwrap();
    cards.block(now, &mut batch, Named::read("", NUMBER).unwrap()).unwrap();
    store.commit(batch).unwrap();
    let rows = store.range(b"", b"", usize::MAX).unwrap();
    let contains =
        |bytes: &[u8]| rows.iter().any(|(_, value)| value.windows(bytes.len()).any(|part| part == bytes));
    assert!(!contains(&[0x04, 0xa1, 0xb2, 0xc3]) && !contains(b"04A1B2C3") && contains(b"gym"));
    let again = Cards::open(&mut store, folder.path(), 1).unwrap();
    assert_eq!((&again.all, &again.key), (&cards.all, &cards.key));
    assert!(again.all.get(&card.card_id.parse().unwrap()).unwrap().blocked.is_some());
    assert_ne!(Cards::open(&mut MemoryStore::new(), folder.path(), 1).unwrap().key, cards.key);
}
