//! What every call passes on its way to a handler and back. Read `serve` from top to bottom.

use super::{
    actor::Actor,
    answer::{self, SlowReaders},
    connection::Account,
    deadline::{Deadline, grpc_timeout},
    error_details::{Failure, RETRY_AFTER},
    methods::{self, Method},
    refusal::Told,
    request,
    server_options::ServerOptions,
    shares::{self, Sharer, Sharers, Shares},
    streams::{Full, Streams},
    tally::{Call, Tally},
    uniform,
};
use crate::{Shutdown, trace};
use bytes::Bytes;
use futures_util::FutureExt as _;
use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tonic::{Code, Status, body::Body, service::Routes};
use tonic_health::pb::HealthCheckRequest;
use tower::Service;
use tracing::Instrument as _;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// tonic has a timer of its own for the caller's `grpc-timeout`, and answers `CANCELLED`. Ours fires this much
/// earlier: a timer is late by at most a millisecond, and of two that are due tonic asks us first.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(2);

/// A call's message is here whole within this, from the call's beginning. It costs no place until then, but memory.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// A path that no method has gets this label, so that callers cannot make up metrics.
const UNKNOWN_METHOD: &str = "unknown";

/// Who asks whether this server lives is answered when it is full too, since restarting it would help nobody; who asks
/// whether it is [`READY`] is not.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Under this name health says whether a server is ready for its callers: asked within the limits that theirs have, so
/// that one without a place for them answers `OVERLOADED`.
pub(super) const READY: &str = "ready";

/// Each of its messages is a question that is answered at once: a stream that has nothing to say for longer than a call
/// may take ends, and with it a question that is never sent whole. Its clients open another one.
const REFLECTION: &str = "/grpc.reflection.";

/// The streams of charge points' monitors.
const REPORTS: &str = "/evmesh.chargepoint.";

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
    max_calls: usize,
    callers: Shares,
    streams: Streams,
    /// Monitors' own: who watches keeps no charge point out, nor the other way round.
    reports: Streams,
    slow_readers: SlowReaders,
    max_message_bytes: usize,
    told: Told,
    /// Streams end now.
    stopping: Shutdown,
    /// Running calls end now.
    overdue: Shutdown,
}

impl Stack {
    pub(super) fn new(
        routes: Routes,
        options: &ServerOptions,
        told: Told,
        stopping: Shutdown,
        overdue: Shutdown,
    ) -> Self {
        let shared = Shared {
            request_timeout: options.request_timeout,
            calls: Arc::new(Semaphore::new(options.max_concurrent_requests.min(Semaphore::MAX_PERMITS))),
            max_calls: options.max_concurrent_requests,
            callers: Shares::new(&options.many_callers),
            streams: Streams::new(options.max_streams, &options.many_callers),
            reports: Streams::new(options.max_streams, &options.many_callers),
            slow_readers: SlowReaders::new(options.slow_reader_timeout),
            max_message_bytes: options.max_message_bytes,
            told,
            stopping,
            overdue,
        };
        Self { routes: routes.prepare(), shared: Arc::new(shared) }
    }
}

/// A place in the limits of concurrency: a call's, at the server and on its connection, or a stream's.
type Place = Box<dyn Any + Send>;

impl Shared {
    fn place(
        &self,
        path: &str,
        method: Method,
        account: &Account,
        whose: Sharers,
        request: &mut Request,
    ) -> Result<Place, Failure> {
        let overloaded = || {
            let message = "too many requests at once; try again after the delay in the details";
            Failure::exhausted("OVERLOADED", message, RETRY_AFTER)
        };
        if method == Method::Streaming {
            let streams = if path.starts_with(REPORTS) { &self.reports } else { &self.streams };
            let place = streams.enter(whose).map_err(|full| match full {
                Full::Budget => overloaded(),
                Full::Share(whose) => too_many_streams(&whose),
            })?;
            request.extensions_mut().insert(place.share());
            return Ok(Box::new((place, account.streams())));
        }
        if account.takes_nothing() {
            let message = "this connection has not taken the answers that it has; take them, then ask again";
            return Err(Failure::exhausted("ANSWERS_UNTAKEN", message, RETRY_AFTER));
        }
        let free = self.calls.available_permits();
        let of_caller = self.hold(whose, free).map_err(|_| overloaded())?;
        let share = account.enter(free, self.max_calls).ok_or_else(overloaded)?;
        let place = self.calls.clone().try_acquire_owned().map_err(|_| overloaded())?;
        Ok(Box::new((place, share, of_caller)))
    }

    /// What comes of it until then, or until this server is about to end.
    async fn within<T>(
        &self,
        until: Instant,
        late: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = tokio::time::sleep_until(until) => {
                Err(Failure::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", late))
            }
            () = self.overdue.started() => Err(answer::shutting_down()),
        }
    }

    /// A caller may have more than its share of the calls under way, on however many connections, but for the last
    /// places (a sixteenth): those are for the callers that have less.
    fn hold(&self, whose: Sharers, free: usize) -> Result<shares::Shared, Sharer> {
        let last = self.max_calls / 16;
        self.callers.hold_all(whose, |whose, theirs| {
            let many = self.callers.stands_for_many(whose);
            many || theirs < self.callers.share(whose, self.max_calls) || free > last
        })
    }
}

fn too_many_streams(whose: &Sharer) -> Failure {
    let message = match whose {
        Sharer::Address(caller) | Sharer::Host(caller) => format!(
            "{caller} has as many streams open as one address may; close some, or have it named by --many-callers where \
             it stands for many"
        ),
        Sharer::Identity(_) | Sharer::ForMany(_) => {
            format!("{whose} has as many streams open as one caller may; close some")
        }
    };
    Failure::exhausted("OVERLOADED", message, RETRY_AFTER)
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
    let account = request.extensions().get::<Account>().cloned().unwrap_or_else(Account::of_no_socket);
    account.called();

    // Who acts: by who made the connection, or by the call's token.
    let acts = account.acts(path, request.headers(), crate::now().wall);
    let actor = acts.as_ref().map_or(Actor::Stranger, Actor::clone);
    let tally = Tally::new(call, (actor.clone(), account.caller()), shared.told.clone());

    // Trace: a step within the caller's, or one of its own; every log line below carries it.
    let trace = trace::parent(request.headers()).map_or_else(trace::root, trace::child);
    let span = tracing::info_span!("call", method = path, trace = trace.id());

    let answered =
        trace::scope(trace, admit(routes, shared, request, call, &account, acts).instrument(span)).await;
    let (response, place) = match answered {
        Ok(answered) => answered,
        Err(failure) => (Status::from(failure).into_http(), None),
    };

    // Uniform errors: whatever refused, the caller sees one form. In the answer's head, or at the end of its body.
    let (response, code) = uniform::response(response);
    if let Some(code) = code {
        tally.done(code, response.headers());
        return response;
    }
    // A call's place is free again: its answer is whole, and is counted until it is taken. A stream keeps its own.
    match method {
        Method::Unary => answer::whole(response, tally, &account).await,
        Method::Streaming => {
            let silent = path.starts_with(REFLECTION).then_some(shared.request_timeout);
            let times = (&shared.slow_readers, silent);
            answer::stream(response, tally, account, (place, &actor), times, &shared.stopping)
        }
    }
}

async fn admit(
    mut routes: Routes,
    shared: &Shared,
    mut request: Request,
    call: Call,
    account: &Account,
    acts: Result<Actor, Failure>,
) -> Result<(Response, Option<Place>), Failure> {
    let Call { path, method, arrived } = call;

    // Authorisation, by who acts and by the one table: who may not call takes up nothing.
    let actor = acts?;
    actor.may_call(path, crate::now().wall)?;
    let whose = Sharer::of(&actor, account.caller());
    request.extensions_mut().insert(actor);

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
    // A stream has no time limit, but its beginning has: else a first message that never comes whole is kept for ever.
    let begins = arrived + limit.map_or(shared.request_timeout, |limit| limit.min(shared.request_timeout));

    let mut data = Bytes::new();
    // A call's message comes first, and a place for it then: one that is half sent keeps nobody out.
    if method == Method::Unary && path != UNKNOWN_METHOD {
        let (head, body) = request.into_parts();
        let sent = request::whole(body, shared.max_message_bytes, account);
        let late = "the request was not sent whole in time; send it all at once";
        let sent = shared.within(begins.min(arrived + SENT_WITHIN), late, sent).await?;
        // Nobody hears it: who sends a call no further has gone.
        let gone = |_| Failure::new(Code::InvalidArgument, "MALFORMED_REQUEST", "it was given up half sent");
        let body;
        (body, data) = sent.map_err(gone)?;
        request = Request::from_parts(head, body);
    }

    // Load shedding and the limits of concurrency: who does not fit is told at once when to come back.
    let place = match path {
        HEALTH_CHECK if !asks_for_readiness(&data) => None,
        _ => Some(shared.place(path, method, account, whose, &mut request)?),
    };

    if let Some(caller) = account.caller() {
        request.extensions_mut().insert(caller);
    }

    // The handler, which may panic without hurting any other call.
    let handled = AssertUnwindSafe(routes.call(request)).catch_unwind();
    let late = "the request took longer than its deadline allows";
    match shared.within(begins, late, handled).await? {
        Ok(Ok(response)) => Ok((response, place)),
        Ok(Err(never)) => match never {},
        Err(_) => Err(Failure::internal("a handler panicked")),
    }
}

/// Whether a server is ready for its callers is asked as one of them: it takes a place.
fn asks_for_readiness(data: &[u8]) -> bool {
    request::message::<HealthCheckRequest>(data).is_some_and(|asked| asked.service == READY)
}

impl super::Actor {
    /// The request as if it had come over a connection of this one's: for a stack [`without_socket`].
    ///
    /// [`without_socket`]: super::GrpcServer::without_socket
    pub fn calls<T>(&self, mut request: http::Request<T>) -> http::Request<T> {
        let account = Account::default();
        account.shown().set(self.clone());
        request.extensions_mut().insert(account);
        request
    }
}
