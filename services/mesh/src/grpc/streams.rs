//! The places of streams: a budget, of which no caller has more than its share, so that nobody's idle streams keep
//! everybody else out.

use super::{
    caller::Caller,
    shares::{Held, Shares},
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One budget.
#[derive(Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    most: usize,
    callers: Shares,
}

/// Why a stream has no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Nobody gets one now.
    Budget,
    /// Its caller has its share.
    Share(Caller),
}

impl Streams {
    pub(super) fn new(most: usize, many: &[IpAddr]) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most, callers: Shares::new(many) }
    }

    /// A tenth; all but a tenth for who stands for many.
    fn share(&self, caller: Caller) -> usize {
        let tenth = self.most / 10;
        if self.callers.stands_for_many(caller) { self.most - tenth } else { tenth.max(1) }
    }

    pub(super) fn enter(&self, caller: Option<Caller>) -> Result<Place, Full> {
        let hold = |caller| {
            let share = self.share(caller);
            self.callers.hold(caller, |theirs| theirs < share).ok_or(Full::Share(caller))
        };
        let share = caller.map(hold).transpose()?;
        let permit = self.places.clone().try_acquire_owned().map_err(|_| Full::Budget)?;
        Ok(Place { _permit: permit, share: Arc::new(Mutex::new(share)) })
    }
}

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    share: Arc<Mutex<Option<Held>>>,
}

impl Place {
    pub(super) fn share(&self) -> StreamShare {
        StreamShare(Arc::downgrade(&self.share))
    }
}

/// That a stream counts in its caller's share: a request extension that the server sets. A site that has many charge
/// points is one caller, and each of them has its stream: a handler that knows whose a stream is gives the share back.
#[derive(Debug, Clone, Default)]
pub struct StreamShare(Weak<Mutex<Option<Held>>>);

impl StreamShare {
    /// That of a request that came in; one that gives nothing back where the server set none.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// From here on the stream counts in the server's budget alone.
    pub fn give_back(&self) {
        if let Some(share) = self.0.upgrade() {
            lock(&share).take();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(host: u8) -> Caller {
        IpAddr::from([10, 0, 0, host]).into()
    }

    #[test]
    fn a_caller_has_a_tenth_and_who_stands_for_many_leaves_a_tenth() {
        let streams = Streams::new(20, &[[10, 0, 0, 9].into()]);
        let enter = |host| streams.enter(Some(caller(host)));
        let mut open = vec![enter(1).unwrap(), enter(1).unwrap()];
        assert_eq!(enter(1).unwrap_err(), Full::Share(caller(1)));
        while let Ok(place) = enter(9) {
            open.push(place);
        }
        assert_eq!(open.len(), 20, "all that are left");
        assert_eq!(enter(2).unwrap_err(), Full::Budget);
        open.drain(..2);
        open.push(enter(2).expect("a place is free again"));
        assert_eq!(enter(9).unwrap_err(), Full::Share(caller(9)));
        drop(open);
        assert!(streams.callers.is_empty());
        assert_eq!(streams.places.available_permits(), 20);
    }

    #[test]
    fn what_is_given_back_counts_in_the_budget_alone() {
        let streams = Streams::new(10, &[]);
        let first = streams.enter(Some(caller(1))).unwrap();
        assert_eq!(streams.enter(Some(caller(1))).unwrap_err(), Full::Share(caller(1)));
        let share = first.share();
        share.give_back();
        let _second = streams.enter(Some(caller(1))).unwrap();
        assert_eq!(streams.places.available_permits(), 8);
        drop(first);
        share.give_back(); // of a stream that is gone
        assert_eq!(streams.places.available_permits(), 9);
        assert!(Streams::new(2, &[]).enter(None).is_ok(), "it came over no socket");
    }
}
