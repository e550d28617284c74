//! The places of streams: a budget, of which no caller has more than its share, so that nobody's idle streams keep
//! everybody else out.

use super::shares::{Shared, Sharer, Sharers, Shares};
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
    Share(Sharer),
}

impl Streams {
    pub(super) fn new(most: usize, many: &[IpAddr]) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { places, most, callers: Shares::new(many) }
    }

    pub(super) fn enter(&self, whose: Sharers) -> Result<Place, Full> {
        let may = |whose: &Sharer, theirs| theirs < self.callers.share(whose, self.most);
        let share = self.callers.hold_all(whose, may).map_err(Full::Share)?;
        let permit = self.places.clone().try_acquire_owned().map_err(|_| Full::Budget)?;
        Ok(Place { _permit: permit, share: Arc::new(Mutex::new(share)) })
    }
}

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    share: Arc<Mutex<Shared>>,
}

impl Place {
    pub(super) fn share(&self) -> StreamShare {
        StreamShare(Arc::downgrade(&self.share))
    }
}

/// That a stream counts in its caller's share: a request extension that the server sets. A site that has many charge
/// points is one caller, and each of them has its stream: a handler that knows whose a stream is gives the share back.
#[derive(Debug, Clone, Default)]
pub struct StreamShare(Weak<Mutex<Shared>>);

impl StreamShare {
    /// That of a request that came in; one that gives nothing back where the server set none.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// From here on the stream counts in the server's budget alone.
    pub fn give_back(&self) {
        if let Some(share) = self.0.upgrade() {
            *lock(&share) = Shared::default();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::{Actor, Known, Refused};
    use domain::Wall;
    use std::sync::Arc;

    fn known(path: &str) -> Actor {
        let identity = Arc::new(format!("spiffe://test/{path}").parse().unwrap());
        Actor::Known(Known { identity, expires: Wall::MAX, serial: None, refused: Refused::default() })
    }

    fn caller(host: u8) -> Sharer {
        Sharer::Address(IpAddr::from([10, 0, 0, host]).into())
    }

    #[test]
    fn no_number_is_too_large() {
        let streams = Streams::new(usize::MAX, &[]);
        assert!(streams.enter([Some(caller(1)), None]).is_ok());
    }

    #[test]
    fn a_caller_has_a_tenth_and_who_stands_for_many_leaves_a_tenth() {
        let streams = Streams::new(20, &[[10, 0, 0, 9].into()]);
        let enter = |host| streams.enter([Some(caller(host)), None]);
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
    fn whoever_has_shown_who_that_is_has_one_share_wherever_it_comes_from_and_takes_nobody_elses() {
        let streams = Streams::new(20, &[]);
        let proxy = [10, 0, 0, 1].into();
        let whose = |path: &str, address: IpAddr| Sharer::of(&known(path), Some(address.into()));
        let enter = |path: &str, address: IpAddr| streams.enter(whose(path, address));
        let [of_driver, _] = whose("driver/101", proxy);
        let mut open =
            vec![enter("driver/101", proxy).unwrap(), enter("driver/101", [10, 0, 0, 2].into()).unwrap()];
        let full = enter("driver/101", [10, 0, 0, 3].into()).unwrap_err();
        assert_eq!(full, Full::Share(of_driver.unwrap()), "one share from three addresses");
        for path in ["driver/102", "operator/ana"] {
            open.extend([enter(path, proxy).unwrap(), enter(path, proxy).unwrap()]);
            assert!(matches!(enter(path, proxy), Err(Full::Share(_))), "{path}, behind the same proxy");
        }
        let nobody = Sharer::of(&Actor::Stranger, Some(proxy.into()));
        open.push(streams.enter(nobody).unwrap()); // the address's own share is left to those who show nothing
        while let Ok(place) = enter("bridge/old", proxy) {
            open.push(place);
        }
        assert_eq!(open.len(), 20, "a bridge asks for many");
    }

    #[test]
    fn a_host_with_many_names_has_half_and_one_that_stands_for_many_leaves_a_tenth() {
        let site: IpAddr = [10, 0, 0, 9].into();
        let streams = Streams::new(40, &[site]);
        let enter = |n: u8, address: IpAddr| {
            streams.enter(Sharer::of(&known(&format!("driver/{n}")), Some(address.into())))
        };
        let host: IpAddr = [10, 0, 0, 1].into();
        let mut open: Vec<_> = (0..20).map(|n| enter(n / 4, host).unwrap()).collect();
        assert_eq!(
            enter(9, host).unwrap_err(),
            Full::Share(Sharer::Host(host.into())),
            "under a name of its own"
        );
        open.push(
            enter(9, [10, 0, 0, 2].into()).expect("elsewhere it has its share: nothing was kept of it"),
        );
        open.drain(..20);
        while let Ok(place) = enter(100 + u8::try_from(open.len()).unwrap(), site) {
            open.push(place);
        }
        assert_eq!(open.len(), 1 + 36, "a proxy of many");
        open.clear();
        assert!(streams.callers.is_empty());
    }

    #[test]
    fn what_is_given_back_counts_in_the_budget_alone() {
        let streams = Streams::new(10, &[]);
        let first = streams.enter([Some(caller(1)), None]).unwrap();
        assert_eq!(streams.enter([Some(caller(1)), None]).unwrap_err(), Full::Share(caller(1)));
        let share = first.share();
        share.give_back();
        let _second = streams.enter([Some(caller(1)), None]).unwrap();
        assert_eq!(streams.places.available_permits(), 8);
        drop(first);
        share.give_back(); // of a stream that is gone
        assert_eq!(streams.places.available_permits(), 9);
        assert!(Streams::new(2, &[]).enter([None, None]).is_ok(), "it came over no socket");
    }
}
