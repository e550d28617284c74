//! What engines claim of sessions that central does not know: only central's own signature makes one believed.

use crate::world::{World, attested, cp, driver, ended, record, sid, unattested};
use domain::network::{
    Broker, CallOutcome, Claim, Command, EngineAnswer, EngineReport, EngineRequest, Order, Outcome, Reason,
    State, Status, Target, Verdict,
};
use domain::{Price, SupplyEnd, SupplyRecord, SupplyState, Wall};

const OVER: SupplyState = SupplyState::Ended(SupplyEnd::Completed);

impl World {
    /// The engine answers what it was asked with this.
    pub(crate) fn claims(&mut self, id: &str, current: Option<Claim>, unsettled: Vec<Claim>) {
        let call = self.calls.remove(&cp(id)).unwrap_or_else(|| panic!("no call waits at {id}"));
        let (charge_point, instance) = (Some(cp(id)), call.instance);
        let report = EngineReport {
            charge_point,
            instance,
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: 0,
            current,
            unsettled,
        };
        let result = Ok(EngineAnswer { outcome: CallOutcome::Done, heard: true, report });
        self.send(Command::EngineAnswered { charge_point: cp(id), call: call.id, result });
    }

    /// Every engine is asked.
    pub(crate) fn gap(&mut self) {
        self.advance(1_000, &["A", "B"]);
        self.send(Command::Broker(Broker::Gap));
    }

    fn warnings(&self) -> usize {
        self.events.iter().filter(|event| event.name == "claims_unattested").count()
    }
}

#[test]
fn an_invented_record_is_not_billed_and_not_confirmed_away() {
    let mut world = World::with_points(&["A", "B"]);
    let price: Price = "1000 EUR".parse().unwrap();
    let invented =
        |n: u64| SupplyRecord { price, ..record(&sid(&format!("invented-{n}")), "d", OVER, 9, 10_000_000) };
    world.gap();
    world.claims("A", None, (0..9).map(|n| unattested(invented(n))).collect());
    assert!((0..9).all(|n| world.net.session(&sid(&format!("invented-{n}"))).is_none()));
    assert!(world.told().is_empty() && world.pages.sessions.is_empty());
    assert_eq!((world.status("A"), world.warnings()), (Status::Available, 1));
    let reason = world.net.charge_point(&cp("A")).unwrap().status_reason;
    assert_eq!(
        reason,
        "its engine claims 9 sessions that central never authorised: invented-8, invented-7, invented-6, invented-5"
    );
    assert!(!world.calls.contains_key(&cp("A")), "nothing is asked about it");

    // It is told once, and again when there is some after there was none.
    world.gap();
    world.claims("A", None, vec![unattested(invented(10))]);
    assert_eq!(world.warnings(), 1);
    world.gap();
    world.claims("A", None, vec![]);
    world.gap();
    world.claims("A", None, vec![unattested(invented(11))]);
    assert_eq!(world.warnings(), 2);
}

#[test]
fn a_supply_that_central_never_signed_holds_its_own_charge_point_and_no_driver() {
    let mut world = World::with_points(&["A", "B"]);
    let stray = sid("stray");
    world.gap();
    world.answer("B", CallOutcome::Done, None, vec![]);
    let supplying = |seq| Some(unattested(record(&stray, "9001", SupplyState::Supplying, seq, 100)));
    world.claims("A", supplying(1), vec![]);
    assert_eq!(world.net.open_session(&driver("9001")), None);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: stray.clone() });
    assert_eq!(world.status("A"), Status::Supplying);
    let (token, _) = world.request("9001", Target::Named(cp("B")));
    world.answer("B", CallOutcome::Done, None, vec![]);
    assert_eq!(world.granted(token), Some(true), "the driver is free");

    // It ignores the stop: it is told again, once a second.
    world.claims("A", supplying(2), vec![]);
    assert!(!world.calls.contains_key(&cp("A")));
    world.advance(1_250, &["A", "B"]);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: stray.clone() });
    // It falls silent: nobody calls it for what it claimed.
    world.silence("A");
    world.advance(4_000, &["A", "B"]);
    assert_eq!(*world.call("A"), EngineRequest::GetState);
    // It obeys.
    let last = record(&stray, "9001", SupplyState::Ended(SupplyEnd::Stopped), 3, 150);
    world.claims("A", None, vec![unattested(last)]);
    assert_eq!(world.status("A"), Status::Available);
    assert!(world.net.session(&stray).is_none() && world.warnings() == 1);
}

#[test]
fn whoever_invents_another_supply_in_each_answer_is_told_to_stop_once_a_second() {
    let mut world = World::with_points(&["A", "B"]);
    world.gap();
    let mut stops = 0;
    for n in 0..20 {
        let stray = record(&sid(&format!("stray{n}")), "9001", SupplyState::Supplying, 1, 100);
        if world.calls.contains_key(&cp("A")) {
            stops += usize::from(matches!(world.call("A"), EngineRequest::Stop { .. }));
            world.claims("A", Some(unattested(stray)), vec![]);
        } else {
            world.advance(250, &["A", "B"]);
        }
    }
    assert!((1..=4).contains(&stops), "{stops} within some four seconds");
}

#[test]
fn what_is_in_hand_there_and_was_never_signed_is_given_up_before_it_starts() {
    let mut world = World::with_points(&["A", "B"]);
    let stray = sid("stray");
    world.gap();
    world.claims("A", Some(unattested(record(&stray, "9001", SupplyState::Authorized, 0, 0))), vec![]);
    assert_eq!(*world.call("A"), EngineRequest::Stop { session: stray });
    assert_eq!(world.status("A"), Status::Available, "a new authorisation takes its place");
}

#[test]
fn a_signed_session_is_adopted_at_its_signed_time_and_billed_at_its_signed_price() {
    let mut world = World::with_points(&["A", "B"]);
    let (running, over) = (sid("running"), sid("over"));
    let mut claimed = record(&over, "e", OVER, 9, 1_000);
    claimed.started_at = Some(Wall(0)); // an engine in 1970
    world.gap();
    world.claims(
        "A",
        Some(attested(record(&running, "d", SupplyState::Supplying, 4, 40))),
        vec![attested(claimed)],
    );
    assert_eq!(world.state(&running), State::Supplying);
    assert_eq!(world.state(&over), ended(Outcome::Completed));
    assert_eq!(world.find(&over).ticket().unwrap().amount.micros, 300_000);
    assert_eq!(world.find(&over).created, Wall(1_600_000_000_000));
    assert_eq!(world.warnings(), 0);

    // A copy of a signed record with another price, before the true one: each stands for itself.
    let (dear, other) = ("1000 EUR".parse().unwrap(), sid("other"));
    let dear = SupplyRecord { price: dear, ..record(&other, "f", OVER, 9, 1_000) };
    world.gap();
    world.claims("B", None, vec![unattested(dear), attested(record(&other, "f", OVER, 9, 1_000))]);
    assert_eq!(world.find(&other).ticket().unwrap().amount.micros, 300_000);
}

#[test]
fn a_session_that_central_knows_needs_no_signature_and_takes_no_price_from_its_engine() {
    let mut world = World::with_points(&["A"]);
    let session = world.supplying("d", "A");
    world.advance(4_000, &["A"]);
    let claimed = record(&session, "nobody", OVER, 9, 1_000);
    let dear = "1000 EUR".parse().unwrap();
    world.claims("A", None, vec![unattested(SupplyRecord { price: dear, authorization: 99, ..claimed })]);
    let known = world.find(&session);
    assert_eq!(known.ticket().unwrap().amount.micros, 300_000);
    assert_eq!((known.driver.as_str(), known.authorization), ("d", 1));
}

#[test]
fn once_their_key_is_trusted_they_are_asked_for_and_adopted() {
    let mut world = World::with_points(&["A", "B"]);
    let over = sid("over");
    world.gap();
    world.answer("B", CallOutcome::Done, None, vec![]);
    world.claims("A", None, vec![unattested(record(&over, "d", OVER, 9, 1_000))]);
    assert_eq!(world.net.session(&over), None);
    world.send(Command::KeysTrusted);
    assert!(!world.calls.contains_key(&cp("B")), "who claims nothing is not asked");
    assert_eq!(*world.call("A"), EngineRequest::GetState);
    world.claims("A", None, vec![attested(record(&over, "d", OVER, 9, 1_000))]);
    assert_eq!(world.find(&over).ticket().unwrap().energy.wh(), 1_000);
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![over] });
    assert_eq!(world.net.charge_point(&cp("A")).unwrap().status_reason, "");
}

#[test]
fn what_the_operator_refuses_is_forgotten_there_and_what_central_knows_is_not_refused() {
    let mut world = World::with_points(&["A", "B"]);
    let (invented, other) = (sid("invented"), sid("other"));
    let claims = || vec![unattested(record(&sid("invented"), "d", OVER, 9, 1_000))];
    world.gap();
    world.answer("B", CallOutcome::Done, None, vec![]);
    world.claims("A", None, claims());
    let known = world.reserved("e", "B");
    let refuse = |id: &str, sessions| Order::Refuse { charge_point: cp(id), sessions };
    let token = world.order(refuse("A", vec![invented.clone(), known]));
    assert_eq!(world.denial(token), Reason::SessionAuthorized);
    let token = world.order(refuse("C", vec![invented.clone()]));
    assert_eq!(world.denial(token), Reason::ChargePointUnknown);
    assert!(!world.calls.contains_key(&cp("A")));

    let token = world.order(refuse("A", vec![other.clone(), invented.clone()]));
    assert_eq!(world.granted(token), Some(true));
    assert_eq!(*world.call("A"), EngineRequest::Confirm { sessions: vec![invented.clone(), other] });
    world.silence("A");
    world.advance(1_000, &["A", "B"]);
    assert!(matches!(world.call("A"), EngineRequest::Confirm { .. }), "until it has heard");
    world.claims("A", None, vec![]);
    assert_eq!(*world.call("A"), EngineRequest::GetState, "it was silent, and no more is to be forgotten");
    world.claims("A", None, vec![]);
    assert!(!world.calls.contains_key(&cp("A")));

    // A refusal that was not heard before its session turned out to be central's own.
    world.order(refuse("A", vec![invented.clone()]));
    world.silence("A");
    world.advance(1_000, &["A", "B"]);
    world.claims("A", None, vec![attested(record(&invented, "d", OVER, 9, 1_000))]);
    assert_eq!(world.find(&invented).ticket().unwrap().energy.wh(), 1_000);
}

#[test]
fn what_nobody_signed_is_adopted_by_order_and_billed_by_a_persons_word_only() {
    for settled in [true, false] {
        let mut world = World::with_points(&["A", "B"]);
        let (lost, price) = (sid("lost"), "1000 EUR".parse().unwrap());
        let claimed = || vec![unattested(SupplyRecord { price, ..record(&lost, "d", OVER, 9, 700) })];
        world.gap();
        world.claims("A", None, claimed());
        let adopt =
            |id: &str, session: &str| Order::Adopt { charge_point: cp(id), sessions: vec![sid(session)] };
        let unknown = world.order(adopt("X", "lost"));
        assert_eq!(world.denial(unknown), Reason::ChargePointUnknown);
        world.order(adopt("A", "lost"));
        assert!(world.net.session(&lost).is_none(), "only as its engine tells of it");
        world.advance(1_250, &["A", "B"]);
        world.claims("A", None, claimed());
        let found = world.find(&lost);
        assert_eq!((found.energy().wh(), found.review().unwrap().energy.wh()), (0, 700));
        assert_eq!(found.price, crate::values::price(), "not what the engine names");
        let again = world.order(adopt("A", "lost"));
        assert_eq!(world.denial(again), Reason::SessionAuthorized);
        if settled {
            let (by, reason) = ("somebody".to_owned(), "its key is lost".to_owned());
            world.order(Order::Settle { session: lost.clone(), verdict: Verdict::Accepted, by, reason });
        } else {
            world.now.mono = world.now.mono + world.config.settlement;
            world.send(Command::Broker(Broker::Away));
            world.send(Command::Tick);
        }
        let billed = settled.then_some(700);
        assert_eq!(world.find(&lost).ticket().map(|ticket| ticket.energy.wh()), billed);
    }
}
