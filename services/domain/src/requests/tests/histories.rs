//! Histories at random: what holds whatever comes in.

use super::*;
use proptest::prelude::*;

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Completed),
        Just(Outcome::Stopped),
        Just(Outcome::Faulted),
        Just(Outcome::Expired),
        Just(Outcome::Rejected),
    ]
}

fn any_session() -> impl Strategy<Value = Session> {
    (0_u32..4, 0_u8..6, outcome(), 0_u64..500).prop_map(|(n, what, outcome, wh)| {
        let id = format!("s-{n}");
        match what {
            0 => session(&id, State::Authorizing, 0),
            1 => session(&id, State::Reserved, 0),
            2 => session(&id, State::Supplying, wh),
            3 => session(&id, State::Ended(outcome), wh),
            _ => settled(&id, outcome, wh),
        }
    })
}

/// What may come in at any moment, of any session and request.
fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => Just(Input::Tick),
        4 => any_session().prop_map(Input::Seen),
        2 => (1_u32..4, 0_u32..4).prop_map(|(line, n)| authorized(line, &format!("s-{n}"))),
        1 => (1_u32..4).prop_map(|line| denied(line, "X")),
        1 => proptest::collection::vec(any_session(), 0..3)
            .prop_map(|sessions| Input::CaughtUp { sessions, tickets: vec![] }),
        1 => Just(Input::Unanswered { why: "away".into() }),
        1 => Just(Input::Unreachable { why: "away".into() }),
        1 => Just(Input::StopWanted),
        1 => any_session().prop_map(|seen| Input::Forgotten { session: seen.id, message: String::new() }),
        2 => (0_u64..20, 0_u64..500).prop_map(|(seq, wh)| Input::Told(told(seq, reading(wh)))),
        1 => (0_u64..20).prop_map(|seq| Input::Told(told(seq, News::Ticket))),
    ]
}

proptest! {
    /// Whatever comes in: each line concludes at most once and in order, each ticket is shown once, readings of a
    /// session never fall, a request never goes out before its pause is over, and nothing follows the end.
    #[test]
    fn any_history_concludes_each_line_once(steps in proptest::collection::vec((0_u64..9_000, any_input()), 0..150)) {
        let mut app = app("A\nB expect=denied\nany");
        let mut now = Mono(0);
        app.apply(now, Input::Started);
        let (mut concluded, mut tickets, mut done) = (Vec::new(), Vec::new(), false);
        let (mut last_conclusion, mut shown) = (None, (None, 0));
        for (delay_ms, input) in steps {
            now = now + Duration::from_millis(delay_ms);
            let effects = app.apply(now, input);
            if done {
                let acts = effects.iter().any(|e| matches!(e, Effect::Request { .. } | Effect::Finish));
                prop_assert!(!acts, "after the end");
            }
            for effect in effects {
                match effect {
                    Effect::Request { attempt: 0, .. } => {
                        let waited = last_conclusion.is_none_or(|at| now.since(at) >= Duration::from_secs(4));
                        prop_assert!(waited, "the pause was cut short");
                    }
                    Effect::Tell(Event::Concluded(row)) => {
                        concluded.push(row.line.number);
                        last_conclusion = Some(now);
                    }
                    Effect::Tell(Event::Ticket(ticket)) => {
                        prop_assert!(!tickets.contains(&ticket.session));
                        tickets.push(ticket.session);
                    }
                    Effect::Tell(Event::Consumption { session, energy, .. }) => {
                        if shown.0.as_ref() == Some(&session) { prop_assert!(energy.wh() > shown.1); }
                        shown = (Some(session), energy.wh());
                    }
                    Effect::Follow(_) => shown = (None, 0),
                    Effect::Finish => done = true,
                    _ => {}
                }
            }
        }
        prop_assert_eq!(&concluded, &(1..=concluded.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(app.summary().rows.len(), concluded.len());
    }
}
