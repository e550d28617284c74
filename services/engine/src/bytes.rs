//! The engine's encoder of stored values by itself, for whoever throws bytes at it: `proof`'s fuzzing.

use crate::{codec, parts::Page, storage};
use evmesh_proto::store::StoredEngine;
use prost::Message as _;

/// Writes an entry of the store's, as [`crate::parts::page`] reads it.
pub fn encode(page: &Page) -> Vec<u8> {
    match page {
        Page::Engine(highest, current) => StoredEngine {
            format: storage::FORMAT,
            highest_authorization: *highest,
            current: current.as_ref().map(codec::supply_value),
            ..StoredEngine::default()
        }
        .encode_to_vec(),
        Page::Ended(record) => codec::supply_value(record).encode_to_vec(),
        Page::Event(message) => message.encode_to_vec(),
    }
}
