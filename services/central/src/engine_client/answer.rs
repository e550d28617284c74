//! What engines answer, checked: nothing of it is believed before it is what the contract says, and each record comes
//! with what central's own signature says of it.

use crate::signing::{Authorized, Keys, Verdict};
use domain::network::{CallOutcome, Claim, EngineAnswer, EngineReport};
use domain::{ChargePointId, InstanceId, Power, Signature, SupplyRecord, SupplyState, supply::MAX_UNSETTLED};
use evmesh_proto::engine;
use mesh::convert::{self, InvalidField, given, parse};
use std::collections::HashSet;

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
        engine::CallResult::NotAskedFor => CallOutcome::NotAskedFor,
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

/// After so many false signatures no more of an answer are looked at: each costs a core some 50 µs, and an honest
/// engine has none.
const MOST_FORGED: usize = 8;

pub(super) fn read(
    outcome: Option<CallOutcome>,
    state: Option<engine::EngineState>,
    keys: &Keys,
    charge_point: &ChargePointId,
) -> Result<EngineAnswer, InvalidField> {
    let outcome = given("result", outcome)?;
    let state = given("state", state)?;
    if state.unsettled.len() > MAX_UNSETTLED {
        return Err(InvalidField::new(
            "state.unsettled",
            format!("must have at most {MAX_UNSETTLED} sessions"),
        ));
    }
    // None of its signatures is looked at then: each costs.
    let mut told = HashSet::new();
    if !state.unsettled.iter().all(|record| told.insert(&record.session_id)) {
        return Err(InvalidField::new("state.unsettled", "must have each session once"));
    }
    let instance = parse("state.instance_id", &state.instance_id)?;
    let mut verifier = Verifier { keys, charge_point, instance: &instance, forged: 0 };
    let mut claim = |told: &engine::SupplyRecord| verifier.claim(told);
    let current = state.current.as_ref().map(&mut claim).transpose()?;
    let unsettled: Vec<Claim> = state.unsettled.iter().map(claim).collect::<Result<_, _>>()?;
    for Claim { record, .. } in &unsettled {
        if !matches!(record.state, SupplyState::Ended(_)) {
            return Err(InvalidField::new(
                "state.unsettled",
                format!("must have ended: session {} has not", record.session),
            ));
        }
    }
    let named = !state.charge_point_id.is_empty(); // by every engine but older ones
    let report = EngineReport {
        charge_point: named.then(|| parse("state.charge_point_id", &state.charge_point_id)).transpose()?,
        rated: (state.rated_power_w > 0).then(|| Power::from_w(state.rated_power_w)),
        seals: state.seals_telemetry,
        plugged_in: state.plugged_in,
        highest_authorization: state.highest_authorization,
        instance,
        current,
        unsettled,
    };
    Ok(EngineAnswer { outcome, heard: true, report })
}

/// Whose answer it is, and how much of it was false so far.
struct Verifier<'a> {
    keys: &'a Keys,
    charge_point: &'a ChargePointId,
    instance: &'a InstanceId,
    forged: usize,
}

impl Verifier<'_> {
    fn claim(&mut self, told: &engine::SupplyRecord) -> Result<Claim, InvalidField> {
        let record = record(told)?;
        if self.forged >= MOST_FORGED {
            return Ok(Claim { record, attested: None });
        }
        let what = Authorized {
            charge_point: self.charge_point,
            instance: self.instance,
            session: &record.session,
            driver: &record.driver,
            number: record.authorization,
            price: record.price,
        };
        let attested = match self.keys.verify(&what, &told.signature) {
            Verdict::Valid(created) => Some(created),
            Verdict::Unknown => None,
            Verdict::Forged => {
                self.forged += 1;
                None
            }
        };
        Ok(Claim { record, attested })
    }
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
        signature: Signature::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_client::Request;
    use domain::network::{CallId, EngineCall, EngineRequest};
    use domain::{Energy, Now, Power, Wall};
    use evmesh_proto::network::Price;

    fn keys() -> Keys {
        Keys::new(&[7; 32], Now::default(), &[])
    }

    fn here() -> ChargePointId {
        "MAD-01".parse().unwrap()
    }

    fn read(
        outcome: Option<CallOutcome>,
        state: Option<engine::EngineState>,
    ) -> Result<EngineAnswer, InvalidField> {
        super::read(outcome, state, &keys(), &here())
    }

    /// What central asks for, and what its engine has of it in the end.
    fn authorised(keys: &Keys, session: &str) -> engine::SupplyRecord {
        let asked = EngineRequest::Authorize {
            number: 7,
            session: session.parse().unwrap(),
            driver: "101".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            created: Wall(5_000),
            duration: std::time::Duration::from_secs(60),
            manual: None,
        };
        let call = EngineCall {
            charge_point: here(),
            address: String::new(),
            call: CallId(1),
            instance: "store-1".parse().unwrap(),
            epoch: 1,
            provisional: false,
            request: asked,
            trace: None,
        };
        let request = Request::of(keys, &call);
        let Request::Authorize(request) = request else { panic!() };
        engine::SupplyRecord {
            session_id: request.session_id,
            driver_id: request.driver_id,
            price: request.price,
            authorization_number: request.authorization_number,
            signature: request.signature,
            ..ended()
        }
    }

    fn ended() -> engine::SupplyRecord {
        engine::SupplyRecord {
            state: engine::SupplyState::Ended.into(),
            end: engine::SupplyEnd::Completed.into(),
            ..state().current.unwrap()
        }
    }

    /// Which of these records, each of another answer, are attested, from this charge point and instance.
    fn each_attested(keys: &Keys, engine: (&str, &str), told: Vec<engine::SupplyRecord>) -> Vec<bool> {
        told.into_iter().flat_map(|record| attested(keys, engine, vec![record])).collect()
    }

    /// The same of one answer.
    fn attested(
        keys: &Keys,
        (charge_point, instance): (&str, &str),
        unsettled: Vec<engine::SupplyRecord>,
    ) -> Vec<bool> {
        let state = engine::EngineState { instance_id: instance.into(), unsettled, ..state() };
        let read = super::read(Some(CallOutcome::Done), Some(state), keys, &charge_point.parse().unwrap());
        let report = read.unwrap().report;
        assert_eq!(report.current.unwrap().attested, None, "it has no signature");
        report.unsettled.iter().map(|claim| claim.attested == Some(Wall(5_000))).collect()
    }

    #[test]
    fn a_record_is_attested_by_the_signature_for_this_very_session_charge_point_and_instance() {
        let keys = keys();
        let signed = authorised(&keys, "s2");
        let with = |change: fn(&mut engine::SupplyRecord)| {
            let mut record = signed.clone();
            change(&mut record);
            record
        };
        let told = vec![
            ended(),
            with(|record| record.price.as_mut().unwrap().micros_per_kwh = 1_000_000_000),
            with(|record| record.driver_id = "9001".into()),
            with(|record| record.session_id = "s3".into()),
            with(|record| record.authorization_number = 8),
            with(|record| (record.energy_wh, record.seq) = (9_999, 9)), // its meter is its own word
            signed.clone(),
        ];
        let expected = [false, false, false, false, false, true, true];
        assert_eq!(each_attested(&keys, ("MAD-01", "store-1"), told), expected);
        assert_eq!(each_attested(&keys, ("MAD-02", "store-1"), vec![signed.clone()]), [false]);
        assert_eq!(each_attested(&keys, ("MAD-01", "store-2"), vec![signed.clone()]), [false]);
        let restarted = Keys::new(&[8; 32], Now::default(), &[keys.own()]);
        assert_eq!(each_attested(&restarted, ("MAD-01", "store-1"), vec![signed.clone()]), [true]);
        let stranger = Keys::new(&[8; 32], Now::default(), &[]);
        assert_eq!(each_attested(&stranger, ("MAD-01", "store-1"), vec![signed]), [false]);
    }

    #[test]
    fn a_liar_has_its_own_answers_looked_at_no_further() {
        let keys = keys();
        let signed = authorised(&keys, "s2");
        let forged = |n| engine::SupplyRecord { session_id: format!("x{n}"), ..signed.clone() };
        let mut told: Vec<_> = (1..MOST_FORGED).map(forged).collect();
        told.push(signed.clone());
        assert!(attested(&keys, ("MAD-01", "store-1"), told.clone()).ends_with(&[true]));
        told[MOST_FORGED - 1].session_id = "x".into();
        told.push(signed);
        assert!(attested(&keys, ("MAD-01", "store-1"), told).ends_with(&[false]));
    }

    fn state() -> engine::EngineState {
        engine::EngineState {
            seals_telemetry: None,
            charge_point_id: "MAD-01".into(),
            rated_power_w: 50_000,
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
            plugged_in: true,
        }
    }

    #[test]
    fn a_state_is_read_whole() {
        let answer = read(Some(CallOutcome::Done), Some(state())).unwrap();
        let current = answer.report.current.unwrap().record;
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
        let read = read(Some(CallOutcome::Done), Some(state)).unwrap().report.current.unwrap().record;
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
        let ended = |n: u32| engine::SupplyRecord { session_id: format!("s{n}"), ..ended() };
        let told = |sessions: &[u32]| {
            let unsettled = sessions.iter().copied().map(ended).collect();
            read(Some(CallOutcome::Done), Some(engine::EngineState { unsettled, ..state() }))
        };
        assert!(told(&[1, 2, 3]).is_ok() && told(&[1, 2, 1]).is_err(), "a session is told twice");
    }
}
