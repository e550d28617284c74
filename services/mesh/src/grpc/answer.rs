//! An answer on its way to its caller: its end has the one form, what waits to be taken is counted, and a stream that
//! nobody reads, or whose server stops, is ended.

use super::{
    actor::{Actor, Ends},
    connection::{Account, Untaken},
    error_details::{Failure, RETRY_AFTER},
    looks::Looks,
    tally::Tally,
    uniform,
};
use crate::Shutdown;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt as _;
use std::{
    any::Any,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status, body::Body};

type Response = http::Response<Body>;
type NextFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// A call's answer, in memory as a whole: it holds nothing of its handler any more.
pub(super) async fn whole(response: Response, tally: Tally, account: &Account) -> Response {
    let (parts, body) = response.into_parts();
    let (bytes, end) = match body.collect().await {
        Ok(collected) => {
            let end = collected.trailers().cloned().unwrap_or_default();
            (collected.to_bytes(), end)
        }
        Err(status) => (Bytes::new(), last_word(status)),
    };
    let (end, code) = uniform::trailers(end);
    let _untaken = account.charge(bytes.len());
    let whole = Whole { pieces: Pieces::of(bytes), end: Some((end, tally, code)), _untaken };
    Response::from_parts(parts, Body::new(whole))
}

/// The first piece has so many bytes; each further one has twice as many as the one before.
const FIRST_PIECE: usize = 256;

/// What is handed over piece by piece. hyper takes the next one once its caller has window for a single byte of it, and
/// buffers the rest: so it holds no more that is not counted than it has sent.
#[derive(Debug, Default)]
struct Pieces {
    bytes: Bytes,
    size: usize,
}

impl Pieces {
    fn of(bytes: Bytes) -> Self {
        Self { bytes, size: FIRST_PIECE }
    }

    fn next(&mut self) -> Option<Bytes> {
        let size = self.size.min(self.bytes.len());
        self.size = self.size.saturating_mul(2);
        (size > 0).then(|| self.bytes.split_to(size))
    }
}

/// The body of [`whole`].
struct Whole {
    pieces: Pieces,
    end: Option<(HeaderMap, Tally, Code)>,
    /// Until this is gone.
    _untaken: Untaken,
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> NextFrame {
        let this = self.get_mut();
        if let Some(piece) = this.pieces.next() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(this.end.take().map(|(end, tally, code)| {
            tally.done(code, &end);
            Ok(Frame::trailers(end))
        }))
    }
}

/// Which readers of streams are too slow is looked for, all at once, so often within the time that they have.
const LOOKS: u32 = 4;

/// Ends the streams whose readers have not taken what was handed over for so long, whether they read again or not: the
/// handler, and the place in the limit, are free at once. The reader finds the reason behind what it had not read.
#[derive(Debug)]
pub(super) struct SlowReaders {
    slow: Duration,
    looks: Arc<Looks>,
}

impl SlowReaders {
    pub(super) fn new(slow: Duration) -> Self {
        Self { slow, looks: Looks::new(slow / LOOKS) }
    }

    fn look_at(&self, stream: Weak<Stream>, account: Account) {
        let slow = self.slow;
        self.looks.add(move || {
            let Some(stream) = stream.upgrade() else { return false };
            let mut held = lock(&stream);
            let Ok(open) = held.as_mut() else { return false };
            if open.handed.is_none_or(|handed| handed.elapsed() < slow) {
                return true;
            }
            let method = open.tally.as_ref().map_or("", Tally::path);
            tracing::info!(method, "a stream's reader is too slow; the stream is ended");
            metrics::counter!("evmesh_server_slow_readers_total", "method" => method).increment(1);
            account.was_slow();
            end(&mut held, slow_reader());
            false
        });
    }
}

/// A stream's answers, for who opened it. It keeps `place` until its end. It ends where its reader is too slow, where
/// it may not be `silent` for longer than that, or with its caller's certificate or token.
pub(super) fn stream(
    response: Response,
    tally: Tally,
    account: Account,
    (place, actor): (impl Any + Send, &Actor),
    (slow, silent): (&SlowReaders, Option<Duration>),
    stopping: &Shutdown,
) -> Response {
    response.map(|inner| {
        // It waits for its reader from the beginning: one without window is not even asked for its first part.
        let handed = Some(Instant::now());
        let open = Open { inner, tally: Some(tally), handed, ends: None, _place: Box::new(place) };
        let open = Arc::new(Mutex::new(Ok(open)));
        let now = crate::now().wall;
        slow.look_at(Arc::downgrade(&open), account.clone());
        if let Some(ends) = actor.ends(now) {
            let task = tokio::spawn(end_with(ends, Arc::downgrade(&open))).abort_handle();
            if let Ok(open) = lock(&open).as_mut() {
                open.ends = Some(task);
            }
        }
        let stopped = Box::pin(stopping.token().clone().cancelled_owned());
        let silent = silent.map(|most| (most, Box::pin(tokio::time::sleep(most))));
        let (ends, rest) = (actor.ends(now), Pieces::default());
        Body::new(Answers { open, stopped, silent, ends, account, rest, untaken: None, ended: false })
    })
}

/// The body of [`stream`].
struct Answers {
    open: Arc<Stream>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How long it may have nothing to say, and until when.
    silent: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Once its caller's certificate or token says nothing any more.
    ends: Option<Ends>,
    account: Account,
    /// What is left of the newest answer, and what that counts until its last piece is on its way.
    rest: Pieces,
    untaken: Option<Untaken>,
    ended: bool,
}

/// A stream that goes on; once it was [ended](end), why.
type Stream = Mutex<Held>;
type Held = Result<Open, Option<Failure>>;

/// What a stream holds that goes on.
struct Open {
    inner: Body,
    tally: Option<Tally>,
    /// Since when it waits for its reader; `None`: it has nothing to say.
    handed: Option<Instant>,
    /// Ends it with its caller's certificate or token, whether its reader reads or not.
    ends: Option<AbortHandle>,
    _place: Box<dyn Any + Send>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(task) = &self.ends {
            task.abort();
        }
    }
}

impl http_body::Body for Answers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> NextFrame {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let mut held = lock(&this.open);
        let open = match held.as_mut() {
            Ok(open) => open,
            Err(why) => {
                this.ended = true;
                return Poll::Ready(why.take().map(|why| Ok(Frame::trailers(last_word(why.into())))));
            }
        };
        if let Some(piece) = this.rest.next() {
            open.handed = Some(Instant::now());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        this.untaken = None;
        if this.account.poll_room(cx).is_pending() {
            open.handed.get_or_insert_with(Instant::now);
            return Poll::Pending;
        }
        open.handed = None;
        let over = this.ends.as_mut().map_or(Poll::Pending, |ends| ends.as_mut().poll(cx));
        // What the stream has to say comes first, a last word on the way down included.
        let next = match over {
            Poll::Ready(failure) => Poll::Ready(Some(Ok(Frame::trailers(last_word(failure.into()))))),
            Poll::Pending => Pin::new(&mut open.inner).poll_frame(cx),
        };
        let end = match next {
            Poll::Ready(Some(Ok(frame))) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(frame) => {
                    open.handed = Some(Instant::now());
                    if let Some((most, until)) = &mut this.silent {
                        until.as_mut().reset(Instant::now() + *most);
                    }
                    this.rest = Pieces::of(frame.into_data().unwrap_or_default());
                    this.untaken = Some(this.account.charge(this.rest.bytes.len()));
                    let piece = this.rest.next().unwrap_or_default();
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
            },
            Poll::Ready(other) => return Poll::Ready(other),
            Poll::Pending if this.stopped.as_mut().poll(cx).is_ready() => last_word(shutting_down().into()),
            Poll::Pending => {
                let over = |(_, until): &mut (Duration, Pin<Box<Sleep>>)| until.as_mut().poll(cx).is_ready();
                if !this.silent.as_mut().is_some_and(over) {
                    return Poll::Pending;
                }
                last_word(silent().into())
            }
        };
        let (trailers, code) = uniform::trailers(end);
        if let Some(tally) = open.tally.take() {
            tally.done(code, &trailers);
        }
        this.ended = true;
        *held = Err(None);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// Its caller may not go on once `ends` comes.
async fn end_with(ends: Ends, stream: Weak<Stream>) {
    let why = ends.await;
    if let Some(stream) = stream.upgrade() {
        end(&mut lock(&stream), why);
    }
}

fn end(held: &mut Held, why: Failure) {
    let Ok(open) = held else { return };
    if let Some(tally) = open.tally.take() {
        let (trailers, code) = uniform::trailers(last_word(why.clone().into()));
        tally.done(code, &trailers);
    }
    *held = Err(Some(why));
}

fn slow_reader() -> Failure {
    let message =
        "this stream was not read for too long, and was ended; open it again and read it as it comes";
    Failure::exhausted("SLOW_READER", message, RETRY_AFTER)
}

fn silent() -> Failure {
    let message = "nothing was asked on this stream for too long, and it was ended; open it again";
    Failure::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message)
}

pub(super) fn shutting_down() -> Failure {
    Failure::unavailable("SHUTTING_DOWN", "this server is stopping; try again soon", RETRY_AFTER)
}

fn last_word(status: Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Our texts are plain: they always make headers.
    let _ = status.add_header(&mut trailers);
    trailers
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
