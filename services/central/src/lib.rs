//! Central: the only authority of the network. It authorises every supply, follows it, and issues exactly one ticket
//! for it.
//!
//! The rules are `domain::network`. Here they meet the world:
//!
//! ```text
//! api ───┐                    ┌─▶ replies
//! kafka ─┼─▶ writer: one step ┼─▶ calls to engines
//! ticks ─┘   one transaction  ├─▶ notifications, dead letters
//!                             ├─▶ broadcast
//!                             └─▶ roster ─▶ lists, panel
//! ```
//!
//! Deliberately absent: a second writer, a lock, a call made before what it rests on is on disk.

mod api;
pub mod audit;
mod changelog;
mod counters;
mod denial;
pub mod engine_client;
mod error;
pub mod events;
mod gauges;
mod kafka;
mod last_seen;
pub mod messages;
mod old_requests;
mod opening;
pub mod options;
pub mod panel;
mod registry;
pub mod roster;
mod service;
pub mod signing;
pub mod store;
mod told;
pub mod writer;

pub use api::view;
pub use error::{Error, Unreadable};
pub use old_requests::OldRequests;
pub use options::{KnownError, Options, Registration, Rules};
pub use roster::{Entry, Roster};
pub use service::{Service, server, start};
