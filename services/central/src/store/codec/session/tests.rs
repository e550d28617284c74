//! Every session there can be survives its row, and no other row is read.

use super::*;
use domain::network::{Deadline, Method, RequestKey};
use proptest::{option, prelude::*, sample::select};

fn deadlines() -> impl Strategy<Value = Deadline> {
    (0..4_000_000_000_000_i64).prop_map(deadline)
}

fn delivereds() -> impl Strategy<Value = Delivered> {
    (0..4_000_000_000_000_i64, 0..=10_000_000_u64, any::<u64>()).prop_map(|(started, wh, seq)| Delivered {
        started: Wall(started),
        energy: Energy::from_wh(wh),
        seq,
    })
}

fn stops() -> impl Strategy<Value = Option<Stop>> {
    option::of(select(&Stop::ALL[..]))
}

fn requests() -> impl Strategy<Value = Option<(RequestKey, u64)>> {
    option::of(("[A-Za-z0-9]{1,64}", "[a-z0-9-]{1,64}", any::<u64>())).prop_map(|request| {
        let (caller, id, fingerprint) = request?;
        Some((RequestKey { method: Method::RequestCharge, caller, id: id.parse().unwrap() }, fingerprint))
    })
}

fn helds() -> impl Strategy<Value = Option<Held>> {
    option::of(any::<(bool, bool)>().prop_map(|(over, revoke)| Held { over, revoke }))
}

fn energies() -> impl Strategy<Value = Energy> {
    (0..=10_000_000_u64).prop_map(Energy::from_wh)
}

fn ends() -> impl Strategy<Value = Option<SupplyEnd>> {
    option::of(select(&SupplyEnd::ALL[..]))
}

fn bills() -> impl Strategy<Value = Settlement> {
    let settled = option::of(
        (".{0,80}", ".{0,80}", energies())
            .prop_map(|(by, reason, reported)| Box::new(Settled { by, reason, reported })),
    );
    let (micros, late) = (0..10_000_000_000_u64, 0..10_000_000_u64);
    (delivereds(), helds(), ends(), micros, late, settled).prop_map(
        |(Delivered { started, energy, seq }, held, end, micros, late, settled)| {
            let amount = Money { currency: Currency::EUR, micros };
            let (issued, late) = (Wall(1_700_000_000_001), Energy::from_wh(late));
            let ticket = Ticket::stored(energy, amount, end, issued, late);
            Settlement::Billed { started, seq, ticket, held, settled }
        },
    )
}

fn settlements() -> impl Strategy<Value = Settlement> {
    prop_oneof![
        deadlines().prop_map(|deadline| Settlement::Unanswered { deadline }),
        deadlines().prop_map(|deadline| Settlement::Void { since: deadline.wall }),
        (option::of(delivereds()), deadlines())
            .prop_map(|(delivered, deadline)| Settlement::Lost { delivered, deadline }),
        (delivereds(), deadlines(), any::<bool>())
            .prop_map(|(delivered, deadline, revoke)| Settlement::Unread { delivered, deadline, revoke }),
        (delivereds(), energies(), ends(), ".{1,80}", deadlines(), helds(), any::<bool>()).prop_map(
            |(delivered, energy, end, doubt, deadline, held, by_telemetry)| {
                let reported = Disputed { energy, end, doubt };
                Settlement::Review { delivered, reported, deadline, held, by_telemetry }
            }
        ),
        bills(),
    ]
}

/// Every life there can be.
fn lives() -> impl Strategy<Value = Life> {
    let ending = (
        select(&Outcome::ALL[..]),
        ".{0,80}",
        0..4_000_000_000_000_i64,
        any::<bool>(),
        option::of(energies()),
        option::of(energies()),
    )
        .prop_map(|(outcome, reason, at, declined, most, most_told)| Ending {
            outcome,
            reason,
            at: Wall(at),
            declined,
            most,
            most_told,
        });
    prop_oneof![
        (deadlines(), requests()).prop_map(|(deadline, request)| Life::Authorizing { deadline, request }),
        deadlines().prop_map(|deadline| Life::Reserved { deadline }),
        (deadlines(), stops()).prop_map(|(deadline, stop)| Life::Revoking { deadline, stop }),
        (delivereds(), stops(), option::of(".{1,80}"))
            .prop_map(|(delivered, stop, trouble)| Life::Supplying { delivered, stop, trouble }),
        (ending, settlements()).prop_map(|(ending, settlement)| Life::Ended { ending, settlement }),
    ]
}

prop_compose! {
    fn facts()(
        ids in ("[a-z0-9]{1,32}", "[A-Z0-9-]{1,64}", "[a-z0-9]{1,64}", "[A-Za-z0-9]{1,64}"),
        micros in 0..=10_000_000_000_000_u64,
        authorization in any::<u64>(),
        created in (0..4_000_000_000_000_i64).prop_map(Wall),
        trace in option::of(any::<(u128, u64)>()),
    ) -> Facts {
        Facts {
            id: ids.0.parse().unwrap(),
            charge_point: ids.1.parse().unwrap(),
            instance: ids.2.parse().unwrap(),
            driver: ids.3.parse().unwrap(),
            card: authorization.is_multiple_of(2).then(|| "card-1".parse().unwrap()),
            price: domain::Price::new(Currency::EUR, micros).unwrap(),
            authorization,
            created,
            trace: trace.map(|(trace, span)| domain::Trace::new(trace, span)),
        }
    }
}

pub(crate) fn sessions() -> impl Strategy<Value = Session> {
    let told = (0..=10_000_000_u64, 0..4_000_000_000_000_i64)
        .prop_map(|(wh, since)| Told { energy: Energy::from_wh(wh), since: Wall(since) });
    (facts(), lives(), option::of(told))
        .prop_map(|(facts, life, told)| Session::stored(facts, life).and_told(told))
}

proptest! {
    #[test]
    fn survive(given in sessions()) {
        prop_assert_eq!(session(&session_value(&given)).unwrap(), given);
    }

    #[test]
    fn what_is_owed_follows_from_the_life(given in sessions()) {
        prop_assert!(given.ticket().is_none() || (given.started() && !given.is_open()));
        prop_assert!(!given.closed() || given.settled());
        prop_assert!(!given.closed() || given.deadline().is_none() && !given.needs_revocation());
    }
}

#[test]
fn what_the_type_cannot_hold_is_refused() {
    use stored_ended::Settlement as Owed;
    use stored_session::Life as Stored;
    let ended = |outcome: StoredOutcome, settlement| {
        Some(Stored::Ended(StoredEnded { outcome: outcome.into(), settlement, ..StoredEnded::default() }))
    };
    let of = |life| StoredSession {
        session_id: "s".into(),
        charge_point_id: "A".into(),
        instance_id: "i".into(),
        driver_id: "d".into(),
        price: Some(price_stored("0.30 EUR".parse().unwrap())),
        life,
        ..StoredSession::default()
    };
    let done = StoredOutcome::Completed;
    let unknown = StoredBilled { delivered: Some(StoredDelivered::default()), end: 77, ..Default::default() };
    for (life, problem) in [
        (None, "it lacks a state"),
        (Some(Stored::Supplying(StoredSupplying::default())), "it lacks what was delivered"),
        (Some(Stored::Revoking(StoredRevoking { stop: 9, deadline_ms: 1 })), "it has the unknown word 9"),
        (ended(done, None), "it lacks what is owed"),
        (
            ended(StoredOutcome::Unspecified, Some(Owed::Void(StoredVoid { since_ms: 7 }))),
            "it has the unknown word 0",
        ),
        (ended(done, Some(Owed::Unread(StoredUnread::default()))), "it lacks what was delivered"),
        (ended(done, Some(Owed::Billed(StoredBilled::default()))), "it lacks what was delivered"),
        (ended(done, Some(Owed::Billed(unknown))), "it has the unknown word 77"),
    ] {
        let error = session(&encode(&of(life))).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    assert!(session(&encode(&of(ended(done, Some(Owed::Void(StoredVoid { since_ms: 7 })))))).is_ok());
}

/// A review as an older version wrote it: what it may have of telemetry alone is kept for its engine.
#[test]
fn a_review_of_before_its_mark_is_by_telemetry_where_nothing_else_can_be_told() {
    for (declined, held, by_telemetry) in [(true, None, true), (true, Some(()), false), (false, None, false)]
    {
        let review = StoredReview {
            delivered: Some(StoredDelivered::default()),
            held: held.map(|()| StoredHeld::default()),
            ..StoredReview::default()
        };
        let stored = StoredSession {
            session_id: "s".into(),
            charge_point_id: "A".into(),
            instance_id: "i".into(),
            driver_id: "d".into(),
            price: Some(price_stored("0.30 EUR".parse().unwrap())),
            life: Some(stored_session::Life::Ended(StoredEnded {
                outcome: StoredOutcome::Expired.into(),
                declined,
                settlement: Some(stored_ended::Settlement::Review(review)),
                ..StoredEnded::default()
            })),
            ..StoredSession::default()
        };
        let read = session(&encode(&stored)).unwrap();
        let Life::Ended { settlement: Settlement::Review { by_telemetry: told, .. }, .. } = read.life()
        else {
            panic!("{read:?}")
        };
        assert_eq!(*told, by_telemetry, "{declined} {held:?}");
    }
}
