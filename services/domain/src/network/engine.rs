//! An engine, as central's rules know it: what is asked of it, and what it answers.

use crate::{ChargePointId, DriverId, InstanceId, Power, Price, RequestId, SessionId, SupplyRecord, Wall};
use std::time::Duration;

/// Names one call to an engine, so that a late answer is told from the awaited one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What is asked of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineRequest {
    /// `AuthorizeSupply`.
    Authorize {
        number: u64,
        session: SessionId,
        driver: DriverId,
        price: Price,
        /// When the session was asked for.
        created: Wall,
        /// For how long it holds.
        duration: Duration,
        /// The request of whoever says to be its engine; `None`: a driver's own.
        manual: Option<RequestId>,
    },
    /// `RevokeAuthorization`.
    Revoke { number: u64, session: SessionId },
    /// `StopSupply`.
    Stop { session: SessionId },
    /// `ConfirmSettled`.
    Confirm { sessions: Vec<SessionId> },
    /// `GetEngineState`.
    GetState,
}

impl EngineRequest {
    /// The one session that it is about, if it is about one.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Authorize { session, .. } | Self::Revoke { session, .. } | Self::Stop { session } => {
                Some(session)
            }
            Self::Confirm { .. } | Self::GetState => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct EngineAnswer {
    /// What came of the call.
    pub outcome: CallOutcome,
    /// Where it was told which certificates it is to refuse, or asked for its state: it refuses all of them.
    pub heard: bool,
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
    /// Refused: the engine is not asking for this supply.
    NotAskedFor,
    /// Another instance, or another charge point's engine, answered: that is no answer.
    WrongInstance,
}

/// A call that was not answered, and why, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailed(pub String);

impl EngineAnswer {
    /// Does the engine answer that is meant? An older one is taken at its instance's word.
    pub(super) fn is_of(&self, charge_point: &ChargePointId, instance: &InstanceId) -> bool {
        self.outcome != CallOutcome::WrongInstance
            && self.report.instance == *instance
            && self.report.charge_point.as_ref().is_none_or(|named| named == charge_point)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct EngineReport {
    /// Whose engine it is; `None`: an older one, which does not say.
    pub charge_point: Option<ChargePointId>,
    pub instance: InstanceId,
    /// The most that it says it delivers; `None`: an older one, which does not say.
    pub rated: Option<Power>,
    /// Whether it seals what it tells on `cp_telemetry`; `None`: this answer does not say.
    pub seals: Option<bool>,
    /// A car is plugged in; an older one does not say so.
    pub plugged_in: bool,
    /// The highest authorisation number that it has seen.
    pub highest_authorization: u64,
    /// The session that is authorised or being supplied.
    pub current: Option<Claim>,
    /// Ended sessions that were not confirmed.
    pub unsettled: Vec<Claim>,
}

/// What an engine says of one session, and what central's signature says of that.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub record: SupplyRecord,
    /// When central asked for it, by its own signature over this session, driver, number and price, for this very
    /// charge point and instance. `None`: it is *unattested*, and only believed of a session that central knows.
    pub attested: Option<Wall>,
}
