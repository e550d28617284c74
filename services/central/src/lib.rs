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

mod broadcast;
pub mod bytes;
mod calls;
mod changelog;
mod codec;
mod counters;
mod denial;
mod error;
pub mod events;
mod history;
mod keys;
mod notifications;
mod opening;
pub mod options;
pub mod panel;
pub mod parts;
pub mod roster;
mod service;
mod services;
mod telemetry;
mod view;
mod watch;
pub mod writer;

pub use codec::Unreadable;
pub use error::Error;
pub use options::{KnownError, Options, Registration, Rules};
pub use roster::{Entry, Roster};
pub use service::{Service, server};
