//! Central's rules, by what goes in and what comes out.

mod answers;
mod authorization;
mod life;
mod messages;
mod monitors;
mod offsets;
mod orders;
mod restart;
mod status;
mod world;
