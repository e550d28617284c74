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
    let named = !state.charge_point_id.is_empty(); // by every engine but older ones
    let report = EngineReport {
        charge_point: named.then(|| parse("state.charge_point_id", &state.charge_point_id)).transpose()?,
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
        authorization: convert::number("authorization_number", record.authorization_number)?,
        state,
        seq: convert::number("seq", record.seq)?,
        energy: convert::energy("energy_wh", record.energy_wh)?,
        // What is only shown, or dates what is billed by its energy, is left out where it can't be: not the reading.
        power: convert::power("power_w", record.power_w).unwrap_or_default(),
        started_at: convert::wall("start_time", record.start_time.as_ref()).ok().flatten(),
        read_at: convert::wall("end_time", record.end_time.as_ref()).ok().flatten(),
        trace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Energy, Power};
    use evmesh_proto::network::Price;

    fn state() -> engine::EngineState {
        engine::EngineState {
            charge_point_id: "MAD-01".into(),
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
        assert_eq!(answer.report.charge_point.unwrap().as_str(), "MAD-01");
    }

    #[test]
    fn a_date_or_a_power_that_cannot_be_is_left_out_and_the_energy_counts() {
        let year_10000 = Some(prost_types::Timestamp { seconds: 253_402_300_800, nanos: 0 });
        let mut state = state();
        let record = state.current.take().unwrap();
        state.current = Some(engine::SupplyRecord {
            power_w: u64::MAX,
            start_time: year_10000,
            end_time: year_10000,
            ..record
        });
        let read = read(Some(CallOutcome::Done), Some(state)).unwrap().report.current.unwrap();
        assert_eq!((read.power, read.started_at, read.read_at), (Power::from_w(0), None, None));
        assert_eq!((read.energy, read.seq), (Energy::from_wh(1500), 3));
    }

    #[test]
    fn a_malformed_answer_is_none() {
        let broken = |change: fn(&mut engine::EngineState)| {
            let mut state = state();
            change(&mut state);
            read(Some(CallOutcome::Done), Some(state)).unwrap_err();
        };
        assert!(read(None, Some(state())).is_err() && read(Some(CallOutcome::Done), None).is_err());
        broken(|state| state.instance_id.clear());
        broken(|state| state.charge_point_id = "M D".into());
        broken(|state| state.current.as_mut().unwrap().energy_wh = u64::MAX);
        broken(|state| state.current.as_mut().unwrap().seq = u64::MAX);
        broken(|state| state.current.as_mut().unwrap().authorization_number = (1 << 53) + 1);
        broken(|state| state.current.as_mut().unwrap().price = None);
        broken(|state| state.current.as_mut().unwrap().session_id = "a b".into());
        broken(|state| state.current.as_mut().unwrap().state = 99);
        broken(|state| state.unsettled = state.current.take().into_iter().collect());
        broken(|state| state.unsettled = vec![engine::SupplyRecord::default(); 1001]);
    }
}
