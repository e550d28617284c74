//! What the engine is told.

use super::event::Cause;
use crate::{DriverId, InstanceId, Price, SessionId, Trace};
use std::time::Duration;

/// The right to one supply, from central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Rising per charge point, from 1.
    pub number: u64,
    pub session: SessionId,
    pub driver: DriverId,
    pub price: Price,
    /// For how long it holds, from its arrival.
    pub duration: Duration,
    /// Where the call that brought it stands in a trace.
    pub trace: Option<Trace>,
}

/// Something that happened to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time passed: the moment that [`super::Supply::wake_at`] named, or any other.
    Tick,
    /// Central authorises a supply. Answered by [`super::Answer::Call`].
    Authorize(InstanceId, Authorization),
    /// Central takes back an authorisation and every older one on its way. Answered by [`super::Answer::Revoke`].
    Revoke { instance: InstanceId, number: u64, session: SessionId },
    /// Central ends a session here. Answered by [`super::Answer::Call`].
    Stop(InstanceId, SessionId),
    /// Central asks for the state. Answered by [`super::Answer::Call`].
    Query(InstanceId),
    /// Central has the final records of these sessions on its disk. Answered by [`super::Answer::Call`].
    ConfirmSettled(InstanceId, Vec<SessionId>),
    /// The monitor's ping. Answered by [`super::Answer::Attend`].
    Attend {
        /// Which stream it came on; a newer stream has a higher number.
        link: u64,
        /// The epoch of the monitor's registration; 0 before the first.
        epoch: u64,
        /// The monitor's stream to central stands.
        central_reachable: bool,
    },
    /// A monitor's stream ended.
    AttendEnded { link: u64 },
    /// A car came, and put its cable in.
    PluggedIn,
    /// The car left, and its cable with it.
    Unplugged,
    /// The car takes no more: it is full, or has stayed as long as it wanted to.
    CarTakesNoMore(Cause),
    /// A person puts the cable in. Answered by [`super::Answer::Panel`].
    PlugIn,
    /// A person takes the cable out. Answered by [`super::Answer::Panel`].
    Unplug,
    /// May a supply be asked for at the charge point itself? Answered by [`super::Answer::Panel`].
    CheckManual,
    /// The charge point breaks; why, in words. Answered by [`super::Answer::Panel`].
    Break(String),
    /// It is repaired. Answered by [`super::Answer::Panel`].
    Repair,
    /// The panel is looked at. Answered by [`super::Answer::Panel`].
    Look,
    /// These rows of the outbox were delivered.
    Delivered(Vec<u64>),
    /// The process ends in good order, and its power with it: so does a supply that runs.
    ShutDown,
}
