//! Between protobuf and the rules' types.

use domain::{
    Power,
    supply::{CallResult, End, Record, RevokeOutcome, State, View},
};
use evmesh_proto::engine as proto;
use mesh::{
    convert::{energy, price, price_proto, timestamp, wall},
    grpc::{Failure, parse},
};

/// A record as central and the panel see it.
pub(crate) fn record_proto(record: &Record) -> proto::SupplyRecord {
    let (state, end) = match record.state {
        State::Authorized => (proto::SupplyState::Authorized, proto::SupplyEnd::Unspecified),
        State::Supplying => (proto::SupplyState::Supplying, proto::SupplyEnd::Unspecified),
        State::Ended(end) => (proto::SupplyState::Ended, end_proto(end)),
    };
    proto::SupplyRecord {
        session_id: record.session.to_string(),
        driver_id: record.driver.to_string(),
        price: Some(price_proto(record.price)),
        authorization_number: record.number,
        state: state.into(),
        end: end.into(),
        seq: record.seq,
        energy_wh: record.energy.wh(),
        power_w: record.power.w(),
        start_time: record.started.map(timestamp),
        end_time: record.read_at.filter(|_| state == proto::SupplyState::Ended).map(timestamp),
    }
}

/// A record as the disk keeps it: of one that still runs, `end_time` is the time of its newest reading, so that a restart
/// knows until when energy was measured.
pub(crate) fn record_stored(record: &Record) -> proto::SupplyRecord {
    proto::SupplyRecord { end_time: record.read_at.map(timestamp), ..record_proto(record) }
}

/// A record from the disk.
pub(crate) fn record(stored: &proto::SupplyRecord) -> Result<Record, Failure> {
    let state = match stored.state() {
        proto::SupplyState::Supplying => State::Supplying,
        proto::SupplyState::Ended => State::Ended(end(stored.end())?),
        proto::SupplyState::Unspecified | proto::SupplyState::Authorized => {
            return Err(Failure::invalid("state", "must be of a supply that started"));
        }
    };
    Ok(Record {
        session: parse("session_id", &stored.session_id)?,
        driver: parse("driver_id", &stored.driver_id)?,
        price: price("price", stored.price.as_ref())?,
        number: stored.authorization_number,
        state,
        seq: stored.seq,
        energy: energy("energy_wh", stored.energy_wh)?,
        power: Power::from_w(stored.power_w),
        started: stored.start_time.as_ref().map(wall),
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

fn end_proto(end: End) -> proto::SupplyEnd {
    match end {
        End::Completed => proto::SupplyEnd::Completed,
        End::Stopped => proto::SupplyEnd::Stopped,
        End::EngineFault => proto::SupplyEnd::EngineFault,
        End::MonitorLost => proto::SupplyEnd::MonitorLost,
        End::Interrupted => proto::SupplyEnd::Interrupted,
    }
}

fn end(end: proto::SupplyEnd) -> Result<End, Failure> {
    match end {
        proto::SupplyEnd::Unspecified => Err(Failure::invalid("end", "must be given for an ended supply")),
        proto::SupplyEnd::Completed => Ok(End::Completed),
        proto::SupplyEnd::Stopped => Ok(End::Stopped),
        proto::SupplyEnd::EngineFault => Ok(End::EngineFault),
        proto::SupplyEnd::MonitorLost => Ok(End::MonitorLost),
        proto::SupplyEnd::Interrupted => Ok(End::Interrupted),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::{Energy, Wall};

    pub(crate) fn running() -> Record {
        Record {
            session: "s1".parse().unwrap(),
            driver: "ana".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            number: 7,
            state: State::Supplying,
            seq: 3,
            energy: Energy::from_wh(300),
            power: Power::from_w(50_000),
            started: Some(Wall(1_700_000_000_000)),
            read_at: Some(Wall(1_700_000_002_000)),
        }
    }

    #[test]
    fn records_survive_the_disk() {
        let ends = [End::Completed, End::Stopped, End::EngineFault, End::MonitorLost, End::Interrupted];
        let states = ends.map(State::Ended).into_iter().chain([State::Supplying]);
        for state in states {
            let before = Record { state, ..running() };
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
        let authorized = Record { state: State::Authorized, ..running() };
        assert_eq!(record(&record_stored(&authorized)).unwrap_err().field.unwrap().0, "state");
    }
}
