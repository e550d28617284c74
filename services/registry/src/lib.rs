//! The registry of a network: who is who in it.
//!
//! [`Data`] is its folder: the authorities, made once, and identities given out by hand, without any server.

mod data;

pub use data::{Beginning, Data, DataError, Given, lifetime};
