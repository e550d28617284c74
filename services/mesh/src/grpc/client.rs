//! The client stack.

use super::{Address, Deadline};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};
use tower::Service;

/// How a far side is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerOptions {
    /// How long connecting may take. Default 2 s.
    pub connect_timeout: Duration,
    /// How long a call may take that sets no time of its own; streams have no limit. Default 5 s.
    pub timeout: Duration,
    /// A silent connection is asked for a sign of life this often. Default 1 s.
    pub keep_alive_interval: Duration,
    /// Without that sign for so long it is closed. Default 2 s: a half-open connection is found within 3 s.
    pub keep_alive_timeout: Duration,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(2),
        }
    }
}

/// One far side: `EngineServiceClient::new(peer.clone())`. Clones share its connection, breaker and retry budget.
#[derive(Debug, Clone)]
pub struct Peer {
    address: Address,
    deadline: Option<Deadline>,
}

impl Peer {
    /// Never blocks and never fails: it connects at the first call, and again after each loss. Needs a tokio runtime.
    pub fn new(address: &Address, options: PeerOptions) -> Self {
        todo!()
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The same far side, for calls on behalf of one that came in: none outlives it.
    pub fn with_deadline(&self, deadline: Option<Deadline>) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }
}

/// Marks a request as one that may be repeated: its message carries this `request_id` (AIP-155).
pub fn with_request_id<T>(request: tonic::Request<T>, request_id: &str) -> tonic::Request<T> {
    todo!()
}

impl Service<http::Request<Body>> for Peer {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        todo!()
    }
}
