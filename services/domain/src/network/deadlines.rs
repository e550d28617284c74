//! What time alone decides. No session stays in a state 5 s past that state's deadline (INV-3).

use super::{
    Step,
    charge_point::{Answering, Link},
    denial::SupplyFailure,
    effect::Level,
    session::{
        Session,
        life::{Life, Outcome, Settlement},
        lifecycle::Word,
    },
    standing::Standing,
    telling::in_turn,
};
use crate::{ChargePointId, SessionId};
use std::time::Duration;

/// What an engine published before its store was lost may come so late.
const HELD_UP: Duration = Duration::from_secs(120);
/// An engine that supplies on for so long after it was to stop does not obey.
pub(super) const OBEYED_WITHIN: Duration = Duration::from_secs(30);

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
    /// It goes on, though its end was ordered.
    Disobeyed,
    /// The final reading will not come: it is settled on the last one.
    Settle,
}

impl Step<'_> {
    pub(super) fn tick(&mut self) {
        self.net.answers.expire(self.now.wall);
        self.net.cooling.forget_old(self.now.mono, &self.net.config);
        self.provisional_over();
        let (now, silence) = (self.now.mono, self.net.config.silence());
        let mut lost: Vec<ChargePointId> = Vec::new();
        let mut waiting: Vec<ChargePointId> = Vec::new();
        let mut made_up: Vec<ChargePointId> = Vec::new();
        let mut draining: Vec<ChargePointId> = Vec::new();
        let mut untold = Vec::new();
        for (id, point) in self.net.registry.points().iter() {
            match point.link {
                Link::Up { last_report, .. } if now.since(last_report) >= silence => lost.push(id.clone()),
                Link::Up { .. } | Link::Lost { .. } => {}
            }
            if point.stored.standing() == Standing::Draining {
                draining.push(id.clone());
            }
            if self.net.is_made_up(point, self.now.mono) {
                made_up.push(id.clone());
            } else if self.wanted_call(point).is_some() {
                waiting.push(id.clone());
            } else if let Some(since) = point.is_to_be_told_since(now) {
                untold.push((since, id));
            }
        }
        waiting.extend(in_turn(untold));
        self.forget_the_made_up(made_up);
        for id in &lost {
            self.link_lost(id);
        }
        for id in &draining {
            self.drain(id);
        }
        for id in &waiting {
            self.touch(id); // its next call is due
        }
        let due: Vec<(SessionId, Due)> = self
            .net
            .registry
            .sessions()
            .filter_map(|session| self.due(session).map(|due| (session.id.clone(), due)))
            .collect();
        for (id, due) in due {
            self.act(&id, due);
        }
    }

    /// The one question about a session's time.
    fn due(&self, session: &Session) -> Option<Due> {
        let point = self.point(&session.charge_point);
        let config = &self.net.config;
        let judged = !session.live.restored || (self.net.kafka_judged && point.judged);
        let passed = session.deadline().is_some_and(|deadline| deadline.passed(self.now)) && judged;
        let silent = self.now.mono.since(session.live.last_sign);
        let asked = self.now.mono.since(point.last_asked);
        let ask =
            silent >= config.silence() && asked >= config.silence() && !point.ask && point.call.is_none();
        let disobeyed = session.live.stopped_at.is_some_and(|at| self.now.mono.since(at) >= OBEYED_WITHIN);
        let goes_on = point.goes_on_with(&session.id);
        match session.life() {
            Life::Authorizing { .. } => passed.then_some(Due::Silent),
            Life::Reserved { .. } if passed => Some(Due::Revoke),
            Life::Revoking { .. } if passed => Some(Due::Expire),
            Life::Reserved { .. } | Life::Revoking { .. } => ask.then_some(Due::Ask),
            Life::Supplying { .. } if silent >= config.supply_silence && judged => Some(Due::Fault),
            Life::Supplying { stop: Some(_), .. } if disobeyed => Some(Due::Disobeyed),
            Life::Supplying { .. } => ask.then_some(Due::Ask),
            Life::Ended { .. } if passed => Some(Due::Settle),
            Life::Ended { .. } if disobeyed && goes_on && !point.stored.out_of_order => Some(Due::Disobeyed),
            Life::Ended { settlement, .. } => match settlement {
                Settlement::Lost { .. } => {
                    // Where no start was told, only Kafka still can: it is waited for, and for what is held up there.
                    let started = session.started() || session.told().is_some();
                    let until = session.live.lost_since + if started { Duration::ZERO } else { HELD_UP };
                    let away = self.net.kafka_away && started;
                    let told_all = away || self.net.kafka_read_to >= until;
                    (self.net.kafka_judged && told_all).then_some(Due::Settle)
                }
                Settlement::Unread { .. } => ask.then_some(Due::Ask),
                // Its final reading is wanted still, which a person has to see.
                Settlement::Review { reported, .. } => (ask && reported.end.is_none()).then_some(Due::Ask),
                Settlement::Unanswered { .. } => (ask && asked >= config.ask_interval).then_some(Due::Ask),
                Settlement::Void { .. } | Settlement::Billed { .. } => None,
            },
        }
    }

    fn act(&mut self, id: &SessionId, due: Due) {
        let point = self.session(id).charge_point.clone();
        match due {
            Due::Ask => self.ask(&point),
            Due::Silent => self.reject_silent(id),
            Due::Revoke => self.revoke(id),
            Due::Expire => {
                let text = format!("the engine of {point} did not answer a revocation");
                self.happened(Level::Warn, "engines_silent", text);
                self.point_mut(&point).answering = Answering::No;
                self.ask(&point);
                self.expire(id, Word::Wanted);
            }
            Due::Fault => {
                let text = format!("nothing was heard of the supply at {point} for too long");
                let event = format!("{text}: session {id} ends as faulted");
                self.happened(Level::Error, "supplies_silent", event);
                let (most, in_reach) = (self.most(id), self.point(&point).answering == Answering::Yes);
                self.fail(id, (Outcome::Faulted, SupplyFailure::EngineSilent), text, Word::Wanted);
                if in_reach {
                    self.session_mut(id).had_at_most(most); // it answers, and says nothing of this supply
                }
            }
            Due::Disobeyed => self.disobeyed(id),
            Due::Settle => {
                let wall = self.now_of(id).wall;
                let (review_by, most_told) = (self.settlement_deadline(), self.most_told(id));
                self.nobody_decided(id, most_told);
                self.session_mut(id).settle(wall, review_by, most_told);
                let session = self.session(id);
                match session.ticket() {
                    Some(_) => self.billed(id),
                    None if session.review().is_some() => self.under_review(id, None),
                    None => self.changed(id),
                }
            }
        }
    }
}
