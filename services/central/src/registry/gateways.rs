//! What the registry says of gateways.

use domain::{ChargePointId, Name, gateways::News, ids::MAX_ID_LEN};
use evmesh_proto::registry::{GatewayChargePoint, WatchIdentitiesResponse};
use mesh::convert::{InvalidField, parse};

/// What a message says of what gateways serve; `None`: nothing, as an older registry does. `begins`: it is the first of
/// its stream.
pub(super) fn told(message: &mut WatchIdentitiesResponse, begins: bool) -> Option<News> {
    let complete = message.gateway_charge_points_complete;
    let served = std::mem::take(&mut message.gateway_charge_points);
    let says = complete || !served.is_empty();
    says.then(|| News { begins, told: served.into_iter().filter_map(readable).collect(), complete })
}

fn readable(served: GatewayChargePoint) -> Option<(ChargePointId, Option<Name>)> {
    let id = served.charge_point_id.chars().take(MAX_ID_LEN).collect::<String>();
    let unread = |why: &InvalidField| {
        tracing::warn!(charge_point = id, %why, "the registry tells of a gateway's charge point that cannot be read");
    };
    read(&served).inspect_err(unread).ok()
}

fn read(
    GatewayChargePoint { charge_point_id, gateway }: &GatewayChargePoint,
) -> Result<(ChargePointId, Option<Name>), InvalidField> {
    let gateway = if gateway.is_empty() { None } else { Some(parse("gateway", gateway)?) };
    Ok((parse("charge_point_id", charge_point_id)?, gateway))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_is_taken_and_a_message_without_gateways_says_nothing_of_them() {
        let one = |charge_point_id: &str, gateway: &str| GatewayChargePoint {
            charge_point_id: charge_point_id.into(),
            gateway: gateway.into(),
        };
        let all = vec![one("A", "site-7"), one("B", ""), one("", "site-7"), one("C", "a/b")];
        let mut message = WatchIdentitiesResponse { gateway_charge_points: all, ..Default::default() };
        let read =
            vec![("A".parse().unwrap(), Some("site-7".parse().unwrap())), ("B".parse().unwrap(), None)];
        let news = told(&mut message, true).unwrap();
        assert_eq!(news, News { begins: true, told: read, complete: false });
        assert_eq!(told(&mut message, true), None, "it is taken out");
        message.gateway_charge_points_complete = true;
        assert_eq!(told(&mut message, false), Some(News { complete: true, ..News::default() }));
    }
}
