//! A fleet of charge points that live in memory, and drivers who come to them: to see a large network live, and to
//! measure one.
//!
//! What they do is what engines and monitors do: the rules are [`domain::simulated`]'s, the wire is [`engine::wire`]'s,
//! and central cannot tell them from others. What they lack is a disk: a fleet that ends has forgotten its supplies,
//! and central waits for what became of them as it does for any engine whose store was lost.
//!
//! Charge points stand at *sites*: a hundred share one address, one connection to central and one of central's. Each
//! site has an address of its own of `127.0.0.0/8`, so that central's bounds an address hold for it too.

mod crowd;
mod monitor;
mod options;
mod point;
mod service;
mod site;
mod tally;

pub use options::Options;
pub use point::Supplying;
pub use service::{Error, Fleet};
pub use tally::{Counts, Words};
