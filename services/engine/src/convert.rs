//! Between protobuf and the rules' types.

use domain::{
    Power, SupplyRecord, SupplyState,
    supply::{CallResult, RevokeOutcome, View},
};
use evmesh_proto::engine as proto;
use mesh::convert::{price_proto, supply_end_proto, timestamp};

/// A record as the panel sees it.
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
        signature: Vec::new(),
    }
}

/// A record as central sees it: with its own signature.
fn signed(record: &SupplyRecord) -> proto::SupplyRecord {
    proto::SupplyRecord { signature: record.signature.as_bytes().to_vec(), ..record_proto(record) }
}

/// All that an answer to central carries.
pub(crate) fn state_proto(view: &View) -> proto::EngineState {
    proto::EngineState {
        seals_telemetry: None, // of the process, not of its rules
        instance_id: view.instance.to_string(),
        highest_authorization: view.highest,
        current: view.current.as_ref().map(signed),
        unsettled: view.unsettled.iter().map(signed).collect(),
        fault: obstacle(view),
        charge_point_id: view.charge_point.to_string(),
        rated_power_w: view.rated.map_or(0, Power::w),
        plugged_in: view.plugged_in,
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
        CallResult::NotAskedFor => proto::CallResult::NotAskedFor,
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
mod tests {
    use super::*;
    use crate::codec::tests::running;

    #[test]
    fn a_running_supply_has_no_end_for_central() {
        assert_eq!(record_proto(&running()).end_time, None);
        assert!(record_proto(&running()).start_time.is_some());
    }
}
