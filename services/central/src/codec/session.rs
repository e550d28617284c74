//! Sessions.

use super::{Unreadable, checked, decode, encode, id, request_key, request_key_bytes};
use crate::view;
use domain::network::{Deadline, Live, Session, State, Stop, Ticket};
use domain::{Energy, Mono, Wall};
use evmesh_proto::{engine, network, store};
use mesh::convert;

const WHAT: &str = "a session";

/// Writes a session: all of it but [`Live`].
pub(crate) fn session_value(session: &Session) -> Vec<u8> {
    let stop = match session.stop {
        None => store::StoredStop::Unspecified,
        Some(Stop::Driver) => store::StoredStop::Driver,
        Some(Stop::Operator) => store::StoredStop::Operator,
    };
    let request = session.request.as_ref();
    // What anyone may know, as it is shown but for the live view, which is not kept.
    let shown = network::Session {
        energy_wh: session.energy.wh(),
        amount: None,
        power_w: 0,
        ..view::session(session)
    };
    encode(&store::StoredSession {
        session: Some(shown),
        instance_id: session.instance.to_string(),
        authorization_number: session.authorization,
        seq: session.seq,
        deadline_ms: session.deadline.map_or(0, |deadline| deadline.wall.0),
        supply_started: session.started,
        final_reading: session.final_reading,
        revoke: session.revoke,
        stop: stop.into(),
        store_lost: session.store_lost,
        error_told: session.error_told,
        closed: session.closed,
        request_key: request.map(|(key, _)| request_key_bytes(key)).unwrap_or_default(),
        request_fingerprint: request.map_or(0, |(_, fingerprint)| *fingerprint),
        end: session.end.map_or(engine::SupplyEnd::Unspecified, convert::supply_end_proto).into(),
        traceparent: session.trace.map(|trace| trace.to_string()).unwrap_or_default(),
    })
}

/// Reads a session. A deadline has only its date: the network gives it its place on this process's clock.
pub(crate) fn session(bytes: &[u8]) -> Result<Session, Unreadable> {
    let stored: store::StoredSession = decode(WHAT, bytes)?;
    let (stop, end) = (stored.stop(), stored.end());
    let shown = stored.session.as_ref().ok_or_else(|| Unreadable::new(WHAT, "it is empty"))?;
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().map(convert::wall);
    let request = match stored.request_key.as_slice() {
        [] => None,
        key => Some((request_key(key)?, stored.request_fingerprint)),
    };
    Ok(Session {
        id: id(WHAT, &shown.session_id)?,
        charge_point: id(WHAT, &shown.charge_point_id)?,
        instance: id(WHAT, &stored.instance_id)?,
        driver: id(WHAT, &shown.driver_id)?,
        price: checked(WHAT, convert::price("price", shown.price.as_ref()))?,
        authorization: stored.authorization_number,
        state: state(shown)?,
        reason: shown.reason.clone(),
        end: convert::supply_end(end),
        energy: Energy::from_wh(shown.energy_wh),
        seq: stored.seq,
        created: time(&shown.create_time).unwrap_or_default(),
        started_at: time(&shown.start_time),
        ended_at: time(&shown.end_time),
        started: stored.supply_started,
        final_reading: stored.final_reading,
        stop: match stop {
            store::StoredStop::Unspecified => None,
            store::StoredStop::Driver => Some(Stop::Driver),
            store::StoredStop::Operator => Some(Stop::Operator),
        },
        revoke: stored.revoke,
        store_lost: stored.store_lost,
        error_told: stored.error_told,
        trouble: shown.trouble.clone(),
        ticket: shown.ticket.as_ref().map(ticket).transpose()?,
        closed: stored.closed,
        deadline: (stored.deadline_ms != 0)
            .then(|| Deadline { mono: Mono::default(), wall: Wall(stored.deadline_ms) }),
        request,
        trace: (!stored.traceparent.is_empty()).then(|| id(WHAT, &stored.traceparent)).transpose()?,
        live: Live::default(),
    })
}

fn state(shown: &network::Session) -> Result<State, Unreadable> {
    use domain::network::Outcome;
    use network::{SessionOutcome, SessionState};
    let outcome = || {
        Ok(match shown.outcome() {
            SessionOutcome::Completed => Outcome::Completed,
            SessionOutcome::Stopped => Outcome::Stopped,
            SessionOutcome::Faulted => Outcome::Faulted,
            SessionOutcome::Expired => Outcome::Expired,
            SessionOutcome::Rejected => Outcome::Rejected,
            SessionOutcome::Unspecified => return Err(Unreadable::new(WHAT, "it ended without an outcome")),
        })
    };
    Ok(match shown.state() {
        SessionState::Authorizing => State::Authorizing,
        SessionState::Reserved => State::Reserved,
        SessionState::Supplying => State::Supplying,
        SessionState::Ended => State::Ended(outcome()?),
        SessionState::Unspecified => return Err(Unreadable::new(WHAT, "it has no state")),
    })
}

fn ticket(shown: &network::Ticket) -> Result<Ticket, Unreadable> {
    Ok(Ticket {
        energy: Energy::from_wh(shown.energy_wh),
        amount_micros: checked(WHAT, convert::money("amount", shown.amount.as_ref()))?.micros,
        estimated: shown.estimated,
        issued: shown.issue_time.as_ref().map(convert::wall).unwrap_or_default(),
        late_energy: Energy::from_wh(shown.late_energy_wh),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::network::{Method, Outcome, RequestKey};
    use domain::{SupplyEnd, Trace};
    use proptest::prelude::*;

    fn states() -> impl Strategy<Value = State> {
        proptest::sample::select(
            &[
                State::Authorizing,
                State::Reserved,
                State::Supplying,
                State::Ended(Outcome::Completed),
                State::Ended(Outcome::Stopped),
                State::Ended(Outcome::Faulted),
                State::Ended(Outcome::Expired),
                State::Ended(Outcome::Rejected),
            ][..],
        )
    }

    fn ends() -> impl Strategy<Value = Option<SupplyEnd>> {
        proptest::option::of(proptest::sample::select(&SupplyEnd::ALL[..]))
    }

    fn times() -> impl Strategy<Value = Option<Wall>> {
        proptest::option::of((0..4_000_000_000_000_i64).prop_map(Wall))
    }

    fn tickets() -> impl Strategy<Value = Option<Ticket>> {
        let ticket = (0..10_000_000_u64, 0..10_000_000_000_u64, any::<bool>(), 0..10_000_000_u64);
        proptest::option::of(ticket.prop_map(|(wh, amount_micros, estimated, late)| Ticket {
            energy: Energy::from_wh(wh),
            amount_micros,
            estimated,
            issued: Wall(1_700_000_000_001),
            late_energy: Energy::from_wh(late),
        }))
    }

    prop_compose! {
        pub(crate) fn sessions()(
            ids in ("[a-z0-9]{1,32}", "[A-Z0-9-]{1,64}", "[a-z0-9]{1,64}", "[A-Za-z0-9]{1,64}"),
            micros in 0..=1_000_000_000_u64,
            numbers in any::<(u64, u64)>(),
            wh in 0..=10_000_000_u64,
            state in states(),
            reason in ".{0,80}",
            trouble in ".{0,80}",
            end in ends(),
            created in (0..4_000_000_000_000_i64).prop_map(Wall),
            at in (times(), times(), times()),
            flags in any::<[bool; 6]>(),
            stop in proptest::option::of(proptest::sample::select(&[Stop::Driver, Stop::Operator][..])),
            ticket in tickets(),
            request in proptest::option::of(("[a-z0-9-]{1,64}", any::<u64>())),
            trace in proptest::option::of(any::<(u128, u64)>()),
        ) -> Session {
            let caller = ids.3.clone();
            Session {
                id: ids.0.parse().unwrap(),
                charge_point: ids.1.parse().unwrap(),
                instance: ids.2.parse().unwrap(),
                driver: ids.3.parse().unwrap(),
                price: domain::Price::new(domain::Currency::EUR, micros).unwrap(),
                authorization: numbers.0,
                state,
                reason,
                end,
                energy: Energy::from_wh(wh),
                seq: numbers.1,
                created,
                started_at: at.0,
                ended_at: at.1,
                started: flags[0],
                final_reading: flags[1],
                stop,
                revoke: flags[2],
                store_lost: flags[3],
                error_told: flags[4],
                trouble,
                ticket,
                closed: flags[5],
                deadline: at.2.filter(|at| at.0 != 0).map(|wall| Deadline { mono: Mono::default(), wall }),
                request: request.map(|(id, fingerprint)| {
                    let id = id.parse().unwrap();
                    (RequestKey { method: Method::RequestCharge, caller, id }, fingerprint)
                }),
                trace: trace.map(|(trace, span)| Trace::new(trace, span)),
                live: Live::default(),
            }
        }
    }

    proptest! {
        #[test]
        fn survive(given in sessions()) {
            prop_assert_eq!(session(&session_value(&given)).unwrap(), given);
        }
    }

    #[test]
    fn a_session_without_a_state_is_refused() {
        let stored = store::StoredSession::default();
        assert!(session(&encode(&stored)).is_err());
    }
}
