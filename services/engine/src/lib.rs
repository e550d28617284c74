//! The engine: a charge point's power side. Central authorises it, it meters the supply, and tells of it.
//!
//! Every rule is in [`domain::supply`]; this crate carries inputs in and effects out. One thread ([`owner`]) owns the
//! rules and the store: it drains its bounded queue, applies, commits once, and only then lets answers and messages
//! out (INV-6).
//!
//! - Lifecycle events are rows of an outbox on disk, which the relay publishes in order; readings are persisted, then
//!   published once, as well as it can be done.
//! - Kafka away or central away disturbs no supply.
//! - A failure of the store is fatal: nothing is answered after it, and the next start recovers.
//!
//! Deliberately absent: any decision about a session's ticket, and any call to the monitor, which calls here.

mod attend;
mod central_client;
pub mod codec;
mod convert;
mod engine_api;
mod error;
mod manual;
mod options;
mod outbox;
pub mod owner;
pub mod panel;
mod panel_api;
mod point;
mod seal;
mod service;
pub mod storage;
pub mod telemetry;
pub mod wire;

pub use error::Error;
pub use manual::Shown;
pub use options::{Options, PlugIn};
pub use point::Point;
pub use seal::TelemetryForm;
pub use service::{Service, server};
pub use storage::FORMAT;
