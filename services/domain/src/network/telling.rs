//! Engines hear with each question which certificates they are to refuse. One that does not say that it does is told
//! again, ever more seldom: an older one never says so. One whose charge point is cut off is asked for nothing else.

use super::{
    Step,
    charge_point::Point,
    effect::{Effect, EngineCall, Level},
    engine::{CallFailed, CallId, CallOutcome, EngineAnswer, EngineRequest},
    untold::Untold,
};
use crate::ChargePointId;

impl Step<'_> {
    /// Its engine may have more to refuse.
    pub(super) fn tell(&mut self, id: &ChargePointId) {
        if !self.point(id).is_cut() {
            return self.ask(id);
        }
        self.point_mut(id).untold = Some(Untold::at_once(self.now.mono));
        self.touch(id);
    }

    /// Every engine has.
    pub(super) fn tell_all(&mut self) {
        for id in self.net.registry.points().keys().cloned().collect::<Vec<_>>() {
            self.tell(&id);
        }
    }

    /// An engine was asked, and says whether it refuses what it was told.
    pub(super) fn was_told(&mut self, id: &ChargePointId, heard: bool) {
        let now = self.now.mono;
        let point = self.point_mut(id);
        let before = point.untold.take();
        if heard {
            return;
        }
        point.untold = Some(before.unwrap_or_else(|| Untold::at_once(now)).later(now, None));
        if before.is_none() {
            let text = format!(
                "the engine of {id} does not say that it refuses who was revoked: is it an older one?"
            );
            self.happened(Level::Warn, "refusals_unheard", text);
        }
    }

    /// It is cut off, and its engine is to be told now.
    pub(super) fn tells_cut(&self, point: &Point) -> bool {
        point.is_cut() && point.untold.is_some_and(|untold| untold.is_due(self.now.mono))
    }

    pub(super) fn tell_cut(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        if !self.tells_cut(self.point(id)) {
            return;
        }
        self.net.next_call += 1;
        let call = CallId(self.net.next_call);
        let point = self.point_mut(id);
        point.untold = point.untold.map(|untold| untold.later(now, Some(call)));
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

    /// The answer to what an engine was told whose charge point is cut off touches nothing else.
    pub(super) fn is_answer_of_cut(
        &mut self,
        id: &ChargePointId,
        call: CallId,
        result: &Result<EngineAnswer, CallFailed>,
    ) -> bool {
        let point = self.point_mut(id);
        if point.untold.is_none_or(|untold| untold.call != Some(call)) {
            return false;
        }
        if let Ok(answer) = result
            && answer.is_of(id, &point.stored.instance)
            && answer.outcome == CallOutcome::Done
            && answer.heard
        {
            point.untold = None;
        }
        true
    }
}
