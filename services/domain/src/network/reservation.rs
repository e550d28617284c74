//! A reservation, from the engine's agreement to its expiry: nobody plugged in, or it was given up.

use super::{
    Step,
    denial::SupplyFailure,
    effect::Level,
    session::{
        life::{Deadline, Outcome, Stop},
        lifecycle::Word,
    },
};
use crate::SessionId;

impl Step<'_> {
    /// The engine agreed, or is even further on: whoever waits is told.
    pub(super) fn reserve(&mut self, id: &SessionId) {
        let lasts = self.net.config.reservation + self.net.config.reservation_margin;
        let deadline = Deadline::after(self.now, lasts);
        self.session_mut(id).grant(deadline);
        let point = self.session(id).charge_point.clone();
        self.point_mut(&point).try_failed = false;
        self.granted(id);
        self.changed(id);
    }

    /// Its engine is asked to give it back; unanswered, it ends without the engine's word.
    pub(super) fn revoke(&mut self, id: &SessionId) {
        let deadline = self.revocation_deadline();
        if self.session_mut(id).revoke(deadline) {
            self.changed(id);
        }
    }

    pub(super) fn revocation_deadline(&self) -> Deadline {
        Deadline::after(self.now, self.net.config.revoke_timeout)
    }

    /// It comes to nothing: with the engine's word, or without it once that was waited for long enough.
    pub(super) fn expire(&mut self, id: &SessionId, word: Word) {
        let session = self.session(id);
        let stop = session.stop();
        let how = match stop {
            Some(Stop::Driver) => (Outcome::Stopped, SupplyFailure::ChargeStopped),
            Some(Stop::Operator) => (Outcome::Stopped, SupplyFailure::ChargePointOutOfOrder),
            None => (Outcome::Expired, SupplyFailure::ReservationExpired),
        };
        let reason = match stop {
            Some(stop) => stop.to_string(),
            None => "nobody plugged in before the reservation's end".into(),
        };
        let (driver, point) = (&session.driver, &session.charge_point);
        let text = format!("the reservation of driver {driver} at {point} ended: {reason}");
        self.fail(id, how, reason, word);
        self.happened(Level::Info, "reservations_expired", text);
    }
}
