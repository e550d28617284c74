//! One command at one moment: what every rule works on.

use super::{
    Archive, Network,
    answers::{Answered, Kept, Recorded},
    charge_point::Point,
    denial::{Denial, Reason},
    effect::{Effect, Event, Level},
    reply::Answer,
    request::{Asked, Repeatable, RequestKey, Token},
    session::Session,
};
use crate::{ChargePointId, Now, SessionId, Trace};
use std::collections::BTreeSet;

pub(super) struct Step<'a> {
    pub(super) net: &'a mut Network,
    pub(super) now: Now,
    pub(super) archive: &'a dyn Archive,
    /// The trace of the call that brought the command.
    pub(super) trace: Option<Trace>,
    effects: Vec<Effect>,
    /// The charge points whose calls, freedom and deadlines are looked at in the end.
    touched: BTreeSet<ChargePointId>,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        net: &'a mut Network,
        now: Now,
        archive: &'a dyn Archive,
        trace: Option<Trace>,
    ) -> Self {
        Self { net, now, archive, trace, effects: Vec::new(), touched: BTreeSet::new() }
    }

    /// Lists what is free, and makes the calls that the state asks for: one at a time per engine. What time alone will
    /// bring there comes after.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        for id in std::mem::take(&mut self.touched) {
            self.net.registry.list_free(&id);
            self.call_engine(&id);
            self.net.awaits(&id, self.now.mono);
        }
        self.effects
    }

    pub(super) fn copied(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if self.net.changed_sessions.contains(id) {
                continue; // it changed in this very step
            }
            if self.net.registry.find_session(id).is_none() {
                continue;
            }
            let session = self.session_mut(id);
            session.live.copied = true;
            let point = session.charge_point.clone();
            self.touch(&point); // now its engine may forget it
        }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn reply<A: Answer>(&mut self, token: Token<A>, answer: Result<A, Denial>) {
        self.net.deeds.answered(token, &answer);
        self.push(Effect::Reply(A::reply(token, answer)));
    }

    pub(super) fn happened(&mut self, level: Level, name: &'static str, text: String) {
        self.push(Effect::Happened(Event { level, name, text }));
    }

    pub(super) fn point(&self, id: &ChargePointId) -> &Point {
        self.net.registry.point(id)
    }

    pub(super) fn point_mut(&mut self, id: &ChargePointId) -> &mut Point {
        self.net.registry.point_mut(id)
    }

    /// Something that its calls, its freedom or its deadlines depend on has changed: they are looked at in the end.
    pub(super) fn touch(&mut self, id: &ChargePointId) {
        self.touched.insert(id.clone());
    }

    /// It is there no more.
    pub(super) fn untouch(&mut self, id: &ChargePointId) {
        self.touched.remove(id);
    }

    /// The engine's state is wanted, as soon as may be.
    pub(super) fn ask(&mut self, id: &ChargePointId) {
        self.point_mut(id).ask = true;
        self.touch(id);
    }

    /// That of every engine is.
    pub(super) fn ask_all(&mut self) {
        for id in self.net.registry.points().iter().map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.ask(&id);
        }
    }

    /// A charge point's stored part has changed.
    pub(super) fn point_changed(&mut self, id: &ChargePointId) {
        self.net.changed_points.insert(id.clone());
    }

    pub(super) fn session(&self, id: &SessionId) -> &Session {
        self.net.registry.session(id)
    }

    pub(super) fn session_mut(&mut self, id: &SessionId) -> &mut Session {
        self.net.registry.session_mut(id)
    }

    /// A session's stored part has changed.
    pub(super) fn changed(&mut self, id: &SessionId) {
        self.net.changed_sessions.insert(id.clone());
        self.push(Effect::Changed(id.clone()));
        let session = self.session_mut(id);
        session.live.copied = false;
        let (point, reviewed, lost) =
            (session.charge_point.clone(), session.review().is_some(), session.store_lost());
        if reviewed {
            self.net.under_review.insert(id.clone());
        } else {
            self.net.under_review.remove(id);
        }
        if lost {
            self.net.store_lost.insert(id.clone());
        } else {
            self.net.store_lost.remove(id);
        }
        self.touch(&point);
    }

    /// A repeated mutation gets its first answer. False: it is new.
    pub(super) fn repeated<A: Kept>(&mut self, asked: &Asked<A>) -> bool {
        let Some((key, digest)) = &asked.request else { return false };
        let Some(given) = self.net.answers.given(self.now.wall, key) else { return false };
        if given.fingerprint != *digest {
            self.reused(asked, key);
            return true;
        }
        let session =
            |id: &SessionId| self.net.registry.find_session(id).cloned().or_else(|| self.archive.session(id));
        let answer = match &given.result {
            Ok(recorded) => match A::recall(recorded, session) {
                Some(answer) => Ok(answer),
                None => {
                    let text = format!(
                        "the session that request_id {} was answered with came to nothing, and is not kept any more",
                        key.id
                    );
                    Err(Denial::new(Reason::SessionUnknown, text)) // it stands for nothing new all the same
                }
            },
            Err(denial) => Err(denial.clone()),
        };
        self.net.deeds.changes_nothing(asked.token);
        self.repeats(asked, key, answer);
        true
    }

    /// The `request_id` stands for another request.
    pub(super) fn reused<A: Answer>(&mut self, asked: &Asked<A>, key: &RequestKey) {
        let text = format!("request_id {} was used before with another request; use a new one", key.id);
        self.repeats(asked, key, Err(Denial::new(Reason::RequestIdReused, text)));
    }

    fn repeats<A: Answer>(&mut self, asked: &Asked<A>, key: &RequestKey, answer: Result<A, Denial>) {
        self.happened(Level::Debug, "requests_repeated", format!("request_id {} repeated", key.id));
        self.reply(asked.token, answer);
    }

    /// Gives a definitive answer, and keeps it for the request's repeats.
    pub(super) fn answer<A: Kept>(&mut self, asked: &Asked<A>, result: Result<A, Denial>) {
        let recorded = result.as_ref().map(A::record).map_err(Denial::clone);
        self.record(asked.request.clone(), recorded);
        self.reply(asked.token, result);
    }

    pub(super) fn record(&mut self, request: Option<Repeatable>, result: Result<Recorded, Denial>) {
        if let Some((key, fingerprint)) = request {
            self.net.answers.record(key, Answered { fingerprint, at: self.now.wall, result });
        }
    }
}
