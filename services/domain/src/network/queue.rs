//! Whose time comes when: a tick looks at those alone whose time has come.

use crate::{ChargePointId, Mono};
use std::collections::BTreeSet;

/// Charge points, each at one moment at most, which it keeps itself.
#[derive(Debug, Default)]
pub(super) struct Queue(BTreeSet<(Mono, ChargePointId)>);

impl FromIterator<(Mono, ChargePointId)> for Queue {
    fn from_iter<I: IntoIterator<Item = (Mono, ChargePointId)>>(moments: I) -> Self {
        Self(moments.into_iter().collect())
    }
}

impl Queue {
    /// Its moment is another, or none.
    pub(super) fn moves(&mut self, id: &ChargePointId, from: Option<Mono>, to: Option<Mono>) {
        if from == to {
            return; // the common case
        }
        if let Some(from) = from {
            self.0.remove(&(from, id.clone()));
        }
        self.0.extend(to.map(|to| (to, id.clone())));
    }

    /// Whose moment has come, the earliest first; of one moment by id.
    pub(super) fn come(&self, now: Mono) -> impl Iterator<Item = &ChargePointId> {
        self.0.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| id)
    }
}
