//! When an engine is told which certificates it is to refuse, and told again.

use super::engine::CallId;
use crate::Mono;
use std::time::Duration;

/// It is told again after this, doubled each time …
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// … up to this.
const AGAIN_MOST: Duration = Duration::from_secs(600);

/// An engine that is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Untold {
    /// Due since then, or only then.
    again: Mono,
    /// So often it was told, and did not say that it heard.
    times: u32,
    /// The call that tells it now: there is one at a time, however much comes meanwhile.
    call: Option<CallId>,
    /// It may have more to refuse than that call told.
    more: bool,
    /// It was said of it that it does not say whether it hears.
    pub(super) said: bool,
}

impl Untold {
    pub(super) fn at_once(now: Mono) -> Self {
        Self { again: now, times: 0, call: None, more: false, said: false }
    }

    /// It may have more to refuse, or is another one: it does not wait for what was told before. One whose turn has not
    /// come yet keeps its place.
    pub(super) fn anew(self, now: Mono) -> Self {
        let (call, more) = (self.call, self.call.is_some());
        Self { again: self.again.min(now), times: 0, call, more, said: self.said }
    }

    /// Due since then, or only then; `None`: a call tells it now.
    pub(super) fn due_from(&self) -> Option<Mono> {
        self.call.is_none().then_some(self.again)
    }

    pub(super) fn is_told_by(&self, call: CallId) -> bool {
        self.call == Some(call)
    }

    pub(super) fn told(self, call: CallId) -> Self {
        Self { call: Some(call), more: false, ..self }
    }

    /// The call is over. `None`: it has heard all.
    pub(super) fn answered(self, now: Mono, heard: bool) -> Option<Self> {
        let over = Self { call: None, more: false, ..self };
        if self.more {
            return Some(over); // at once
        }
        let wait = AGAIN_FIRST.saturating_mul(1 << self.times.min(16)).min(AGAIN_MOST);
        (!heard).then(|| Self { again: now + wait, times: self.times.saturating_add(1), ..over })
    }
}
