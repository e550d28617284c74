//! How much of what all share each caller has under way.

use super::{actor::Actor, caller::Caller};
use identity::Identity;
use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Whose share something counts in: whoever has shown who that is has one, from however many addresses, and so does an
/// address, of those who have not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Sharer {
    Identity(Arc<Identity>),
    /// It asks for many: a bridge, a gateway.
    ForMany(Arc<Identity>),
    Address(Caller),
    /// An address, of all those there who have shown who they are, but for who asks for many: else one host that has
    /// ten names has everything.
    Host(Caller),
}

/// Whose shares one thing counts in: in each.
pub(super) type Sharers = [Option<Sharer>; 2];

impl Sharer {
    /// None: nobody is known, nor an address, as of a call that came over no socket.
    pub(super) fn of(actor: &Actor, caller: Option<Caller>) -> Sharers {
        match actor {
            Actor::Known(known) if actor.asks_for_many() => {
                [Some(Self::ForMany(known.identity.clone())), None]
            }
            Actor::Known(known) => [Some(Self::Identity(known.identity.clone())), caller.map(Self::Host)],
            Actor::Unchecked | Actor::Stranger => [caller.map(Self::Address), None],
        }
    }
}

impl fmt::Display for Sharer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) | Self::ForMany(identity) => identity.role.fmt(f),
            Self::Address(caller) | Self::Host(caller) => caller.fmt(f),
        }
    }
}

/// What each caller holds.
#[derive(Debug)]
pub(super) struct Shares {
    held: Arc<Mutex<HashMap<Sharer, usize>>>,
    /// The addresses that stand for many.
    many: Vec<Caller>,
}

impl Shares {
    pub(super) fn new(many: &[IpAddr]) -> Self {
        Self { held: Arc::default(), many: many.iter().copied().map(Caller::from).collect() }
    }

    pub(super) fn stands_for_many(&self, whose: &Sharer) -> bool {
        match whose {
            Sharer::Identity(_) => false,
            Sharer::ForMany(_) => true,
            Sharer::Address(caller) | Sharer::Host(caller) => self.many.contains(caller),
        }
    }

    /// How many of all these places this one may have: a tenth, a host half; all but a tenth who stands for many. At
    /// least one.
    pub(super) fn share(&self, whose: &Sharer, places: usize) -> usize {
        let tenth = places / 10;
        let share = match whose {
            many if self.stands_for_many(many) => places - tenth,
            Sharer::Host(_) => places / 2,
            Sharer::Identity(_) | Sharer::ForMany(_) | Sharer::Address(_) => tenth,
        };
        share.max(1)
    }

    /// One more for each of these, if each may have that beside what it holds; else who may not.
    pub(super) fn hold_all(
        &self,
        sharers: Sharers,
        may: impl Fn(&Sharer, usize) -> bool,
    ) -> Result<Shared, Sharer> {
        let mut shared = Shared::default();
        for (whose, place) in sharers.into_iter().flatten().zip(&mut shared) {
            let held = self.hold(whose.clone(), |theirs| may(&whose, theirs));
            *place = Some(held.ok_or(whose)?);
        }
        Ok(shared)
    }

    /// One more for this caller, if it may have that beside what it holds.
    fn hold(&self, whose: Sharer, may: impl FnOnce(usize) -> bool) -> Option<Held> {
        let mut held = lock(&self.held);
        let theirs = held.get(&whose).copied().unwrap_or_default();
        may(theirs).then(|| {
            held.insert(whose.clone(), theirs + 1);
            Held { whose, all: self.held.clone() }
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.held).is_empty()
    }
}

/// One of each of its callers' shares, until it is dropped.
pub(super) type Shared = [Option<Held>; 2];

/// One of its caller's share, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    whose: Sharer,
    all: Arc<Mutex<HashMap<Sharer, usize>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = lock(&self.all);
        if let Some(theirs) = held.get_mut(&self.whose) {
            *theirs -= 1;
            if *theirs == 0 {
                held.remove(&self.whose);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
