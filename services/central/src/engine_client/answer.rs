//! What engines answer, checked: nothing of it is believed before it is what the contract says.

use domain::network::{CallOutcome, EngineAnswer, EngineReport};
use domain::{SupplyRecord, SupplyState, supply::MAX_UNSETTLED};
use evmesh_proto::engine;
use mesh::convert::{self, InvalidField, given, parse};

/// What came of a call; `None` where the answer says nothing.
pub(super) fn outcome(result: engine::CallResult) -> Option<CallOutcome> {
    Some(match result {
        engine::CallResult::Unspecified => return None,
        engine::CallResult::Done => CallOutcome::Done,
        engine::CallResult::WrongInstance => CallOutcome::WrongInstance,
        engine::CallResult::NumberStale => CallOutcome::NumberStale,
        engine::CallResult::Busy => CallOutcome::Busy,
        engine::CallResult::Faulted => CallOutcome::Faulted,
        engine::CallResult::Unattended => CallOutcome::Unattended,
    })
}

pub(super) fn revoke_outcome(
    result: engine::CallResult,
    revoked: engine::RevokeOutcome,
) -> Option<CallOutcome> {
    match (outcome(result)?, revoked) {
        (CallOutcome::Done, engine::RevokeOutcome::Revoked) => Some(CallOutcome::Revoked),
        (CallOutcome::Done, engine::RevokeOutcome::Supplying | engine::RevokeOutcome::Ended) => {
            Some(CallOutcome::NotRevoked)
        }
        (CallOutcome::Done, engine::RevokeOutcome::Unspecified) => None,
        (other, _) => Some(other),
    }
}

pub(super) fn read(
    outcome: Option<CallOutcome>,
    state: Option<engine::EngineState>,
) -> Result<EngineAnswer, InvalidField> {
    let outcome = given("result", outcome)?;
    let state = given("state", state)?;
    if state.unsettled.len() > MAX_UNSETTLED {
        return Err(InvalidField::new(
            "state.unsettled",
            format!("must have at most {MAX_UNSETTLED} sessions"),
        ));
    }
    let report = EngineReport {
        instance: parse("state.instance_id", &state.instance_id)?,
        highest_authorization: state.highest_authorization,
        current: state.current.as_ref().map(record).transpose()?,
        unsettled: state.unsettled.iter().map(record).collect::<Result<_, _>>()?,
    };
    for ended in &report.unsettled {
        if !matches!(ended.state, SupplyState::Ended(_)) {
            return Err(InvalidField::new(
                "state.unsettled",
                format!("must have ended: session {} has not", ended.session),
            ));
        }
    }
    Ok(EngineAnswer { outcome, report })
}

fn record(record: &engine::SupplyRecord) -> Result<SupplyRecord, InvalidField> {
    let state = match record.state() {
        engine::SupplyState::Unspecified => return given("state", None),
        engine::SupplyState::Authorized => SupplyState::Authorized,
        engine::SupplyState::Supplying => SupplyState::Supplying,
        engine::SupplyState::Ended => SupplyState::Ended(given("end", convert::supply_end(record.end()))?),
    };
    Ok(SupplyRecord {
        session: parse("session_id", &record.session_id)?,
        driver: parse("driver_id", &record.driver_id)?,
        price: convert::price("price", record.price.as_ref())?,
        authorization: record.authorization_number,
        state,
        seq: convert::number("seq", record.seq)?,
        energy: convert::energy("energy_wh", record.energy_wh)?,
        power: convert::power("power_w", record.power_w)?,
        started_at: convert::wall("start_time", record.start_time.as_ref())?,
        read_at: convert::wall("end_time", record.end_time.as_ref())?,
        trace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Energy;
    use evmesh_proto::network::Price;

    fn state() -> engine::EngineState {
        engine::EngineState {
            instance_id: "store-1".into(),
            highest_authorization: 7,
            current: Some(engine::SupplyRecord {
                session_id: "s1".into(),
                driver_id: "101".into(),
                price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 }),
                authorization_number: 7,
                state: engine::SupplyState::Supplying.into(),
                seq: 3,
                energy_wh: 1500,
                power_w: 7400,
                ..Default::default()
            }),
            unsettled: Vec::new(),
            fault: String::new(),
        }
    }

    #[test]
    fn a_state_is_read_whole() {
        let answer = read(Some(CallOutcome::Done), Some(state())).unwrap();
        let current = answer.report.current.unwrap();
        assert_eq!((current.energy, current.seq), (Energy::from_wh(1500), 3));
        assert_eq!(answer.report.highest_authorization, 7);
    }

    #[test]
    fn a_malformed_answer_is_none() {
        const YEAR_10000: prost_types::Timestamp =
            prost_types::Timestamp { seconds: 253_402_300_800, nanos: 0 };
        let broken = |change: fn(&mut engine::EngineState)| {
            let mut state = state();
            change(&mut state);
            read(Some(CallOutcome::Done), Some(state)).unwrap_err();
        };
        assert!(read(None, Some(state())).is_err() && read(Some(CallOutcome::Done), None).is_err());
        broken(|state| state.instance_id.clear());
        broken(|state| state.current.as_mut().unwrap().energy_wh = u64::MAX);
        broken(|state| state.current.as_mut().unwrap().seq = u64::MAX);
        broken(|state| state.current.as_mut().unwrap().price = None);
        broken(|state| state.current.as_mut().unwrap().start_time = Some(YEAR_10000));
        broken(|state| state.current.as_mut().unwrap().end_time = Some(YEAR_10000));
        broken(|state| state.current.as_mut().unwrap().session_id = "a b".into());
        broken(|state| state.current.as_mut().unwrap().state = 99);
        broken(|state| state.unsettled = state.current.take().into_iter().collect());
        broken(|state| state.unsettled = vec![engine::SupplyRecord::default(); 1001]);
    }
}
