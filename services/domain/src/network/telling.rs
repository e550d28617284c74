//! Engines are told which certificates they are to refuse, each by a call beside its others, which none of those waits
//! for. Whenever one is asked, its answer says whether it has heard: one that has not, since its store or its
//! registration is another, or since the word was lost, is told, and again, ever more seldom: an older one never says
//! that it has. One that does not answer is told once it does; one that was revoked itself never is.
//!
//! What makes all of them due at once tells them in turns, those first that have waited longest: a step of a hundred
//! thousand calls would hold up whatever else is asked meanwhile.

use super::{
    Network, Step,
    charge_point::{Answering, Point},
    effect::{Effect, EngineCall, Level},
    engine::{CallFailed, CallId, CallOutcome, EngineAnswer, EngineRequest},
    queue::Queue,
    untold::Untold,
};
use crate::{ChargePointId, Mono};

/// So many engines are told in one turn, of which each tick has one: it takes some milliseconds.
const A_TURN: usize = 1_000;

impl Point {
    /// Since when it is due, or only then. Only one that is cut off is told whether its engine answers or not: that is
    /// asked for nothing else.
    fn is_to_be_told_from(&self) -> Option<Mono> {
        let answers = self.answering == Answering::Yes || self.is_cut();
        self.untold.as_ref().filter(|_| answers && self.engine_stands).and_then(|untold| untold.due_from())
    }

    /// Keeps its place among those whose turn comes.
    pub(super) fn takes_its_turn(&mut self, turns: &mut Queue) {
        let turn = self.is_to_be_told_from();
        if self.turn_at != turn {
            turns.moves(&self.stored.id, self.turn_at, turn);
            self.turn_at = turn;
        }
    }

    /// Its engine may have more to refuse.
    fn has_more_to_hear(&mut self, now: Mono) {
        let untold = self.untold.get_or_insert_with(|| Box::new(Untold::at_once(now)));
        **untold = untold.anew(now);
    }

    /// If it is to be told still, then without waiting.
    pub(super) fn tell_anew(&mut self, now: Mono) {
        if let Some(untold) = &mut self.untold {
            **untold = untold.anew(now);
        }
    }
}

impl Step<'_> {
    /// Its engine may have more to refuse.
    pub(super) fn tell(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        self.point_mut(id).has_more_to_hear(now);
        self.touch(id);
    }

    /// Every engine has: the first turn of them is told at once.
    pub(super) fn tell_all(&mut self) {
        let now = self.now.mono;
        let Network { registry, turns, .. } = &mut *self.net;
        registry.points_mut().each_mut(|point| {
            point.has_more_to_hear(now);
            point.takes_its_turn(turns);
        });
        for id in self.whose_turn_it_is(|_| true) {
            self.touch(&id);
        }
    }

    /// Of those that are due and are to be told, the ones that have waited longest.
    pub(super) fn whose_turn_it_is(&self, is_told: impl Fn(&ChargePointId) -> bool) -> Vec<ChargePointId> {
        let due = self.net.turns.come(self.now.mono).filter(|id| is_told(id));
        due.take(A_TURN).cloned().collect()
    }

    /// An engine was asked, and says whether it refuses what it is to refuse.
    pub(super) fn has_heard(&mut self, id: &ChargePointId, heard: bool) {
        let now = self.now.mono;
        if !heard {
            self.point_mut(id).untold.get_or_insert_with(|| Box::new(Untold::at_once(now))); // else it is told, or soon
        }
    }

    /// Tells it, if that is due.
    pub(super) fn tell_engine(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        if self.point(id).is_to_be_told_from().is_none_or(|from| from > now) {
            return;
        }
        self.net.next_call += 1;
        let call = CallId(self.net.next_call);
        let point = self.point_mut(id);
        if let Some(untold) = &mut point.untold {
            **untold = untold.told(call);
        }
        let stored = &point.stored;
        let (address, instance, epoch) =
            (stored.engine_address.clone(), stored.instance.clone(), stored.epoch);
        self.push(Effect::Tell(EngineCall {
            charge_point: id.clone(),
            address,
            call,
            instance,
            epoch,
            request: EngineRequest::GetState,
            provisional: false,
            trace: None,
        }));
    }

    /// The answer to what an engine was told touches nothing else. False: it is another call's.
    pub(super) fn was_told(
        &mut self,
        id: &ChargePointId,
        call: CallId,
        result: &Result<EngineAnswer, CallFailed>,
    ) -> bool {
        let now = self.now.mono;
        let point = self.point_mut(id);
        let Some(untold) = point.untold.as_deref().copied().filter(|untold| untold.is_told_by(call)) else {
            return false;
        };
        let of_it = |answer: &&EngineAnswer| {
            answer.is_of(id, &point.stored.instance) && answer.outcome == CallOutcome::Done
        };
        let answer = result.as_ref().ok().filter(of_it);
        point.untold = untold.answered(now, answer.is_some_and(|answer| answer.heard)).map(Box::new);
        let cut = point.is_cut();
        match answer {
            Some(answer) if answer.heard => {}
            Some(_) => self.does_not_say(id),
            None if cut => {}
            None => self.ask(id), // does it answer?
        }
        true
    }

    fn does_not_say(&mut self, id: &ChargePointId) {
        let Some(untold) = &mut self.point_mut(id).untold else { return };
        if !std::mem::replace(&mut untold.said, true) {
            let text = format!(
                "the engine of {id} does not say that it refuses who was revoked: is it an older one?"
            );
            self.happened(Level::Warn, "refusals_unheard", text);
        }
    }
}
