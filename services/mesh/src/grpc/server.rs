//! The server stack.

use crate::Shutdown;
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// How a server treats its callers.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// At most so many calls at once, streams apart; more are refused with RESOURCE_EXHAUSTED (count).
    #[arg(
        long,
        env = "EVMESH_MAX_CONCURRENT_REQUESTS",
        default_value_t = 1024,
        value_name = "COUNT"
    )]
    pub max_concurrent_requests: usize,

    /// At most so many open streams; more are refused with RESOURCE_EXHAUSTED (count).
    #[arg(
        long,
        env = "EVMESH_MAX_STREAMS",
        default_value_t = 20_000,
        value_name = "COUNT"
    )]
    pub max_streams: usize,

    /// The longest that a call may take, streams apart; less if its caller says so (seconds).
    #[arg(long = "request-timeout", env = "EVMESH_REQUEST_TIMEOUT", default_value = "10", value_name = "SECONDS",
          value_parser = crate::seconds)]
    pub request_timeout: Duration,

    /// The largest message that is read (bytes); a larger one is INVALID_ARGUMENT.
    #[arg(long, env = "EVMESH_MAX_MESSAGE_BYTES", default_value_t = 1024 * 1024, value_name = "BYTES")]
    pub max_message_bytes: usize,

    /// How long running calls may go on after the order to stop (seconds).
    #[arg(long = "drain-timeout", env = "EVMESH_DRAIN_TIMEOUT", default_value = "5", value_name = "SECONDS",
          value_parser = crate::seconds)]
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_concurrent_requests: 1024,
            max_streams: 20_000,
            request_timeout: Duration::from_secs(10),
            max_message_bytes: 1024 * 1024,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot listen on {address}: {problem}")]
pub struct BindError {
    what: String,
    address: SocketAddr,
    problem: String,
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC server failed")]
pub struct ServeError(#[from] tonic::transport::Error);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    listener: tokio::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds. `what` is the service, for the error: `central`.
    pub async fn bind(address: SocketAddr, what: &str) -> Result<Self, BindError> {
        todo!()
    }

    /// Where it listens: the port is known here even if it was given as 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// When the caller stops waiting: a request extension that the server sets, see [`Deadline::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub tokio::time::Instant);

impl Deadline {
    /// The deadline of a request that came in; `None` for a stream without one.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        request.extensions().get().copied()
    }

    /// From now on.
    pub fn after(duration: Duration) -> Self {
        Self(tokio::time::Instant::now() + duration)
    }

    /// How long is left; zero if it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now())
    }
}

/// The health that a server reports of itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HealthHandle {}

impl HealthHandle {
    /// Says whether every service here can serve. A server starts as serving.
    pub async fn set_serving(&self, serving: bool) {
        todo!()
    }
}

/// A server of gRPC services, with health and reflection, behind the whole server stack.
pub struct GrpcServer {}

impl GrpcServer {
    /// Without services.
    pub fn new(options: &ServerOptions) -> Self {
        todo!()
    }

    /// Adds a generated server. Give it `max_decoding_message_size(options.max_message_bytes)` first.
    pub fn add_service<S>(self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        todo!()
    }

    /// To change what health says while it runs.
    pub fn health(&self) -> HealthHandle {
        todo!()
    }

    /// Serves until the order to stop, then: health says not serving, streams end with `UNAVAILABLE` `SHUTTING_DOWN`, no
    /// new connection is taken, running calls go on for the drain timeout at most.
    pub async fn serve(self, listener: Listener, shutdown: Shutdown) -> Result<(), ServeError> {
        todo!()
    }
}
