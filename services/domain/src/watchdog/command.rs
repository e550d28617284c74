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
    /// An answer to a ping; `fault` is why it cannot supply, and empty when it is well.
    EngineAnswered { link: Link, instance: InstanceId, fault: String, supplying: bool },
    /// The stream to the engine ended, or never came to be; `stale` is the epoch of a newer registration than ours
    /// that the engine has seen.
    EngineEnded { link: Link, why: String, stale: Option<u64> },
    /// Central wants a report this often at least.
    Registered { link: Link, epoch: u64, report_interval: Duration },
    /// Central has a report; `out_of_order`: the operator has taken the charge point out of service. It wants the next
    /// ones as often as `report_interval` says; `None`: as before.
    Acknowledged { link: Link, out_of_order: bool, report_interval: Option<Duration> },
    /// The registration failed, or its stream of reports ended.
    CentralEnded { link: Link, trouble: Trouble },
}

/// Why there is no link to central.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It did not answer.
    Unreachable { why: String },
    /// It answered, and refused. `reason` is a name, such as `INSTANCE_ALREADY_CONNECTED`: the same refusal is said
    /// once.
    Refused { reason: String, why: String, retry_after: Option<Duration> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Drop the stream to the engine, if there is one, and open another; so many attempts in a row came before without
    /// an answer, at 0 it goes at once.
    Attend { link: Link, attempt: u32 },
    /// Ping the engine, with the epoch of the newest registration; 0 before the first.
    Ping { link: Link, epoch: u64, central_reachable: bool },
    /// Drop the stream to central, if there is one, and register.
    Register {
        /// The number of the attempt, and of the stream of reports that follows.
        link: Link,
        instance: InstanceId,
        /// How many attempts in a row came before without success; 0: go at once.
        attempt: u32,
        /// How long central asked to be left alone; zero if it did not.
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
    /// It answers the reports; `out_of_order`: the operator has taken the charge point out of service.
    Connected { epoch: u64, out_of_order: bool },
}
