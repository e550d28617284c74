//! What goes out of the network: plain data.

use super::{
    command::{CallId, Token},
    engine::EngineRequest,
    session::Session,
};
use crate::{ChargePointId, DriverId, Energy, InstanceId, Money, Power, Price, RequestId, SessionId, Wall};

/// What the network wants done. It leaves only once the step that decided it is on disk (INV-6).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer a caller.
    Reply {
        /// Who waits.
        token: Token,
        /// What it is told.
        answer: Result<Answer, Denial>,
    },
    /// Call an engine, and give the result back as [`Command::EngineAnswered`](super::Command::EngineAnswered), always.
    Call {
        /// Where.
        charge_point: ChargePointId,
        /// Where its engine is.
        address: String,
        /// To be given back.
        call: CallId,
        /// The instance that is meant.
        instance: InstanceId,
        /// What is asked.
        request: EngineRequest,
    },
    /// Tell a driver: kept in the outbox until Kafka has it.
    Notify(Notice),
    /// Tell a driver of a reading: at once or never.
    NotifyReading(Notice),
    /// The message of this step fits nothing: to the dead letters, with this reason.
    DeadLetter(String),
    /// A session changed: for those who watch it.
    Changed(SessionId),
    /// Something that an operator may want to read, and a counter counts.
    Happened(Event),
}

/// What a caller is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The session, as it is now.
    Session(Box<Session>),
    /// How many charge points an order reached.
    Ordered(u32),
    /// The price is set there.
    PriceSet(ChargePointId),
    /// The registration.
    Registered {
        /// Its epoch.
        epoch: u64,
        /// The place that is kept.
        location: String,
        /// The price that is kept.
        price: Price,
    },
    /// The report was taken.
    Reported {
        /// The operator's order.
        out_of_order: bool,
    },
}

/// Why a caller is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// For programs.
    pub reason: Reason,
    /// For people: one plain sentence with its subject and, where there is one, the next step.
    pub text: String,
}

macro_rules! reasons {
    ($(#[$of:meta])* $kind:ident: $($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$doc])* $name,)*
        }

        impl $kind {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Why a caller is denied, as in `google.rpc.ErrorInfo`.
    Reason:
    /// No such charge point is registered.
    ChargePointUnknown = "CHARGE_POINT_UNKNOWN",
    /// Its monitor is not connected.
    ChargePointDisconnected = "CHARGE_POINT_DISCONNECTED",
    /// Its engine is broken, or does not answer.
    ChargePointFaulted = "CHARGE_POINT_FAULTED",
    /// The operator took it out of service.
    ChargePointOutOfOrder = "CHARGE_POINT_OUT_OF_ORDER",
    /// It has a session already.
    ChargePointBusy = "CHARGE_POINT_BUSY",
    /// None is free, where central was to choose.
    NoChargePointFree = "NO_CHARGE_POINT_FREE",
    /// The driver has an open session.
    DriverBusy = "DRIVER_BUSY",
    /// The engine refused.
    EngineRefused = "ENGINE_REFUSED",
    /// The engine did not answer in time.
    EngineSilent = "ENGINE_SILENT",
    /// It was stopped while it was being authorised.
    ChargeStopped = "CHARGE_STOPPED",
    /// The driver has no such session.
    SessionUnknown = "SESSION_UNKNOWN",
    /// The `request_id` was used with another payload.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// Central takes no new charge points.
    RegistrationClosed = "REGISTRATION_CLOSED",
    /// Another monitor holds the charge point.
    MonitorAlreadyConnected = "MONITOR_ALREADY_CONNECTED",
    /// Another engine store holds the charge point.
    InstanceAlreadyConnected = "INSTANCE_ALREADY_CONNECTED",
    /// A newer registration holds the charge point.
    EpochStale = "EPOCH_STALE",
    /// Another engine store is registered for the charge point.
    InstanceStale = "INSTANCE_STALE",
}

reasons! {
    /// Why a supply failed or a reservation came to nothing, in the words of [`Reason`] where they fit.
    SupplyFailure:
    /// Nobody plugged in before the reservation's end.
    ReservationExpired = "RESERVATION_EXPIRED",
    /// The driver gave the reservation back.
    ChargeStopped = "CHARGE_STOPPED",
    /// The operator took the charge point out of service, and the reservation with it.
    ChargePointOutOfOrder = "CHARGE_POINT_OUT_OF_ORDER",
    /// The engine broke.
    ChargePointFaulted = "CHARGE_POINT_FAULTED",
    /// The engine lost its monitor.
    ChargePointDisconnected = "CHARGE_POINT_DISCONNECTED",
    /// The engine's process ended in mid-supply.
    SupplyInterrupted = "SUPPLY_INTERRUPTED",
    /// The engine does not answer, was silent for too long, or lost its store.
    EngineSilent = "ENGINE_SILENT",
}

impl Reason {
    /// From the word on the wire.
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

/// What a driver is told on `driver_notifications`.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Whose.
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
    /// When.
    pub at: Wall,
    /// What.
    pub kind: NoticeKind,
}

/// What a driver is told.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeKind {
    /// `AUTH_OK`.
    Authorized,
    /// `AUTH_DENIED`.
    Denied(Denial),
    /// `CONSUMO_UPDATE`.
    Reading {
        /// So far.
        energy: Energy,
        /// Now.
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
        /// Delivered so far.
        energy: Energy,
        /// What it costs so far.
        amount: Money,
    },
    /// `TICKET`.
    Ticket {
        /// Billed energy.
        energy: Energy,
        /// Billed amount.
        amount: Money,
    },
}

/// Something worth a line and a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// How much it matters.
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
