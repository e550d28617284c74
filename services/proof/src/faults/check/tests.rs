//! The checker must see: each lie that is told here breaks the promise that it should.

use super::*;
use crate::faults::journal::{Granted, Priced};
use evmesh_proto::network::{Money, Price};
use serde_json::json;

const PRICE_MICROS: i64 = 354_321;

fn price() -> Price {
    Price { currency_code: "EUR".into(), micros_per_kwh: PRICE_MICROS }
}

/// One charge, from the request to the ticket: 1.500 kWh at 0.354321 EUR are 0.53 EUR.
fn charge() -> (Facts, Topics) {
    let mut facts = Facts::default();
    let ticket = Ticket {
        session_id: "s1".into(),
        charge_point_id: "CP-1".into(),
        driver_id: "ana".into(),
        energy_wh: 1_500,
        price: Some(price()),
        amount: Some(Money { currency_code: "EUR".into(), micros: 530_000 }),
        outcome: SessionOutcome::Completed.into(),
        ..Ticket::default()
    };
    let session = Session {
        session_id: "s1".into(),
        charge_point_id: "CP-1".into(),
        driver_id: "ana".into(),
        state: SessionState::Ended.into(),
        outcome: SessionOutcome::Completed.into(),
        price: Some(price()),
        energy_wh: 1_500,
        create_time: Some(mesh::convert::timestamp(domain::Wall(1_000))),
        settled: true,
        ticket: Some(ticket.clone()),
        ..Session::default()
    };
    facts.granted.push(Granted {
        at: 1_100,
        driver: "ana".into(),
        charge_point: "CP-1".into(),
        session_id: "s1".into(),
        session: Some(Session { state: SessionState::Reserved.into(), ticket: None, ..session.clone() }),
    });
    facts.prices.push(Priced { charge_point: "CP-1".into(), price: price(), from: 500, until: 1_500 });
    facts.tickets.insert("s1".into(), ticket);
    facts.sessions.insert("s1".into(), session);
    let telemetry = |kind: &str, seq: u64, kwh: f64| {
        let body = json!({"type": kind, "cp_id": "CP-1", "user_id": "ana", "kwh": kwh, "session_id": "s1", "seq": seq});
        Sent { key: "CP-1".into(), body: serde_json::from_value(body).unwrap() }
    };
    let told = |kind: &str, seq: u64, more: serde_json::Value| {
        let mut body = json!({"type": kind, "cp_id": "CP-1", "user_id": "ana", "timestamp": 1.0, "session_id": "s1",
                              "seq": seq, "event_id": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Sent { key: "ana".into(), body: serde_json::from_value(body).unwrap() }
    };
    let topics = Topics {
        telemetry: vec![
            telemetry("SESSION_STARTED", 1, 0.0),
            telemetry("CONSUMO", 2, 0.7),
            telemetry("SUPPLY_END", 3, 1.5),
        ],
        notifications: vec![
            told("AUTH_OK", 0, json!({})),
            told("CONSUMO_UPDATE", 2, json!({"kwh": 0.7, "importe": 0.248})),
            told("TICKET", 5, json!({"kwh": 1.5, "importe": 0.53})),
        ],
        ..Topics::default()
    };
    (facts, topics)
}

type Lie = fn(&mut Facts, &mut Topics);

fn session(facts: &mut Facts) -> &mut Session {
    facts.sessions.get_mut("s1").unwrap()
}

fn ticket(facts: &mut Facts) -> &mut Ticket {
    session(facts).ticket.as_mut().unwrap()
}

#[test]
fn the_truth_breaks_no_promise_and_each_lie_the_one_it_should() {
    let lies: [(&str, &str, Lie); 22] = [
        ("the ticket is missing", "INV-1", |facts, _| session(facts).ticket = None),
        ("it never settled", "INV-1", |facts, _| session(facts).settled = false),
        ("a ticket without a supply", "INV-1", |_, topics| topics.telemetry.clear()),
        ("central forgot the session", "INV-1", |facts, _| facts.sessions.clear()),
        ("the end is not on the topic", "INV-1", |_, topics| topics.telemetry.truncate(2)),
        ("the driver was not told of the ticket", "INV-1", |_, topics| topics.notifications.truncate(2)),
        ("the driver was told twice, differently", "INV-1", |_, topics| {
            topics.notifications[1].body.kind = NotificationType::Ticket;
        }),
        ("less than the meter", "INV-4", |facts, _| ticket(facts).energy_wh -= 1),
        ("another amount", "INV-4", |facts, _| ticket(facts).amount.as_mut().unwrap().micros += 10_000),
        ("not rounded", "INV-4", |facts, _| ticket(facts).amount.as_mut().unwrap().micros = 531_481),
        ("estimated", "INV-4", |facts, _| ticket(facts).estimated = true),
        ("a later reading", "INV-4", |facts, _| ticket(facts).late_energy_wh = 1_600),
        ("two final readings", "INV-4", |_, topics| topics.telemetry[1].body.kind = TelemetryType::Fault),
        ("the price of another day", "INV-4", |facts, _| facts.prices[0].price.micros_per_kwh += 1),
        ("another driver's ticket", "INV-5", |facts, _| ticket(facts).driver_id = "eva".into()),
        ("another driver's notification", "INV-5", |_, topics| {
            topics.notifications[2].key = "eva".into();
            topics.notifications[2].body.user_id = "eva".into();
        }),
        ("under another key", "INV-5", |_, topics| topics.notifications[0].key = "eva".into()),
        ("granted at another charge point", "INV-6", |facts, _| {
            facts.granted[0].charge_point = "CP-2".into()
        }),
        ("granted and gone", "INV-6", |facts, _| facts.granted[0].session_id = "s0".into()),
        ("out of order", "INV-6", |_, topics| topics.notifications.swap(0, 2)),
        ("a dead letter", "INV-7", |_, topics| {
            topics.dead.push(Sent { key: "CP-1".into(), body: "{}".into() });
        }),
        ("unreadable", "INV-7", |_, topics| topics.unreadable.push("cp_telemetry: {".into())),
    ];
    let (mut facts, topics) = charge();
    compare(&mut facts, &topics);
    assert!(facts.violations.is_empty(), "{:#?}", facts.violations);
    for (what, promise, lie) in lies {
        let (mut facts, mut topics) = charge();
        lie(&mut facts, &mut topics);
        compare(&mut facts, &topics);
        let broken: BTreeSet<&str> = facts.violations.iter().map(|violation| violation.promise).collect();
        assert!(broken.contains(promise), "{what}: {broken:?}");
    }
}

#[test]
fn an_open_request_is_denied_once_by_its_last_attempt() {
    let rejected = |id: &str| Session {
        session_id: id.into(),
        charge_point_id: "CP-1".into(),
        driver_id: "ana".into(),
        state: SessionState::Ended.into(),
        outcome: SessionOutcome::Rejected.into(),
        settled: true,
        ..Session::default()
    };
    let mut facts = Facts::default();
    facts.sessions.extend(["s2", "s2.2"].map(|id| (id.to_owned(), rejected(id))));
    let denied = json!({"type": "AUTH_DENIED", "cp_id": "CP-1", "user_id": "ana", "session_id": "s2.2"});
    let denied = Sent { key: "ana".into(), body: serde_json::from_value(denied).unwrap() };
    let topics = Topics { notifications: vec![denied], ..Topics::default() };
    compare(&mut facts, &topics);
    assert!(facts.violations.is_empty(), "{:?}", facts.violations);
    compare(&mut facts, &Topics::default());
    assert!(
        facts.violations.iter().all(|it| it.session.as_deref() == Some("s2.2"))
            && facts.violations.len() == 1
    );
}

#[test]
fn what_was_shown_stays_true() {
    type Change = fn(&mut Session);
    let lies: [(&str, Change); 5] = [
        ("INV-6", |session| session.set_state(SessionState::Supplying)),
        ("INV-6", |session| session.set_outcome(SessionOutcome::Faulted)),
        ("INV-6", |session| session.price.as_mut().unwrap().micros_per_kwh += 1),
        ("INV-1", |session| session.ticket = None),
        ("INV-1", |session| session.ticket.as_mut().unwrap().energy_wh += 1),
    ];
    for (promise, lie) in lies {
        let (mut facts, _) = charge();
        let mut shown = session(&mut facts).clone();
        let (early, late) = (domain::Mono(0), domain::Mono(u64::MAX));
        facts.observe(&shown, late);
        lie(&mut shown);
        if shown.ticket.is_none() || shown.state() != SessionState::Ended {
            facts.observe(&shown, early); // overtaken on its way: it was true when it was asked for
        }
        assert!(facts.violations.is_empty(), "{:?}", facts.violations);
        facts.observe(&shown, late);
        assert!(
            facts.violations.iter().any(|violation| violation.promise == promise),
            "{:?}",
            facts.violations
        );
    }
}
