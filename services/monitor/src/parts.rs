//! The monitor without its streams, for whoever drives its rules step by step: `proof`'s simulation.
//!
//! Everything here is what runs in production; nothing here decides anything.

use crate::links;
use domain::watchdog::{Input, Link};
use evmesh_proto::engine::AttendResponse;

/// The engine's answer to a ping as the rules take it; the error says what makes no sense.
pub fn answered(link: Link, answer: AttendResponse) -> Result<Input, String> {
    links::answered(link, answer)
}
