//! What one connection takes up: the calls that its caller has not sent whole, those that it has under way, and the
//! answers that it has not taken.
//!
//! HTTP/2 lets a caller ask without taking: with a window of zero its answers stay here for as long as it likes, and
//! hyper looks at no body that waits for window. So a call's place is free once its handler has answered, and what
//! waits to be taken is counted in bytes. A connection that takes nothing gets no further answers, its streams wait
//! for one another, and at a bound for all connections the one that holds most is closed: only it, whoever it is. So
//! is the one that holds most of what is not sent whole, which has a bound of its own.
//!
//! Its limits are of the connection, whoever acts on it: a connection is one caller's, or a proxy's for many.

use super::{
    actor::{self, Actor, Shown},
    bearer::Bearers,
    caller::Caller,
    error_details::Failure,
    refusal::Told,
};
use domain::Wall;
use http::HeaderMap;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// With so many bytes of answers untaken a connection's further calls are refused.
const UNTAKEN_CALLS: usize = 1024 * 1024;
/// With so many bytes untaken a connection's streams wait before they hand over more.
const UNTAKEN_STREAMS: usize = 4 * 1024 * 1024;
/// With so many bytes untaken by all connections, the one that holds most of them is closed.
const UNTAKEN_BY_ALL: usize = 64 * 1024 * 1024;
/// With so many bytes of calls that are not sent whole, of all connections, the one that holds most of them is closed.
const UNSENT_BY_ALL: usize = 64 * 1024 * 1024;
/// What such a call takes up beside what was sent of its message, so that there are at most 8,192 of them.
const UNSENT_CALL: usize = 8 * 1024;
/// So many of its streams were ended as too slow within [`SLOW_WITHIN`]: the connection is closed.
const SLOW_STREAMS: u32 = 8;
/// See [`SLOW_STREAMS`].
const SLOW_WITHIN: Duration = Duration::from_secs(10);

/// All connections of one server.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<All>);

#[derive(Debug, Default)]
struct All {
    most: usize,
    unsent: AtomicUsize,
    untaken: AtomicUsize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Weak<Inner>>>,
    told: Told,
}

impl Connections {
    /// At most so many, and never more than nine tenths of what this process may open besides what it has: the rest is
    /// for the calls that it makes itself, and for its broker. Of certificates that are refused is `told`.
    pub(super) fn new(most: usize, told: Told) -> Self {
        let has = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let files = rlimit::Resource::NOFILE.get_soft().map_or(usize::MAX, |files| {
            usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(has) / 10 * 9
        });
        Self(Arc::new(All { most: most.min(files), told, ..All::default() }))
    }

    /// A connection that was accepted. Where there are too many, the one that has been longest without a call goes: of
    /// those that never had one, or else of those with no stream open and no call under way, or else of all.
    pub(super) fn account(&self, caller: Option<Caller>) -> Account {
        let account = Account(Arc::new(Inner::new(self.0.clone(), caller)));
        let open: Vec<_> = {
            let mut open = lock(&self.0.open);
            let full = open.len() >= self.0.most;
            let others = if full { open.values().filter_map(Weak::upgrade).collect() } else { Vec::new() };
            open.insert(account.0.number, Arc::downgrade(&account.0));
            others
        };
        let standing = open.iter().filter(|connection| !connection.closed.is_cancelled());
        let busy = |one: &Inner| one.streams.load(Relaxed) + one.calls.load(Relaxed) > 0;
        let used = |one: &&Arc<Inner>| (busy(one), *lock(&one.called));
        if let Some(idle) = standing.min_by_key(used) {
            idle.close("too_many");
        }
        account
    }
}

impl All {
    fn close_the_largest(&self, why: &'static str, held: impl Fn(&Inner) -> usize) {
        let open: Vec<_> = lock(&self.open).values().filter_map(Weak::upgrade).collect();
        if let Some(largest) = open.iter().max_by_key(|connection| held(connection)) {
            largest.close(why);
        }
    }
}

/// What one connection takes up. Each of its requests carries it; one that came over no socket has one of its own.
#[derive(Debug, Clone)]
pub(super) struct Account(Arc<Inner>);

impl Default for Account {
    fn default() -> Self {
        Self(Arc::new(Inner::new(Arc::default(), None)))
    }
}

#[derive(Debug)]
struct Inner {
    number: u64,
    all: Arc<All>,
    /// `None` where it came over no socket.
    caller: Option<Caller>,
    shown: Shown,
    bearers: Bearers,
    /// Whether it ever had a call; and when the newest came, or when it was opened.
    called: Mutex<(bool, Instant)>,
    /// How many streams are open on it.
    streams: AtomicUsize,
    calls: AtomicUsize,
    unsent: AtomicUsize,
    untaken: AtomicUsize,
    /// Streams that wait until enough was taken.
    waiting: Mutex<Vec<Waker>>,
    /// When the newest row of slow streams began, and how long it is.
    slow: Mutex<Option<(Instant, u32)>>,
    closed: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.all.open).remove(&self.number);
    }
}

impl Inner {
    fn new(all: Arc<All>, caller: Option<Caller>) -> Self {
        Self {
            number: all.next.fetch_add(1, Relaxed),
            all,
            caller,
            shown: Shown::default(),
            bearers: Bearers::default(),
            called: Mutex::new((false, Instant::now())),
            streams: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            waiting: Mutex::default(),
            slow: Mutex::default(),
            closed: CancellationToken::new(),
        }
    }

    fn close(&self, why: &'static str) {
        if !self.closed.is_cancelled() {
            tracing::info!(why, untaken_bytes = self.untaken.load(Relaxed), "a connection is closed");
            metrics::counter!("evmesh_server_connections_closed_total", "why" => why).increment(1);
            self.closed.cancel();
        }
    }
}

impl Account {
    /// Of requests that come over no socket: nobody is asked who it is.
    pub(super) fn of_no_socket() -> Self {
        let account = Self::default();
        account.0.shown.set(Actor::Unchecked);
        account
    }

    /// Once it is closed from here.
    pub(super) fn closed(&self) -> WaitForCancellationFutureOwned {
        self.0.closed.clone().cancelled_owned()
    }

    pub(super) fn close(&self, why: &'static str) {
        self.0.close(why);
    }

    pub(super) fn caller(&self) -> Option<Caller> {
        self.0.caller
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.0.shown
    }

    pub(super) fn bearers(&self) -> &Bearers {
        &self.0.bearers
    }

    /// Who acts in a call of this method with this head. A certificate counts, whatever token comes with it: it was
    /// given to one who has a key, and no call can be more than its connection. Where anyone may call, no token is
    /// looked at.
    pub(super) fn acts(&self, path: &str, headers: &HeaderMap, now: Wall) -> Result<Actor, Failure> {
        match self.0.shown.actor() {
            Actor::Stranger if !actor::is_open(path) => self.0.bearers.actor(headers, now),
            shown => Ok(shown),
        }
    }

    /// Its caller could not show who it is; `by_certificate`: it tried.
    pub(super) fn refused(&self, why: &'static str, by_certificate: bool, error: &io::Error) {
        let caller = self.0.caller.map(|caller| caller.to_string());
        tracing::info!(caller, why, %error, "a connection is refused: its caller could not show who it is");
        metrics::counter!("evmesh_server_handshakes_refused_total", "why" => why).increment(1);
        if by_certificate {
            self.0.all.told.unconnected(self.0.caller, why);
        }
    }

    /// A call came on it.
    pub(super) fn called(&self) {
        *lock(&self.0.called) = (true, Instant::now());
    }

    /// A stream is open on it, for as long as what is returned is kept.
    pub(super) fn streams(&self) -> Streaming {
        self.0.streams.fetch_add(1, Relaxed);
        Streaming(self.clone())
    }

    /// May it have one more call under way? `free` of all `places` are free: any connection may have more than its
    /// share, which is a sixteenth, but the last places (a sixty-fourth) are for those that have less.
    pub(super) fn enter(&self, free: usize, places: usize) -> Option<UnderWay> {
        let under_way = self.0.calls.load(Relaxed);
        let may = under_way < (places / 16).max(1) || free > places / 64;
        may.then(|| {
            self.0.calls.fetch_add(1, Relaxed);
            UnderWay(self.clone())
        })
    }

    /// A call comes on it, and is not whole for as long as what is returned is kept.
    pub(super) fn unsent(&self) -> Unsent {
        let mut unsent = Unsent { account: self.clone(), bytes: 0 };
        unsent.grows(UNSENT_CALL);
        unsent
    }

    /// Its caller takes no answers: it gets no further ones.
    pub(super) fn takes_nothing(&self) -> bool {
        self.0.untaken.load(Relaxed) >= UNTAKEN_CALLS
    }

    /// So many bytes wait to be taken, for as long as what is returned is kept.
    pub(super) fn charge(&self, bytes: usize) -> Untaken {
        self.0.untaken.fetch_add(bytes, Relaxed);
        if self.0.all.untaken.fetch_add(bytes, Relaxed) + bytes > UNTAKEN_BY_ALL {
            self.0.all.close_the_largest("answers_untaken", |one| one.untaken.load(Relaxed));
        }
        Untaken { account: self.clone(), bytes }
    }

    /// A stream has something to hand over: ready once there is room for it.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let full = || self.0.untaken.load(Relaxed) >= UNTAKEN_STREAMS;
        if !full() {
            return Poll::Ready(());
        }
        let mut waiting = lock(&self.0.waiting);
        waiting.retain(|waker| !waker.will_wake(cx.waker()));
        waiting.push(cx.waker().clone());
        if full() { Poll::Pending } else { Poll::Ready(()) } // taken before the waker was there
    }

    /// One of its streams was ended, because its reader took nothing.
    pub(super) fn was_slow(&self) {
        let mut slow = lock(&self.0.slow);
        let (since, count) =
            slow.filter(|(since, _)| since.elapsed() < SLOW_WITHIN).unwrap_or((Instant::now(), 0));
        *slow = Some((since, count + 1));
        if count + 1 >= SLOW_STREAMS {
            self.0.close("streams_unread");
        }
    }
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct Streaming(Account);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.0.streams.fetch_sub(1, Relaxed);
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct UnderWay(Account);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.calls.fetch_sub(1, Relaxed);
    }
}

/// What is there of a call that is not sent whole.
#[derive(Debug)]
pub(super) struct Unsent {
    account: Account,
    bytes: usize,
}

impl Unsent {
    pub(super) fn grows(&mut self, bytes: usize) {
        let inner = &self.account.0;
        self.bytes += bytes;
        inner.unsent.fetch_add(bytes, Relaxed);
        if inner.all.unsent.fetch_add(bytes, Relaxed) + bytes > UNSENT_BY_ALL {
            inner.all.close_the_largest("calls_unsent", |one| one.unsent.load(Relaxed));
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        let inner = &self.account.0;
        inner.unsent.fetch_sub(self.bytes, Relaxed);
        inner.all.unsent.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes that wait to be taken.
#[derive(Debug)]
pub(super) struct Untaken {
    account: Account,
    bytes: usize,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let inner = &self.account.0;
        inner.all.untaken.fetch_sub(self.bytes, Relaxed);
        if inner.untaken.fetch_sub(self.bytes, Relaxed) >= UNTAKEN_STREAMS {
            lock(&inner.waiting).drain(..).for_each(Waker::wake);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
