//! Between the store's values (protobuf `evmesh.store.v1`) and the domain.
//!
//! Fields are added and never renumbered, so a newer central reads an older store of the same format. What cannot be
//! read is no reason to guess: the service says so and stops.

mod answer;
mod card;
mod charge_point;
mod revoked;
mod served;
mod session;
mod signing_key;

pub use answer::{answered, answered_value};
pub(crate) use answer::{request_key, request_key_bytes};
pub use card::{card, card_block, card_block_value, card_value};
pub use charge_point::{charge_point, charge_point_value};
pub use revoked::{revoked, revoked_value};
pub use served::{served, served_value};
pub use session::{session, session_value};
pub use signing_key::{KnownKey, PublicKey, signing_key, signing_key_value};

use crate::{Error, error::Unreadable};
use domain::{Mono, Price, Wall, network::Deadline};
use evmesh_proto::store::StoredPrice;
use mesh::convert::stored_price;
use std::{cmp::Ordering, fmt::Display};

/// The layout of the store, and of its changelog, that this version writes. It refuses any other.
pub(crate) const FORMAT: u32 = 2;

/// Refuses a store, or a changelog, of another layout.
pub(crate) fn check_format(found: u32) -> Result<(), Error> {
    match found.cmp(&FORMAT) {
        Ordering::Less => Err(Error::Older { found, known: FORMAT }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Error::Newer { found, known: FORMAT }),
    }
}

pub fn decode<T: prost::Message + Default>(what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    T::decode(bytes).map_err(|error| Unreadable::new(what, error))
}

pub fn encode(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

fn id<T: std::str::FromStr<Err: Display>>(what: &'static str, text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|problem| Unreadable::new(what, format!("'{text}' {problem}")))
}

fn price(what: &'static str, stored: Option<&StoredPrice>) -> Result<Price, Unreadable> {
    stored_price("its price", stored).map_err(|problem| Unreadable::new(what, problem))
}

/// Its place on this process's clock comes at the start.
fn deadline(ms: i64) -> Deadline {
    Deadline { mono: Mono::default(), wall: Wall(ms) }
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::session::tests::sessions;
}
