//! A connection to a far side. It is made for the first call, closed once nobody has used it for a minute, sooner where
//! there are many, and made anew for the next call: that is nobody's loss, and nothing is said of it.

use super::{bearer, connector::Connector};
use http::HeaderValue;
use identity::Shows;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;

/// A connection with neither call nor stream is closed after so long.
const IDLE: Duration = Duration::from_secs(60);
/// While one role has more than so many open, they are closed after [`SHORT_IDLE`]: once central has started it calls
/// every engine.
const MANY: usize = 1024;
/// A supplying engine is asked more often.
const SHORT_IDLE: Duration = Duration::from_secs(5);
/// A far side that lets so much time pass without an answer has failed; after less, its caller was merely in a hurry.
pub(super) const SILENCE: Duration = Duration::from_millis(500);

/// The way to a far side, with one connection at most for new calls.
#[derive(Debug)]
pub(super) struct Outgoing {
    endpoint: Endpoint,
    connector: Connector,
    newest: Arc<Mutex<Newest>>,
    opened: Opened,
}

/// How many connections one role has open. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened(Arc<AtomicUsize>);

impl Opened {
    fn one_more(&self) -> Self {
        self.0.fetch_add(1, Relaxed);
        self.clone()
    }

    fn idle(&self) -> Duration {
        if self.0.load(Relaxed) > MANY { SHORT_IDLE } else { IDLE }
    }
}

/// The connection for new calls, if there is one.
#[derive(Debug, Default)]
struct Newest {
    connection: Option<Arc<Connection>>,
    /// The task that looks whether it is idle.
    watcher: Option<AbortHandle>,
}

impl Drop for Newest {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort(); // nobody can use it any more
        }
    }
}

#[derive(Debug)]
struct Connection {
    channel: Channel,
    /// The certificate with which it is made, if it is: a newer one makes another connection, since on one that is open
    /// the older one counts until its end.
    serial: Option<Arc<str>>,
    /// It has been made: before that no answer can come on it, and it has a time of its own.
    stands: Arc<AtomicBool>,
    /// When it was last given back.
    used: Mutex<Instant>,
    /// When the far side last answered on it.
    heard: Mutex<Instant>,
    /// It is one of these.
    opened: Opened,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.opened.0.fetch_sub(1, Relaxed);
    }
}

/// A connection in use, by one call or stream. It stays open until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    connection: Arc<Connection>,
    since: Instant,
    newest: Arc<Mutex<Newest>>,
}

impl Drop for Taken {
    /// Without an answer to it, or to any other meanwhile, this connection may lead nowhere: the next call makes
    /// another.
    fn drop(&mut self) {
        let now = Instant::now();
        *lock(&self.connection.used) = now;
        let silent = *lock(&self.connection.heard) <= self.since && now >= self.since + SILENCE;
        if silent && self.connection.stands.load(Relaxed) {
            lock(&self.newest).connection.take_if(|newest| Arc::ptr_eq(newest, &self.connection));
        }
    }
}

impl Taken {
    pub(super) fn channel(&self) -> Channel {
        self.connection.channel.clone()
    }

    /// The far side has answered.
    pub(super) fn heard(&self) {
        *lock(&self.connection.heard) = Instant::now();
    }
}

impl Outgoing {
    /// Nothing is open yet. What will be counts among the others of its role.
    pub(super) fn new(endpoint: Endpoint, connector: Connector, opened: Opened) -> Self {
        Self { endpoint, connector, newest: Arc::default(), opened }
    }

    /// A connection, and the header with which each call says who makes it, where that is a token. Needs a tokio
    /// runtime.
    pub(super) fn take(&self) -> (Taken, Option<HeaderValue>) {
        let (serial, bearer) = match self.connector.shows() {
            Some(Shows::Certificate(serial)) => (Some(serial), None),
            Some(Shows::Token(token)) => (None, bearer::header(&token)),
            None => (None, None),
        };
        let (since, slot) = (Instant::now(), self.newest.clone());
        let mut newest = lock(&slot);
        let connection = match &newest.connection {
            Some(open) if open.serial == serial => open.clone(),
            Some(_) | None => {
                let stands = Arc::new(AtomicBool::new(false));
                let made = stands.clone();
                let connector = self.connector.clone().map_response(move |wire| {
                    made.store(true, Relaxed);
                    wire
                });
                let channel = self.endpoint.connect_with_connector_lazy(connector);
                let (used, heard) = (Mutex::new(since), Mutex::new(since));
                let opened = self.opened.one_more();
                let first = since + opened.idle();
                newest.watcher.get_or_insert_with(|| {
                    tokio::spawn(close_once_idle(Arc::downgrade(&slot), first)).abort_handle()
                });
                let made = Connection { channel, serial, stands, used, heard, opened };
                newest.connection.insert(Arc::new(made)).clone()
            }
        };
        drop(newest);
        (Taken { connection, since, newest: slot }, bearer)
    }
}

async fn close_once_idle(newest: Weak<Mutex<Newest>>, first: Instant) {
    let mut next = Some(first);
    while let Some(at) = next {
        sleep_until(at).await;
        next = newest.upgrade().and_then(|newest| look(&mut lock(&newest)));
    }
}

/// When to look again; `None` once there is no connection any more.
fn look(newest: &mut Newest) -> Option<Instant> {
    let now = Instant::now();
    let idle_at = newest.connection.as_ref().map(|open| {
        let used = if Arc::strong_count(open) > 1 { now } else { *lock(&open.used) };
        used + open.opened.idle()
    });
    let next = idle_at.filter(|at| *at > now);
    if next.is_none() {
        (newest.connection, newest.watcher) = (None, None);
    }
    next
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
