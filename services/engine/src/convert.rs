//! Between protobuf and the rules' types.

use domain::{
    Power, SupplyRecord, SupplyState,
    supply::{CallResult, RevokeOutcome, View},
};
use evmesh_proto::engine as proto;
use mesh::convert::{
    InvalidField, energy, given, parse, price, price_proto, supply_end, supply_end_proto, timestamp, wall,
};

/// A record as central and the panel see it.
pub(crate) fn record_proto(record: &SupplyRecord) -> proto::SupplyRecord {
    let (state, end) = match record.state {
        SupplyState::Authorized => (proto::SupplyState::Authorized, proto::SupplyEnd::Unspecified),
        SupplyState::Supplying => (proto::SupplyState::Supplying, proto::SupplyEnd::Unspecified),
        SupplyState::Ended(end) => (proto::SupplyState::Ended, supply_end_proto(end)),
    };
    proto::SupplyRecord {
        session_id: record.session.to_string(),
        driver_id: record.driver.to_string(),
        price: Some(price_proto(record.price)),
        authorization_number: record.authorization,
        state: state.into(),
        end: end.into(),
        seq: record.seq,
        energy_wh: record.energy.wh(),
        power_w: record.power.w(),
        start_time: record.started_at.map(timestamp),
        end_time: record.ended_at().map(timestamp),
    }
}

/// A record as the disk keeps it: of one that still runs, `end_time` is the time of its newest reading, so that a restart
/// knows until when energy was measured.
pub(crate) fn record_stored(record: &SupplyRecord) -> proto::SupplyRecord {
    proto::SupplyRecord { end_time: record.read_at.map(timestamp), ..record_proto(record) }
}

/// A record from the disk.
pub(crate) fn record(stored: &proto::SupplyRecord) -> Result<SupplyRecord, InvalidField> {
    let state = match stored.state() {
        proto::SupplyState::Supplying => SupplyState::Supplying,
        proto::SupplyState::Ended => SupplyState::Ended(given("end", supply_end(stored.end()))?),
        proto::SupplyState::Unspecified | proto::SupplyState::Authorized => {
            return Err(InvalidField::new("state", "must be of a supply that started"));
        }
    };
    Ok(SupplyRecord {
        session: parse("session_id", &stored.session_id)?,
        driver: parse("driver_id", &stored.driver_id)?,
        price: price("price", stored.price.as_ref())?,
        authorization: stored.authorization_number,
        state,
        seq: stored.seq,
        energy: energy("energy_wh", stored.energy_wh)?,
        power: Power::from_w(stored.power_w),
        started_at: stored.start_time.as_ref().map(wall),
        read_at: stored.end_time.as_ref().map(wall),
    })
}

/// All that an answer to central carries.
pub(crate) fn state_proto(view: &View) -> proto::EngineState {
    proto::EngineState {
        instance_id: view.instance.to_string(),
        highest_authorization: view.highest,
        current: view.current.as_ref().map(record_proto),
        unsettled: view.unsettled.iter().map(record_proto).collect(),
        fault: obstacle(view),
    }
}

/// Why it cannot supply; empty when it can.
pub(crate) fn obstacle(view: &View) -> String {
    view.obstacle.as_ref().map(ToString::to_string).unwrap_or_default()
}

pub(crate) fn result_proto(result: CallResult) -> proto::CallResult {
    match result {
        CallResult::Done => proto::CallResult::Done,
        CallResult::WrongInstance => proto::CallResult::WrongInstance,
        CallResult::NumberStale => proto::CallResult::NumberStale,
        CallResult::Busy => proto::CallResult::Busy,
        CallResult::Faulted => proto::CallResult::Faulted,
        CallResult::Unattended => proto::CallResult::Unattended,
    }
}

pub(crate) fn outcome_proto(outcome: RevokeOutcome) -> proto::RevokeOutcome {
    match outcome {
        RevokeOutcome::Revoked => proto::RevokeOutcome::Revoked,
        RevokeOutcome::Supplying => proto::RevokeOutcome::Supplying,
        RevokeOutcome::Ended => proto::RevokeOutcome::Ended,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::{Energy, SupplyEnd, Wall};

    pub(crate) fn running() -> SupplyRecord {
        SupplyRecord {
            session: "s1".parse().unwrap(),
            driver: "ana".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            authorization: 7,
            state: SupplyState::Supplying,
            seq: 3,
            energy: Energy::from_wh(300),
            power: Power::from_w(50_000),
            started_at: Some(Wall(1_700_000_000_000)),
            read_at: Some(Wall(1_700_000_002_000)),
        }
    }

    #[test]
    fn records_survive_the_disk() {
        let states = SupplyEnd::ALL.map(SupplyState::Ended).into_iter().chain([SupplyState::Supplying]);
        for state in states {
            let before = SupplyRecord { state, ..running() };
            assert_eq!(record(&record_stored(&before)), Ok(before));
        }
    }

    #[test]
    fn a_running_supply_has_no_end_for_central() {
        assert_eq!(record_proto(&running()).end_time, None);
        assert!(record_proto(&running()).start_time.is_some());
    }

    #[test]
    fn an_authorisation_is_never_read_from_the_disk() {
        let authorized = SupplyRecord { state: SupplyState::Authorized, ..running() };
        assert_eq!(record(&record_stored(&authorized)).unwrap_err().field, "state");
    }
}
