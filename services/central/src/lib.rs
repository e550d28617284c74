//! Central: the only authority of the network. It authorises every supply, follows it, and issues exactly one ticket for it.
//!
//! The rules are `domain::network`. Here they meet the world:
//!
//! ```text
//! services ──┐                    ┌─▶ replies
//! telemetry ─┼─▶ writer: one step ┼─▶ calls to engines
//! ticks ─────┘   one transaction  ├─▶ notifications, dead letters
//!                                 └─▶ roster ─▶ broadcast, lists, panel
//! ```
//!
//! Deliberately absent: a second writer, a lock, a call made before what it rests on is on disk.

mod api;
pub mod bytes;
mod changelog;
mod counters;
mod denial;
mod engine_client;
mod error;
pub mod events;
mod kafka;
mod messages;
mod opening;
pub mod options;
pub mod panel;
pub mod parts;
pub mod roster;
mod service;
mod store;
pub mod writer;

pub use error::{Error, Unreadable};
pub use options::{KnownError, Options, Registration, Rules};
pub use roster::{Entry, Roster};
pub use service::{Service, server, start};
