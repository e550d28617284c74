//! What the registry says of cards: on disk, and known after every restart and while the registry is away.

use super::*;
use domain::{
    CardId, Wall,
    cards::held::{Card, News, Shown},
    network::Reason,
};
use identity::CardKey;

const NUMBER: &str = "04:A1:B2:C3";

fn key() -> CardKey {
    CardKey::new([7; 32])
}

fn card(number: &str, driver: &str) -> Card {
    let (hash, driver) = (key().hash(&number.parse().unwrap()), driver.parse().unwrap());
    Card { hash, driver, expires: None, blocked: false, good: Wall(1) }
}

fn id(text: &str) -> CardId {
    text.parse().unwrap()
}

impl Bench {
    fn told_cards(&mut self, cards: &[(&str, Card)]) {
        let told = cards.iter().map(|(name, card)| (id(name), card.clone())).collect();
        let news = News { begins: true, told, complete: true };
        self.step(vec![Input::Cards(Some(key()), news)]);
    }

    /// What the call would do: looks the number up, and asks by it.
    fn shows(&mut self, session: &str, number: &str) -> Result<Box<Session>, Reason> {
        let hash = self.writer.rules.card_key.hash(&number.parse().unwrap());
        self.asks_there(session, Shown::Card(hash))
    }

    fn asks_there(&mut self, session: &str, shown: Shown) -> Result<Box<Session>, Reason> {
        let identity = "charge-point/MAD-01/engine".into();
        let context = Context { identity, ..Context::default() };
        self.give(Command::RequestManualSupply {
            asked: Asked::once(Token::new(5), context),
            session: session.parse().unwrap(),
            charge_point: "MAD-01".parse().unwrap(),
            instance: "store-1".parse().unwrap(),
            shown,
        });
        let Some(Reply::Session(_, answer)) = self.replies.pop() else { panic!("every request is answered") };
        answer.map_err(|denial| denial.reason)
    }

    fn blocks(&mut self, driver: &str, card: &str) -> bool {
        let (driver, card) = (driver.parse().unwrap(), id(card));
        self.give(Command::BlockCard { asked: asked(6), driver, card });
        let Some(Reply::CardBlocked(_, answer)) = self.replies.pop() else { panic!("it is answered") };
        answer.is_ok()
    }

    fn gives_back(&mut self, driver: &str) {
        self.give(Command::StopCharge { asked: asked(7), driver: driver.parse().unwrap(), session: None });
        self.replies.clear();
    }

    /// No monitor is there after it but its own, come back.
    fn restarted(&mut self) {
        self.crash();
        self.connect();
        self.replies.clear();
    }
}

fn holds(bench: &Bench, bytes: &[u8]) -> bool {
    let rows = bench.writer.store.range(b"", b"", usize::MAX).unwrap();
    rows.iter()
        .any(|(key, value)| [key, value].iter().any(|all| all.windows(bytes.len()).any(|part| part == bytes)))
}

#[test]
fn a_card_says_whose_a_supply_is_after_a_restart_too_and_nothing_of_its_number_is_kept() {
    let mut bench = Bench::new();
    assert_eq!(bench.shows("s0", NUMBER), Err(Reason::CardsNotHeard));
    let over = Card { expires: Some(bench.now.wall), ..card("04:00:00:02", "103") };
    let blocked = Card { blocked: true, ..card("04:00:00:01", "102") };
    bench.told_cards(&[("card-a", card(NUMBER, "101")), ("card-b", blocked), ("card-c", over)]);
    for round in 1..=2 {
        let session = bench.shows(&format!("s{round}"), NUMBER).unwrap();
        assert_eq!((session.driver.as_str(), &session.card), ("101", &Some(id("card-a"))));
        assert_eq!(bench.session(&format!("s{round}")).card, session.card, "as it is on disk");
        bench.gives_back("101");
        assert_eq!(bench.shows("x1", "04:00:00:01"), Err(Reason::CardBlocked));
        assert_eq!(bench.shows("x2", "04:00:00:02"), Err(Reason::CardExpired));
        assert_eq!(bench.shows("x3", "04:00:00:03"), Err(Reason::CardUnknown));
        assert_eq!(bench.asks_there("x4", Shown::Driver("101".parse().unwrap())), Err(Reason::CardRequired));
        bench.restarted(); // the registry says nothing
    }
    assert!(bench.asks_there("guest", Shown::Guest).unwrap().card.is_none());
    assert!(!holds(&bench, &[0x04, 0xa1, 0xb2, 0xc3]) && !holds(&bench, b"04A1B2C3"));
    assert!(holds(&bench, b"card=card-a") && holds(&bench, b"card=unknown"), "who did what");
}

#[test]
fn until_all_cards_were_told_for_the_first_time_none_is_looked_up() {
    let mut bench = Bench::new();
    let part = News { begins: true, told: vec![(id("card-a"), card(NUMBER, "101"))], complete: false };
    bench.step(vec![Input::Cards(Some(key()), part)]);
    for _ in 0..2 {
        assert_eq!(bench.shows("s1", NUMBER), Err(Reason::CardsNotHeard));
        bench.restarted();
    }
    bench.told_cards(&[("card-a", card(NUMBER, "101"))]);
    assert!(bench.shows("s1", NUMBER).is_ok());
}

#[test]
fn what_is_told_is_written_once_and_what_is_not_told_any_more_is_gone() {
    let mut bench = Bench::new();
    let all = [("card-a", card(NUMBER, "101")), ("card-b", card("04:00:00:01", "102"))];
    bench.told_cards(&all);
    let commits = bench.writer.store.commits();
    bench.told_cards(&all);
    assert_eq!(bench.writer.store.commits(), commits, "nothing is new");
    bench.told_cards(&all[1..]);
    bench.restarted();
    assert_eq!(bench.shows("s1", NUMBER), Err(Reason::CardUnknown));
    assert!(bench.shows("s2", "04:00:00:01").is_ok());
}

#[test]
fn another_registry_s_key_takes_the_place_of_the_one_before() {
    let mut bench = Bench::new();
    bench.told_cards(&[("card-a", card(NUMBER, "101"))]);
    let other = CardKey::new([8; 32]);
    let anew = Card { hash: other.hash(&NUMBER.parse().unwrap()), ..card(NUMBER, "105") };
    let news = News { begins: true, told: vec![(id("card-z"), anew)], complete: true };
    bench.step(vec![Input::Cards(Some(other), news)]);
    bench.restarted();
    assert_eq!(bench.shows("s1", NUMBER).unwrap().driver.as_str(), "105");
}

#[test]
fn what_its_driver_blocked_stays_so_and_no_rebuilt_store_forgets_it() {
    let (mut bench, mut log) =
        (Bench::with(Config { confirm_copied: true, ..Config::default() }), lost::Log::default());
    let all = [("card-a", card(NUMBER, "101"))];
    bench.told_cards(&all);
    assert!(!bench.blocks("102", "card-a") && bench.blocks("101", "card-a"));
    bench.restarted();
    bench.told_cards(&all);
    assert_eq!(bench.shows("s1", NUMBER), Err(Reason::CardBlocked));

    log.publish(&mut bench, usize::MAX);
    log.report(&mut bench);
    bench.start_on(log.rebuilt(&bench));
    bench.connect();
    bench.replies.clear();
    assert!(!holds(&bench, &key().bytes()[..]) && !holds(&bench, &all[0].1.hash.0), "neither is in the log");
    assert_eq!(bench.shows("s2", NUMBER), Err(Reason::CardsNotHeard));
    bench.told_cards(&all);
    assert_eq!(bench.shows("s3", NUMBER), Err(Reason::CardBlocked));
    // The registry made it good before that, and was away; then once more.
    let good = |good: Wall| [("card-a", Card { good, ..card(NUMBER, "101") })];
    bench.told_cards(&good(Wall(2)));
    assert_eq!(bench.shows("s3", NUMBER), Err(Reason::CardBlocked));
    bench.told_cards(&good(bench.now.wall + Duration::from_secs(1)));
    assert!(bench.shows("s4", NUMBER).is_ok());
}
