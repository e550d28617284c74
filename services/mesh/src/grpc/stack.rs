//! What every call passes on its way to a handler and back. Read `serve` from top to bottom.

use super::{
    error::{Failure, RETRY_AFTER},
    methods::{self, Method},
    server::{Deadline, ServerOptions},
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
    sync::Arc,
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

/// tonic has a timer of its own for the caller's `grpc-timeout`, and answers `CANCELLED`. Ours fires this much earlier: a
/// timer is late by at most a millisecond, and of two that are due tonic asks us first.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(2);

/// A path that no method has gets this label, so that callers cannot make up metrics.
const UNKNOWN_METHOD: &str = "unknown";

/// Who asks whether this server lives is answered when it is full too: restarting it would help nobody.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// The services behind everything that [`serve`] does for them.
#[derive(Clone)]
pub(super) struct Stack {
    routes: Routes,
    shared: Arc<Shared>,
}

struct Shared {
    request_timeout: Duration,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
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

/// The server stack.
async fn serve(routes: Routes, shared: &Shared, request: Request, arrived: Instant) -> Response {
    // Which method: streams have no time limit, and are counted apart.
    let (path, method) = methods::find(request.uri().path()).unwrap_or((UNKNOWN_METHOD, Method::Unary));
    let call = Call { path, method, arrived };
    let tally = Tally { call, counted: false };

    // Trace: a step within the caller's, or one of its own; every log line below carries it.
    let trace = trace::from_headers(request.headers());
    let span = tracing::info_span!("call", method = path, trace = trace.id());

    let answered = trace.scope(admit(routes, shared, request, call).instrument(span)).await;
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
        let stopped = (method == Method::Streaming).then(|| stopped(&shared.stopping));
        Body::new(Outgoing { inner: body, tally: Some(tally), stopped, _permit: permit })
    })
}

/// A call on its way.
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
        () = until(deadline) => Err(Failure::deadline("the request took longer than its deadline allows")),
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

/// The caller's time limit (gRPC over HTTP/2): up to eight digits and a unit.
pub(super) fn grpc_timeout(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
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

/// The body of an answer: gives its end the one form, ends a stream when the server stops, holds its place in the limit.
struct Outgoing {
    inner: Body,
    tally: Option<Tally>,
    stopped: Option<Stopped>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // What the stream has to say comes first, a last word on the way down included.
        let end = |this: &mut Self, trailers: http::HeaderMap| {
            let (trailers, code) = uniform::trailers(trailers);
            if let Some(tally) = this.tally.take() {
                tally.done(code);
            }
            this.inner = Body::empty();
            this.stopped = None;
            Poll::Ready(Some(Ok(Frame::trailers(trailers))))
        };
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_trailers() {
                Ok(trailers) => end(&mut self, trailers),
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => match self.stopped.as_mut().map(|stopped| stopped.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => {
                    let mut trailers = http::HeaderMap::new();
                    // Its texts are plain: they always make headers.
                    let _ = Status::from(shutting_down()).add_header(&mut trailers);
                    end(&mut self, trailers)
                }
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_read() {
        for (text, limit) in [
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("123456789S", None),
            ("5x", None),
        ] {
            let headers = [(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())];
            assert_eq!(grpc_timeout(&headers.into_iter().collect()), limit, "{text}");
        }
    }
}
