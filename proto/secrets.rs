//! How messages with a secret in them are shown, in a log or a panic: without it.

use crate::{chargepoint, engine, registry};
use std::fmt;

macro_rules! shown {
    ($($message:ty: $name:literal $($field:ident)*;)*) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name)$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        })*
    };
}

shown! {
    chargepoint::RequestManualSupplyRequest:
        "RequestManualSupplyRequest" charge_point_id instance_id driver_id request_id;
    engine::StartManualSupplyRequest: "StartManualSupplyRequest" driver_id request_id;
    engine::TelemetryKey: "TelemetryKey" name;
    registry::AddCardRequest: "AddCardRequest" driver_id expire_time label;
    registry::BlockCardRequest: "BlockCardRequest" card_id;
    registry::CreateEnrolmentTokenResponse: "CreateEnrolmentTokenResponse" expire_time;
    registry::EnrolRequest: "EnrolRequest" certificate_request;
    registry::UnblockCardRequest: "UnblockCardRequest" card_id;
    registry::WatchIdentitiesResponse:
        "WatchIdentitiesResponse" identities complete cards cards_complete gateway_charge_points
        gateway_charge_points_complete;
}

#[cfg(test)]
mod tests {
    use crate::{
        engine::TelemetryKey,
        registry::{AddCardRequest, CreateEnrolmentTokenResponse, EnrolRequest},
    };

    #[test]
    fn a_secret_is_not_shown() {
        let (key, secret) = (vec![171; 32], vec![171; 32]);
        let shown = [
            format!("{:?}", TelemetryKey { name: "MAD-01/4/0f1e2d3c".into(), key }),
            format!("{:#?}", EnrolRequest { secret, ..EnrolRequest::default() }),
            format!(
                "{:?}",
                CreateEnrolmentTokenResponse { token: "evmesh1/171".into(), ..Default::default() }
            ),
            format!("{:?}", AddCardRequest { number: "04171a2b".into(), ..AddCardRequest::default() }),
        ];
        assert!(shown.iter().all(|text| !text.contains("171")), "{shown:?}");
        assert!(shown[0].contains("MAD-01/4"), "{shown:?}");
    }
}
