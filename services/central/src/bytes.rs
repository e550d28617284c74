//! Central's decoders and encoders by themselves, for whoever throws bytes at them: `proof`'s fuzzing.
//!
//! Everything here is what runs in production; nothing here decides anything.

use crate::{messages, parts::Page, store::codec};
use domain::network::Message;
use evmesh_proto::store::StoredOffset;

/// Reads a message on `cp_telemetry`; the error is the reason beside its dead letter.
pub fn telemetry(payload: &[u8]) -> Result<Message, String> {
    messages::decode(payload)
}

/// Writes an entry of the store's, as [`crate::parts::page`] reads it.
pub fn encode(page: &Page) -> Vec<u8> {
    match page {
        Page::ChargePoint(point) => codec::charge_point_value(point),
        Page::Session(session) => codec::session_value(session),
        Page::Notification(_, message) => codec::encode(message),
        Page::Offset(_, next) => codec::encode(&StoredOffset { next: *next }),
        Page::Answer(key, answered) => codec::answered_value(key, answered),
        Page::Active(_) | Page::Other => Vec::new(),
    }
}
