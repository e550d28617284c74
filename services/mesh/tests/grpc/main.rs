//! The server and the client stack, on loopback.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

mod client;
mod fake;
mod half_sent;
mod identities;
mod idle;
mod permissions;
mod revoked;
mod server;
mod tokens;
mod untaken;
