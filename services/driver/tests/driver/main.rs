//! The driver's app against stand-ins: a central that a test drives, and a broker.

#![allow(clippy::unwrap_used)] // helpers of tests

mod app;
mod common;
mod kafka;
