//! The driver's app without its calls and its Kafka readers, for whoever drives its rules step by step: `proof`'s simulation.
//!
//! Everything here is what runs in production; nothing here decides anything.

use crate::{news, wire};
use domain::requests::{Input, Session, Ticket};
use evmesh_proto::network;

/// A session as the rules take it; the error says what makes no sense.
pub fn session(shown: network::Session) -> Result<Session, String> {
    wire::session(Some(shown)).map_err(|nonsense| nonsense.to_string())
}

/// A ticket as the rules take it; the error says what makes no sense.
pub fn ticket(shown: network::Ticket) -> Result<Ticket, String> {
    wire::ticket(shown).map_err(|nonsense| nonsense.to_string())
}

/// A message on `driver_notifications`; `None` if it is another driver's, or cannot be read.
pub fn notification(payload: &[u8], driver: &str) -> Option<Input> {
    news::notification(payload, driver)
}
