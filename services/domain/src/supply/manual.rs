//! Supplies asked for at the charge point itself: central is asked, and only what it was asked for starts. Whoever
//! reaches central can name this engine and any driver; what the engine has not asked for itself bills nobody.
//!
//! In memory only: a process that ended waits for no answer.

use super::{
    current::Current,
    effect::Refusal,
    input::{Authorization, ManualRequest},
    machine::Supply,
};
use crate::Mono;
use std::time::Duration;

/// So many requests wait for central at once: one starts at most.
pub const MAX_ASKING: usize = 16;

/// A request that waits for central's answer.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    request: ManualRequest,
    /// It is not waited for from here on.
    until: Mono,
}

impl Supply {
    pub(super) fn ask_manual(
        &mut self,
        now: Mono,
        request: ManualRequest,
        within: Duration,
    ) -> Result<(), Refusal> {
        match &self.current {
            Current::Held(held) => return Err(Refusal::Busy(held.order.session.clone())),
            Current::Running(running) => return Err(Refusal::Busy(running.record.session.clone())),
            Current::Nothing => {}
        }
        if let Some(obstacle) = self.obstacle() {
            return Err(Refusal::Obstacle(obstacle));
        }
        self.asking.retain(|asking| asking.until > now);
        if self.asking.len() >= MAX_ASKING {
            return Err(Refusal::Asking(MAX_ASKING));
        }
        self.asking.push(Asking { request, until: now + within });
        Ok(())
    }

    /// One of those who asked for it has the answer; a repeat may wait on.
    pub(super) fn manual_answered(&mut self, request: &ManualRequest) {
        if let Some(place) = self.asking.iter().position(|asking| asking.request == *request) {
            self.asking.remove(place);
        }
    }

    /// Is it for what is being asked for here? A driver's own request is asked for elsewhere.
    pub(super) fn is_asked_for(&self, now: Mono, order: &Authorization) -> bool {
        let asks = |asking: &Asking| {
            let ManualRequest { id, driver } = &asking.request;
            asking.until > now && Some(id) == order.manual.as_ref() && *driver == order.driver
        };
        order.manual.is_none() || self.asking.iter().any(asks)
    }
}
