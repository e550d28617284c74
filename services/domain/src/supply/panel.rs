//! What a person does at the charge point: cables, faults and repairs.

use super::{
    current::Current,
    effect::{Effect, Refusal},
    event::{Cause, EventKind},
    input::{Act, ManualRequest},
    machine::{Input, Moment, Supply, TakenBy},
    manual::MAX_ASKING,
};
use crate::Mono;
use std::time::Duration;

impl Input for Act {
    type Answer = Result<(), Refusal>;

    fn take(self, supply: &mut Supply, now: Moment, effects: &mut Vec<Effect>) -> Self::Answer {
        match self {
            Self::PlugIn if supply.taken_by() == TakenBy::Supply => return Err(Refusal::AlreadyPluggedIn),
            Self::PlugIn => supply.plugged_in = true,
            Self::Unplug => supply.unplugged(now, effects),
            Self::AskManual { request, within } => return supply.ask_manual(now.mono, request, within),
            Self::Break(reason) => supply.break_down(now, reason, effects),
            Self::Repair => supply.fault = None,
            Self::Look => {}
        }
        Ok(())
    }
}

impl Supply {
    pub(super) fn unplugged(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.plugged_in = false;
        self.end(now, Cause::Unplugged, effects);
    }

    /// Notes the request before central hears of it.
    fn ask_manual(&mut self, now: Mono, request: ManualRequest, within: Duration) -> Result<(), Refusal> {
        match &self.current {
            Current::Held(held) => return Err(Refusal::Busy(held.order.session.clone())),
            Current::Running(running) => return Err(Refusal::Busy(running.record.session.clone())),
            Current::Nothing => {}
        }
        if let Some(obstacle) = self.obstacle() {
            return Err(Refusal::Obstacle(obstacle));
        }
        let noted = self.asking.begins(now, request, now + within);
        if noted { Ok(()) } else { Err(Refusal::Asking(MAX_ASKING)) }
    }

    fn break_down(&mut self, now: Moment, reason: String, effects: &mut Vec<Effect>) {
        if self.fault.is_some() {
            return; // it is broken already, and has said so
        }
        self.fault = Some(reason.clone());
        if !self.end(now, Cause::EngineFault(reason.clone()), effects) {
            self.tell(now.wall, EventKind::Broke(reason), effects);
        }
    }
}
