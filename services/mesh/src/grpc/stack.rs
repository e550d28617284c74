//! What every call passes on its way to a handler and back. Read `serve` from top to bottom.

use super::{
    deadline::{Deadline, grpc_timeout},
    error_details::{Failure, RETRY_AFTER},
    methods::{self, Method},
    server_options::ServerOptions,
    uniform,
};
use crate::{Shutdown, trace};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Frame;
use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;
use tracing::Instrument as _;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// tonic has a timer of its own for the caller's `grpc-timeout`, and answers `CANCELLED`. Ours fires this much
/// earlier: a timer is late by at most a millisecond, and of two that are due tonic asks us first.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(2);

/// A path that no method has gets this label, so that callers cannot make up metrics.
const UNKNOWN_METHOD: &str = "unknown";

/// Who asks whether this server lives is answered when it is full too: restarting it would help nobody.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// The services behind everything that the server stack does for them: trace, bounds, deadline, uniform errors. A
/// service of HTTP requests, as [`GrpcServer::serve`](super::GrpcServer::serve) gives them to it.
#[derive(Debug, Clone)]
pub struct Stack {
    routes: Routes,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    request_timeout: Duration,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    slow_reader_timeout: Duration,
    /// Streams end now.
    stopping: Shutdown,
    /// Running calls end now.
    overdue: Shutdown,
}

impl Stack {
    pub(super) fn new(
        routes: Routes,
        options: &ServerOptions,
        stopping: Shutdown,
        overdue: Shutdown,
    ) -> Self {
        let shared = Shared {
            request_timeout: options.request_timeout,
            calls: Arc::new(Semaphore::new(options.max_concurrent_requests)),
            streams: Arc::new(Semaphore::new(options.max_streams)),
            slow_reader_timeout: options.slow_reader_timeout,
            stopping,
            overdue,
        };
        Self { routes: routes.prepare(), shared: Arc::new(shared) }
    }
}

impl Service<Request> for Stack {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // a full server refuses; it never lets callers queue
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (routes, shared) = (self.routes.clone(), self.shared.clone());
        let arrived = Instant::now(); // here, not at the first poll: that may be late, and tonic's timer runs already
        Box::pin(async move { Ok(serve(routes, &shared, request, arrived).await) })
    }
}

async fn serve(routes: Routes, shared: &Shared, request: Request, arrived: Instant) -> Response {
    // Which method: streams have no time limit, and are counted apart.
    let (path, method) = methods::find(request.uri().path()).unwrap_or((UNKNOWN_METHOD, Method::Unary));
    let call = Call { path, method, arrived };
    let tally = Tally { call, counted: false };

    // Trace: a step within the caller's, or one of its own; every log line below carries it.
    let trace = trace::parent(request.headers()).map_or_else(trace::root, trace::child);
    let span = tracing::info_span!("call", method = path, trace = trace.id());

    let answered = trace::scope(trace, admit(routes, shared, request, call).instrument(span)).await;
    let (response, permit) = match answered {
        Ok(answered) => answered,
        Err(failure) => (Status::from(failure).into_http(), None),
    };

    // Uniform errors: whatever refused, the caller sees one form. In the answer's head, or at the end of its body.
    let (response, code) = uniform::response(response);
    if let Some(code) = code {
        tally.done(code);
        return response;
    }
    response.map(|body| {
        let held = Held { inner: body, tally: Some(tally), handed: None, _permit: permit };
        let held = Arc::new(Mutex::new(Some(held)));
        // Slow readers: who takes nothing more is let go of.
        let stopped = (method == Method::Streaming).then(|| {
            tokio::spawn(let_go_if_slow(Arc::downgrade(&held), shared.slow_reader_timeout, path));
            stopped(&shared.stopping)
        });
        Body::new(Outgoing { held, stopped, ended: false })
    })
}

/// A stream whose reader has not taken what was handed over for so long is ended: its handler, and its place in the
/// limit, are free at once. The reader finds the reason behind what it had not read.
async fn let_go_if_slow(stream: Weak<Mutex<Option<Held>>>, timeout: Duration, path: &'static str) {
    loop {
        tokio::time::sleep(timeout / 4).await;
        let Some(stream) = stream.upgrade() else { return };
        let mut held = lock(&stream);
        let Some(open) = held.as_mut() else { return };
        if open.handed.is_none_or(|handed| handed.elapsed() < timeout) {
            continue;
        }
        if let Some(tally) = open.tally.take() {
            tally.done(Code::ResourceExhausted);
        }
        *held = None;
        tracing::info!(method = path, "a stream's reader is too slow; the stream is ended");
        metrics::counter!("evmesh_server_slow_readers_total", "method" => path).increment(1);
        return;
    }
}

fn slow_reader() -> Failure {
    let message =
        "this stream was not read for too long, and was ended; open it again and read it as it comes";
    Failure::exhausted("SLOW_READER", message, RETRY_AFTER)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Call {
    path: &'static str,
    method: Method,
    arrived: Instant,
}

async fn admit(
    mut routes: Routes,
    shared: &Shared,
    mut request: Request,
    call: Call,
) -> Result<(Response, Option<OwnedSemaphorePermit>), Failure> {
    let Call { path, method, arrived } = call;

    // Load shedding and the limit of concurrency: who does not fit is told at once when to come back.
    let slots = match method {
        Method::Unary => &shared.calls,
        Method::Streaming => &shared.streams,
    };
    let permit =
        (path != HEALTH_CHECK).then(|| slots.clone().try_acquire_owned()).transpose().map_err(|_| {
            let message = "too many requests at once; try again after the delay in the details";
            Failure::exhausted("OVERLOADED", message, RETRY_AFTER)
        })?;

    // Deadline: what the caller asks for, at most the server's own; handlers pass it on.
    let asked = grpc_timeout(request.headers()).map(|asked| asked.saturating_sub(AHEAD_OF_TONIC));
    let limit = match method {
        Method::Unary => {
            Some(asked.map_or(shared.request_timeout, |asked| asked.min(shared.request_timeout)))
        }
        Method::Streaming => asked,
    };
    let deadline = limit.map(|limit| Deadline(arrived + limit));
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }

    authorise(&request)?;

    // The handler, which may panic without hurting any other call.
    let handled = AssertUnwindSafe(routes.call(request)).catch_unwind();
    tokio::select! {
        biased;
        response = handled => match response {
            Ok(Ok(response)) => Ok((response, permit)),
            Ok(Err(never)) => match never {},
            Err(_) => Err(Failure::internal("a handler panicked")),
        },
        () = until(deadline) => {
            let message = "the request took longer than its deadline allows";
            Err(Failure::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message))
        }
        () = shared.overdue.started() => Err(shutting_down()),
    }
}

/// Authentication and authorisation belong here: identities are not there yet, so everyone may do everything.
fn authorise(_: &Request) -> Result<(), Failure> {
    Ok(())
}

async fn until(deadline: Option<Deadline>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.0).await,
        None => std::future::pending().await,
    }
}

fn shutting_down() -> Failure {
    Failure::unavailable("SHUTTING_DOWN", "this server is stopping; try again soon", RETRY_AFTER)
}

/// Counts a call, once.
struct Tally {
    call: Call,
    counted: bool,
}

impl Tally {
    fn done(mut self, code: Code) {
        self.count(code);
    }

    fn count(&mut self, code: Code) {
        if !std::mem::replace(&mut self.counted, true) {
            let code = uniform::name(code);
            metrics::counter!("evmesh_server_calls_total", "method" => self.call.path, "code" => code)
                .increment(1);
            if self.call.method == Method::Unary {
                let seconds = self.call.arrived.elapsed().as_secs_f64();
                metrics::histogram!("evmesh_server_call_seconds", "method" => self.call.path).record(seconds);
            }
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.count(Code::Cancelled); // the caller left before the answer's end
    }
}

type Stopped = Pin<Box<WaitForCancellationFutureOwned>>;

fn stopped(shutdown: &Shutdown) -> Stopped {
    Box::pin(shutdown.token().clone().cancelled_owned())
}

/// What an answer in progress holds.
struct Held {
    inner: Body,
    tally: Option<Tally>,
    /// When a part was handed over, if nobody has asked for the next one since.
    handed: Option<Instant>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The body of an answer: gives its end the one form, ends a stream when the server stops, holds its place in the
/// limit.
struct Outgoing {
    /// `None` once a slow reader's stream was ended.
    held: Arc<Mutex<Option<Held>>>,
    stopped: Option<Stopped>,
    ended: bool,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let mut held = lock(&this.held);
        let Some(open) = held.as_mut() else {
            this.ended = true;
            return Poll::Ready(Some(Ok(Frame::trailers(last_word(slow_reader())))));
        };
        open.handed = None;
        // What the stream has to say comes first, a last word on the way down included.
        let ended = match Pin::new(&mut open.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(frame) => {
                    open.handed = Some(Instant::now());
                    return Poll::Ready(Some(Ok(frame)));
                }
            },
            Poll::Ready(other) => return Poll::Ready(other),
            Poll::Pending => match this.stopped.as_mut().map(|stopped| stopped.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => last_word(shutting_down()),
                Some(Poll::Pending) | None => return Poll::Pending,
            },
        };
        let (trailers, code) = uniform::trailers(ended);
        if let Some(tally) = open.tally.take() {
            tally.done(code);
        }
        this.ended = true;
        *held = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

fn last_word(failure: Failure) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    // Our texts are plain: they always make headers.
    let _ = Status::from(failure).add_header(&mut trailers);
    trailers
}
