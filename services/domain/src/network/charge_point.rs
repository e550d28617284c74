//! A charge point, and its status: derived whenever it is asked for, never stored, so that it cannot be stuck.

use super::{
    command::Health,
    engine::{CallId, EngineRequest},
    session::{Session, State},
};
use crate::{ChargePointId, DriverId, Energy, InstanceId, Money, MonitorId, Mono, Power, Price, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// What a charge point can be. The wire's words and the colours are the edge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `DESCONECTADO`: its monitor is not connected.
    Disconnected,
    /// `AVERIADO`: its engine is broken, or does not answer.
    Faulted,
    /// `SUMINISTRANDO`: it is supplying.
    Supplying,
    /// `PARADO`: the operator took it out of service.
    OutOfOrder,
    /// `RESERVADO`: a session is being authorised, or waits for its car.
    Reserved,
    /// `ACTIVADO`: free.
    Available,
}

/// The status table of the design, row by row.
pub fn status(
    monitor_ok: bool,
    engine_ok: bool,
    out_of_order: bool,
    session: Option<State>,
    supplies: bool,
) -> Status {
    if !monitor_ok {
        return Status::Disconnected;
    }
    if !engine_ok {
        return Status::Faulted;
    }
    if supplies || session == Some(State::Supplying) {
        return Status::Supplying;
    }
    if out_of_order {
        return Status::OutOfOrder;
    }
    match session {
        Some(State::Authorizing | State::Reserved) => Status::Reserved,
        Some(State::Supplying) => Status::Supplying,
        Some(State::Ended(_)) | None => Status::Available,
    }
}

/// The monitor's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Not connected, since then.
    Lost { since: Mono },
    /// Connected.
    Up { last_report: Mono, health: Health },
}

/// Does the engine answer central?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answering {
    /// It was not asked since its monitor came back.
    Unknown,
    /// The last call was answered.
    Yes,
    /// The last call was not.
    No,
}

/// A call under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InFlight {
    pub(super) id: CallId,
    pub(super) instance: InstanceId,
    /// [`Point::connection`] when it was made.
    pub(super) connection: u64,
    pub(super) request: EngineRequest,
}

/// One charge point, as central knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargePoint {
    /// Its id.
    pub id: ChargePointId,
    /// Its place.
    pub location: String,
    /// The price of new sessions.
    pub price: Price,
    /// Where its engine is.
    pub engine_address: String,
    /// The engine's store that holds the id.
    pub instance: InstanceId,
    /// The monitor that holds the id.
    pub monitor: MonitorId,
    /// The epoch of its registration.
    pub epoch: u64,
    /// The highest authorisation number used or heard of.
    pub highest_authorization: u64,
    /// Out of service by the operator's order.
    pub out_of_order: bool,
}

/// What of a charge point only lives in memory.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) stored: ChargePoint,
    /// The instance of the newest registration, where it is another than the stored one: that it is there is to be reported.
    pub(super) proposed: Option<InstanceId>,
    pub(super) link: Link,
    /// Rises each time the monitor comes back.
    pub(super) connection: u64,
    /// The price under which it is listed as free, if it is.
    pub(super) free_at: Option<Price>,
    /// Why its monitor says that it is not well.
    pub(super) health_reason: String,
    /// A fault came by Kafka since the monitor's last report.
    pub(super) faulted: bool,
    pub(super) answering: Answering,
    /// When the monitor last reported this instance well.
    pub(super) last_ok: Mono,
    /// The open session.
    pub(super) open: Option<SessionId>,
    /// Ended sessions for which something is left to do.
    pub(super) ended: BTreeSet<SessionId>,
    /// The session that the engine is known to supply.
    pub(super) supplies: Option<SessionId>,
    pub(super) call: Option<InFlight>,
    /// The calls that were answered a moment ago, and when: the same again has to wait.
    pub(super) recent_calls: Vec<(EngineRequest, Mono)>,
    /// Calls that were not answered, in a row.
    pub(super) failures: u32,
    /// No call before this.
    pub(super) not_before: Mono,
    /// The engine's state is wanted.
    pub(super) ask: bool,
    /// When its state was last asked for.
    pub(super) last_asked: Mono,
    /// The engine was asked, or found away, since central started: its deadlines may be judged.
    pub(super) judged: bool,
}

impl Point {
    pub(super) fn new(stored: ChargePoint, now: Mono, judged: bool) -> Self {
        Self {
            stored,
            proposed: None,
            link: Link::Lost { since: now },
            connection: 0,
            free_at: None,
            health_reason: String::new(),
            faulted: false,
            answering: Answering::Unknown,
            last_ok: now,
            open: None,
            ended: BTreeSet::new(),
            supplies: None,
            call: None,
            recent_calls: Vec::new(),
            failures: 0,
            not_before: now,
            ask: false,
            last_asked: now,
            judged,
        }
    }

    pub(super) fn connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// May a request have it?
    pub(super) fn is_free(&self, sessions: &BTreeMap<SessionId, Session>) -> bool {
        self.status(sessions) == Status::Available && self.supplies.is_none()
    }

    fn engine_ok(&self) -> bool {
        matches!(self.link, Link::Up { health: Health::Ok, .. })
            && !self.faulted
            && self.answering == Answering::Yes
    }

    pub(super) fn status(&self, sessions: &BTreeMap<SessionId, Session>) -> Status {
        let session = self.open.as_ref().and_then(|id| sessions.get(id)).map(|session| session.state);
        let out_of_order = self.stored.out_of_order;
        status(self.connected(), self.engine_ok(), out_of_order, session, self.supplies.is_some())
    }

    /// Why the status is what it is, where that needs saying.
    pub(super) fn status_reason(&self, status: Status) -> String {
        match status {
            Status::Disconnected => "its monitor is not connected to central".into(),
            Status::Faulted if !self.health_reason.is_empty() => self.health_reason.clone(),
            Status::Faulted if self.faulted => "it reported a fault".into(),
            Status::Faulted => match self.answering {
                Answering::Unknown => "its engine has not answered central yet".into(),
                Answering::No => "its engine does not answer central".into(),
                Answering::Yes => "its monitor says that it is not well".into(),
            },
            Status::OutOfOrder => "the operator took it out of service".into(),
            Status::Supplying | Status::Reserved | Status::Available => String::new(),
        }
    }
}

/// A charge point as its operator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// Its id.
    pub id: ChargePointId,
    /// Its place.
    pub location: String,
    /// The price of new sessions.
    pub price: Price,
    /// Its status now.
    pub status: Status,
    /// Why, where that needs saying.
    pub status_reason: String,
    /// Where its engine is.
    pub engine_address: String,
    /// The epoch of its registration.
    pub epoch: u64,
    /// What runs there, or reserves it.
    pub live: Option<LiveDetail>,
}

/// A session under way at a charge point.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveDetail {
    /// The session.
    pub session: SessionId,
    /// Its driver.
    pub driver: DriverId,
    /// Where it is in its life.
    pub state: State,
    /// Power now.
    pub power: Power,
    /// Energy so far.
    pub energy: Energy,
    /// What it costs so far.
    pub amount: Money,
}
