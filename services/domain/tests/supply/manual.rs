//! Supplies asked for at the charge point itself: what central says of them, and what starts.

use crate::test_point::*;
use domain::{SupplyState, supply::*};

#[test]
fn what_is_said_to_be_asked_for_here_starts_only_while_it_is() {
    type Before = fn(&mut TestPoint);
    let asked: Before = |b| b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
    let cases: [(&str, Before, CallResult); 9] = [
        ("nobody has asked", |_| {}, CallResult::NotAskedFor),
        ("it was", asked, CallResult::Done),
        (
            "for a card, whose driver central knows",
            |b| b.apply(ask_card("r1", 5_000)).unwrap(),
            CallResult::Done,
        ),
        ("for another driver", |b| b.apply(ask_manual("r1", "eva", 5_000)).unwrap(), CallResult::NotAskedFor),
        ("by another request", |b| b.apply(ask_manual("r2", "ana", 5_000)).unwrap(), CallResult::NotAskedFor),
        (
            "central has answered",
            |b| {
                b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
                b.apply(Happened::ManualAnswered(manual_request("r1", "ana")));
            },
            CallResult::NotAskedFor,
        ),
        (
            "central has answered one of two who asked",
            |b| {
                b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
                b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
                b.apply(Happened::ManualAnswered(manual_request("r1", "ana")));
            },
            CallResult::Done,
        ),
        (
            "nobody waits any more",
            |b| {
                b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
                b.attended(5_000);
            },
            CallResult::NotAskedFor,
        ),
        (
            "by a process that has ended",
            |b| {
                b.apply(ask_manual("r1", "ana", 5_000)).unwrap();
                b.restart();
                b.ping();
            },
            CallResult::NotAskedFor,
        ),
    ];
    for (what, before, result) in cases {
        let mut point = TestPoint::new(settings());
        before(&mut point);
        assert_eq!(point.apply(authorize_manual(1, "r1", "ana")), result, "{what}");
        assert_eq!(point.state().is_some(), result == CallResult::Done, "{what}");
        assert_eq!(point.disk.highest, 1, "{what}: the number is used up");
        assert_eq!(
            point.apply(authorize(2, "a")),
            CallResult::Done,
            "{what}: a driver's own is not asked for here"
        );
    }
}

#[test]
fn an_authorisation_of_what_was_asked_for_here_may_be_repeated_once_it_is_granted() {
    let mut point = TestPoint::new(settings());
    point.apply(ask_manual("r1", "ana", 5_000)).unwrap();
    assert_eq!(point.apply(authorize_manual(1, "r1", "ana")), CallResult::Done);
    point.apply(Happened::ManualAnswered(manual_request("r1", "ana")));
    assert_eq!(point.apply(authorize_manual(1, "r1", "ana")), CallResult::Done);
    assert_eq!(point.state(), Some(SupplyState::Authorized));
}

#[test]
fn central_is_asked_for_so_many_supplies_at_once() {
    let mut point = TestPoint::new(settings());
    for _ in 0..MAX_ASKING {
        point.apply(ask_manual("r1", "ana", 2_000)).unwrap();
    }
    assert_eq!(point.apply(ask_manual("r2", "eva", 2_000)), Err(Refusal::Asking(MAX_ASKING)));
    assert_eq!(point.apply(authorize_manual(1, "r2", "eva")), CallResult::NotAskedFor);
    point.attended(2_000);
    assert_eq!(point.apply(ask_manual("r2", "eva", 2_000)), Ok(()), "those who waited are gone");
    assert_eq!(point.apply(authorize_manual(2, "r2", "eva")), CallResult::Done);
}
