//! Sessions that go on without their app: followed by the next one, or stopped.

use super::*;

#[test]
fn an_open_session_that_no_line_asks_for_is_followed_to_its_end_before_the_first() {
    let mut app = app("B\nA expect=denied");
    app.apply(Mono(0), Input::Started);
    let open = session("s-0", State::Supplying, 40);
    let effects = app.apply(Mono(0), Input::CaughtUp { sessions: vec![open.clone()], tickets: vec![] });
    assert!(events(&effects).contains(&&Event::Resumed { session: open, line: None }));
    assert!(effects.contains(&Effect::Follow("s-0".parse().unwrap())));
    let effects = app.apply(Mono(10), Input::Seen(settled("s-0", Outcome::Completed, 90)));
    assert!(events(&effects).contains(&&Event::Ticket(ticket("s-0", Outcome::Completed, 90))));
    assert_eq!(conclusions(&effects), Vec::<&Row>::new(), "it is no line's");
    assert_eq!(app.wake_at(), Some(Mono(4010)));
    let effects = app.apply(Mono(4010), Input::Tick);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Request { .. })));
}

#[test]
fn the_line_of_an_open_session_is_followed_and_not_asked_for_again() {
    // What the lines are, and which of them the session at A is of.
    for (text, of, asked_for_next) in [
        ("A", 1, None),
        ("any Madrid", 1, None),
        ("any\nA", 2, Some(1)),
        ("B\nA\nA", 2, Some(1)),
        ("A expect=denied\nA expect=fault", 2, Some(1)),
    ] {
        let mut app = app(text);
        app.apply(Mono(0), Input::Started);
        let open = session("s-0", State::Supplying, 40);
        let effects = app.apply(Mono(0), Input::CaughtUp { sessions: vec![open.clone()], tickets: vec![] });
        assert!(events(&effects).contains(&&Event::Resumed { session: open, line: Some(of) }), "{text}");
        let effects = app.apply(Mono(10), Input::Seen(settled("s-0", Outcome::Completed, 90)));
        assert_eq!(conclusions(&effects)[0].line.number, of, "{text}");
        assert_eq!(effects.contains(&Effect::Finish), asked_for_next.is_none(), "{text}");
        let asked = app.apply(Mono(4010), Input::Tick).into_iter().find_map(|effect| match effect {
            Effect::Request { request, .. } => Some(request),
            _ => None,
        });
        assert_eq!(asked, asked_for_next.map(request), "{text}");
    }
}

#[test]
fn a_charge_that_goes_on_can_be_stopped_and_nothing_else_can() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    assert_eq!(app.summary().left, Some(Left::Open("A".parse().unwrap())));
    let effects = app.apply(Mono(1), Input::StopWanted);
    let charge_point = "A".parse().unwrap();
    let told = Effect::Tell(Event::Stopping { charge_point, started: false });
    assert_eq!(effects, [told, Effect::Stop("s-1".parse().unwrap())]);
    app.apply(Mono(2), Input::Seen(session("s-1", State::Ended(Outcome::Stopped), 50)));
    let due = Some(Left::TicketDue("A".parse().unwrap()));
    assert_eq!((app.apply(Mono(3), Input::StopWanted), app.summary().left), (vec![], due), "it has ended");
    let effects = app.apply(Mono(4), Input::Seen(settled("s-1", Outcome::Stopped, 50)));
    assert!(conclusions(&effects)[0].is_as_expected() && effects.contains(&Effect::Finish));
}

#[test]
fn what_is_being_asked_for_may_be_granted_and_is_given_back_if_its_driver_wants_it_no_more() {
    let mut app = asking("A");
    assert_eq!(app.summary().left, Some(Left::Asked(Target::Named("A".parse().unwrap()))));
    assert_eq!(app.apply(Mono(0), Input::StopWanted), [Effect::Tell(Event::Withdrawn { line: 1 })]);
    assert_eq!(app.apply(Mono(0), Input::StopWanted), [], "said once");
    app.apply(Mono(1), Input::Unanswered { why: "away".into() });
    let effects = app.apply(Mono(2), authorized(1, "s-1"));
    assert_eq!(effects.last(), Some(&Effect::Stop("s-1".parse().unwrap())));
    let effects = app.apply(Mono(3), Input::Seen(settled("s-1", Outcome::Stopped, 0)));
    assert!(conclusions(&effects)[0].is_as_expected(), "its driver wanted no more");

    // Denied, it is as well; the next line is wanted as ever.
    let mut app = asking("A\nA");
    app.apply(Mono(0), Input::StopWanted);
    assert!(conclusions(&app.apply(Mono(1), denied(1, "X")))[0].is_as_expected());
    app.apply(Mono(5_000), Input::Tick);
    assert!(!conclusions(&app.apply(Mono(5_001), denied(2, "X")))[0].is_as_expected());
}

#[test]
fn only_its_own_drivers_stop_is_as_wanted_and_no_stated_expectation_gives_way_to_it() {
    for (text, own, outcome, wanted) in [
        ("A", true, Outcome::Stopped, true),
        ("A", true, Outcome::Completed, true),
        ("A", true, Outcome::Faulted, false),
        ("A", false, Outcome::Stopped, false),
        ("A expect=fault", true, Outcome::Stopped, false),
    ] {
        let mut app = asking(text);
        app.apply(Mono(0), authorized(1, "s-1"));
        app.apply(Mono(1), Input::Seen(session("s-1", State::Supplying, 40)));
        if own {
            app.apply(Mono(2), Input::StopWanted);
        }
        let effects = app.apply(Mono(3), Input::Seen(settled("s-1", outcome, 50)));
        assert_eq!(conclusions(&effects)[0].is_as_expected(), wanted, "{text} {own} {outcome:?}");
    }
}

#[test]
fn an_end_without_its_ticket_is_said_once() {
    let mut app = asking("A");
    app.apply(Mono(0), authorized(1, "s-1"));
    app.apply(Mono(1), Input::Seen(session("s-1", State::Supplying, 50)));
    let ended = || Input::Seen(session("s-1", State::Ended(Outcome::Stopped), 50));
    let (charge_point, reason) = ("A".parse().unwrap(), String::new());
    let told = Effect::Tell(Event::TicketAwaited { charge_point, outcome: Outcome::Stopped, reason });
    assert_eq!(app.apply(Mono(2), ended()), [told]);
    assert_eq!(app.apply(Mono(3), ended()), []);
}
