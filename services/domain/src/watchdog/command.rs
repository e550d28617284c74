//! What comes into the watchdog and what goes out of it: plain data.

use crate::InstanceId;
use std::time::Duration;

/// The number of an attempt at a link; it rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Link(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The process started. Comes once, first.
    Started,
    /// Time passed: [`super::Watchdog::wake_at`] is due.
    Tick,
    /// The attempt at the engine has waited out its delay and begins: its silence counts from here.
    AttendStarted { link: Link },
    EngineAnswered {
        link: Link,
        instance: InstanceId,
        /// Why it cannot supply; empty when it is well.
        fault: String,
        supplying: bool,
    },
    /// The stream to the engine ended, or never came to be.
    EngineEnded {
        link: Link,
        why: String,
        /// The engine has seen a newer registration than ours, with this epoch.
        stale: Option<u64>,
    },
    Registered {
        link: Link,
        epoch: u64,
        /// How often to report at least.
        report_interval: Duration,
    },
    Acknowledged {
        link: Link,
        /// The operator has taken the charge point out of service.
        out_of_order: bool,
    },
    /// The registration failed, or its stream of reports ended.
    CentralEnded { link: Link, trouble: Trouble },
}

/// Why there is no link to central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It did not answer.
    Unreachable { why: String },
    /// It answered, and refused.
    Refused {
        /// The reason's name, such as `INSTANCE_ALREADY_CONNECTED`: the same refusal is said once.
        reason: String,
        why: String,
        /// When central said to try again.
        retry_after: Option<Duration>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Drop the stream to the engine, if there is one, and open another.
    Attend {
        link: Link,
        /// How many attempts in a row came before without an answer; 0: go at once.
        attempt: u32,
    },
    Ping {
        link: Link,
        /// The epoch of the newest registration; 0 before the first.
        epoch: u64,
        central_reachable: bool,
    },
    /// Drop the stream to central, if there is one, and register.
    Register {
        /// The number of the attempt, and of the stream of reports that follows.
        link: Link,
        instance: InstanceId,
        /// How many attempts in a row came before without success; 0: go at once.
        attempt: u32,
        /// Not before.
        retry_after: Duration,
        /// The epoch must be above this one, which the engine has seen; 0 if it never refused one.
        newest_epoch: u64,
    },
    /// Send a report. The first of a registration opens its stream.
    Report { link: Link, epoch: u64, health: Health },
    /// Tell people, in a log line.
    Say(Notice),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answers and is well.
    Ok,
    /// It answers and says why it cannot supply.
    Faulted(String),
    /// It does not answer, and why.
    Unreachable(String),
}

/// What people are told, once per change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    EngineReached { instance: InstanceId },
    EngineWell,
    EngineFaulted { fault: String },
    EngineUnreachable { why: String, never_reached: bool },
    EngineChanged { instance: InstanceId },
    Registered { epoch: u64 },
    CentralUnreachable { why: String },
    CentralRefuses { why: String, retry_after: Option<Duration> },
    OutOfOrder,
    InService,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How the engine is; `None` before anything is known.
    pub engine: Option<Health>,
    pub instance: Option<InstanceId>,
    pub supplying: bool,
    pub central: CentralStatus,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CentralStatus {
    /// Nothing was asked yet: the engine's store is not known.
    WaitingForEngine,
    /// A registration is under way; this is why the last one failed.
    Registering(Option<Trouble>),
    /// It answers the reports.
    Connected {
        epoch: u64,
        /// The operator has taken the charge point out of service.
        out_of_order: bool,
    },
}
