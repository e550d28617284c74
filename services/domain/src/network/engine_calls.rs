//! The calls to engines: derived from state, one at a time per engine, repeated until answered.
//!
//! Nothing remembers that a call is owed, so a crash between a commit and its call loses nothing.

use super::{
    Step,
    charge_point::{Answering, Point},
    dealings::InFlight,
    denial::{Denial, Reason},
    effect::{Effect, EngineCall, Level},
    engine::{CallFailed, CallId, CallOutcome, EngineAnswer, EngineRequest},
    session::{
        Session,
        life::{Outcome, State},
        lifecycle::Word,
    },
};
use crate::{ChargePointId, Mono, SessionId};
use std::time::Duration;

/// The same call again, though it was answered, waits this long: an engine that says done and does nothing must not be
/// called in a tight loop.
pub(super) const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// Whatever an engine answers, it is called so often at most, authorisations apart …
const CALL_EVERY: Duration = Duration::from_millis(50);
/// … with so much at once.
pub(super) const CALLS_AHEAD: Duration = Duration::from_secs(1);
/// What telemetry tells makes central ask an engine this often, and a second time at once: anyone can write there.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);
/// A call that failed is repeated after this, doubled each time …
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// … up to this: an engine that is back is found within 3 s even if its monitor says nothing.
const RETRY_MOST: Duration = Duration::from_secs(3);
/// How many sessions one call confirms: the contract's bound.
const CONFIRM_MOST: usize = 1000;
/// So many settled sessions a charge point stay with their engine until a copy of them is kept outside the store: a
/// day's, and far less than an engine keeps. With more, that place is away for so long that the oldest ones are on
/// this store alone.
pub(super) const HOLD_MOST: usize = 32;
/// How often an authorisation gets a higher number before the engine's refusal counts.
const RENUMBER_MOST: u32 = 3;

impl Step<'_> {
    /// Makes the call that the charge point's state asks for, if none is under way.
    pub(super) fn call_engine(&mut self, id: &ChargePointId) {
        self.tell_engine(id);
        let Some(request) = self.wanted_call(self.point(id)) else { return };
        self.net.next_call += 1;
        let call = CallId(self.net.next_call);
        let now = self.now.mono;
        let point = self.point_mut(id);
        if !matches!(request, EngineRequest::Authorize { .. }) {
            point.paced = point.paced.max(now) + CALL_EVERY;
        }
        if request == EngineRequest::GetState {
            point.ask = false;
            point.last_asked = now;
            if std::mem::take(&mut point.told) {
                point.paid = point.paid.max(now) + ASK_EVERY;
            }
        }
        let instance = point.stored.instance.clone();
        let connection = point.connection;
        point.call =
            Some(InFlight { id: call, instance: instance.clone(), connection, request: request.clone() });
        let (address, epoch) = (point.stored.engine_address.clone(), point.stored.epoch);
        if let EngineRequest::Authorize { session, .. } = &request {
            self.session_mut(session).live.asked = true;
        }
        let session = request.session().and_then(|id| self.net.registry.find_session(id));
        let of_session = session.map(|session| session.trace());
        let trace = match request {
            // The engine keeps it for all that it tells of the charge, whatever made central ask this engine.
            EngineRequest::Authorize { .. } => of_session,
            // What follows an order at once is a step of its trace; what had to wait, of its session's.
            _ => self.trace.or(of_session),
        };
        let charge_point = id.clone();
        let provisional = false;
        self.push(Effect::Call(EngineCall {
            charge_point,
            address,
            call,
            instance,
            epoch,
            request,
            provisional,
            trace,
        }));
    }

    pub(super) fn wanted_call(&self, point: &Point) -> Option<EngineRequest> {
        if point.call.is_some() || point.is_cut() {
            return None;
        }
        let registry = &self.net.registry;
        let open = registry.open_at(point);
        if let Some(session) = open.filter(|session| session.state() == State::Authorizing) {
            return Some(EngineRequest::Authorize {
                number: session.authorization,
                session: session.id.clone(),
                driver: session.driver.clone(),
                price: session.price,
                created: session.created,
                duration: self.net.config.reservation,
                manual: session.manual().cloned(),
            });
        }
        if self.now.mono < point.not_before || point.paced > self.now.mono + CALLS_AHEAD {
            return None;
        }
        let asks = point.ask || point.told && point.paid <= self.now.mono + ASK_EVERY;
        if !asks && self.net.owes_nothing(point) {
            return None; // the common case
        }
        let (stray, refused) = (&point.unattested.current, &point.refused);
        let again = |request: &EngineRequest| {
            let recent = |(made, at): &(EngineRequest, Mono)| made == request && self.is_recent(*at);
            point.recent_calls.iter().any(recent)
        };
        let revoke = |session: &Session| {
            let (number, session) = (session.authorization, session.id.clone());
            EngineRequest::Revoke { number, session }
        };
        let stop_open =
            open.filter(|session| session.state() == State::Supplying && session.stop().is_some());
        let stop_ended = point.supplies.as_ref().filter(|id| point.open.as_ref() != Some(id));
        // What runs there besides may have another id in each answer: of such, one is told to stop in a second.
        let told = |(made, at): &(EngineRequest, Mono)| {
            matches!(made, EngineRequest::Stop { .. }) && self.is_recent(*at)
        };
        let besides = stop_ended.into_iter().chain(stray).filter(|_| !point.recent_calls.iter().any(told));
        let stop = stop_open.map(|session| &session.id).into_iter().chain(besides).cloned();
        let owed = || registry.ended_at(point).filter(|session| session.may_be_forgotten());
        let held = |session: &&Session| self.net.config.confirm_copied && !session.live.copied;
        let mut held_most = owed().filter(held).count().saturating_sub(HOLD_MOST);
        let mut may_go = |session: &&Session| {
            let over = held(session) && held_most > 0; // the oldest come first
            held_most -= usize::from(over);
            over || !held(session)
        };
        let going = owed().filter(|session| may_go(session));
        let going = going.map(|session| &session.id).chain(refused).chain(&point.closed).take(CONFIRM_MOST);
        let confirm: Vec<_> = going.cloned().collect();

        let wanted = |session: &&Session| session.needs_revocation();
        let revokes = open.into_iter().filter(wanted).map(revoke);
        let stops = stop.map(|session| EngineRequest::Stop { session });
        let late_revokes = registry.ended_at(point).filter(wanted).map(revoke);
        let confirms = (!confirm.is_empty()).then_some(EngineRequest::Confirm { sessions: confirm });
        let mut wanted = revokes.chain(stops).chain(late_revokes).chain(confirms);
        wanted.find(|request| !again(request)).or(asks.then_some(EngineRequest::GetState))
    }

    fn is_recent(&self, at: Mono) -> bool {
        self.now.mono.since(at) < REPEAT_AFTER
    }

    pub(super) fn engine_answered(
        &mut self,
        id: &ChargePointId,
        call: CallId,
        result: Result<EngineAnswer, CallFailed>,
    ) {
        if let Some(provisional) = self.net.provisional.remove(&call) {
            return self.engine_heard(provisional, result);
        }
        if self.net.registry.find_point(id).is_none() {
            return;
        }
        self.touch(id);
        if self.was_told(id, call, &result) {
            return;
        }
        let point = self.point_mut(id);
        let Some(made) = point.call.take_if(|awaited| awaited.id == call) else {
            return self.late_answer(id); // an older call's answer touches nothing (INV-8)
        };
        let same_instance = point.stored.instance == made.instance;
        match result {
            Ok(answer) if answer.is_of(id, &made.instance) => {
                if same_instance {
                    self.answered(id, &made, answer);
                }
            }
            Ok(_) if same_instance => {
                self.unanswered(
                    id,
                    &made,
                    "another charge point's engine answers at its address, or its store was lost".into(),
                );
            }
            Err(CallFailed(why)) if same_instance => self.unanswered(id, &made, why),
            Ok(_) | Err(_) => self.late_answer(id), // registered with another instance meanwhile
        }
    }

    fn late_answer(&mut self, id: &ChargePointId) {
        let text = format!("an answer of {id} came for a call that is not awaited any more");
        self.happened(Level::Debug, "answers_late", text);
    }

    fn answered(&mut self, id: &ChargePointId, made: &InFlight, answer: EngineAnswer) {
        let now = self.now.mono;
        let point = self.point_mut(id);
        let back = point.answering != Answering::Yes && point.connection == made.connection;
        if back {
            point.answering = Answering::Yes;
        }
        point.failures = 0;
        point.not_before = now;
        point.judged = true;
        point.last_asked = now;
        point.recent_calls.retain(|(_, at)| now.since(*at) < REPEAT_AFTER);
        point.recent_calls.push((made.request.clone(), now));
        if back {
            self.happened(Level::Info, "engines_answering", format!("the engine of {id} answers central"));
        }
        self.report_of_engine(id, answer.report);
        self.has_heard_of_ends(id, &made.request);
        self.has_forgotten(id);
        match &made.request {
            EngineRequest::Authorize { session, .. } => self.authorize_answered(id, session, answer.outcome),
            EngineRequest::Revoke { session, .. } => self.revoke_answered(session, answer.outcome),
            EngineRequest::Confirm { sessions } if answer.outcome == CallOutcome::Done => {
                for session in sessions {
                    self.forgotten(session);
                }
                let point = self.point_mut(id);
                point.refused.retain(|refused| !sessions.contains(refused));
                point.closed.retain(|closed| !sessions.contains(closed));
            }
            EngineRequest::GetState => self.has_heard(id, answer.heard),
            EngineRequest::Confirm { .. } | EngineRequest::Stop { .. } => {}
        }
    }

    fn authorize_answered(&mut self, point: &ChargePointId, id: &SessionId, outcome: CallOutcome) {
        let Some(session) = self.net.registry.find_session(id) else { return };
        if session.state() != State::Authorizing {
            if outcome == CallOutcome::Done && !session.is_open() && !session.started() {
                self.still_authorized(id);
                self.went_unused(id); // its driver stopped it in mid-authorisation
            }
            return;
        }
        let refused = match outcome {
            CallOutcome::Done => return self.reserve(id),
            // A session of before the start gets no other number: an old copy of the store may have forgotten how it
            // ended.
            CallOutcome::NumberStale if session.live.renumbered < RENUMBER_MOST && !session.live.restored => {
                return self.renumber(point, id);
            }
            CallOutcome::NotAskedFor if session.manual().is_some() => {
                return self.not_asked_for(point, id);
            }
            CallOutcome::NumberStale => "it has seen a higher authorisation number",
            CallOutcome::Busy => "it is supplying another session",
            CallOutcome::Faulted => "it is broken",
            CallOutcome::Unattended => "no monitor attends it",
            CallOutcome::NotAskedFor
            | CallOutcome::Revoked
            | CallOutcome::NotRevoked
            | CallOutcome::WrongInstance => "its answer makes no sense",
        };
        let text = format!("{point} refused: {refused}");
        self.has_refused(point);
        self.reject(id, Denial::new(Reason::EngineRefused, text), Outcome::Rejected, Word::Given);
    }

    /// The engine has seen higher numbers than this central, whose store was restored: go on above them.
    fn renumber(&mut self, point: &ChargePointId, id: &SessionId) {
        let changed = self.point_mut(point);
        let number = changed.next_number();
        changed.stored.highest_authorization = number;
        let text =
            format!("{point} has seen higher authorisation numbers: going on above them, with {number}");
        self.happened(Level::Info, "numbers_raised", text);
        self.session_mut(id).renumber(number);
        self.point_changed(point);
        self.changed(id);
    }

    fn revoke_answered(&mut self, id: &SessionId, outcome: CallOutcome) {
        let Some(session) = self.net.registry.find_session(id) else { return };
        match outcome {
            CallOutcome::Revoked if session.state() == State::Reserved => self.expire(id, Word::Given),
            CallOutcome::Revoked if !session.is_open() => self.word_given(id),
            // Taken up: the report, applied before, has moved the session on. Without it in the report the answer
            // makes no sense, and the session ends without the engine's word.
            CallOutcome::NotRevoked if session.started() => self.word_given(id),
            CallOutcome::Revoked
            | CallOutcome::NotRevoked
            | CallOutcome::Done
            | CallOutcome::NumberStale
            | CallOutcome::Busy
            | CallOutcome::Faulted
            | CallOutcome::Unattended
            | CallOutcome::NotAskedFor
            | CallOutcome::WrongInstance => {}
        }
    }

    /// The engine's word on an authorisation is given, by what its report said too.
    fn word_given(&mut self, id: &SessionId) {
        let now = self.now_of(id).wall;
        self.session_mut(id).word_given(now);
        self.changed(id);
    }

    /// What it went on with after the ticket, and tells of no more, it has forgotten: a central whose rows are lost
    /// confirmed it, or it was a lie.
    fn has_forgotten(&mut self, point: &ChargePointId) {
        let now = self.now.mono;
        let gone = |session: &&Session| session.goes_on_unbilled() && session.live.last_sign != now;
        let gone = self.net.registry.ended_at(self.point(point)).filter(gone);
        for id in gone.map(|session| session.id.clone()).collect::<Vec<_>>() {
            self.forgotten(&id);
        }
    }

    /// The engine has forgotten a settled session. One that was refused, and is central's own since a moment ago, waits
    /// for its ticket still.
    pub(super) fn forgotten(&mut self, id: &SessionId) {
        if self.net.registry.find_session(id).is_some_and(|session| session.ticket().is_some()) {
            self.session_mut(id).forgotten();
            self.changed(id);
        }
    }

    fn unanswered(&mut self, id: &ChargePointId, made: &InFlight, why: String) {
        let now = self.now.mono;
        let point = self.point_mut(id);
        point.judged = true;
        point.failures = point.failures.saturating_add(1);
        point.not_before = now + RETRY_FIRST.saturating_mul(1 << point.failures.min(10)).min(RETRY_MOST);
        // An abandoned charge point is left alone: whoever brings it back registers, and then its engine is asked.
        point.ask = point.connected() || point.open.is_some() || !point.ended.is_empty();
        point.forget_stray(); // told again once it answers
        point.tell_anew(now); // once it answers
        let silenced = point.answering != Answering::No;
        if point.connection == made.connection {
            point.answering = Answering::No;
        }
        if silenced {
            self.happened(
                Level::Warn,
                "engines_silent",
                format!("the engine of {id} does not answer central: {why}"),
            );
        }
        if !self.point(id).connected() {
            self.engine_is_silent(id); // nobody hears of it
        }
        let state_of = |id: &SessionId| self.net.registry.find_session(id).map(|session| session.state());
        match &made.request {
            EngineRequest::Authorize { session, .. } if state_of(session) == Some(State::Authorizing) => {
                self.reject_silent(session);
            }
            EngineRequest::Revoke { session, .. } if state_of(session) == Some(State::Reserved) => {
                self.expire(session, Word::Wanted);
            }
            EngineRequest::Authorize { .. } | EngineRequest::Revoke { .. } => {}
            EngineRequest::Stop { .. } | EngineRequest::Confirm { .. } | EngineRequest::GetState => {}
        }
    }

    /// The engine did not answer in the time that its request had: a definitive denial, and the engine's word is
    /// wanted. That alone says nothing of the engine, since a caller may be in a hurry: it counts as not answering once
    /// the call itself has failed.
    pub(super) fn reject_silent(&mut self, id: &SessionId) {
        let point = self.session(id).charge_point.clone();
        self.ask(&point);
        let text = format!("{point} did not answer in time; choose another charge point");
        self.reject(id, Denial::new(Reason::EngineSilent, text), Outcome::Rejected, Word::Wanted);
    }
}
