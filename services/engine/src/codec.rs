//! Between the store's values (protobuf `evmesh.store.v1`) and the rules' records.

use domain::{Power, Signature, SupplyEnd, SupplyRecord, SupplyState, Wall};
use evmesh_proto::store::{StoredSupply, StoredSupplyEnd};
use mesh::convert::{InvalidField, energy, parse, price_stored, stored_price, supply_end_stored};

pub fn supply_value(record: &SupplyRecord) -> StoredSupply {
    StoredSupply {
        session_id: record.session.to_string(),
        driver_id: record.driver.to_string(),
        price: Some(price_stored(record.price)),
        authorization_number: record.authorization,
        end: match record.state {
            SupplyState::Ended(end) => supply_end_stored(end).into(),
            SupplyState::Authorized | SupplyState::Supplying => StoredSupplyEnd::Unspecified.into(),
        },
        seq: record.seq,
        energy_wh: record.energy.wh(),
        power_w: record.power.w(),
        started_ms: record.started_at.map(|at| at.0),
        read_ms: record.read_at.map(|at| at.0),
        traceparent: record.trace.map(|trace| trace.to_string()).unwrap_or_default(),
        signature: record.signature.as_bytes().to_vec(),
    }
}

pub fn supply(stored: &StoredSupply) -> Result<SupplyRecord, InvalidField> {
    Ok(SupplyRecord {
        session: parse("session_id", &stored.session_id)?,
        driver: parse("driver_id", &stored.driver_id)?,
        price: stored_price("price", stored.price.as_ref())?,
        authorization: stored.authorization_number,
        state: state(stored.end)?,
        seq: stored.seq,
        energy: energy("energy_wh", stored.energy_wh)?,
        power: Power::from_w(stored.power_w),
        started_at: stored.started_ms.map(Wall),
        read_at: stored.read_ms.map(Wall),
        trace: match stored.traceparent.as_str() {
            "" => None,
            text => Some(parse("traceparent", text)?),
        },
        signature: Signature::try_from(stored.signature.as_slice())
            .map_err(|problem| InvalidField::new("signature", problem))?,
    })
}

fn state(stored: i32) -> Result<SupplyState, InvalidField> {
    match SupplyEnd::ALL.into_iter().find(|end| i32::from(supply_end_stored(*end)) == stored) {
        Some(end) => Ok(SupplyState::Ended(end)),
        None if stored == i32::from(StoredSupplyEnd::Unspecified) => Ok(SupplyState::Supplying),
        None => Err(InvalidField::new("end", format!("is {stored}, which this version does not know"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::{Energy, Trace};

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
            trace: None,
            signature: [7; 110].as_slice().try_into().unwrap(),
        }
    }

    #[test]
    fn records_survive_the_disk() {
        let states = SupplyEnd::ALL.map(SupplyState::Ended).into_iter().chain([SupplyState::Supplying]);
        for state in states {
            let trace = (state == SupplyState::Supplying).then(|| Trace::new(7, 9));
            let before = SupplyRecord { state, trace, ..running() };
            assert_eq!(supply(&supply_value(&before)), Ok(before));
        }
    }

    #[test]
    fn a_signature_longer_than_any_is_refused() {
        let long = StoredSupply { signature: vec![0; 257], ..supply_value(&running()) };
        assert_eq!(supply(&long).unwrap_err().field, "signature");
    }

    #[test]
    fn an_end_that_is_unknown_is_no_running_supply() {
        let unknown = StoredSupply { end: 77, ..supply_value(&running()) };
        assert_eq!(supply(&unknown).unwrap_err().field, "end");
    }
}
