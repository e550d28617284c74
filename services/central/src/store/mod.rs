//! What is on central's disk: the keys, the values between bytes and the domain, and what is read back.

mod cards;
pub mod codec;
mod gateways;
mod history;
pub mod keys;
mod meta;
mod offsets;
mod pages;
mod revoked;
mod rows;
mod signing_keys;
mod state;

pub(crate) use cards::{card_key, put_card_key, put_cards};
pub(crate) use gateways::{gateways, put_served};
pub(crate) use history::StoreArchive;
pub(crate) use history::stored_session;
pub use history::{Filter, Part, Snapshot};
pub use keys::RowKind;
pub(crate) use meta::{Begun, begun, meta, new_meta, open_meta, past, put_past};
pub(crate) use offsets::{offsets, put_offset};
pub(crate) use revoked::{put_revoked, revocations};
pub(crate) use rows::Rows;
pub use rows::{Row, read as read_rows};
pub(crate) use signing_keys::{MAX_KEYS, drop_oldest_keys, put_signing_key, signing_keys};
pub(crate) use state::{delete_session, put_session, stored};
