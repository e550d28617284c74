//! The answers to mutations, kept for their repeats (AIP-155), by age, and by count: each caller its own, and denials
//! apart from grants.

use super::{
    config::Config,
    denial::Denial,
    reply::{Answer, Ordered},
    request::RequestKey,
    session::Session,
};
use crate::{SessionId, Wall};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
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

/// One caller's grants, and one caller's denials, of which so many are kept: a caller who asks for more loses its own
/// oldest, and nobody else's. Where the room is full, who has most loses its oldest.
const MOST_A_CALLER: usize = 100;

/// The answers that are kept, and the requests that wait for theirs.
#[derive(Debug)]
pub(super) struct Answers {
    ttl: Duration,
    given: BTreeMap<RequestKey, (u64, Answered)>,
    /// Each answer has a number; they rise.
    next: u64,
    grants: Room,
    /// Whoever asks for nonsense gets denials for nothing: they have a room of their own.
    denials: Room,
    undecided: BTreeMap<RequestKey, (u64, SessionId)>,
    new: BTreeSet<RequestKey>,
    expired: BTreeSet<RequestKey>,
}

/// Room for so many answers, by their numbers: who is in it, and whose.
#[derive(Debug)]
struct Room {
    most: usize,
    oldest: BTreeMap<u64, RequestKey>,
    callers: BTreeMap<String, BTreeSet<u64>>,
    /// How many each caller has, and its oldest: who has most is the last, and of those who has the oldest.
    by_count: BTreeSet<(usize, Reverse<u64>, String)>,
}

impl Room {
    fn new(most: usize) -> Self {
        Self { most, oldest: BTreeMap::new(), callers: BTreeMap::new(), by_count: BTreeSet::new() }
    }

    /// Takes one in; gives the one that has to go for it.
    fn enter(&mut self, number: u64, key: &RequestKey) -> Option<RequestKey> {
        self.oldest.insert(number, key.clone());
        self.change(&key.caller, |theirs| theirs.insert(number));
        let theirs = self.callers.get(&key.caller)?;
        let over = theirs.first().copied().filter(|_| theirs.len() > MOST_A_CALLER);
        let full = || self.by_count.last().map(|(_, Reverse(oldest), _)| *oldest);
        let goes = over.or_else(|| full().filter(|_| self.oldest.len() > self.most))?;
        self.oldest.get(&goes).cloned()
    }

    fn leave(&mut self, number: u64, key: &RequestKey) {
        self.oldest.remove(&number);
        self.change(&key.caller, |theirs| theirs.remove(&number));
    }

    fn change(&mut self, caller: &str, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let rank = |theirs: &BTreeSet<u64>| {
            theirs.first().map(|oldest| (theirs.len(), Reverse(*oldest), caller.to_owned()))
        };
        let theirs = self.callers.entry(caller.to_owned()).or_default();
        let before = rank(theirs);
        change(theirs);
        let now = rank(theirs);
        if now.is_none() {
            self.callers.remove(caller);
        }
        if let Some(before) = before {
            self.by_count.remove(&before);
        }
        self.by_count.extend(now);
    }
}

impl Answers {
    pub(super) fn restore(config: &Config, mut stored: Vec<(RequestKey, Answered)>) -> Self {
        stored.sort_by_key(|(_, answered)| answered.at);
        let mut answers = Self {
            ttl: config.answer_ttl,
            given: BTreeMap::new(),
            next: 0,
            grants: Room::new(config.max_answers),
            denials: Room::new(config.max_denials),
            undecided: BTreeMap::new(),
            new: BTreeSet::new(),
            expired: BTreeSet::new(),
        };
        for (key, answered) in stored {
            answers.keep(key, answered);
        }
        answers
    }

    /// The answer that was given to this request, until it is too old.
    pub(super) fn given(&self, now: Wall, key: &RequestKey) -> Option<&Answered> {
        self.given.get(key).map(|(_, answered)| answered).filter(|answered| answered.at + self.ttl > now)
    }

    /// The request whose session is being authorised: its digest, and that session.
    pub(super) fn awaited(&self, key: &RequestKey) -> Option<&(u64, SessionId)> {
        self.undecided.get(key)
    }

    pub(super) fn undecided(&mut self, key: RequestKey, fingerprint: u64, session: SessionId) {
        self.undecided.insert(key, (fingerprint, session));
    }

    /// It was decided, and its repeats are decided anew.
    pub(super) fn leave_open(&mut self, key: &RequestKey) {
        self.undecided.remove(key);
    }

    pub(super) fn record(&mut self, key: RequestKey, answered: Answered) {
        self.undecided.remove(&key);
        self.expired.remove(&key);
        self.new.insert(key.clone());
        self.keep(key, answered);
    }

    fn keep(&mut self, key: RequestKey, answered: Answered) {
        self.leave(&key);
        self.next += 1;
        let number = self.next;
        let goes = self.room(&answered).enter(number, &key);
        self.given.insert(key, (number, answered));
        if let Some(key) = goes {
            self.forget(key);
        }
    }

    fn room(&mut self, answered: &Answered) -> &mut Room {
        if answered.result.is_ok() { &mut self.grants } else { &mut self.denials }
    }

    fn leave(&mut self, key: &RequestKey) {
        if let Some((number, answered)) = self.given.remove(key) {
            self.room(&answered).leave(number, key);
        }
    }

    fn forget(&mut self, key: RequestKey) {
        self.leave(&key);
        self.new.remove(&key);
        self.expired.insert(key);
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Wall) {
        let mut over = Vec::new();
        for room in [&self.grants, &self.denials] {
            let old = |key: &&RequestKey| {
                self.given.get(*key).is_none_or(|(_, answered)| answered.at + self.ttl <= now)
            };
            over.extend(room.oldest.values().take_while(old).cloned());
        }
        over.into_iter().for_each(|key| self.forget(key));
    }

    pub(super) fn take_changes(&mut self) -> (Vec<(RequestKey, Answered)>, Vec<RequestKey>) {
        let new = std::mem::take(&mut self.new);
        let answered = |key: RequestKey| self.given.get(&key).cloned().map(|(_, answered)| (key, answered));
        (
            new.into_iter().filter_map(answered).collect(),
            std::mem::take(&mut self.expired).into_iter().collect(),
        )
    }
}
