//! Sessions that engines tell of and that are not in memory: closed ones come back, unknown ones are adopted.
//!
//! A store that was lost, restored or rebuilt knows less than its engines; what they still have in hand is not stopped on an
//! old row's word.

use super::{
    Step,
    effect::Level,
    evidence::outcome_of,
    session::{Deadline, Live, Outcome, Session, State},
};
use crate::{ChargePointId, Energy, SupplyRecord, SupplyState};
use std::time::Duration;

/// An engine whose supply could not be judged yet is asked again after this: the other engine has answered by then, or not.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Step<'_> {
    /// A closed session of which more is told comes back to memory, until its engine has forgotten it too, or for its ticket
    /// if its engine's store is lost.
    pub(super) fn revive(&mut self, mut session: Session) {
        let point = self.net.points.get(&session.charge_point);
        session.closed = false;
        session.store_lost = point.is_some_and(|point| point.stored.instance != session.instance);
        if session.ticket.is_none() {
            session.deadline = Some(Deadline::after(self.now, self.net.config.settlement));
        }
        session.live = Live { last_sign: self.now.mono, lost_since: self.now.mono, ..Live::default() };
        let id = session.id.clone();
        if let Some(point) = self.point(&session.charge_point.clone()) {
            point.ended.insert(id.clone());
            self.net.sessions.insert(id.clone(), session);
            self.changed(&id);
        }
    }

    /// A supply unknown to central, whose driver has a session open elsewhere that is only remembered: this store may be
    /// older than the network, and the supply would be stopped in favour of a session long over. So the other's engine is
    /// heard first, and this one is asked again.
    pub(super) fn driver_is_doubtful(&mut self, id: &ChargePointId, record: &SupplyRecord) -> bool {
        if record.state != SupplyState::Supplying || record.driver.is_guest() {
            return false;
        }
        let Some(other) = self.net.drivers.get(&record.driver).and_then(|id| self.net.sessions.get_mut(id))
        else {
            return false;
        };
        let Some(point) = self.net.points.get(&other.charge_point) else {
            return false;
        };
        let reserved = other.state == State::Reserved;
        if !other.live.restored || (point.judged && !reserved) {
            return false;
        }
        if reserved && !other.revoke {
            other.revoke = true; // a driver who charges here has given it up
            other.deadline = Some(Deadline::after(self.now, self.net.config.revoke_timeout));
            let other = other.id.clone();
            self.changed(&other);
        }
        let again = self.now.mono + ASK_AGAIN;
        if let Some(point) = self.point(id) {
            point.ask = true;
            point.not_before = again;
        }
        true
    }

    /// A session that this central never knew, or lost with its store: open if INV-2 allows it and it runs, else ended, to be
    /// stopped or revoked.
    pub(super) fn adopt(&mut self, point_id: &ChargePointId, record: &SupplyRecord) {
        let Some(point) = self.net.points.get(point_id) else {
            return;
        };
        let alone = point.open.is_none()
            && (record.driver.is_guest() || !self.net.drivers.contains_key(&record.driver));
        let open = alone && record.state == SupplyState::Supplying;
        let outcome = match record.state {
            SupplyState::Ended(end) => outcome_of(end),
            SupplyState::Authorized | SupplyState::Supplying => Outcome::Stopped,
        };
        let instance = point.stored.instance.clone();
        let id = record.session.clone();
        let (state, reason) = if open {
            (State::Reserved, String::new())
        } else {
            (State::Ended(outcome), "found at the charge point, unknown to central".into())
        };
        let session = Session {
            id: id.clone(),
            charge_point: point_id.clone(),
            instance,
            driver: record.driver.clone(),
            price: record.price,
            authorization: record.authorization,
            state,
            reason,
            end: None,
            energy: Energy::ZERO,
            seq: 0,
            created: record.started_at.unwrap_or(self.now.wall),
            started_at: None,
            ended_at: (!open).then_some(self.now.wall),
            started: false,
            final_reading: false,
            stop: None,
            revoke: record.state == SupplyState::Authorized,
            store_lost: false,
            error_told: false,
            trouble: String::new(),
            ticket: None,
            closed: false,
            deadline: (!open).then(|| Deadline::after(self.now, self.net.config.settlement)),
            request: None,
            trace: None,
            live: Live { last_sign: self.now.mono, ..Live::default() },
        };
        let Some(point) = self.point(point_id) else { return };
        if open {
            point.open = Some(id.clone());
            if !record.driver.is_guest() {
                self.net.drivers.insert(record.driver.clone(), id.clone());
            }
        } else {
            point.ended.insert(id.clone());
        }
        self.net.sessions.insert(id.clone(), session);
        self.changed(&id);
        let text = format!(
            "session {id} of driver {} was found at {point_id}, unknown to central: adopted",
            record.driver
        );
        self.happened(Level::Warn, "sessions_adopted", text);
    }
}
