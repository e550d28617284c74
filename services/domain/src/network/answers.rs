//! The answers to mutations, kept for their repeats (AIP-155), by count and by age.

use super::{
    denial::Denial,
    reply::{Answer, Ordered},
    request::RequestKey,
    session::Session,
};
use crate::{SessionId, Wall};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The digest of the request: a repeat has the same.
    pub fingerprint: u64,
    pub at: Wall,
    pub result: Result<Recorded, Denial>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    Session(SessionId),
    /// An order that reached so many charge points.
    Ordered(u32),
}

/// An answer that is kept for the repeats of its request.
pub(super) trait Kept: Answer {
    fn record(&self) -> Recorded;

    /// The answer again, with its session as it is now; `None` if it is not such an answer that was kept.
    fn recall(recorded: &Recorded, session: impl FnOnce(&SessionId) -> Option<Session>) -> Option<Self>;
}

impl Kept for Box<Session> {
    fn record(&self) -> Recorded {
        Recorded::Session(self.id.clone())
    }

    fn recall(recorded: &Recorded, session: impl FnOnce(&SessionId) -> Option<Session>) -> Option<Self> {
        let Recorded::Session(id) = recorded else { return None };
        session(id).map(Box::new)
    }
}

impl Kept for Ordered {
    fn record(&self) -> Recorded {
        Recorded::Ordered(self.count)
    }

    fn recall(recorded: &Recorded, _: impl FnOnce(&SessionId) -> Option<Session>) -> Option<Self> {
        let Recorded::Ordered(count) = recorded else { return None };
        Some(Self { count: *count })
    }
}

/// The answers that are kept, and the requests that wait for theirs.
#[derive(Debug)]
pub(super) struct Answers {
    ttl: Duration,
    max: usize,
    given: BTreeMap<RequestKey, Answered>,
    /// The same, oldest first.
    order: VecDeque<RequestKey>,
    undecided: BTreeMap<RequestKey, (u64, SessionId)>,
    new: BTreeSet<RequestKey>,
    expired: BTreeSet<RequestKey>,
}

impl Answers {
    pub(super) fn restore(ttl: Duration, max: usize, mut stored: Vec<(RequestKey, Answered)>) -> Self {
        stored.sort_by_key(|(_, answered)| answered.at);
        Self {
            ttl,
            max,
            order: stored.iter().map(|(key, _)| key.clone()).collect(),
            given: stored.into_iter().collect(),
            undecided: BTreeMap::new(),
            new: BTreeSet::new(),
            expired: BTreeSet::new(),
        }
    }

    /// The answer that was given to this request, until it is too old.
    pub(super) fn given(&self, now: Wall, key: &RequestKey) -> Option<&Answered> {
        self.given.get(key).filter(|answered| answered.at + self.ttl > now)
    }

    /// The request whose session is being authorised: its digest, and that session.
    pub(super) fn awaited(&self, key: &RequestKey) -> Option<&(u64, SessionId)> {
        self.undecided.get(key)
    }

    pub(super) fn undecided(&mut self, key: RequestKey, fingerprint: u64, session: SessionId) {
        self.undecided.insert(key, (fingerprint, session));
    }

    pub(super) fn record(&mut self, key: RequestKey, answered: Answered) {
        self.undecided.remove(&key);
        self.expired.remove(&key);
        self.new.insert(key.clone());
        if self.given.insert(key.clone(), answered).is_none() {
            self.order.push_back(key);
        }
        if self.given.len() > self.max {
            self.forget_oldest();
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Wall) {
        while let Some(answered) = self.order.front().and_then(|key| self.given.get(key)) {
            if answered.at + self.ttl > now {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.order.pop_front() {
            self.given.remove(&key);
            self.new.remove(&key);
            self.expired.insert(key);
        }
    }

    pub(super) fn take_changes(&mut self) -> (Vec<(RequestKey, Answered)>, Vec<RequestKey>) {
        let new = std::mem::take(&mut self.new);
        let answered = |key: RequestKey| self.given.get(&key).cloned().map(|answered| (key, answered));
        (
            new.into_iter().filter_map(answered).collect(),
            std::mem::take(&mut self.expired).into_iter().collect(),
        )
    }
}
