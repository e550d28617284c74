//! Values that the tests write in short.

use domain::{
    ChargePointId, DriverId, Energy, Power, Price, SessionId, Signature, SupplyEnd, SupplyRecord,
    SupplyState, Wall,
    network::{Claim, Outcome, State},
};

pub(crate) fn cp(text: &str) -> ChargePointId {
    text.parse().unwrap()
}

pub(crate) fn driver(text: &str) -> DriverId {
    text.parse().unwrap()
}

pub(crate) fn sid(text: &str) -> SessionId {
    text.parse().unwrap()
}

pub(crate) fn price() -> Price {
    "0.30 EUR".parse().unwrap()
}

pub(crate) fn record(session: &SessionId, who: &str, state: SupplyState, seq: u64, wh: u64) -> SupplyRecord {
    SupplyRecord {
        session: session.clone(),
        driver: driver(who),
        price: price(),
        authorization: 1,
        state,
        seq,
        energy: Energy::from_wh(wh),
        power: Power::ZERO,
        started_at: None,
        read_at: None,
        trace: None,
        signature: Signature::default(),
    }
}

/// A record that central's signature stands for.
pub(crate) fn attested(record: SupplyRecord) -> Claim {
    Claim { record, attested: Some(Wall(1_600_000_000_000)) }
}

/// A record that nobody stands for.
pub(crate) fn unattested(record: SupplyRecord) -> Claim {
    Claim { record, attested: None }
}

pub(crate) fn ended(outcome: Outcome) -> State {
    State::Ended(outcome)
}

pub(crate) const FAULTS: [SupplyEnd; 3] =
    [SupplyEnd::EngineFault, SupplyEnd::MonitorLost, SupplyEnd::Interrupted];
