//! What comes into the network and what goes out of it: plain data.

use super::session::{Session, Source};
use crate::{
    ChargePointId, DriverId, Energy, InstanceId, MonitorId, Mono, Power, Price, RequestId, SessionId, Wall,
};
use std::{fmt, time::Duration};

/// Names one caller that waits for a reply; chosen by the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Names one call to an engine, so that a late answer is told from the awaited one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A mutation that may be repeated (AIP-155).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// Which call.
    pub method: Method,
    /// Who called.
    pub caller: String,
    /// The caller's name for it.
    pub id: RequestId,
}

/// The calls whose answers are kept for their repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `DriverService.RequestCharge`.
    RequestCharge,
    /// `DriverService.StopCharge`.
    StopCharge,
    /// `ChargePointService.RequestManualSupply`.
    RequestManualSupply,
    /// `OperatorService.StopChargePoints`.
    StopChargePoints,
    /// `OperatorService.ResumeChargePoints`.
    ResumeChargePoints,
    /// `OperatorService.SetPrice`.
    SetPrice,
}

/// A request that waits for its reply, and may be a repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who waits.
    pub token: Token,
    /// What makes it repeatable, with a digest of the whole request; `None`: each call is a new one.
    pub request: Option<(RequestKey, u64)>,
}

/// Where a driver wants to charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// There.
    Named(ChargePointId),
    /// Wherever it is free, among the places that start with this.
    Any {
        /// Empty: everywhere.
        location_prefix: String,
    },
}

/// Which charge points an order means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every registered one.
    All,
    /// These.
    Some(Vec<ChargePointId>),
}

/// How an engine is, as its monitor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// Well.
    Ok,
    /// It says that it is broken.
    Faulted,
    /// It does not answer its monitor.
    Unreachable,
}

/// What Kafka's reader says of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Everything that was there at this moment has been read.
    ReadTo(Mono),
    /// It does not answer.
    Away,
    /// Messages are missing: another cluster, or offsets that no longer exist.
    Gap,
}

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The charge point.
    pub charge_point: ChargePointId,
    /// Its place; taken the first time.
    pub location: String,
    /// Its price; taken the first time.
    pub price: Price,
    /// Where its engine is.
    pub engine_address: String,
    /// The engine's store.
    pub instance: InstanceId,
    /// The monitor's process.
    pub monitor: MonitorId,
}

/// Something that happened, or is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A driver asks for a charge.
    RequestCharge {
        /// Who waits for the answer.
        asked: Asked,
        /// A fresh id, for the session.
        session: SessionId,
        /// Whose.
        driver: DriverId,
        /// Where.
        target: Target,
        /// How long the caller waits at most.
        budget: Duration,
    },
    /// A supply is asked for at the charge point itself.
    RequestManualSupply {
        /// Who waits for the answer.
        asked: Asked,
        /// A fresh id, for the session.
        session: SessionId,
        /// Where.
        charge_point: ChargePointId,
        /// The engine's store.
        instance: InstanceId,
        /// Whose, or a guest's.
        driver: DriverId,
        /// How long the caller waits at most.
        budget: Duration,
    },
    /// A driver ends its session.
    StopCharge {
        /// Who waits for the answer.
        asked: Asked,
        /// Whose.
        driver: DriverId,
        /// Which; `None`: the open one.
        session: Option<SessionId>,
    },
    /// The operator takes charge points out of service, or puts them back.
    Order {
        /// Who waits for the answer.
        asked: Asked,
        /// Which.
        which: Which,
        /// Out of service, or in.
        out_of_order: bool,
    },
    /// The operator sets a price.
    SetPrice {
        /// Who waits for the answer.
        asked: Asked,
        /// Where.
        charge_point: ChargePointId,
        /// What a kWh costs from the next authorisation on.
        price: Price,
    },
    /// A monitor registers its charge point.
    Register {
        /// Who waits for the answer.
        token: Token,
        /// What it registers.
        registration: Registration,
    },
    /// A monitor reports.
    Report {
        /// Who waits for the answer.
        token: Token,
        /// Where.
        charge_point: ChargePointId,
        /// Of which registration.
        epoch: u64,
        /// How the engine is.
        health: Health,
        /// Why it is not well.
        reason: String,
    },
    /// A monitor's stream ended.
    MonitorGone {
        /// Where.
        charge_point: ChargePointId,
        /// Of which registration.
        epoch: u64,
    },
    /// A call to an engine came back, or did not.
    EngineAnswered {
        /// Where.
        charge_point: ChargePointId,
        /// Which call.
        call: CallId,
        /// What came of it.
        result: Result<EngineAnswer, CallFailed>,
    },
    /// A message came on `cp_telemetry`.
    Telemetry {
        /// What it says.
        message: Message,
        /// Where it stood; `None` in tests without Kafka.
        source: Option<Source>,
    },
    /// A message on `cp_telemetry` could not be read: only its place counts.
    Unreadable {
        /// Where it stood.
        source: Source,
    },
    /// News of Kafka itself.
    Broker(Broker),
    /// Time passes. Comes several times a second.
    Tick,
}

/// What a message on `cp_telemetry` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What happened.
    pub kind: MessageKind,
    /// Where.
    pub charge_point: ChargePointId,
    /// Whose; absent in a fault without a session.
    pub driver: Option<DriverId>,
    /// Which session, and the number of the message in it; `None`: the message is bare.
    pub session: Option<(SessionId, u64)>,
    /// Energy so far.
    pub energy: Option<Energy>,
    /// Power now.
    pub power: Option<Power>,
    /// Why, in words.
    pub reason: String,
    /// When, by the sender's clock.
    pub at: Option<Wall>,
}

/// What happened at a charge point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// `SESSION_STARTED`.
    Started,
    /// `CONSUMO`.
    Reading,
    /// `SUPPLY_END`: how is in `reason`; [`SupplyEnd::Stopped`] if it says so.
    Ended(SupplyEnd),
    /// `AVERIADO`, `CONEXION_PERDIDA`, `FAULT`.
    Fault(SupplyEnd),
}

/// Why the engine ended a supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupplyEnd {
    /// The car is full, or was unplugged.
    Completed,
    /// Central asked for it.
    Stopped,
    /// The engine broke.
    EngineFault,
    /// The engine lost its monitor.
    MonitorLost,
    /// The engine's process died.
    Interrupted,
}

/// What is asked of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineRequest {
    /// `AuthorizeSupply`.
    Authorize {
        /// Its number.
        number: u64,
        /// The session.
        session: SessionId,
        /// Its driver.
        driver: DriverId,
        /// Its price.
        price: Price,
        /// For how long it holds.
        duration: Duration,
    },
    /// `RevokeAuthorization`.
    Revoke {
        /// Its number.
        number: u64,
        /// Its session.
        session: SessionId,
    },
    /// `StopSupply`.
    Stop {
        /// The session.
        session: SessionId,
    },
    /// `ConfirmSettled`.
    Confirm {
        /// The sessions.
        sessions: Vec<SessionId>,
    },
    /// `GetEngineState`.
    GetState,
}

/// An engine's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineAnswer {
    /// What came of the call.
    pub outcome: CallOutcome,
    /// What the engine knows.
    pub report: EngineReport,
}

/// What came of a call that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Done, or it already was.
    Done,
    /// The authorisation starts nothing any more.
    Revoked,
    /// The authorisation was taken up: the report has its supply, running or ended.
    NotRevoked,
    /// Refused: the number is not above the highest one seen.
    NumberStale,
    /// Refused: another session is being supplied.
    Busy,
    /// Refused: the charge point is broken.
    Faulted,
    /// Refused: no monitor attends the engine.
    Unattended,
    /// Another instance answered: that is no answer.
    WrongInstance,
}

/// A call that was not answered, and why, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailed(pub String);

/// What an engine knows.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineReport {
    /// Its store.
    pub instance: InstanceId,
    /// The highest authorisation number that it has seen.
    pub highest_authorization: u64,
    /// The session that is authorised or being supplied.
    pub current: Option<Record>,
    /// Ended sessions that were not confirmed.
    pub unsettled: Vec<Record>,
}

/// What an engine knows of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The session.
    pub session: SessionId,
    /// Its driver.
    pub driver: DriverId,
    /// Its price.
    pub price: Price,
    /// The number of its authorisation.
    pub authorization: u64,
    /// Where it is.
    pub state: RecordState,
    /// The number of its newest message.
    pub seq: u64,
    /// Energy so far, as persisted.
    pub energy: Energy,
    /// Power now.
    pub power: Power,
    /// When it started, by the engine's clock.
    pub started_at: Option<Wall>,
    /// When it ended, by the engine's clock.
    pub ended_at: Option<Wall>,
}

/// Where a session is, at the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// Authorised, not taken up.
    Authorized,
    /// Energy flows.
    Supplying,
    /// Over: the reading is final.
    Ended(SupplyEnd),
}

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
    /// Call an engine, and give the result back as [`Command::EngineAnswered`], always.
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
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a caller is denied, as in `google.rpc.ErrorInfo`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason.
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
        /// What it costs so far, in micros.
        amount_micros: u64,
    },
    /// `SUPPLY_ERROR`.
    Error {
        /// Why.
        reason: String,
        /// Delivered so far.
        energy: Energy,
        /// What it costs so far, in micros.
        amount_micros: u64,
    },
    /// `TICKET`.
    Ticket {
        /// Billed energy.
        energy: Energy,
        /// Billed amount, in micros.
        amount_micros: u64,
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

impl fmt::Display for SupplyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::EngineFault => "the charge point broke",
            Self::MonitorLost => "the charge point lost its monitor",
            Self::Interrupted => "the charge point's power side was interrupted",
        })
    }
}
