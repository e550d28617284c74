//! The promises, held against what is known, after each step and at each message that leaves.

mod forgetting;
mod intake;
mod outside;
mod points;
mod state;
mod tickets;

use domain::{Energy, SessionId};
use evmesh_proto::topics::Telemetry;
use std::time::Duration;

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The session, energy and number of a message of an engine on `cp_telemetry`.
pub(super) fn reading_of(payload: &[u8]) -> Option<(SessionId, Energy, u64)> {
    let message: Telemetry = serde_json::from_slice(payload).ok()?;
    if message.event_id.is_some_and(|id| id.starts_with(super::forger::MARK)) {
        return None;
    }
    Some((message.session_id?.parse().ok()?, Energy::from_kwh(message.kwh?)?, message.seq?))
}
