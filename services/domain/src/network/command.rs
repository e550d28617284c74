//! What comes into the network: plain data.

use super::{
    engine::{CallFailed, EngineAnswer},
    session::Source,
};
use crate::{
    ChargePointId, DriverId, Energy, InstanceId, MonitorId, Mono, Power, Price, RequestId, SessionId,
    SupplyEnd, Wall,
};
use std::time::Duration;

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
    /// The newest epoch that the engine has refused an older one for; 0 if none.
    pub newest_epoch: u64,
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
    /// Copies of these sessions, as they were before this step, are kept outside the store.
    Copied(Vec<SessionId>),
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
