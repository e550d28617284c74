//! Sessions: on disk as in the rules, a message for each moment of their life.
//!
//! What the type cannot hold is refused. Not kept: the live view.

use super::{deadline, decode, encode, id, price, request_key, request_key_bytes};
use crate::error::Unreadable;
use domain::network::{
    Delivered, Disputed, Ending, Facts, Held, Life, Outcome, Session, Settled, Settlement, Stop, Ticket, Told,
};
use domain::{Currency, Energy, Money, SupplyEnd, Wall};
use evmesh_proto::store::{
    StoredAuthorizing, StoredBilled, StoredDelivered, StoredEnded, StoredHeld, StoredLost, StoredOutcome,
    StoredReserved, StoredReview, StoredRevoking, StoredSession, StoredSettled, StoredStop, StoredSupplyEnd,
    StoredSupplying, StoredTold, StoredUnanswered, StoredUnread, StoredVoid, stored_ended, stored_session,
};
use mesh::convert::{price_stored, supply_end_stored};

const WHAT: &str = "a session";

pub fn session_value(session: &Session) -> Vec<u8> {
    let Facts { id, charge_point, instance, driver, card, price, authorization, created, trace } = &**session;
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
        card_id: card.as_ref().map(ToString::to_string).unwrap_or_default(),
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
            declined: ending.declined,
            most_wh: ending.most.map(Energy::wh),
            most_told_wh: ending.most_told.map(Energy::wh),
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
        Settlement::Void { since } => Stored::Void(StoredVoid { since_ms: since.0 }),
        Settlement::Lost { delivered, deadline } => Stored::Lost(StoredLost {
            delivered: delivered.map(delivered_stored),
            deadline_ms: deadline.wall.0,
        }),
        Settlement::Unread { delivered, deadline, revoke } => Stored::Unread(StoredUnread {
            delivered: Some(delivered_stored(*delivered)),
            deadline_ms: deadline.wall.0,
            revoke: *revoke,
            most_wh: None,
        }),
        Settlement::Review { delivered, reported, deadline, held, by_telemetry } => {
            Stored::Review(StoredReview {
                delivered: Some(delivered_stored(*delivered)),
                deadline_ms: deadline.wall.0,
                reported_wh: reported.energy.wh(),
                end: end_stored(reported.end).into(),
                doubt: reported.doubt.clone(),
                held: held.map(held_stored),
                by_telemetry: Some(*by_telemetry),
            })
        }
        &Settlement::Billed { started, seq, ticket, held, ref settled } => Stored::Billed(StoredBilled {
            delivered: Some(delivered_stored(Delivered { started, energy: ticket.energy, seq })),
            amount_micros: ticket.amount.micros,
            end: end_stored(ticket.end).into(),
            issued_ms: ticket.issued.0,
            late_energy_wh: ticket.late_energy.wh(),
            held: held.map(held_stored),
            settled: settled.as_deref().map(|Settled { by, reason, reported }| StoredSettled {
                by: by.clone(),
                reason: reason.clone(),
                reported_wh: reported.wh(),
            }),
        }),
    }
}

fn end_stored(end: Option<SupplyEnd>) -> StoredSupplyEnd {
    end.map_or(StoredSupplyEnd::Unspecified, supply_end_stored)
}

fn held_stored(held: Held) -> StoredHeld {
    let Held { over, revoke } = held;
    StoredHeld { over, revoke }
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
        Some(Stop::Revocation) => StoredStop::Revocation,
        Some(Stop::Move) => StoredStop::Move,
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
        card: (!stored.card_id.is_empty()).then(|| id(WHAT, &stored.card_id)).transpose()?,
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
            ending: Ending {
                outcome: outcome(of.outcome)?,
                reason: of.reason,
                at: Wall(of.ended_ms),
                declined: of.declined,
                most: of.most_wh.or(most_of_before(of.settlement.as_ref())).map(Energy::from_wh),
                most_told: of.most_told_wh.map(Energy::from_wh),
            },
            settlement: settlement(
                of.settlement.ok_or_else(|| lacks("what is owed"))?,
                of.declined,
                currency,
            )?,
        },
    })
}

fn most_of_before(owed: Option<&stored_ended::Settlement>) -> Option<u64> {
    if let Some(stored_ended::Settlement::Unread(of)) = owed { of.most_wh } else { None }
}

fn settlement(
    stored: stored_ended::Settlement,
    declined: bool,
    currency: Currency,
) -> Result<Settlement, Unreadable> {
    use stored_ended::Settlement as Stored;
    Ok(match stored {
        Stored::Unanswered(of) => Settlement::Unanswered { deadline: deadline(of.deadline_ms) },
        Stored::Void(StoredVoid { since_ms }) => Settlement::Void { since: Wall(since_ms) },
        Stored::Lost(of) => Settlement::Lost {
            delivered: of.delivered.map(|of| delivered(Some(of))).transpose()?,
            deadline: deadline(of.deadline_ms),
        },
        Stored::Unread(of) => Settlement::Unread {
            delivered: delivered(of.delivered)?,
            deadline: deadline(of.deadline_ms),
            revoke: of.revoke,
        },
        Stored::Review(of) => Settlement::Review {
            delivered: delivered(of.delivered)?,
            reported: Disputed {
                energy: Energy::from_wh(of.reported_wh),
                end: end(of.end)?,
                doubt: of.doubt,
            },
            deadline: deadline(of.deadline_ms),
            held: of.held.map(held),
            // An older version kept nothing of it: what may have been told by telemetry alone stays.
            by_telemetry: of.by_telemetry.unwrap_or(declined && of.held.is_none()),
        },
        Stored::Billed(of) => {
            let Delivered { started, energy, seq } = delivered(of.delivered)?;
            let amount = Money { currency, micros: of.amount_micros };
            let late = Energy::from_wh(of.late_energy_wh);
            let ticket = Ticket::stored(energy, amount, end(of.end)?, Wall(of.issued_ms), late);
            let settled = of.settled.map(|StoredSettled { by, reason, reported_wh }| {
                Box::new(Settled { by, reason, reported: Energy::from_wh(reported_wh) })
            });
            Settlement::Billed { started, seq, ticket, held: of.held.map(held), settled }
        }
    })
}

fn held(stored: StoredHeld) -> Held {
    let StoredHeld { over, revoke } = stored;
    Held { over, revoke }
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
    (stored != 0).then(|| word(&Stop::ALL, stored, |stop| stop_stored(Some(stop)))).transpose()
}

fn outcome(stored: i32) -> Result<Outcome, Unreadable> {
    word(&Outcome::ALL, stored, outcome_stored)
}

fn end(stored: i32) -> Result<Option<SupplyEnd>, Unreadable> {
    (stored != 0).then(|| word(&SupplyEnd::ALL, stored, supply_end_stored)).transpose()
}

#[cfg(test)]
pub(crate) mod tests;
