//! The engine's rules with a simulated car: what goes in, what comes out, and the promises under any order of inputs.

#![allow(clippy::unwrap_used)] // a helper of a test may fail it

mod manual;
mod properties;
mod rules;
mod test_point;
