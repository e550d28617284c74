//! Central as others meet it: over gRPC on loopback and over a broker, with stand-ins for engines and monitors.
//!
//! The broker is the embedded one, or the Apache Kafka that `EVMESH_TEST_KAFKA` names.

#![allow(clippy::unwrap_used)] // a test that finds nothing there has failed

mod audit;
mod bad_input;
mod bare_messages;
mod calls;
mod changelog;
mod changelog_end;
mod choice;
mod claims;
mod crowd;
mod engine;
mod gateways;
mod identities;
mod kafka_away;
mod monitors;
mod older_copies;
mod one_trace;
mod operator;
mod reservations;
mod restarts;
mod running_central;
mod slow_readers;
mod topics;
mod without_kafka;
