//! Charge points.

use super::{deadline, decode, encode, id, price};
use crate::error::Unreadable;
use domain::{
    Location, Power,
    network::{ChargePoint, Revoked},
};
use evmesh_proto::store::{StoredChargePoint, stored_charge_point::Revoked as Stored};
use mesh::convert::price_stored;

const WHAT: &str = "a charge point";

pub fn charge_point_value(point: &ChargePoint) -> Vec<u8> {
    let ChargePoint {
        id,
        location,
        price,
        engine_address,
        instance,
        monitor,
        epoch,
        highest_authorization,
        out_of_order,
        never_supplied,
        rated,
        seals_from,
        revoked,
    } = point;
    encode(&StoredChargePoint {
        charge_point_id: id.to_string(),
        location: location.to_string(),
        price: Some(price_stored(*price)),
        engine_address: engine_address.clone(),
        instance_id: instance.to_string(),
        monitor_id: monitor.to_string(),
        epoch: *epoch,
        highest_authorization: *highest_authorization,
        out_of_order: *out_of_order,
        never_supplied: *never_supplied,
        rated_power_w: rated.map_or(0, Power::w),
        seals_from_epoch: *seals_from,
        revoked: revoked.as_deref().map(|revoked| match revoked {
            Revoked::Draining { deadline, moves: false } => Stored::DrainDeadlineMs(deadline.wall.0),
            Revoked::Draining { deadline, moves: true } => Stored::MoveDeadlineMs(deadline.wall.0),
            Revoked::Cut => Stored::Cut(true),
        }),
    })
}

pub fn charge_point(bytes: &[u8]) -> Result<ChargePoint, Unreadable> {
    let stored: StoredChargePoint = decode(WHAT, bytes)?;
    Ok(ChargePoint {
        id: id(WHAT, &stored.charge_point_id)?,
        location: Location::stored(&stored.location),
        price: price(WHAT, stored.price.as_ref())?,
        engine_address: stored.engine_address,
        instance: id(WHAT, &stored.instance_id)?,
        monitor: id(WHAT, &stored.monitor_id)?,
        epoch: stored.epoch,
        highest_authorization: stored.highest_authorization,
        out_of_order: stored.out_of_order,
        never_supplied: stored.never_supplied,
        rated: Some(Power::from_w(stored.rated_power_w)).filter(|rated| *rated > Power::ZERO),
        seals_from: stored.seals_from_epoch,
        revoked: stored.revoked.map(|revoked| {
            Box::new(match revoked {
                Stored::DrainDeadlineMs(ms) => Revoked::Draining { deadline: deadline(ms), moves: false },
                Stored::MoveDeadlineMs(ms) => Revoked::Draining { deadline: deadline(ms), moves: true },
                Stored::Cut(_) => Revoked::Cut,
            })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn survive(
            id in "[A-Za-z0-9_.-]{1,64}",
            location in "[^\\p{C}\\p{Zl}\\p{Zp}]{0,128}",
            micros in 0..=10_000_000_000_000_u64,
            instance in "[a-z0-9]{1,64}",
            numbers in any::<(u64, u64, bool, bool, u32)>(),
            revoked in (0..4, 0..4_000_000_000_000_i64),
        ) {
            let point = ChargePoint {
                id: id.parse().unwrap(),
                location: location.parse().unwrap(),
                price: domain::Price::new(domain::Currency::EUR, micros).unwrap(),
                engine_address: "127.0.0.1:1".into(),
                instance: instance.parse().unwrap(),
                monitor: instance.parse().unwrap(),
                epoch: numbers.0,
                highest_authorization: numbers.1,
                out_of_order: numbers.2,
                never_supplied: numbers.3,
                rated: (numbers.4 > 0).then(|| Power::from_w(u64::from(numbers.4))),
                seals_from: numbers.2.then_some(numbers.0),
                revoked: match revoked {
                    (0, _) => None,
                    (1, _) => Some(Box::new(Revoked::Cut)),
                    (drains, ms) => {
                        Some(Box::new(Revoked::Draining { deadline: deadline(ms), moves: drains > 2 }))
                    }
                },
            };
            prop_assert_eq!(charge_point(&charge_point_value(&point)).unwrap(), point);
        }
    }

    #[test]
    fn garbage_is_refused_with_its_name() {
        let error = charge_point(b"\xff\xff").unwrap_err().to_string();
        assert!(error.starts_with("central's store is damaged: a charge point cannot be read"), "{error}");
    }
}
