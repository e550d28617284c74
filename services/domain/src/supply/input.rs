//! What the engine is told and asked. Each kind has its own answer: see [`Input`](super::Input).

use super::event::Cause;
use crate::{ChargePointId, DriverId, InstanceId, Price, RequestId, SessionId, Signature, Trace};
use std::time::Duration;

/// The right to one supply, from central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Rising per instance, from 1.
    pub number: u64,
    pub session: SessionId,
    pub driver: DriverId,
    pub price: Price,
    /// For how long it holds, from its arrival.
    pub duration: Duration,
    /// Where the call that brought it stands in a trace.
    pub trace: Option<Trace>,
    /// Central's own, over all of this.
    pub signature: Signature,
    /// The request for a supply here that it is for; `None`: a driver's own, or an older central, which does not say.
    pub manual: Option<RequestId>,
}

/// A supply that is asked for at the charge point itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManualRequest {
    pub id: RequestId,
    /// Whose, or a guest's; `None`: a card's, and central says whose that is.
    pub driver: Option<DriverId>,
}

/// Whom a call of central's is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The engine's store.
    pub instance: InstanceId,
    /// `None`: an older central, which means whichever the engine is of.
    pub charge_point: Option<ChargePointId>,
    /// The epoch of the charge point's registration at central; 0: it was not said.
    pub epoch: u64,
}

/// A call of central's, which comes with its [`Addressee`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A supply is authorised.
    Authorize(Authorization),
    /// A session here is to end.
    Stop(SessionId),
    /// Central asks for the state.
    Query,
    /// Central has the final records of these sessions on its disk.
    ConfirmSettled(Vec<SessionId>),
}

/// Central takes back an authorisation and every older one on its way. Comes with an [`Addressee`], as a [`Call`]
/// does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    pub number: u64,
    pub session: SessionId,
}

/// The monitor's ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Which stream it came on; a newer stream has a higher number.
    pub link: u64,
    /// The epoch of the monitor's registration; 0 before the first.
    pub epoch: u64,
    /// The monitor's stream to central stands.
    pub central_reachable: bool,
}

/// What a person does at the charge point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Puts the cable in.
    PlugIn,
    /// Takes the cable out.
    Unplug,
    /// Wants a supply here: central may be asked for it, and will have answered within this.
    AskManual { request: ManualRequest, within: Duration },
    /// Breaks it; why, in words.
    Break(String),
    /// Repairs it.
    Repair,
    /// Looks at the panel.
    Look,
}

/// What happens without anyone who waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// Time passed: the moment that [`super::Supply::wake_at`] named, or any other.
    Tick,
    /// A monitor's stream ended.
    AttendEnded { link: u64 },
    /// A car came, and put its cable in.
    PluggedIn,
    /// The car left, and its cable with it.
    Unplugged,
    /// Central has answered this request for a supply here, or could not be asked.
    ManualAnswered(ManualRequest),
    /// The car takes no more: it is full, or has stayed as long as it wanted to.
    CarTakesNoMore(Cause),
    /// These rows of the outbox were delivered.
    Delivered(Vec<u64>),
    /// The process ends in good order, and its power with it: so does a supply that runs.
    ShutDown,
}
