//! What time alone decides. No session stays in a state 5 s past that state's deadline (INV-3).

use super::{
    Step,
    charge_point::Link,
    denial::SupplyFailure,
    effect::Level,
    session::{Deadline, Outcome, Session, State},
};
use crate::{ChargePointId, SessionId};

/// What a session's time has come for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Its engine should be asked.
    Ask,
    /// The engine did not authorise in time.
    Silent,
    /// The reservation is over: the engine is asked to revoke it.
    Revoke,
    /// The revocation was not answered: it ends without the engine's word.
    Expire,
    /// Nothing was heard of the supply for too long.
    Fault,
    /// The final reading will not come: it is settled on the last one.
    Settle,
}

impl Step<'_> {
    pub(super) fn tick(&mut self) {
        self.net.answers.expire(self.now.wall);
        let (now, silence) = (self.now.mono, self.net.config.silence());
        let mut lost: Vec<ChargePointId> = Vec::new();
        let mut waiting: Vec<ChargePointId> = Vec::new();
        for (id, point) in &self.net.points {
            match point.link {
                Link::Up { last_report, .. } if now.since(last_report) >= silence => lost.push(id.clone()),
                Link::Up { .. } | Link::Lost { .. } => {}
            }
            if self.wanted_call(point).is_some() {
                waiting.push(id.clone());
            }
        }
        for id in &lost {
            self.link_lost(id);
        }
        for id in &waiting {
            self.point(id); // its next call is due
        }
        let due: Vec<(SessionId, Due)> = self
            .net
            .sessions
            .values()
            .filter_map(|session| self.due(session).map(|due| (session.id.clone(), due)))
            .collect();
        for (id, due) in due {
            self.act(&id, due);
        }
    }

    fn due(&self, session: &Session) -> Option<Due> {
        let point = self.net.points.get(&session.charge_point)?;
        let config = &self.net.config;
        let judged = !session.live.restored || (self.net.kafka_judged && point.judged);
        let passed = session.deadline.is_some_and(|deadline| deadline.passed(self.now)) && judged;
        let silent = self.now.mono.since(session.live.last_sign);
        let asked = self.now.mono.since(point.last_asked);
        let ask =
            silent >= config.silence() && asked >= config.silence() && !point.ask && point.call.is_none();
        match session.state {
            State::Authorizing => passed.then_some(Due::Silent),
            State::Reserved if passed && session.revoke => Some(Due::Expire),
            State::Reserved if passed => Some(Due::Revoke),
            State::Reserved => ask.then_some(Due::Ask),
            State::Supplying if silent >= config.supply_silence && judged => Some(Due::Fault),
            State::Supplying => ask.then_some(Due::Ask),
            State::Ended(_) if passed => Some(Due::Settle),
            State::Ended(_) if session.store_lost => {
                let told_all = self.net.kafka_away || self.net.kafka_read_to >= session.live.lost_since;
                (self.net.kafka_judged && told_all).then_some(Due::Settle)
            }
            State::Ended(_) if session.ticket.is_some() || session.closed => None,
            State::Ended(_) if session.started => ask.then_some(Due::Ask),
            State::Ended(_) => (ask && asked >= config.ask_interval).then_some(Due::Ask),
        }
    }

    fn act(&mut self, id: &SessionId, due: Due) {
        let soon = Deadline::after(self.now, self.net.config.revoke_timeout);
        let Some(session) = self.session(id) else { return };
        let point = session.charge_point.clone();
        match due {
            Due::Ask => self.ask(&point),
            Due::Silent => self.reject_silent(id),
            Due::Revoke => {
                session.revoke = true;
                session.deadline = Some(soon);
                self.changed(id);
            }
            Due::Expire => {
                self.happened(
                    Level::Warn,
                    "engines_silent",
                    format!("the engine of {point} did not answer a revocation"),
                );
                if let Some(point) = self.point(&point) {
                    point.answering = super::charge_point::Answering::No;
                    point.ask = true;
                }
                self.expire(id);
            }
            Due::Fault => {
                session.revoke = true;
                let text = format!("nothing was heard of the supply at {point} for too long");
                self.happened(
                    Level::Error,
                    "supplies_silent",
                    format!("{text}: session {id} ends as faulted"),
                );
                self.end(id, Outcome::Faulted, text.clone());
                self.notify_error(id, SupplyFailure::EngineSilent, text);
            }
            Due::Settle => {
                if session.started {
                    self.issue_ticket(id, true);
                } else {
                    session.closed = true;
                    session.deadline = None;
                    self.changed(id);
                }
            }
        }
    }
}
