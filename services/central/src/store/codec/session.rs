//! Sessions: on disk as in the rules, a message for each moment of their life.
//!
//! What the type cannot hold is refused. Not kept: the live view.

use super::{decode, encode, id, price, request_key, request_key_bytes};
use crate::error::Unreadable;
use domain::network::{
    Deadline, Delivered, Ending, Facts, Held, Life, Outcome, Session, Settlement, Stop, Ticket, Told,
};
use domain::{Currency, Energy, Money, Mono, SupplyEnd, Wall};
use evmesh_proto::store::{
    StoredAuthorizing, StoredBilled, StoredDelivered, StoredEnded, StoredHeld, StoredLost, StoredOutcome,
    StoredReserved, StoredRevoking, StoredSession, StoredStop, StoredSupplyEnd, StoredSupplying, StoredTold,
    StoredUnanswered, StoredUnread, StoredVoid, stored_ended, stored_session,
};
use mesh::convert::{price_stored, supply_end_stored};

const WHAT: &str = "a session";

pub fn session_value(session: &Session) -> Vec<u8> {
    let Facts { id, charge_point, instance, driver, price, authorization, created, trace } = &**session;
    encode(&StoredSession {
        session_id: id.to_string(),
        charge_point_id: charge_point.to_string(),
        instance_id: instance.to_string(),
        driver_id: driver.to_string(),
        price: Some(price_stored(*price)),
        authorization_number: *authorization,
        created_ms: created.0,
        traceparent: trace.map(|trace| trace.to_string()).unwrap_or_default(),
        life: Some(life_stored(session.life())),
        told: session
            .told()
            .map(|Told { energy, since }| StoredTold { energy_wh: energy.wh(), since_ms: since.0 }),
    })
}

fn life_stored(life: &Life) -> stored_session::Life {
    use stored_session::Life as Stored;
    match life {
        Life::Authorizing { deadline, request } => Stored::Authorizing(StoredAuthorizing {
            deadline_ms: deadline.wall.0,
            request_key: request.as_ref().map(|(key, _)| request_key_bytes(key)).unwrap_or_default(),
            request_fingerprint: request.as_ref().map_or(0, |(_, fingerprint)| *fingerprint),
        }),
        Life::Reserved { deadline } => Stored::Reserved(StoredReserved { deadline_ms: deadline.wall.0 }),
        Life::Revoking { deadline, stop } => {
            Stored::Revoking(StoredRevoking { deadline_ms: deadline.wall.0, stop: stop_stored(*stop).into() })
        }
        Life::Supplying { delivered, stop, trouble } => Stored::Supplying(StoredSupplying {
            delivered: Some(delivered_stored(*delivered)),
            stop: stop_stored(*stop).into(),
            trouble: trouble.clone(),
        }),
        Life::Ended { ending, settlement } => Stored::Ended(StoredEnded {
            outcome: outcome_stored(ending.outcome).into(),
            reason: ending.reason.clone(),
            ended_ms: ending.at.0,
            settlement: Some(settlement_stored(settlement)),
        }),
    }
}

fn settlement_stored(settlement: &Settlement) -> stored_ended::Settlement {
    use stored_ended::Settlement as Stored;
    match settlement {
        Settlement::Unanswered { deadline } => {
            Stored::Unanswered(StoredUnanswered { deadline_ms: deadline.wall.0 })
        }
        Settlement::Void => Stored::Void(StoredVoid {}),
        Settlement::Lost { delivered, deadline } => Stored::Lost(StoredLost {
            delivered: delivered.map(delivered_stored),
            deadline_ms: deadline.wall.0,
        }),
        Settlement::Unread { delivered, deadline, revoke } => Stored::Unread(StoredUnread {
            delivered: Some(delivered_stored(*delivered)),
            deadline_ms: deadline.wall.0,
            revoke: *revoke,
        }),
        &Settlement::Billed { started, seq, ticket, held } => Stored::Billed(StoredBilled {
            delivered: Some(delivered_stored(Delivered { started, energy: ticket.energy, seq })),
            amount_micros: ticket.amount.micros,
            end: ticket.end.map_or(StoredSupplyEnd::Unspecified, supply_end_stored).into(),
            issued_ms: ticket.issued.0,
            late_energy_wh: ticket.late_energy.wh(),
            held: held.map(|Held { over, revoke }| StoredHeld { over, revoke }),
        }),
    }
}

fn delivered_stored(delivered: Delivered) -> StoredDelivered {
    let Delivered { started, energy, seq } = delivered;
    StoredDelivered { started_ms: started.0, energy_wh: energy.wh(), seq }
}

fn stop_stored(stop: Option<Stop>) -> StoredStop {
    match stop {
        None => StoredStop::Unspecified,
        Some(Stop::Driver) => StoredStop::Driver,
        Some(Stop::Operator) => StoredStop::Operator,
    }
}

fn outcome_stored(outcome: Outcome) -> StoredOutcome {
    match outcome {
        Outcome::Completed => StoredOutcome::Completed,
        Outcome::Stopped => StoredOutcome::Stopped,
        Outcome::Faulted => StoredOutcome::Faulted,
        Outcome::Expired => StoredOutcome::Expired,
        Outcome::Rejected => StoredOutcome::Rejected,
    }
}

/// Reads a session. A deadline has only its date: the network gives it its place on this process's clock.
pub fn session(bytes: &[u8]) -> Result<Session, Unreadable> {
    let stored: StoredSession = decode(WHAT, bytes)?;
    let facts = Facts {
        id: id(WHAT, &stored.session_id)?,
        charge_point: id(WHAT, &stored.charge_point_id)?,
        instance: id(WHAT, &stored.instance_id)?,
        driver: id(WHAT, &stored.driver_id)?,
        price: price(WHAT, stored.price.as_ref())?,
        authorization: stored.authorization_number,
        created: Wall(stored.created_ms),
        trace: (!stored.traceparent.is_empty()).then(|| id(WHAT, &stored.traceparent)).transpose()?,
    };
    let life = life(stored.life.ok_or_else(|| lacks("a state"))?, facts.price.currency())?;
    let told = stored.told.map(|StoredTold { energy_wh, since_ms }| Told {
        energy: Energy::from_wh(energy_wh),
        since: Wall(since_ms),
    });
    Ok(Session::stored(facts, life).and_told(told))
}

fn lacks(what: &str) -> Unreadable {
    Unreadable::new(WHAT, format!("it lacks {what}"))
}

fn life(stored: stored_session::Life, currency: Currency) -> Result<Life, Unreadable> {
    use stored_session::Life as Stored;
    Ok(match stored {
        Stored::Authorizing(of) => Life::Authorizing {
            deadline: deadline(of.deadline_ms),
            request: match of.request_key.as_slice() {
                [] => None,
                key => Some((request_key(key)?, of.request_fingerprint)),
            },
        },
        Stored::Reserved(of) => Life::Reserved { deadline: deadline(of.deadline_ms) },
        Stored::Revoking(of) => Life::Revoking { deadline: deadline(of.deadline_ms), stop: stop(of.stop)? },
        Stored::Supplying(of) => {
            Life::Supplying { delivered: delivered(of.delivered)?, stop: stop(of.stop)?, trouble: of.trouble }
        }
        Stored::Ended(of) => Life::Ended {
            ending: Ending { outcome: outcome(of.outcome)?, reason: of.reason, at: Wall(of.ended_ms) },
            settlement: settlement(of.settlement.ok_or_else(|| lacks("what is owed"))?, currency)?,
        },
    })
}

fn settlement(stored: stored_ended::Settlement, currency: Currency) -> Result<Settlement, Unreadable> {
    use stored_ended::Settlement as Stored;
    Ok(match stored {
        Stored::Unanswered(of) => Settlement::Unanswered { deadline: deadline(of.deadline_ms) },
        Stored::Void(StoredVoid {}) => Settlement::Void,
        Stored::Lost(of) => Settlement::Lost {
            delivered: of.delivered.map(|of| delivered(Some(of))).transpose()?,
            deadline: deadline(of.deadline_ms),
        },
        Stored::Unread(of) => Settlement::Unread {
            delivered: delivered(of.delivered)?,
            deadline: deadline(of.deadline_ms),
            revoke: of.revoke,
        },
        Stored::Billed(of) => {
            let Delivered { started, energy, seq } = delivered(of.delivered)?;
            let amount = Money { currency, micros: of.amount_micros };
            let late = Energy::from_wh(of.late_energy_wh);
            let ticket = Ticket::stored(energy, amount, end(of.end)?, Wall(of.issued_ms), late);
            let held = of.held.map(|StoredHeld { over, revoke }| Held { over, revoke });
            Settlement::Billed { started, seq, ticket, held }
        }
    })
}

fn deadline(ms: i64) -> Deadline {
    Deadline { mono: Mono::default(), wall: Wall(ms) }
}

fn delivered(stored: Option<StoredDelivered>) -> Result<Delivered, Unreadable> {
    let StoredDelivered { started_ms, energy_wh, seq } = stored.ok_or_else(|| lacks("what was delivered"))?;
    Ok(Delivered { started: Wall(started_ms), energy: Energy::from_wh(energy_wh), seq })
}

/// The domain's word for a stored one, where this version knows it.
fn word<S: PartialEq + TryFrom<i32>, D: Copy>(
    all: &[D],
    stored: i32,
    write: impl Fn(D) -> S,
) -> Result<D, Unreadable> {
    let known = S::try_from(stored).ok().and_then(|word| all.iter().find(|it| write(**it) == word));
    known.copied().ok_or_else(|| Unreadable::new(WHAT, format!("it has the unknown word {stored}")))
}

fn stop(stored: i32) -> Result<Option<Stop>, Unreadable> {
    word(&[None, Some(Stop::Driver), Some(Stop::Operator)], stored, stop_stored)
}

fn outcome(stored: i32) -> Result<Outcome, Unreadable> {
    word(&Outcome::ALL, stored, outcome_stored)
}

fn end(stored: i32) -> Result<Option<SupplyEnd>, Unreadable> {
    (stored != 0).then(|| word(&SupplyEnd::ALL, stored, supply_end_stored)).transpose()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::network::{Method, RequestKey};
    use proptest::{option, prelude::*, sample::select};

    fn deadlines() -> impl Strategy<Value = Deadline> {
        (0..4_000_000_000_000_i64).prop_map(deadline)
    }

    fn delivereds() -> impl Strategy<Value = Delivered> {
        (0..4_000_000_000_000_i64, 0..=10_000_000_u64, any::<u64>()).prop_map(|(started, wh, seq)| {
            Delivered { started: Wall(started), energy: Energy::from_wh(wh), seq }
        })
    }

    fn stops() -> impl Strategy<Value = Option<Stop>> {
        select(&[None, Some(Stop::Driver), Some(Stop::Operator)][..])
    }

    fn requests() -> impl Strategy<Value = Option<(RequestKey, u64)>> {
        option::of(("[A-Za-z0-9]{1,64}", "[a-z0-9-]{1,64}", any::<u64>())).prop_map(|request| {
            let (caller, id, fingerprint) = request?;
            Some((RequestKey { method: Method::RequestCharge, caller, id: id.parse().unwrap() }, fingerprint))
        })
    }

    fn bills() -> impl Strategy<Value = Settlement> {
        let held = option::of(any::<(bool, bool)>().prop_map(|(over, revoke)| Held { over, revoke }));
        let end = option::of(select(&SupplyEnd::ALL[..]));
        let (micros, late) = (0..10_000_000_000_u64, 0..10_000_000_u64);
        (delivereds(), held, end, micros, late).prop_map(
            |(Delivered { started, energy, seq }, held, end, micros, late)| {
                let amount = Money { currency: Currency::EUR, micros };
                let (issued, late) = (Wall(1_700_000_000_001), Energy::from_wh(late));
                let ticket = Ticket::stored(energy, amount, end, issued, late);
                Settlement::Billed { started, seq, ticket, held }
            },
        )
    }

    fn settlements() -> impl Strategy<Value = Settlement> {
        prop_oneof![
            deadlines().prop_map(|deadline| Settlement::Unanswered { deadline }),
            Just(Settlement::Void),
            (option::of(delivereds()), deadlines())
                .prop_map(|(delivered, deadline)| Settlement::Lost { delivered, deadline }),
            (delivereds(), deadlines(), any::<bool>()).prop_map(|(delivered, deadline, revoke)| {
                Settlement::Unread { delivered, deadline, revoke }
            }),
            bills(),
        ]
    }

    /// Every life there can be.
    fn lives() -> impl Strategy<Value = Life> {
        let ending = (select(&Outcome::ALL[..]), ".{0,80}", 0..4_000_000_000_000_i64)
            .prop_map(|(outcome, reason, at)| Ending { outcome, reason, at: Wall(at) });
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
        let unknown =
            StoredBilled { delivered: Some(StoredDelivered::default()), end: 77, ..Default::default() };
        for (life, problem) in [
            (None, "it lacks a state"),
            (Some(Stored::Supplying(StoredSupplying::default())), "it lacks what was delivered"),
            (Some(Stored::Revoking(StoredRevoking { stop: 9, deadline_ms: 1 })), "it has the unknown word 9"),
            (ended(done, None), "it lacks what is owed"),
            (ended(StoredOutcome::Unspecified, Some(Owed::Void(StoredVoid {}))), "it has the unknown word 0"),
            (ended(done, Some(Owed::Unread(StoredUnread::default()))), "it lacks what was delivered"),
            (ended(done, Some(Owed::Billed(StoredBilled::default()))), "it lacks what was delivered"),
            (ended(done, Some(Owed::Billed(unknown))), "it has the unknown word 77"),
        ] {
            let error = session(&encode(&of(life))).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(session(&encode(&of(ended(done, Some(Owed::Void(StoredVoid {})))))).is_ok());
    }
}
