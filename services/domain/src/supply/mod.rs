//! The engine's rules: which supply may start, what it has delivered, how it ends, and what must be on disk before
//! anyone hears of it.
//!
//! [`Supply::apply`] takes the moment and an [`Input`], and gives its answer and [`Effect`]s. Whoever carries them out
//! keeps one order (INV-6): the [`Write`]s of all inputs since the last commit in one commit, then all else, answers
//! too.
//!
//! - A session starts at most once here, and has one record: the running one, or one in the unsettled list. (Central
//!   gives a session that it has settled no new number.)
//! - Numbers of authorisations only rise; what is not above the highest one seen starts nothing (INV-8).
//! - A session's messages have rising numbers without gaps, and its energy never falls; no message is published that
//!   says more than the disk.
//! - What central says was asked for here starts only if it was.
//! - Only the monotonic clock decides. The wall clock dates records.
//!
//! What the meter shows comes with each input; cables and cars are inputs.
//! Deliberately absent: the store, Kafka, gRPC, and any knowledge of central beyond its calls.

mod authorization;
mod current;
mod effect;
mod event;
mod input;
mod machine;
mod manual;
mod metered;
mod panel;
mod running;
mod watch;

pub use effect::{CallResult, Effect, Obstacle, Refusal, RevokeOutcome, StaleEpoch, Write, WrongInstance};
pub use event::{Cause, Event, EventKind};
pub use input::{Act, Addressee, Authorization, Call, Happened, ManualRequest, Ping, Revoke};
pub use machine::{Input, MAX_OUTBOX, MAX_UNSETTLED, Stored, Supply, TakenBy, View};
pub use manual::MAX_ASKING;
pub use metered::{Metered, Register};
