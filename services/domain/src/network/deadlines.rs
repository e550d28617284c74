//! What time alone decides. No session stays in a state 5 s past that state's deadline (INV-3).

use super::{
    Network, Step,
    charge_point::{Answering, Link, Point},
    denial::SupplyFailure,
    effect::Level,
    engine_calls::{ASK_EVERY, CALLS_AHEAD, REPEAT_AFTER},
    forgetting::FORGOTTEN_AFTER,
    session::{
        Session,
        life::{Life, Outcome, Settlement},
        lifecycle::Word,
    },
    standing::Standing,
};
use crate::{ChargePointId, Mono, Now, SessionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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

impl Network {
    /// What time brings to a session, each with its moment, if nothing happens there before: of what has come, the
    /// first counts.
    fn dues(&self, session: &Session) -> [Option<(Mono, Due)>; 3] {
        let (point, config) = (self.registry.point(&session.charge_point), &self.config);
        let judged = !session.live.restored || (self.kafka_judged && point.judged);
        let at = |due: Due| move |moment: Mono| (moment, due);
        let deadline = session.deadline().filter(|_| judged).map(|deadline| deadline.mono);
        let sign = session.live.last_sign;
        let silent = (sign + config.silence()).max(point.last_asked + config.silence());
        let ask = (!point.ask && point.call.is_none()).then_some(silent).map(at(Due::Ask));
        let disobeyed = session.live.stopped_at.map(|since| since + OBEYED_WITHIN).map(at(Due::Disobeyed));
        match session.life() {
            Life::Authorizing { .. } => [deadline.map(at(Due::Silent)), None, None],
            Life::Reserved { .. } => [deadline.map(at(Due::Revoke)), ask, None],
            Life::Revoking { .. } => [deadline.map(at(Due::Expire)), ask, None],
            Life::Supplying { stop, .. } => {
                let fault = judged.then_some(sign + config.supply_silence).map(at(Due::Fault));
                [fault, stop.and(disobeyed), ask]
            }
            Life::Ended { settlement, .. } => {
                let goes_on = point.goes_on_with(&session.id) && !point.stored.out_of_order;
                let owed = match settlement {
                    Settlement::Lost { .. } => self.is_told_all(session).then_some((sign, Due::Settle)),
                    Settlement::Unread { .. } => ask,
                    // Its final reading is wanted still, which a person has to see.
                    Settlement::Review { reported, .. } => ask.filter(|_| reported.end.is_none()),
                    Settlement::Unanswered { .. } => {
                        ask.map(|(silent, ask)| (silent.max(point.last_asked + config.ask_interval), ask))
                    }
                    Settlement::Void { .. } | Settlement::Billed { .. } => None,
                };
                [deadline.map(at(Due::Settle)), disobeyed.filter(|_| goes_on), owed]
            }
        }
    }

    /// Has Kafka told all that it will of a session whose engine's store is lost?
    fn is_told_all(&self, session: &Session) -> bool {
        // Where no start was told, only Kafka still can: it is waited for, and for what is held up there.
        let started = session.started() || session.told().is_some();
        let until = session.live.lost_since + if started { Duration::ZERO } else { HELD_UP };
        let away = self.kafka_away && started;
        let told_all = away || self.kafka_read_to >= until;
        self.kafka_judged && told_all
    }

    /// The one question about a session's time.
    fn due(&self, session: &Session, now: Now) -> Option<Due> {
        self.dues(session).into_iter().flatten().find(|(at, _)| *at <= now.mono).map(|(_, due)| due)
    }

    /// Nothing is to be said to its engine, and no supply there is anything but its open session's.
    pub(super) fn owes_nothing(&self, point: &Point) -> bool {
        let open = self.registry.open_at(point);
        point.ended.is_empty()
            && point.supplies == point.open
            && point.unattested.current.is_none()
            && point.refused.is_empty()
            && point.closed.is_empty()
            && open.is_none_or(|session| !session.needs_revocation() && session.stop().is_none())
    }

    /// When its engine may be called for what it could not be called for before; or sooner.
    fn call_at(&self, point: &Point, now: Mono) -> Option<Mono> {
        let asks = point.ask || point.told;
        if point.call.is_some() || point.is_cut() || !asks && self.owes_nothing(point) {
            return None;
        }
        let paid = point.told.then(|| point.paid - ASK_EVERY);
        let again = point.recent_calls.iter().map(|(_, at)| *at + REPEAT_AFTER);
        let waits = [point.not_before, point.paced - CALLS_AHEAD].into_iter().chain(paid).chain(again);
        waits.filter(|at| *at > now).min().or(asks.then_some(now))
    }

    /// When a tick is to look at it: never later than something comes there by time alone.
    pub(super) fn look_at(&self, point: &Point, now: Mono) -> Option<Mono> {
        let link = match point.link {
            Link::Up { last_report, .. } => Some(last_report + self.silence_of(point)),
            Link::Lost { since } => point.may_be_made_up().then_some(since + FORGOTTEN_AFTER),
        };
        let drains = (point.stored.standing() == Standing::Draining).then_some(now); // at every tick
        let sessions = self.registry.open_at(point).into_iter().chain(self.registry.ended_at(point));
        let dues = sessions.flat_map(|session| self.dues(session)).flatten().map(|(at, _)| at);
        dues.chain(link).chain(drains).chain(self.call_at(point, now)).min()
    }

    /// Keeps its place among those whose time comes, after whatever happened there. What only moves its time later need
    /// not say so: it is looked at too early then, and has another place.
    pub(super) fn awaits(&mut self, id: &ChargePointId, now: Mono) {
        let Some(point) = self.registry.find_point(id) else { return };
        let look = self.look_at(point, now);
        let point = self.registry.point_mut(id);
        self.looks.moves(id, point.look_at, look);
        point.look_at = look;
        point.takes_its_turn(&mut self.turns);
    }

    /// It is about to leave.
    pub(super) fn awaits_nothing(&mut self, id: &ChargePointId) {
        let point = self.registry.point(id);
        self.looks.moves(id, point.look_at, None);
        self.turns.moves(id, point.turn_at, None);
    }
}

impl Step<'_> {
    pub(super) fn tick(&mut self) {
        self.net.answers.expire(self.now.wall);
        self.net.cooling.forget_old(self.now.mono, &self.net.config);
        self.provisional_over();
        let now = self.now.mono;
        let looked: BTreeSet<ChargePointId> = self.net.looks.come(now).cloned().collect(); // by id from here on
        let mut lost: Vec<&ChargePointId> = Vec::new();
        let mut waiting: BTreeSet<&ChargePointId> = BTreeSet::new();
        let mut made_up: BTreeSet<&ChargePointId> = BTreeSet::new();
        let mut draining: Vec<&ChargePointId> = Vec::new();
        for id in &looked {
            let point = self.point(id);
            match point.link {
                Link::Up { last_report, .. } if now.since(last_report) >= self.net.silence_of(point) => {
                    lost.push(id);
                }
                Link::Up { .. } | Link::Lost { .. } => {}
            }
            if point.stored.standing() == Standing::Draining {
                draining.push(id);
            }
            if self.net.is_made_up(point, now) {
                made_up.insert(id);
            } else if self.wanted_call(point).is_some() {
                waiting.insert(id);
            }
        }
        let told = self.whose_turn_it_is(|id| !made_up.contains(id) && !waiting.contains(id));
        self.forget_the_made_up(made_up);
        for id in lost {
            self.link_lost(id);
        }
        for id in draining {
            self.drain(id);
        }
        for id in waiting.into_iter().chain(&told) {
            self.touch(id); // its next call is due
        }
        for (id, due) in self.due_at(&looked) {
            self.act(&id, due);
        }
        looked.iter().for_each(|id| self.net.awaits(id, now));
    }

    /// What has come to the sessions of these charge points, by their ids.
    fn due_at(&self, points: &BTreeSet<ChargePointId>) -> BTreeMap<SessionId, Due> {
        let registry = &self.net.registry;
        let points = points.iter().filter_map(|id| registry.find_point(id));
        let sessions =
            points.flat_map(|point| registry.open_at(point).into_iter().chain(registry.ended_at(point)));
        let due = |session: &Session| Some((session.id.clone(), self.net.due(session, self.now)?));
        sessions.filter_map(due).collect()
    }

    /// Kafka was read to its end, or found away, or further: that is what some deadlines wait for.
    pub(super) fn kafka_is_judged(&mut self) {
        let first = !std::mem::replace(&mut self.net.kafka_judged, true);
        let sessions = self.net.registry.sessions().filter(|_| first);
        let lost = self.net.store_lost.iter().map(|id| self.session(id));
        let points: BTreeSet<_> = sessions.chain(lost).map(|session| session.charge_point.clone()).collect();
        points.iter().for_each(|id| self.net.awaits(id, self.now.mono));
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

#[cfg(test)]
mod tests;
