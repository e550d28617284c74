//! The answers to mutations, kept for their repeats (AIP-155), by count and by age.

use super::command::RequestKey;
use super::effect::Denial;
use crate::{ChargePointId, SessionId, Wall};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// A definitive answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The digest of the request: a repeat has the same.
    pub fingerprint: u64,
    /// When it was given.
    pub at: Wall,
    /// What it was.
    pub result: Result<Recorded, Denial>,
}

/// What an answer granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// A session.
    Session(SessionId),
    /// An order that reached so many charge points.
    Ordered(u32),
    /// A price at this charge point.
    PriceSet(ChargePointId),
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

/// What is known of a request that may be a repeat.
pub(super) enum Repeat {
    /// It is the first.
    No,
    /// The id was used with another payload.
    Reused,
    /// Its session is being authorised.
    Undecided(SessionId),
    /// It was answered.
    Answered(Result<Recorded, Denial>),
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

    pub(super) fn find(&self, now: Wall, key: &RequestKey, fingerprint: u64) -> Repeat {
        if let Some((first, session)) = self.undecided.get(key) {
            return if *first == fingerprint { Repeat::Undecided(session.clone()) } else { Repeat::Reused };
        }
        match self.given.get(key) {
            Some(answered) if answered.at + self.ttl <= now => Repeat::No,
            Some(answered) if answered.fingerprint != fingerprint => Repeat::Reused,
            Some(answered) => Repeat::Answered(answered.result.clone()),
            None => Repeat::No,
        }
    }

    pub(super) fn has(&self, now: Wall, key: &RequestKey) -> bool {
        self.given.get(key).is_some_and(|answered| answered.at + self.ttl > now)
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
