//! Sessions whose engine is not believed: a person says what they bill, else their settlement deadline does.

use super::{
    Step,
    denial::{Denial, Reason, SupplyFailure},
    effect::Level,
    session::lifecycle::Ended,
};
use crate::{ChargePointId, Energy, Power, SessionId};

/// What a person decides of a session under review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What its engine reported is billed.
    Accepted,
    /// So much is billed, at most what was reported.
    Energy(Energy),
}

impl Step<'_> {
    pub(super) fn rated(&self, id: &ChargePointId) -> Power {
        self.point(id).rated(&self.net.config)
    }

    pub(super) fn most(&self, id: &SessionId) -> Energy {
        let session = self.session(id);
        let rated = self.rated(&session.charge_point);
        let by_date = self.net.remembered.since(session.created, self.now.wall);
        let age = session.live.age.now(self.now.mono, by_date);
        session.most(rated, self.net.config.session_energy_max, age)
    }

    /// The most that telemetry is believed of a session that is over: what it can have had by its end.
    pub(super) fn most_told(&self, id: &SessionId) -> Energy {
        let session = self.session(id);
        session.most_told().unwrap_or_else(|| {
            let rated = self.rated(&session.charge_point);
            let ended = session.ended_at().unwrap_or(self.now.wall);
            let lasted = self.net.remembered.since(session.created, ended);
            session.most(rated, self.net.config.session_energy_max, lasted)
        })
    }

    /// An engine says what it delivers at most. Of what one store's engine said the highest counts, over central's
    /// restarts: what it has in hand may be of before it was given less.
    pub(super) fn says_its_power(&mut self, id: &ChargePointId, rated: Option<Power>) {
        let most = self.net.config.charge_point_power_max;
        let point = self.point_mut(id);
        let before = point.stored.rated;
        point.stored.rated = before.max(rated);
        if point.stored.rated != before {
            self.point_changed(id);
        }
        if let Some(rated) = rated.filter(|rated| *rated > most)
            && before.is_none_or(|before| before <= most)
        {
            let text = format!(
                "the engine of {id} says that it delivers up to {rated}; {most} of that are believed \
                 (--charge-point-power-max), and what it meters beyond that waits for a person"
            );
            self.happened(Level::Warn, "powers_cut", text);
        }
    }

    /// What an engine answered cannot be, or is more than is believed without a person: it moves nothing. It is told
    /// once a session.
    pub(super) fn disbelieved(&mut self, id: &SessionId, energy: Energy, most: Energy) {
        let session = self.session_mut(id);
        let first = !std::mem::replace(&mut session.live.disbelieved, true);
        let point = session.charge_point.clone();
        let mut text = format!(
            "the engine of {point} says that session {id} has had {energy}; {most} is the most that is believed by now"
        );
        if most == self.net.config.session_energy_max {
            text += " (--session-energy-max): a person says what it bills once it is over";
            let trouble = format!("what it takes above {most} is billed by a person's word, and not shown");
            if self.session_mut(id).is_in_trouble(&trouble) {
                self.changed(id);
                self.notify_error(id, SupplyFailure::UnderReview);
            }
        }
        let level = if first { Level::Warn } else { Level::Debug };
        self.happened(level, "readings_implausible", text);
    }

    /// It holds nobody; its engine keeps the record, and its driver is told that the ticket waits, but not of what came
    /// to nothing long ago: an engine can say that of each session that it ever had.
    pub(super) fn under_review(&mut self, id: &SessionId, ended: Option<Ended>) {
        match ended {
            Some(_) => self.ended(id),
            None => self.changed(id),
        }
        let Some(reported) = self.session(id).review().cloned() else { return };
        if reported.end.is_some() {
            self.supplies_no_more(id);
        }
        if !self.session(id).declined() {
            self.notify_review(id);
        }
        let (driver, point) = (&self.session(id).driver, &self.session(id).charge_point);
        let text = format!(
            "session {id} of driver {driver} at {point} is under review: {} is reported; {}. Decide with 'evmesh \
             operator settle {id}'",
            reported.energy, reported.doubt
        );
        self.happened(Level::Error, "sessions_reviewed", text);
    }

    /// Its deadline ends a review: what is believed is billed, and the rest is lost. Of what had come to nothing
    /// nothing is billed, and its engine may forget its record.
    pub(super) fn nobody_decided(&mut self, id: &SessionId, most_told: Energy) {
        let session = self.session(id);
        let Some(reported) = session.review() else { return };
        let delivered = session.delivered_by_all_accounts(most_told);
        let billed = delivered.map_or(Energy::ZERO, |delivered| delivered.energy);
        let text = format!(
            "session {id} of driver {} at {} was under review, and nobody decided: of {}, {billed} is billed",
            session.driver, session.charge_point, reported.energy
        );
        let (point, over) = (session.charge_point.clone(), reported.end.is_some());
        if over && session.declined() {
            self.point_mut(&point).refused.insert(id.clone());
        }
        self.happened(Level::Warn, "reviews_over", text);
    }

    /// The first word counts.
    pub(super) fn settle(
        &mut self,
        id: &SessionId,
        verdict: Verdict,
        by: String,
        reason: String,
    ) -> Result<u32, Denial> {
        let known = self.net.registry.find_session(id);
        let Some(reported) = known.and_then(|session| session.review()).cloned() else {
            let known = known.cloned().or_else(|| self.archive.session(id));
            let (reason, text) = match known {
                None => (Reason::SessionUnknown, format!("there is no session {id}")),
                Some(session) => {
                    let now = match session.ticket() {
                        Some(ticket) => format!("its ticket bills {} and never changes", ticket.energy),
                        None => "nobody's word on its energy is waited for".into(),
                    };
                    (Reason::SessionNotUnderReview, format!("session {id} is not under review: {now}"))
                }
            };
            return Err(Denial::new(reason, text));
        };
        let energy = match verdict {
            Verdict::Accepted => reported.energy,
            Verdict::Energy(energy) => energy,
        };
        if energy > reported.energy {
            let text = format!(
                "the engine of session {id} reported {}; at most that much is billed, not {energy}",
                reported.energy
            );
            return Err(Denial::new(Reason::EnergyAboveReported, text));
        }
        let wall = self.now_of(id).wall;
        let text = format!("session {id} is settled on {energy} by {by}: {reason}");
        self.session_mut(id).settle_by_word(energy, by, reason, wall);
        self.happened(Level::Info, "orders", text);
        self.billed(id);
        Ok(1)
    }
}
