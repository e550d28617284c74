//! Supplies asked for at the charge point itself: central is asked, and only what it was asked for starts. Whoever
//! reaches central can name this engine and any driver; what the engine has not asked for itself bills nobody.
//!
//! In memory only: a process that ended waits for no answer.

use super::input::{Authorization, ManualRequest};
use crate::{DriverId, Mono};

/// So many requests wait for central at once: one starts at most.
pub const MAX_ASKING: usize = 16;

/// The requests that wait for central's answer, each until it is not waited for any more; oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Asking(Vec<(ManualRequest, Mono)>);

impl Asking {
    /// Central may be asked for it; false: there are too many that wait.
    pub(super) fn begins(&mut self, now: Mono, request: ManualRequest, until: Mono) -> bool {
        self.0.retain(|(_, until)| *until > now);
        let room = self.0.len() < MAX_ASKING;
        if room {
            self.0.push((request, until));
        }
        room
    }

    /// One of those who asked for it has the answer; a repeat may wait on.
    pub(super) fn answered(&mut self, request: &ManualRequest) {
        if let Some(place) = self.0.iter().position(|(asked, _)| asked == request) {
            self.0.remove(place);
        }
    }

    /// May it start, as far as that goes: it is being asked for here, or is a driver's own request?
    pub(super) fn allows(&self, now: Mono, order: &Authorization) -> bool {
        let Some(manual) = &order.manual else { return true };
        let is_for = |driver: &DriverId| *driver == order.driver;
        let asks =
            |request: &ManualRequest| request.id == *manual && request.driver.as_ref().is_none_or(is_for);
        self.0.iter().any(|(request, until)| *until > now && asks(request))
    }
}
