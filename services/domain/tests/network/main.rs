//! Central's rules, by what goes in and what comes out.

#![allow(clippy::unwrap_used)] // a helper of a test may fail it

mod answers;
mod authorization;
mod bounds;
mod cards;
mod choice;
mod claims;
mod cut_off;
mod dates;
mod ends;
mod engine;
mod forgetting;
mod identities;
mod life;
mod messages;
mod monitors;
mod moved;
mod numbers;
mod offsets;
mod orders;
mod plain;
mod prices;
mod rebuild;
mod registrations;
mod reservations;
mod restart;
mod review;
mod revocations;
mod sealing;
mod silent_engines;
mod status;
mod telemetry;
mod telling;
mod values;
mod world;
