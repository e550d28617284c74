//! Producer, reader and relay on a broker: the embedded one, or the Apache Kafka that `EVMESH_TEST_KAFKA` names.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

mod clients;
mod log;
mod outages;
mod relay;
mod told;
