//! How a simulated charge point and its cars are set.

use crate::{Energy, Power};
use std::time::Duration;

/// How the charge point and its cars are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub power: Power,
    /// What a car takes before it is full.
    pub battery: Energy,
    /// How long a car stays at most, in real time; `None`: until it is full.
    pub duration: Option<Duration>,
    /// How much faster than real time energy flows; at least 1.
    pub speed: u32,
    /// The car plugs in by itself so long after an authorisation, and leaves after the supply; `None`: it waits for
    /// [`Act::PlugIn`](crate::supply::Act::PlugIn).
    pub plug_in_after: Option<Duration>,
    /// How long the monitor may be silent before it counts as lost.
    pub monitor_grace: Duration,
}
