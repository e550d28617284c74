//! Why a call to another service came to nothing, as a value: words are made of it where they are shown.

use super::{
    Address,
    circuit_breaker::PROBE_AFTER,
    error_details::{Failure, RETRY_AFTER},
    uniform,
};
use crate::convert::InvalidField;
use domain::text::printable;
use std::{error::Error, io, iter, sync::Arc, time::Duration};
use tonic::{Code, Status};

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Not reached, or silent; the cause is in words that people know: "Connection refused".
    #[error("no answer from {address}: {cause}")]
    Unreachable { address: Address, cause: String },
    /// It kept failing, and is left alone for a moment.
    #[error("{0} did not answer several times in a row; it is tried again soon")]
    CircuitOpen(Address),
    #[error("{0} did not answer before the deadline")]
    Late(Address),
    /// The connection of a stream ended in the stream's middle. What HTTP/2 says of that means nothing to people.
    #[error("the connection broke")]
    Broken,
    #[error(transparent)]
    Answered(#[from] Failure),
    /// It answered what the contract does not allow: as good as no answer.
    #[error("its answer makes no sense: {0}")]
    Nonsense(#[from] InvalidField),
}

impl CallError {
    pub(super) fn unreachable(address: &Address, error: &(dyn Error + 'static)) -> Self {
        Self::Unreachable { address: address.clone(), cause: cause(error) }
    }

    /// As one plain sentence. `what` is who answered, or did not: `central`, `the engine at 10.0.0.7:50052`.
    pub fn explain(&self, what: &str) -> String {
        let happened = match self {
            Self::Unreachable { .. } | Self::CircuitOpen(_) | Self::Broken => "cannot be reached",
            Self::Late(_) => "did not answer in time",
            Self::Nonsense(_) => "failed",
            Self::Answered(failure) => match failure.code {
                Code::Unavailable => "cannot be reached",
                Code::DeadlineExceeded | Code::Cancelled => "did not answer in time",
                Code::ResourceExhausted => "is overloaded",
                Code::Internal | Code::Unknown | Code::DataLoss => "failed",
                Code::Unimplemented => "does not know this call",
                _ => "refused", // gRPC's codes are a closed list
            },
        };
        format!("{what} {happened}: {self}")
    }

    /// On one line, for whoever shows the address beside it.
    pub fn briefly(&self) -> String {
        let words = match self {
            Self::Unreachable { cause, .. } => cause.clone(),
            other => other.to_string(),
        };
        printable(&words)
    }

    /// How long to wait before the next try, if anyone knows.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { .. } => Some(RETRY_AFTER),
            Self::CircuitOpen(_) => Some(PROBE_AFTER),
            Self::Answered(failure) => failure.retry_after,
            Self::Late(_) | Self::Broken | Self::Nonsense(_) => None,
        }
    }
}

/// What tonic's generated clients hand on. The value itself goes along as the source.
impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let (code, reason) = match &error {
            CallError::Unreachable { .. } => (Code::Unavailable, "PEER_UNREACHABLE"),
            CallError::CircuitOpen(_) => (Code::Unavailable, "CIRCUIT_OPEN"),
            CallError::Late(_) => (Code::DeadlineExceeded, uniform::name(Code::DeadlineExceeded)),
            CallError::Broken | CallError::Nonsense(_) => (Code::Unknown, uniform::name(Code::Unknown)),
            CallError::Answered(failure) => return failure.clone().into(),
        };
        let retry_after = error.retry_after();
        let failure = Failure { retry_after, ..Failure::new(code, reason, error.to_string()) };
        let mut status = Self::from(failure);
        status.set_source(Arc::new(error));
        status
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

impl From<&Status> for CallError {
    fn from(status: &Status) -> Self {
        let mut causes = iter::successors(status.source(), |&error| error.source());
        causes
            .find_map(|cause| match cause.downcast_ref::<Self>() {
                Some(ours) => Some(ours.clone()),
                None => cause.is::<h2::Error>().then_some(Self::Broken),
            })
            .unwrap_or_else(|| Self::Answered(status.into()))
    }
}

/// Why a connection failed, in words that people know: the innermost cause, such as "Connection refused". What
/// another kind of server does to a gRPC client is put in words here.
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let causes = || iter::successors(Some(error), |&error| error.source());
    let of_h2 = || causes().filter_map(|error| error.downcast_ref::<h2::Error>());
    // An answer in another protocol looks like a frame that is too long, or in the wrong place.
    let strange = [h2::Reason::FRAME_SIZE_ERROR, h2::Reason::PROTOCOL_ERROR, h2::Reason::HTTP_1_1_REQUIRED];
    if of_h2().any(|error| error.reason().is_some_and(|reason| strange.contains(&reason))) {
        return "it may be a server with TLS, which wants an identity (--identity DIR), or something else listens there"
            .to_owned();
    }
    let innermost = causes().last().map_or_else(String::new, ToString::to_string);
    let mut of_io = causes()
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .chain(of_h2().filter_map(h2::Error::get_io));
    let closed = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
    // hyper says it in its own words only: it ended with the call, or before.
    let by_hyper = ["connection closed", "connection was not ready"].contains(&innermost.as_str());
    if by_hyper || of_io.any(|error| closed.contains(&error.kind())) {
        return "the connection was closed, perhaps by a server with TLS, which wants an identity (--identity DIR) or \
                refuses this one; or something else listens there"
            .to_owned();
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_ends_a_connection_it_is_one_sentence() {
        let ends = [
            io::Error::other("connection closed"),
            io::Error::other("connection was not ready"),
            io::ErrorKind::ConnectionReset.into(),
        ];
        for error in ends {
            assert!(
                cause(&error).starts_with("the connection was closed, perhaps by a server with TLS"),
                "{error}"
            );
        }
        assert_eq!(cause(&io::Error::other("connection refused")), "connection refused");
    }

    #[test]
    fn an_error_survives_the_generated_client_and_says_what_to_show() {
        let address: Address = "10.0.0.7:50052".parse().unwrap();
        let unreachable =
            CallError::Unreachable { address: address.clone(), cause: "Connection\nrefused".into() };
        assert_eq!(unreachable.briefly(), "Connection refused");
        let refused = Failure::aborted("EPOCH_STALE", "a newer one is there", RETRY_AFTER).with("epoch", 7);
        assert_eq!(
            CallError::from(refused.clone()).explain("central"),
            "central refused: a newer one is there"
        );
        for error in [
            unreachable,
            CallError::CircuitOpen(address.clone()),
            CallError::Late(address),
            CallError::Broken,
            refused.into(),
        ] {
            let status = Status::from_error(Box::new(Status::from(error.clone())));
            assert_eq!(CallError::from(&status), error);
        }
    }
}
