//! When an engine is told again which certificates it is to refuse.

use super::engine::CallId;
use crate::Mono;
use std::time::Duration;

/// It is told again after this, doubled each time …
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// … up to this.
const AGAIN_MOST: Duration = Duration::from_secs(600);

/// An engine that is to be told again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Untold {
    again: Mono,
    /// So often it was told, and did not say that it heard.
    times: u32,
    /// The newest question, where the charge point is cut off: another one's answer says nothing of what is told now.
    pub(super) call: Option<CallId>,
}

impl Untold {
    pub(super) fn at_once(now: Mono) -> Self {
        Self { again: now, times: 0, call: None }
    }

    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.again <= now
    }

    pub(super) fn later(self, now: Mono, call: Option<CallId>) -> Self {
        let again = now + AGAIN_FIRST.saturating_mul(1 << self.times.min(16)).min(AGAIN_MOST);
        Self { again, times: self.times.saturating_add(1), call }
    }
}
