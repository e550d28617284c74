//! Central's calls: what an authorisation, its revocation, an order to stop and a confirmation do.

use super::{
    current::{Current, Held},
    effect::{CallResult, Effect, RevokeOutcome, Write, WrongInstance},
    event::Cause,
    input::Authorization,
    machine::{Moment, Supply},
};
use crate::{InstanceId, Mono, SessionId, SupplyRecord};

impl Supply {
    pub(super) fn authorize(&mut self, at: Mono, instance: &InstanceId, order: Authorization) -> CallResult {
        if *instance != self.instance {
            return CallResult::WrongInstance;
        }
        let (repeat, supplying) = match &self.current {
            Current::Nothing => (false, false),
            Current::Held(held) => {
                (held.order.number == order.number && held.order.session == order.session, false)
            }
            Current::Running(running) => {
                let record = &running.record;
                (record.authorization == order.number && record.session == order.session, true)
            }
        };
        if repeat {
            return CallResult::Done; // and its end stays where the first one put it
        }
        // A refused number is used up too: central has heard the refusal as the last word on that session, so a copy of
        // the call that comes later must start nothing.
        let fresh = self.see(order.number);
        if supplying {
            return CallResult::Busy;
        }
        if fresh {
            self.current = Current::Nothing; // central is past an older one, whatever becomes of this one
        }
        if !fresh || self.has_ended(&order.session) {
            return CallResult::NumberStale;
        }
        if let Some(obstacle) = self.obstacle() {
            return obstacle.result();
        }
        self.current = Current::Held(Held { until: at + order.duration, order });
        CallResult::Done
    }

    pub(super) fn revoke(
        &mut self,
        instance: &InstanceId,
        number: u64,
        session: &SessionId,
    ) -> Result<RevokeOutcome, WrongInstance> {
        if *instance != self.instance {
            return Err(WrongInstance);
        }
        self.see(number);
        match &self.current {
            Current::Running(running) if running.record.session == *session => {
                return Ok(RevokeOutcome::Supplying);
            }
            // A newer authorisation than the revoked one is not its business (INV-8).
            Current::Held(held) if held.order.session == *session && held.order.number <= number => {
                self.current = Current::Nothing;
            }
            Current::Nothing | Current::Held(_) | Current::Running(_) => {}
        }
        if self.has_ended(session) { Ok(RevokeOutcome::Ended) } else { Ok(RevokeOutcome::Revoked) }
    }

    pub(super) fn stop(
        &mut self,
        moment: Moment,
        instance: &InstanceId,
        session: &SessionId,
        effects: &mut Vec<Effect>,
    ) -> CallResult {
        if *instance != self.instance {
            return CallResult::WrongInstance;
        }
        match &self.current {
            Current::Running(running) if running.record.session == *session => {
                self.end(moment, Cause::Stopped, effects);
            }
            Current::Held(held) if held.order.session == *session => self.current = Current::Nothing,
            Current::Nothing | Current::Held(_) | Current::Running(_) => {}
        }
        CallResult::Done
    }

    pub(super) fn query(&self, instance: &InstanceId) -> CallResult {
        if *instance == self.instance { CallResult::Done } else { CallResult::WrongInstance }
    }

    pub(super) fn confirm(
        &mut self,
        instance: &InstanceId,
        sessions: &[SessionId],
        effects: &mut Vec<Effect>,
    ) -> CallResult {
        if *instance != self.instance {
            return CallResult::WrongInstance;
        }
        let settled = |record: &mut SupplyRecord| sessions.contains(&record.session);
        for record in self.unsettled.extract_if(.., settled) {
            effects.push(Effect::Save(Write::Settled(record.authorization)));
        }
        CallResult::Done
    }

    /// Notes a number; true if it is above all that were seen.
    fn see(&mut self, number: u64) -> bool {
        let fresh = number > self.highest;
        if fresh {
            self.highest = number;
            self.unsaved = true;
        }
        fresh
    }

    fn has_ended(&self, session: &SessionId) -> bool {
        self.unsettled.iter().any(|record| record.session == *session)
    }
}
