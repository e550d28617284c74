//! Supplies at the charge point: where callers have identities, whose card is shown.

use crate::{
    values::record,
    world::{World, cp, sid},
};
use domain::{
    Came, CardId, Context, Deed, DriverId, SupplyState, Wall,
    cards::CardHash,
    cards::held::{Card, News, Shown},
    network::{
        Asked, CallOutcome, CardBlocked, Command, EngineRequest, Method, NoticeKind, Reason, RequestKey,
        Session, Token,
    },
};

const ENGINE: &str = "charge-point/A/engine";

fn card(id: &str, hash: u8, driver: &str) -> (CardId, Card) {
    let (hash, driver) = (CardHash([hash; 32]), driver.parse().unwrap());
    (id.parse().unwrap(), Card { hash, driver, expires: None, blocked: false, good: Wall(0) })
}

fn shows(hash: u8) -> Shown {
    Shown::Card(Some(CardHash([hash; 32])))
}

impl World {
    fn with_cards() -> Self {
        let mut world = Self::with_points(&["A"]);
        let told = vec![card("card-a", 1, "101")];
        world.send(Command::Cards(News { begins: true, told, complete: true }));
        world
    }

    /// The charge point's engine asks, as what it has proven to be.
    fn shown(&mut self, identity: &str, shown: Shown, request: Option<&str>) -> Token<Box<Session>> {
        self.shown_at("A", identity, shown, request)
    }

    fn shown_at(
        &mut self,
        point: &str,
        identity: &str,
        shown: Shown,
        request: Option<&str>,
    ) -> Token<Box<Session>> {
        let token = self.token();
        let context = Context { identity: identity.into(), ..Context::default() };
        let key = |name: &str| RequestKey {
            method: Method::RequestManualSupply,
            caller: point.into(),
            id: name.parse().unwrap(),
        };
        self.send(Command::RequestManualSupply {
            asked: Asked { token, context, request: request.map(|name| (key(name), 7)) },
            session: sid(&format!("m{}", token.number)),
            charge_point: cp(point),
            instance: "i1".parse().unwrap(),
            shown,
        });
        token
    }

    fn blocks(&mut self, driver: &str, card: &str) -> Token<CardBlocked> {
        let token = self.token();
        let asked =
            Asked::once(token, Context { identity: format!("driver/{driver}"), ..Context::default() });
        let (driver, card) = (driver.parse().unwrap(), card.parse().unwrap());
        self.send(Command::BlockCard { asked, driver, card });
        token
    }
}

#[test]
fn a_card_s_supply_is_its_driver_s_who_hears_by_which_card() {
    let mut world = World::with_cards();
    let token = world.shown(ENGINE, shows(1), Some("r1"));
    let EngineRequest::Authorize { driver, manual, .. } = world.call("A").clone() else { panic!() };
    assert_eq!((driver.as_str(), manual.is_some()), ("101", true));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
    let session = world.told_session(token).clone();
    assert_eq!((session.driver.as_str(), session.card.as_ref().map(CardId::as_str)), ("101", Some("card-a")));
    let NoticeKind::Authorized { card } = &world.notices[0].kind else { panic!() };
    assert_eq!((world.notices[0].driver.as_str(), card), ("101", &session.card));

    // Its repeat is answered as it was, whatever has become of the card.
    world.blocks("101", "card-a");
    let again = world.shown(ENGINE, shows(1), Some("r1"));
    assert_eq!(world.told_session(again).id, session.id);
}

#[test]
fn with_identities_nobody_is_billed_by_an_id_that_was_typed() {
    let mut world = World::with_cards();
    let typed = || Shown::Driver("101".parse().unwrap());
    let refused = world.shown(ENGINE, typed(), None);
    assert_eq!(world.denial(refused), Reason::CardRequired);
    for guest in [Shown::Guest, Shown::Driver(DriverId::guest())] {
        let token = world.shown(ENGINE, guest, None);
        world.answer("A", CallOutcome::NotAskedFor, None, vec![]);
        assert_eq!(world.denial(token), Reason::EngineRefused, "it was asked");
    }
    let token = world.shown("", typed(), None);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true), "in plain text all is as it was");
}

#[test]
fn what_is_refused_is_not_kept_and_no_engine_is_asked() {
    let mut world = World::with_cards();
    let unheard = world.shown(ENGINE, Shown::Card(None), Some("r1"));
    assert_eq!(world.denial(unheard), Reason::CardsNotHeard);
    let unknown = world.shown(ENGINE, shows(2), Some("r1"));
    assert_eq!(world.denial(unknown), Reason::CardUnknown);
    assert!(world.calls.is_empty() && world.pages.answers.is_empty() && world.notices.is_empty());
    let news = News { told: vec![card("card-b", 2, "102")], complete: true, ..News::default() };
    world.send(Command::Cards(news));
    let token = world.shown(ENGINE, shows(2), Some("r1"));
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

#[test]
fn a_driver_blocks_its_own_card_and_nobody_else_s() {
    let mut world = World::with_cards();
    let foreign = world.blocks("102", "card-a");
    assert_eq!(world.denial(foreign), Reason::CardUnknown);
    let own = world.blocks("101", "card-a");
    assert_eq!(world.granted(own), Some(true));
    let again = world.blocks("101", "card-a");
    assert_eq!(world.granted(again), Some(true));
    world.advance(250, &["A"]);
    let later = world.blocks("101", "card-a");
    assert_eq!(world.granted(later), Some(true));
    let shown = world.shown(ENGINE, shows(1), None);
    assert_eq!(world.denial(shown), Reason::CardBlocked);
    let deeds: Vec<_> = world.deeds.iter().filter(|deed| deed.method == "BlockCard").collect();
    let told = |deed: &Deed| (deed.subject.clone(), deed.parameters.clone(), deed.came.clone());
    let of = |driver: &str, came| (format!("driver/{driver}"), "card=card-a".to_owned(), came);
    let done = of("101", Came::Done(String::new()));
    let all = [of("102", Came::Denied("CARD_UNKNOWN".into())), done.clone(), done];
    assert_eq!(deeds.into_iter().map(told).collect::<Vec<_>>(), all, "what changes nothing is none");
    let shown = world.deeds.last().unwrap();
    assert!(shown.parameters.ends_with("card=card-a"), "{shown:?}");
    assert_eq!(shown.came, Came::Denied("CARD_BLOCKED".into()));
}

#[test]
fn whoever_tries_numbers_out_has_to_wait_and_guests_have_not() {
    let mut world = World::with_cards();
    for n in 0..10 {
        let token = world.shown(ENGINE, shows(100 + n), None);
        assert_eq!(world.denial(token), Reason::CardUnknown);
    }
    let token = world.shown(ENGINE, shows(1), None);
    assert_eq!(world.denial(token), Reason::TooManyCardsTried);
    let guest = world.shown(ENGINE, Shown::Guest, None);
    world.answer("A", CallOutcome::NotAskedFor, None, vec![]);
    assert_eq!(world.denial(guest), Reason::EngineRefused);
    world.advance(60_000, &["A"]);
    let token = world.shown(ENGINE, shows(1), None);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true));
}

#[test]
fn at_a_charge_point_that_is_not_registered_no_card_is_looked_up() {
    let mut world = World::with_cards();
    let engine = "charge-point/Z/engine"; // enrolled, and its monitor never registers it
    for hash in (1..=30).map(|n| n % 3) {
        let token = world.shown_at("Z", engine, shows(hash), Some("r1"));
        assert_eq!(world.denial(token), Reason::ChargePointUnknown, "card 1 is one, and the others are none");
    }
    assert!(world.calls.is_empty() && world.pages.answers.is_empty() && world.notices.is_empty());
    let typed = world.shown_at("Z", "", Shown::Driver("101".parse().unwrap()), None);
    assert_eq!(world.denial(typed), Reason::ChargePointUnknown);
}

#[test]
fn whoever_shows_a_card_does_not_learn_where_its_driver_charges() {
    let mut world = World::with_cards();
    let first = world.shown(ENGINE, shows(1), None);
    world.answer("A", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(first), Some(true));
    let session = world.told_session(first).id.clone();
    let copied = world.shown(ENGINE, shows(1), None);
    assert_eq!(world.denial(copied), Reason::DriverBusy);
    assert_eq!(world.denial_text(copied), "this card's driver has another session open; end it first");
    let typed = world.shown("", Shown::Driver("101".parse().unwrap()), None);
    let text = world.denial_text(typed);
    assert!(text.contains(session.as_str()) && text.contains(" at A;"), "who asks by name is told: {text}");
}

#[test]
fn nor_who_that_is_where_too_many_reservations_went_unused() {
    let mut world = World::with_cards();
    for _ in 0..5 {
        let token = world.shown(ENGINE, shows(1), None);
        let held = record(&sid(&format!("m{}", token.number)), "101", SupplyState::Authorized, 0, 0);
        world.answer("A", CallOutcome::Done, Some(held), vec![]);
        assert_eq!(world.granted(token), Some(true));
        world.stop_charge("101");
        world.answer("A", CallOutcome::Revoked, None, vec![]);
    }
    let token = world.shown(ENGINE, shows(1), None);
    assert_eq!(world.denial(token), Reason::DriverCoolingDown);
    let text = world.denial_text(token);
    assert!(
        text.starts_with("this card's driver has let 5 reservations within") && !text.contains("101"),
        "{text}"
    );
}
