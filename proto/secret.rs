//! How messages with a secret in them are shown: without it.

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
    registry::AddCardRequest: "AddCardRequest" driver_id expire_time label;
    registry::BlockCardRequest: "BlockCardRequest" card_id;
    registry::UnblockCardRequest: "UnblockCardRequest" card_id;
    registry::WatchIdentitiesResponse: "WatchIdentitiesResponse" identities complete cards cards_complete;
}
