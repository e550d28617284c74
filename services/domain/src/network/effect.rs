//! What goes out of the network: plain data.

use super::{
    denial::{Denial, SupplyFailure},
    engine::{CallId, EngineRequest},
    reply::Reply,
};
use crate::{
    CardId, ChargePointId, DriverId, Energy, InstanceId, Money, Power, RequestId, SessionId, Trace, Wall,
};

/// What the network wants done. It leaves only once the step that decided it is on disk (INV-6).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Reply(Reply),
    /// Call an engine, and give the result back as [`Command::EngineAnswered`](super::Command::EngineAnswered), always.
    Call(EngineCall),
    /// The same, beside the call that the engine may have under way: it is told which certificates it is to refuse.
    Tell(EngineCall),
    /// Tell a driver: kept in the outbox until Kafka has it.
    Notify(Notice),
    /// Tell a driver at once or never: of a reading, or of a denial that no session stands behind.
    NotifyAtOnce(Notice),
    /// The message of this step fits nothing: to the dead letters, with this reason.
    DeadLetter(String),
    /// A session changed: for those who watch it.
    Changed(SessionId),
    /// A charge point whose identity is revoked is cut off: from here on nothing of it is listened to.
    Cut(ChargePointId),
    /// Something that an operator may want to read, and a counter counts.
    Happened(Event),
}

/// A call to an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineCall {
    /// The charge point, which has one call of each kind under way at a time.
    pub charge_point: ChargePointId,
    /// Where its engine is, as its monitor registered it.
    pub address: String,
    /// To be given back.
    pub call: CallId,
    /// The instance that is meant; another's answer is none.
    pub instance: InstanceId,
    /// The epoch of the charge point's registration, by which the engine knows its monitor.
    pub epoch: u64,
    pub request: EngineRequest,
    /// For a registration that is not confirmed: nothing of the way there is worth keeping.
    pub provisional: bool,
    /// The trace of the order that this follows from, or of its session; `None` where it has neither.
    pub trace: Option<Trace>,
}

/// What a driver is told on `driver_notifications`.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub driver: DriverId,
    /// Where; `None` if the request named none.
    pub charge_point: Option<ChargePointId>,
    /// Which session; `None` if none was created.
    pub session: Option<SessionId>,
    /// Its number among the session's messages; `None` for a bare reading's echo.
    pub seq: Option<u64>,
    /// The same for each copy.
    pub event_id: Option<String>,
    /// The `request_id` of the charge that this grants or denies, if it had one.
    pub request_id: Option<RequestId>,
    /// The trace of the charge; `None` if none was begun, and its caller named no trace either.
    pub trace: Option<Trace>,
    pub at: Wall,
    pub kind: NoticeKind,
}

/// What a driver is told.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeKind {
    /// `AUTH_OK`.
    Authorized {
        /// The card that was shown for it at the charge point.
        card: Option<CardId>,
    },
    /// `AUTH_DENIED`.
    Denied(Denial),
    /// `CONSUMO_UPDATE`.
    Reading {
        energy: Energy,
        power: Power,
        /// What it costs so far.
        amount: Money,
    },
    /// `SUPPLY_ERROR`.
    Error {
        /// Why, for programs.
        failure: SupplyFailure,
        /// Why, for people.
        reason: String,
        energy: Energy,
        /// What it costs so far.
        amount: Money,
    },
    /// `TICKET`.
    Ticket { energy: Energy, amount: Money },
}

/// Something worth a line and a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub level: Level,
    /// Its counter: lower case, underscores.
    pub name: &'static str,
    /// One plain sentence.
    pub text: String,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Only counted.
    Debug,
    /// As it should be.
    Info,
    /// Someone is worse off.
    Warn,
    /// Someone must act.
    Error,
}
