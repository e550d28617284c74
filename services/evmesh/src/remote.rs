//! The server that a command calls: how it is called, and what is said when a call fails.

use crate::exit::{Because as _, Failure};
use mesh::grpc::{
    Address, CALL_TIMEOUT, CallError, Expected, Peer, Peers, Role, Security, SecurityOptions, with_request_id,
};
use std::{future::Future, pin::pin, time::Duration};
use tonic::{Code, Request, Response, Status};

/// What takes longer says what it waits for: a person would begin to wonder.
const SAID_AFTER: Duration = Duration::from_secs(1);

/// Waits for the work; when it takes longer than a second, stderr says for what.
pub(crate) async fn waiting<T>(what: impl FnOnce() -> String, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match tokio::time::timeout(SAID_AFTER, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            eprintln!("evmesh: {}", what());
            work.await
        }
    }
}

/// An order with a request id of its own, so that the client may safely repeat the call.
pub(crate) fn order<T>(request: impl FnOnce(String) -> T) -> Request<T> {
    let request_id = uuid::Uuid::new_v4().to_string();
    with_request_id(Request::new(request(request_id.clone())), &request_id)
}

/// How a command's connection is protected: by anybody's identity.
pub(crate) fn security(options: &SecurityOptions) -> Result<Security, Failure> {
    options.open("anybody", |_| true).because()
}

/// One server that a command calls.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// The connection, made at the first call.
    pub(crate) peer: Peer,
    /// What it is, in a sentence: `central`, `the engine`.
    what: &'static str,
    /// What to do when it cannot be reached.
    advice: &'static str,
}

impl Remote {
    /// Central, as `operator` and `up` call it.
    pub(crate) fn central(address: &Address, security: Security) -> Self {
        Self {
            peer: Peers::new(security).peer(address, Expected::Central, CALL_TIMEOUT),
            what: "central",
            advice: "start it with 'evmesh central' (or a whole network with 'evmesh up'), or name another with \
              --central",
        }
    }

    /// An engine, as `point` and `up` call it.
    pub(crate) fn engine(address: &Address, security: Security) -> Self {
        // On a charge point's own machine its identity is at hand, and says which engine it is.
        let expected = match security.own() {
            Some(Role::Engine(point)) => Expected::Engine(point),
            Some(Role::Gateway(name)) => Expected::Gateway(name),
            _ => Expected::AnyEngine,
        };
        Self {
            peer: Peers::new(security).peer(address, expected, CALL_TIMEOUT),
            what: "the engine",
            advice: "start it with 'evmesh engine' (or a whole network with 'evmesh up'), or name another with \
              --engine",
        }
    }

    /// The registry, as `registry` and `enrol` call it.
    pub(crate) fn registry(address: &Address, peers: &Peers) -> Self {
        Self {
            peer: peers.peer(address, Expected::Registry, CALL_TIMEOUT),
            what: "the registry",
            advice: "start it with 'evmesh registry run'; --registry, or the token, says where it is",
        }
    }

    /// Waits for it; when that takes longer than a second, stderr says so.
    pub(crate) async fn waited<T>(&self, work: impl Future<Output = T>) -> T {
        waiting(|| format!("waiting for {} at {}", self.what, self.peer.address()), work).await
    }

    /// Why a call to it failed, for the person who typed the command.
    pub(crate) fn failed(&self, status: &Status) -> Failure {
        let (address, what) = (self.peer.address(), self.what);
        let a_stranger = mesh::grpc::reason(status).is_none();
        Failure::Failed(match (CallError::from(status), status.code()) {
            (error @ (CallError::Unreachable { .. } | CallError::CircuitOpen(_) | CallError::Broken), _) => {
                format!("cannot reach {what}: {error}; {}", self.advice)
            }
            (error, Code::Unavailable) if a_stranger => {
                format!("cannot reach {what}: {error}; {}", self.advice)
            }
            (_, Code::Unimplemented) if a_stranger => {
                format!("the server at {address} answers, but it is not {what}; name another address")
            }
            // What is wrong is behind the one that was asked: its sentence says where.
            (error, Code::Unavailable) => error.to_string(),
            (error, _) => error.explain(&format!("{what} at {address}")),
        })
    }

    /// What it answered, or why it did not.
    pub(crate) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Failure> {
        answer.map(Response::into_inner).map_err(|status| self.failed(&status))
    }
}
