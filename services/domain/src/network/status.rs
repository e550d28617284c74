//! A charge point's status: derived whenever it is asked for, never stored, so that it cannot be stuck.

use super::{
    charge_point::{Answering, Health, Link, Point},
    gauges::Gauges,
    registry::Registry,
    session::life::State,
};
use crate::{ChargePointId, DriverId, Energy, Location, Money, Price, SessionId};

/// What a charge point can be. The wire's words and the colours are the edge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `DESCONECTADO`: its monitor is not connected.
    Disconnected,
    /// `AVERIADO`: its engine is broken, or does not answer.
    Faulted,
    /// `SUMINISTRANDO`: it is supplying.
    Supplying,
    /// `PARADO`: the operator took it out of service, or its identity is revoked, or is about to be another.
    OutOfOrder,
    /// `RESERVADO`: a session is being authorised, or waits for its car.
    Reserved,
    /// `ACTIVADO`: free.
    Available,
}

/// The status table of the design, row by row.
pub fn status(
    revoked: bool,
    monitor_ok: bool,
    engine_ok: bool,
    out_of_order: bool,
    session: Option<State>,
    supplies: bool,
) -> Status {
    if revoked {
        return Status::OutOfOrder;
    }
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

/// A charge point as its operator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    pub id: ChargePointId,
    pub location: Location,
    /// The price of new sessions.
    pub price: Price,
    pub status: Status,
    /// Why, where that needs saying.
    pub status_reason: String,
    /// Why a message on `cp_telemetry` in its name was refused for its seal, or because it had none: the first since it
    /// registered, or since one was taken. Empty: none was.
    pub telemetry_refused: String,
    pub engine_address: String,
    /// The epoch of its registration.
    pub epoch: u64,
    /// What runs there, or reserves it.
    pub live: Option<LiveDetail>,
}

/// A session under way at a charge point.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveDetail {
    pub session: SessionId,
    pub driver: DriverId,
    /// Where it is in its life.
    pub state: State,
    /// What is shown beside its energy.
    pub gauges: Gauges,
    /// Energy so far.
    pub energy: Energy,
    /// What it costs so far.
    pub amount: Money,
}

impl Point {
    pub(super) fn connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// May a request have it?
    pub(super) fn is_free(&self, registry: &Registry) -> bool {
        self.status(registry) == Status::Available && self.supplies.is_none()
    }

    fn engine_ok(&self) -> bool {
        matches!(self.link, Link::Up { health: Health::Ok, .. }) && self.answering == Answering::Yes
    }

    pub(super) fn status(&self, registry: &Registry) -> Status {
        let session = registry.open_at(self).map(|session| session.state());
        let (revoked, out_of_order) = (self.stored.revoked.is_some(), self.stored.out_of_order);
        let (connected, supplies) = (self.connected(), self.supplies.is_some());
        status(revoked, connected, self.engine_ok(), out_of_order, session, supplies)
    }

    /// Why the status is what it is, where that needs saying.
    pub(super) fn status_reason(&self, status: Status, registry: &Registry) -> String {
        match status {
            Status::Disconnected => "its monitor is not connected to central".into(),
            Status::Faulted if !self.health_reason.is_empty() => self.health_reason.clone(),
            Status::Faulted => match self.answering {
                Answering::Unknown => "its engine has not answered central yet".into(),
                Answering::No => "its engine does not answer central".into(),
                Answering::Yes => "its monitor says that it is not well".into(),
            },
            Status::OutOfOrder => self.out_of_order_because().into(),
            Status::Supplying | Status::Reserved | Status::Available => {
                let doubts = [self.unattested.words(), self.reviews(registry)];
                doubts.into_iter().filter(|doubt| !doubt.is_empty()).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// Which of its sessions wait for a person; empty where none does.
    fn reviews(&self, registry: &Registry) -> String {
        let waiting: Vec<_> = registry.ended_at(self).filter(|session| session.review().is_some()).collect();
        match waiting.as_slice() {
            [] => String::new(),
            [one] => format!("session {} is under review", one.id),
            [.., newest] => format!("{} sessions are under review, the newest {}", waiting.len(), newest.id),
        }
    }

    /// As its operator sees it.
    pub(super) fn detail(&self, registry: &Registry) -> Detail {
        let status = self.status(registry);
        let shown = self.open.as_ref().or(self.supplies.as_ref());
        let live = shown.and_then(|id| registry.find_session(id)).map(|session| LiveDetail {
            session: session.id.clone(),
            driver: session.driver.clone(),
            state: session.state(),
            gauges: session.live.gauges,
            energy: session.shown_energy(),
            amount: session.price.cost(session.shown_energy()),
        });
        Detail {
            id: self.stored.id.clone(),
            location: self.stored.location.clone(),
            price: self.stored.price,
            status,
            status_reason: self.status_reason(status, registry),
            telemetry_refused: self.telemetry_refused.clone(),
            engine_address: self.stored.engine_address.clone(),
            epoch: self.stored.epoch,
            live,
        }
    }
}
