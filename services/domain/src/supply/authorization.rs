//! Central's calls: what an authorisation, its revocation, an order to stop and a confirmation do.

use super::{
    current::{Current, Held},
    effect::{CallResult, Effect, RevokeOutcome, Write, WrongInstance},
    event::Cause,
    input::{Addressee, Authorization, Call, Revoke},
    machine::{Input, Moment, Supply},
};
use crate::{
    SessionId, SupplyRecord, Wall,
    ids::{CLOCKS_DIFFER, most_claimed},
};

impl Input for (Addressee, Call) {
    type Answer = CallResult;

    fn take(self, supply: &mut Supply, now: Moment, effects: &mut Vec<Effect>) -> CallResult {
        let (addressee, call) = self;
        if !supply.is_meant(now, &addressee) {
            return CallResult::WrongInstance;
        }
        match call {
            Call::Authorize(order) => return supply.authorize(now, order),
            Call::Stop(session) => supply.stop(now, &session, effects),
            Call::Query => {}
            Call::ConfirmSettled(sessions) => supply.confirm(&sessions, effects),
        }
        CallResult::Done
    }
}

impl Input for (Addressee, Revoke) {
    type Answer = Result<RevokeOutcome, WrongInstance>;

    fn take(self, supply: &mut Supply, now: Moment, _: &mut Vec<Effect>) -> Self::Answer {
        let (addressee, Revoke { number, session }) = self;
        if !supply.is_meant(now, &addressee) {
            return Err(WrongInstance);
        }
        Ok(supply.revoke(now.wall, number, &session))
    }
}

impl Supply {
    /// Is this engine meant? Then central's word on the epoch of its monitor counts.
    fn is_meant(&mut self, now: Moment, addressee: &Addressee) -> bool {
        let Addressee { instance, charge_point, epoch } = addressee;
        let meant = *instance == self.instance
            && charge_point.as_ref().is_none_or(|charge_point| *charge_point == self.charge_point);
        if meant {
            self.watch.named(now.mono, *epoch);
        }
        meant
    }

    fn authorize(&mut self, now: Moment, order: Authorization) -> CallResult {
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
        let fresh = self.see(now.wall, order.number);
        if supplying {
            return CallResult::Busy;
        }
        if fresh {
            self.current = Current::Nothing; // central is past an older one, whatever becomes of this one
        }
        if !fresh || self.has_ended(&order.session) {
            return CallResult::NumberStale;
        }
        if !self.asking.allows(now.mono, &order) {
            return CallResult::NotAskedFor;
        }
        if let Some(obstacle) = self.obstacle() {
            return obstacle.result();
        }
        self.current = Current::Held(Held { until: now.mono + order.duration, order });
        CallResult::Done
    }

    fn revoke(&mut self, now: Wall, number: u64, session: &SessionId) -> RevokeOutcome {
        self.see(now, number);
        match &self.current {
            Current::Running(running) if running.record.session == *session => {
                return RevokeOutcome::Supplying;
            }
            // A newer authorisation than the revoked one is not its business (INV-8).
            Current::Held(held) if held.order.session == *session && held.order.number <= number => {
                self.current = Current::Nothing;
            }
            Current::Nothing | Current::Held(_) | Current::Running(_) => {}
        }
        if self.has_ended(session) { RevokeOutcome::Ended } else { RevokeOutcome::Revoked }
    }

    fn stop(&mut self, moment: Moment, session: &SessionId, effects: &mut Vec<Effect>) {
        match &self.current {
            Current::Running(running) if running.record.session == *session => {
                self.end(moment, Cause::Stopped, effects);
            }
            Current::Held(held) if held.order.session == *session => self.current = Current::Nothing,
            Current::Nothing | Current::Held(_) | Current::Running(_) => {}
        }
    }

    fn confirm(&mut self, sessions: &[SessionId], effects: &mut Vec<Effect>) {
        let settled = |record: &mut SupplyRecord| sessions.contains(&record.session);
        for record in self.unsettled.extract_if(.., settled) {
            effects.push(Effect::Save(Write::Settled(record.authorization)));
        }
    }

    /// Notes a number; true if it is above all that were seen. Whoever reaches this port can name any: one that no
    /// central gives is not seen, but that the next one always is.
    fn see(&mut self, now: Wall, number: u64) -> bool {
        let fresh =
            number > self.highest && number <= most_claimed(now + CLOCKS_DIFFER).max(self.highest + 1);
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
