//! How much of what all share each caller has under way.

use super::caller::Caller;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What each caller holds.
#[derive(Debug)]
pub(super) struct Shares {
    held: Arc<Mutex<HashMap<Caller, usize>>>,
    /// Those that stand for many.
    many: Vec<Caller>,
}

impl Shares {
    pub(super) fn new(many: &[IpAddr]) -> Self {
        Self { held: Arc::default(), many: many.iter().copied().map(Caller::from).collect() }
    }

    pub(super) fn stands_for_many(&self, caller: Caller) -> bool {
        self.many.contains(&caller)
    }

    /// One more for this caller, if it may have that beside what it holds.
    pub(super) fn hold(&self, caller: Caller, may: impl FnOnce(usize) -> bool) -> Option<Held> {
        let mut held = lock(&self.held);
        let theirs = held.get(&caller).copied().unwrap_or_default();
        may(theirs).then(|| {
            held.insert(caller, theirs + 1);
            Held { caller, all: self.held.clone() }
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.held).is_empty()
    }
}

/// One of its caller's share, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    caller: Caller,
    all: Arc<Mutex<HashMap<Caller, usize>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = lock(&self.all);
        if let Some(theirs) = held.get_mut(&self.caller) {
            *theirs -= 1;
            if *theirs == 0 {
                held.remove(&self.caller);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
