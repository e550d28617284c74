//! A charge point without hardware: the rules of [`supply`](crate::supply) with a simulated car and its meter around
//! them.
//!
//! The rules know cables, a register that is read, and a car that takes no more. All that makes these up is here, so
//! that a real charger can stand in its place.

mod car;
mod charge_point;
mod meter;
mod settings;

pub use charge_point::ChargePoint;
pub use settings::Settings;
