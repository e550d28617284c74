use super::*;
use crate::{Energy, Mono, Power, Price, RequestId};
use std::time::Duration;

mod histories;
mod left_open;

const WAIT_MS: u64 = 30_000;

fn settings() -> Settings {
    Settings {
        driver: "ana".parse().unwrap(),
        pause: Duration::from_secs(4),
        ticket_wait: Duration::from_millis(WAIT_MS),
    }
}

fn request(number: u32) -> RequestId {
    format!("r-{number}").parse().unwrap()
}

fn app(text: &str) -> Requests {
    let lines = parse("f", text).unwrap();
    let lines = lines.into_iter().map(|line| (line.clone(), request(line.number))).collect();
    Requests::new(settings(), lines)
}

/// An app whose first line is being asked for, at 0 ms.
fn asking(text: &str) -> Requests {
    let mut app = app(text);
    app.apply(Mono(0), Input::Started);
    app.apply(Mono(0), Input::CaughtUp { sessions: vec![], tickets: vec![] });
    app
}

fn price() -> Price {
    "0.40 EUR".parse().unwrap()
}

fn session(id: &str, state: State, wh: u64) -> Session {
    Session {
        id: id.parse().unwrap(),
        charge_point: "A".parse().unwrap(),
        state,
        reason: String::new(),
        price: price(),
        energy: Energy::from_wh(wh),
        power: Power::from_w(7_000),
        settled: false,
        ticket: None,
        trouble: String::new(),
    }
}

fn ticket(id: &str, outcome: Outcome, wh: u64) -> Ticket {
    Ticket {
        session: id.parse().unwrap(),
        charge_point: "A".parse().unwrap(),
        energy: Energy::from_wh(wh),
        amount: price().bill(Energy::from_wh(wh)),
        outcome,
        estimated: false,
    }
}

fn settled(id: &str, outcome: Outcome, wh: u64) -> Session {
    let ticket = Some(ticket(id, outcome, wh)).filter(|_| wh > 0);
    Session { settled: true, ticket, ..session(id, State::Ended(outcome), wh) }
}

fn authorized(line: u32, id: &str) -> Input {
    Input::Authorized { request: request(line), session: session(id, State::Reserved, 0) }
}

fn denied(line: u32, reason: &str) -> Input {
    Input::Denied { request: request(line), reason: reason.into(), message: "no".into() }
}

fn told(seq: u64, news: News) -> Notification {
    Notification {
        driver: "ana".into(),
        charge_point: "A".into(),
        session: Some("s-1".parse().unwrap()),
        seq: Some(seq),
        event_id: Some(format!("s-1/{seq}")),
        news,
    }
}

fn reading(wh: u64) -> News {
    News::Consumption { energy: Energy::from_wh(wh), power: None }
}

fn events(effects: &[Effect]) -> Vec<&Event> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Tell(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn conclusions(effects: &[Effect]) -> Vec<&Row> {
    events(effects)
        .into_iter()
        .filter_map(|event| match event {
            Event::Concluded(row) => Some(row),
            _ => None,
        })
        .collect()
}

fn readings(effects: &[Effect]) -> Vec<u64> {
    events(effects)
        .into_iter()
        .filter_map(|event| match event {
            Event::Consumption { energy, .. } => Some(energy.wh()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_request_becomes_a_ticket_and_the_next_follows_after_the_pause() {
    let mut app = app("A\nany Madrid");
    assert_eq!(app.apply(Mono(0), Input::Started), [Effect::CatchUp { attempt: 0 }]);
    let effects = app.apply(Mono(0), Input::CaughtUp { sessions: vec![], tickets: vec![] });
    let target = Target::Named("A".parse().unwrap());
    assert_eq!(
        effects,
        [
            Effect::Tell(Event::Reached),
            Effect::Tell(Event::Requesting { line: 1, target: target.clone() }),
            Effect::Request { request: request(1), target, attempt: 0 },
        ]
    );
    let effects = app.apply(Mono(10), authorized(1, "s-1"));
    assert!(effects.contains(&Effect::Follow("s-1".parse().unwrap())));
    assert!(matches!(events(&effects)[..], [Event::Authorized { .. }]));

    let effects = app.apply(Mono(20), Input::Seen(session("s-1", State::Supplying, 100)));
    assert_eq!(readings(&effects), [100]);
    let effects = app.apply(Mono(30), Input::Seen(settled("s-1", Outcome::Completed, 500)));
    assert_eq!(readings(&effects), [500]);
    assert!(effects.contains(&Effect::Unfollow));
    assert!(events(&effects).contains(&&Event::Ticket(ticket("s-1", Outcome::Completed, 500))));
    assert!(conclusions(&effects)[0].is_as_expected());

    assert_eq!(app.wake_at(), Some(Mono(4030)));
    assert_eq!(app.apply(Mono(4029), Input::Tick), []);
    let effects = app.apply(Mono(4030), Input::Tick);
    assert!(effects.contains(&Effect::Request {
        request: request(2),
        target: Target::Any { location_prefix: "Madrid".parse().unwrap() },
        attempt: 0
    }));
    let effects = app.apply(Mono(4040), denied(2, "NO_CHARGE_POINT_FREE"));
    assert_eq!(effects.last(), Some(&Effect::Finish));
    assert_eq!(app.summary().rows.len(), 2);
    assert!(!app.summary().all_as_expected(), "the denial was not expected");
}

#[test]
fn expectations_meet_conclusions() {
    let denied = |reason: &str| Conclusion::Denied { reason: reason.into(), message: String::new() };
    let ended = |outcome, billed: bool| Conclusion::Ended {
        outcome,
        reason: String::new(),
        ticket: billed.then(|| ticket("s-1", outcome, 10)),
        ticket_due: false,
    };
    let forgotten = Conclusion::Forgotten { message: String::new() };
    let conclusions = [
        ended(Outcome::Completed, true),
        ended(Outcome::Completed, false),
        ended(Outcome::Stopped, true),
        ended(Outcome::Faulted, true),
        ended(Outcome::Faulted, false),
        ended(Outcome::Expired, false),
        ended(Outcome::Rejected, false),
        denied("CHARGE_POINT_BUSY"),
        denied("DRIVER_BUSY"),
        forgotten,
    ];
    for (text, expected) in [
        ("A", &[0][..]),
        ("A expect=fault", &[3]),
        ("A expect=denied", &[7, 8]),
        ("A expect=denied:DRIVER_BUSY", &[8]),
    ] {
        let line = parse("f", text).unwrap().remove(0);
        for (n, conclusion) in conclusions.iter().enumerate() {
            let row = Row {
                line: line.clone(),
                session: None,
                charge_point: None,
                stopped: false,
                conclusion: conclusion.clone(),
            };
            assert_eq!(row.is_as_expected(), expected.contains(&n), "{text}: {conclusion:?}");
        }
    }
}

#[test]
fn an_unanswered_request_is_repeated_under_its_id_and_said_once() {
    let mut app = asking("A");
    for attempt in 1..20 {
        let effects = app.apply(Mono(1), Input::Unanswered { why: "connection refused".into() });
        let again =
            Effect::Request { request: request(1), target: Target::Named("A".parse().unwrap()), attempt };
        assert_eq!(effects.last(), Some(&again));
        assert_eq!(events(&effects).len(), usize::from(attempt == 1));
    }
    let effects = app.apply(Mono(2), authorized(1, "s-1"));
    assert_eq!(events(&effects).first(), Some(&&Event::Reached));
}

#[test]
fn what_was_missed_is_asked_for_until_it_is_answered() {
    let mut app = app("A");
    app.apply(Mono(0), Input::Started);
    for attempt in 1..5 {
        let effects = app.apply(Mono(1), Input::Unanswered { why: "away".into() });
        assert_eq!(effects.last(), Some(&Effect::CatchUp { attempt }));
    }
    let tickets = vec![ticket("s-0", Outcome::Completed, 10)];
    let effects = app.apply(Mono(2), Input::CaughtUp { sessions: vec![], tickets: tickets.clone() });
    assert!(events(&effects).contains(&&Event::Missed(tickets)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Request { .. })));
}

#[test]
fn a_supply_error_alone_concludes_nothing() {
    let mut app = asking("A expect=fault");
    app.apply(Mono(0), authorized(1, "s-1"));
    app.apply(Mono(1), Input::Seen(session("s-1", State::Supplying, 100)));
    let error = News::SupplyError { reason: "smoke".into(), energy: Energy::from_wh(110) };
    let effects = app.apply(Mono(2), Input::Told(told(3, error)));
    assert!(matches!(events(&effects)[..], [Event::SupplyError { .. }]));
    assert!(effects.contains(&Effect::Fetch("s-1".parse().unwrap())));
    let effects = app.apply(Mono(3), Input::Seen(session("s-1", State::Supplying, 120)));
    assert_eq!((readings(&effects), conclusions(&effects)), (vec![120], vec![]));
    let effects = app.apply(Mono(4), Input::Seen(settled("s-1", Outcome::Faulted, 130)));
    assert!(!events(&effects).iter().any(|event| matches!(event, Event::SupplyError { .. })), "told before");
    assert!(app.summary().all_as_expected());
}

#[test]
fn trouble_is_told_without_kafka_once_and_concludes_nothing() {
    let mut app = asking("A expect=fault");
    app.apply(Mono(0), authorized(1, "s-1"));
    let troubled =
        Session { trouble: "its engine does not answer".into(), ..session("s-1", State::Supplying, 100) };
    let effects = app.apply(Mono(1), Input::Seen(troubled.clone()));
    let told = |effects: &[Effect]| {
        let reason = |event: &Event| match event {
            Event::SupplyError { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        events(effects).into_iter().find_map(reason)
    };
    assert_eq!(told(&effects), Some("its engine does not answer".into()));
    assert!(conclusions(&effects).is_empty());
    assert_eq!(told(&app.apply(Mono(2), Input::Seen(troubled))), None);
    let ended = Input::Seen(settled("s-1", Outcome::Faulted, 130));
    assert_eq!(told(&app.apply(Mono(3), ended)), None);
}

#[test]
fn a_session_without_its_ticket_concludes_after_a_while_and_its_ticket_still_counts() {
    let mut app = asking("A expect=fault\nA");
    app.apply(Mono(0), authorized(1, "s-1"));
    let effects = app.apply(Mono(1), Input::Seen(session("s-1", State::Ended(Outcome::Faulted), 50)));
    assert!(events(&effects).iter().any(|event| matches!(event, Event::SupplyError { .. })));
    assert_eq!(app.wake_at(), Some(Mono(1 + WAIT_MS)));
    // A repeat does not prolong it.
    app.apply(Mono(900), Input::Seen(session("s-1", State::Ended(Outcome::Faulted), 50)));
    let effects = app.apply(Mono(1 + WAIT_MS), Input::Tick);
    assert!(!conclusions(&effects)[0].is_as_expected());
    app.apply(Mono(50_000), Input::Tick);
    app.apply(Mono(50_000), denied(2, "CHARGE_POINT_FAULTED"));
    // The last line has concluded; the first one's ticket is asked for each second, for a while.
    assert_eq!(app.wake_at(), Some(Mono(50_000)));
    assert_eq!(app.apply(Mono(50_000), Input::Tick), [Effect::Fetch("s-1".parse().unwrap())]);
    assert_eq!(app.apply(Mono(51_000), Input::Tick), [Effect::Fetch("s-1".parse().unwrap())]);
    let effects = app.apply(Mono(51_001), Input::Seen(settled("s-1", Outcome::Faulted, 60)));
    assert_eq!(effects.last(), Some(&Effect::Finish));
    let rows = app.summary().rows;
    assert_eq!(rows.iter().map(Row::is_as_expected).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn tickets_that_never_come_do_not_hold_the_app() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    app.apply(Mono(1), Input::Seen(session("s-1", State::Ended(Outcome::Completed), 50)));
    app.apply(Mono(1 + WAIT_MS), Input::Tick);
    let effects = app.apply(Mono(1 + 2 * WAIT_MS), Input::Tick);
    assert_eq!(effects.last(), Some(&Effect::Finish));
    assert!(!app.summary().all_as_expected());
}

#[test]
fn readings_come_by_two_ways_and_are_shown_once_and_never_back() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    let mut shown = Vec::new();
    for input in [
        Input::Told(told(2, reading(100))),
        Input::Seen(session("s-1", State::Supplying, 100)),
        Input::Told(told(3, reading(90))),
        Input::Told(told(4, reading(200))),
        Input::Told(told(4, reading(300))), // a copy of a number
        Input::Told(Notification { seq: None, event_id: Some("s-1/4".into()), ..told(0, reading(400)) }),
        Input::Told(Notification { driver: "eva".into(), ..told(9, reading(500)) }),
        Input::Told(Notification {
            session: Some("s-9".parse().unwrap()),
            event_id: None,
            ..told(9, reading(600))
        }),
        // Bare: of this charge point, or of another.
        Input::Told(Notification { session: None, seq: None, event_id: None, ..told(0, reading(250)) }),
        Input::Told(Notification {
            charge_point: "B".into(),
            session: None,
            seq: None,
            event_id: None,
            ..told(0, reading(700))
        }),
        Input::Seen(session("s-1", State::Supplying, 240)),
        Input::Seen(session("s-1", State::Reserved, 0)), // an answer that was overtaken
        Input::Seen(session("s-1", State::Supplying, 260)),
    ] {
        shown.extend(readings(&app.apply(Mono(1), input)));
    }
    assert_eq!(shown, [100, 200, 250, 260]);
}

#[test]
fn a_ticket_told_by_kafka_is_asked_for() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    let effects = app.apply(Mono(1), Input::Told(told(5, News::Ticket)));
    assert_eq!(effects, [Effect::Fetch("s-1".parse().unwrap())]);
}

#[test]
fn a_session_that_central_forgot_concludes() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    let gone = |id: &str| Input::Forgotten { session: id.parse().unwrap(), message: "unknown".into() };
    assert_eq!(app.apply(Mono(1), gone("s-0")), []);
    let effects = app.apply(Mono(1), gone("s-1"));
    assert!(!conclusions(&effects)[0].is_as_expected());
    assert_eq!(effects.last(), Some(&Effect::Finish));
}

#[test]
fn what_answers_another_request_changes_nothing() {
    let mut app = asking("A\nB");
    assert_eq!(app.apply(Mono(1), authorized(2, "s-2")), []);
    assert_eq!(app.apply(Mono(1), denied(2, "X")), []);
    app.apply(Mono(1), denied(1, "X"));
    assert_eq!(app.apply(Mono(2), denied(1, "X")), []);
    assert_eq!(app.apply(Mono(2), Input::CaughtUp { sessions: vec![], tickets: vec![] }), []);
}
