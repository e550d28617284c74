//! What every call to another service passes on its way. Read `call` from top to bottom.

use super::{
    Address, Failure,
    call_error::CallError,
    circuit_breaker::Breaker,
    connector::{Connector, Proof},
    deadline::{self, Deadline},
    error_details,
    methods::{self, Method},
    names::Names,
    outgoing::{Opened, Outgoing, SILENCE, Taken},
    retry_budget,
    security::Security,
    uniform,
};
use crate::{
    backoff::Backoff,
    trace::{self, TRACEPARENT},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use identity::Expected;
use std::{
    error::Error,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{
    Code, Status,
    body::Body,
    transport::{self, Channel},
};
use tower::{
    Service, ServiceExt as _,
    retry::budget::{Budget as _, TpsBudget},
};

/// How long a call may take that sets no time of its own, where nothing else is said; streams have no limit.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// While a call or a stream is open on it, a silent connection is asked for a sign of life this often, and closed
/// without one for [`KEEP_ALIVE_TIMEOUT`]: a far side that hangs is found in 3 s. One that vanished the kernel finds.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// A call is tried at most so often: its first try and two repeats cover a far side that restarts in between.
const MAX_TRIES: u32 = 3;
/// The largest answer to a call (not to a stream) that is taken in, so that no far side fills our memory.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Marks a request that may be repeated.
const REQUEST_ID: &str = "evmesh-request-id";

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// One far side, of [`Peers`]: `EngineServiceClient::new(peer.clone())`. Clones share its connection, breaker and retry
/// budget. The connection is open while there are calls and streams, and a minute more, or less with many of them.
#[derive(Debug, Clone)]
pub struct Peer {
    shared: Arc<Shared>,
    deadline: Option<Deadline>,
}

#[derive(Debug)]
struct Shared {
    address: Address,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    retries: TpsBudget,
    outgoing: Arc<Outgoing>,
}

impl Shared {
    fn new(address: &Address, timeout: Duration, outgoing: Arc<Outgoing>) -> Arc<Self> {
        let (breaker, retries) = (Mutex::default(), retry_budget::new());
        Arc::new(Self { address: address.clone(), timeout, breaker, retries, outgoing })
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one role reaches its far sides: by whose identity, and how names are looked up. Clones share it.
#[derive(Debug, Clone)]
pub struct Peers {
    proof: Proof,
    names: Names,
    /// The address that it calls from, if not whichever the system takes.
    from: Option<IpAddr>,
    /// Whether HTTP/2 asks for signs of life.
    pings: bool,
    opened: Opened,
}

impl Default for Peers {
    fn default() -> Self {
        Self::new(Security::default())
    }
}

impl Peers {
    pub fn new(security: Security) -> Self {
        Self::of(Proof::Security(security))
    }

    /// Of who has no identity yet, and calls the registry for one.
    pub fn enrolling(pin: identity::Pin) -> Self {
        Self::of(Proof::Enrolment(pin))
    }

    fn of(proof: Proof) -> Self {
        Self { proof, names: Names::default(), from: None, pings: true, opened: Opened::default() }
    }

    /// The same, calling from this address of this machine: of who stands for callers in many places.
    pub fn calling_from(self, address: IpAddr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// The same, of whose streams both sides say something at short intervals, and who leaves one that falls silent: no
    /// ping has to find that out.
    pub fn without_pings(self) -> Self {
        Self { pings: false, ..self }
    }

    /// Is everything that is said to them encrypted, and do they prove who they are?
    pub fn are_secured(&self) -> bool {
        match &self.proof {
            Proof::Security(security) => security.own().is_some(),
            Proof::Enrolment(_) => true,
        }
    }

    /// One connection, without the client stack: for who asks what becomes of it.
    pub async fn connect(&self, address: &Address, expected: Expected) -> Result<Channel, transport::Error> {
        let connector = self.connector(expected);
        address.endpoint().connect_timeout(CONNECT_TIMEOUT).connect_with_connector(connector).await
    }

    fn connector(&self, expected: Expected) -> Connector {
        let names = self.names.connector(CONNECT_TIMEOUT, self.from);
        Connector::new(names, self.proof.clone(), expected)
    }

    /// A far side, who has to be that, and whose calls may take so long, [`CALL_TIMEOUT`] where nothing else is wanted.
    /// Never blocks and never fails: it connects at the first call, and again after each loss.
    pub fn peer(&self, address: &Address, expected: Expected, timeout: Duration) -> Peer {
        let mut endpoint = address.endpoint().connect_timeout(CONNECT_TIMEOUT);
        if self.pings {
            endpoint = endpoint
                .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
                .keep_alive_while_idle(false);
        }
        let outgoing = Outgoing::new(endpoint, self.connector(expected), self.opened.clone());
        let outgoing = Arc::new(outgoing);
        Peer { shared: Shared::new(address, timeout, outgoing), deadline: None }
    }
}

impl Peer {
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Another one at that place, such as a site's next charge point: over the same connection, with a breaker and a
    /// retry budget of its own.
    pub fn beside(&self) -> Self {
        let Shared { address, timeout, outgoing, .. } = &*self.shared;
        Self { shared: Shared::new(address, *timeout, outgoing.clone()), deadline: None }
    }

    /// Are there others [`Peer::beside`] it?
    pub fn has_others(&self) -> bool {
        Arc::strong_count(&self.shared.outgoing) > 1
    }

    /// The same far side, for calls on behalf of one that came in: none outlives it.
    pub fn with_deadline(&self, deadline: Option<Deadline>) -> Self {
        Self { deadline, ..self.clone() }
    }
}

/// Marks a request as one that may be repeated: its message carries this `request_id` (AIP-155), or it is a query, or
/// idempotent by its contract. An id that is no header (only ids are) leaves it unmarked.
pub fn with_request_id<T>(mut request: tonic::Request<T>, request_id: &str) -> tonic::Request<T> {
    if let Ok(id) = request_id.parse() {
        request.metadata_mut().insert(REQUEST_ID, id);
    }
    request
}

impl Service<Request> for Peer {
    type Response = Response;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(())) // connecting is a part of the call, under its deadline
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(call(self.clone(), request))
    }
}

async fn call(peer: Peer, mut request: Request) -> Result<Response, Status> {
    let path = request.uri().path().to_owned();
    let (label, method) = methods::find(&path).unwrap_or(("unknown", Method::Unary));

    // Trace: the far side's work is a step of this task's.
    if let Some(trace) = trace::current()
        && let Ok(value) = HeaderValue::try_from(trace.to_string())
    {
        request.headers_mut().insert(TRACEPARENT, value);
    }

    let answer = match method {
        Method::Streaming => stream(&peer, request).await,
        Method::Unary => unary(&peer, request).await,
    };
    let answer = answer.map_err(Status::from);
    let code = match &answer {
        Ok(response) => code(response.headers()).unwrap_or(Code::Ok),
        Err(status) => status.code(),
    };
    metrics::counter!("evmesh_client_calls_total", "method" => label, "code" => uniform::name(code))
        .increment(1);
    answer
}

/// A stream has neither deadline nor retry: only its start can fail here.
async fn stream(peer: &Peer, request: Request) -> Result<Response, CallError> {
    guarded(peer, async {
        let taken = peer.shared.outgoing.take();
        let mut response = send(peer, &taken, request).await?;
        error_details::sanitize(response.headers_mut());
        Ok(response.map(|body| {
            let held = body.map_frame(move |frame| {
                let _until_it_ends = &taken;
                frame
            });
            Body::new(held)
        }))
    })
    .await
}

/// A call has a deadline, which covers its repeats, and may be repeated if it is marked so.
async fn unary(peer: &Peer, mut request: Request) -> Result<Response, CallError> {
    // Deadline: that of the call which came in, at most our own; the far side is told.
    let started = Instant::now();
    let own = deadline::grpc_timeout(request.headers()).unwrap_or(peer.shared.timeout);
    let deadline = peer.deadline.map_or(started + own, |inbound| inbound.0.min(started + own));

    // The message is kept whole, for a repeat. It was encoded in memory a moment ago: this does not wait.
    let repeatable = request.headers_mut().remove(REQUEST_ID).is_some();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|status| Failure::from(&status))?.to_bytes();

    peer.shared.retries.deposit();
    let mut backoff = Backoff::default();
    for tried in 1.. {
        let attempt = attempt(peer, parts.clone(), body.clone(), deadline);
        let answer = guarded(peer, attempt).await;

        // Retry: only what was UNAVAILABLE, only where a repeat is harmless, only within budget and deadline.
        let unavailable = match &answer {
            Ok(response) => code(response.headers()) == Some(Code::Unavailable),
            Err(error) => matches!(error, CallError::Unreachable { .. } | CallError::CircuitOpen(_)),
        };
        let may_repeat = || !peer.shared.breaker().is_open() && peer.shared.retries.withdraw();
        if !unavailable || !repeatable || tried == MAX_TRIES || !may_repeat() {
            return answer;
        }
        let wait = backoff.next_wait();
        if Instant::now() + wait >= deadline {
            return answer;
        }
        tokio::time::sleep(wait).await;
    }
    Err(CallError::Late(peer.address().clone())) // the loop above ends by itself
}

/// One try: the request out, the whole answer in, before the deadline.
async fn attempt(
    peer: &Peer,
    parts: http::request::Parts,
    body: Bytes,
    deadline: Instant,
) -> Result<Response, Fault> {
    let late = || CallError::Late(peer.address().clone());
    let started = Instant::now();
    let left = deadline.saturating_duration_since(started);
    if left.is_zero() {
        return Err(Fault::Ours(late()));
    }
    let mut request = Request::from_parts(parts, Body::new(Full::new(body)));
    request.headers_mut().insert(deadline::HEADER, deadline::header(left));
    let taken = peer.shared.outgoing.take();
    let whole = async {
        let (mut head, body) = send(peer, &taken, request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let message = format!("the answer has more than {MAX_ANSWER_BYTES} bytes");
                let too_large = Failure::new(Code::ResourceExhausted, "ANSWER_TOO_LARGE", message);
                return Fault::Ours(too_large.into());
            }
            Fault::Theirs(CallError::unreachable(peer.address(), &*error))
        })?;
        // An error may come at the end of the body: in the head, one place is enough to look for it.
        let at_end =
            body.trailers().filter(|trailers| code(trailers).is_some_and(|code| code != Code::Ok)).cloned();
        error_details::sanitize(&mut head.headers);
        Ok(match at_end {
            Some(mut trailers) => {
                error_details::sanitize(&mut trailers);
                head.headers.extend(trailers);
                Response::from_parts(head, Body::empty())
            }
            None => Response::from_parts(head, Body::new(body)),
        })
    };
    // Whoever notices first, our timer, the channel's or the far side's: too late is too late.
    let answer = timeout_at(deadline, whole).await.unwrap_or(Err(Fault::Late));
    match answer {
        Ok(response) if code(response.headers()) != Some(Code::DeadlineExceeded) => Ok(response),
        Ok(_) | Err(Fault::Late) if left >= SILENCE => Err(Fault::Theirs(late())),
        Ok(_) | Err(Fault::Late) => Err(Fault::Ours(late())),
        Err(fault) => Err(fault),
    }
}

/// Why a try failed, for the breaker.
enum Fault {
    /// The far side cannot be reached, or is silent.
    Theirs(CallError),
    /// Too late; whose fault that is depends on how long there was.
    Late,
    Ours(CallError),
}

/// Circuit breaker: a far side that keeps failing is left alone for a while, and its callers do not wait for it.
async fn guarded(
    peer: &Peer,
    attempt: impl Future<Output = Result<Response, Fault>>,
) -> Result<Response, CallError> {
    if !peer.shared.breaker().admits(Instant::now()) {
        return Err(CallError::CircuitOpen(peer.address().clone()));
    }
    match attempt.await {
        Ok(response) => {
            if peer.shared.breaker().succeeded() {
                tracing::debug!(peer = %peer.address(), "peer reached again");
            }
            Ok(response)
        }
        Err(Fault::Theirs(error)) => {
            if peer.shared.breaker().failed(Instant::now()) {
                tracing::debug!(peer = %peer.address(), cause = %error, "peer lost"); // its callers say it
            }
            Err(error)
        }
        Err(Fault::Late) => Err(CallError::Late(peer.address().clone())),
        Err(Fault::Ours(error)) => Err(error),
    }
}

async fn send(
    peer: &Peer,
    (taken, bearer): &(Taken, Option<HeaderValue>),
    mut request: Request,
) -> Result<Response, Fault> {
    let failed = |error: tonic::transport::Error| match error.source() {
        Some(cause) if cause.is::<tonic::TimeoutExpired>() => Fault::Late,
        _ => Fault::Theirs(CallError::unreachable(peer.address(), &error)),
    };
    if let Some(bearer) = bearer {
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
    }
    let mut channel = taken.channel();
    let response = channel.ready().await.map_err(failed)?.call(request).await.map_err(failed)?;
    taken.heard();
    Ok(response)
}

/// The code in a head or a trailer, if there is one.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}
