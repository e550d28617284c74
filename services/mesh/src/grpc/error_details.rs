//! The one form of every error that leaves a service: a code, a reason for programs, a sentence for people.

use std::{collections::HashMap, fmt::Display, io, str::FromStr, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "evmesh";

/// How long a caller is asked to wait where nothing better is known.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error for a caller. Everything in it is public: internal text goes to the log and never in here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind.
    pub code: Code,
    /// Why, for programs: UPPER_SNAKE.
    pub reason: String,
    /// Why, for people: a plain sentence.
    pub message: String,
    /// A retry may help, after this long.
    pub retry_after: Option<Duration>,
    /// The field that is wrong, and how.
    pub field: Option<Box<(String, String)>>,
    /// More for programs, as pairs of a name and a value.
    pub metadata: Vec<(String, String)>,
}

impl Failure {
    /// Any code. The reason is UPPER_SNAKE.
    pub fn new(code: Code, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            retry_after: None,
            field: None,
            metadata: Vec::new(),
        }
    }

    /// `INVALID_ARGUMENT` `INVALID_FIELD`: a field is wrong; `problem` goes on after its name ("must not be empty").
    pub fn invalid(field: impl Into<String>, problem: impl Display) -> Self {
        let (field, problem) = (field.into(), problem.to_string());
        let failure = Self::new(Code::InvalidArgument, "INVALID_FIELD", format!("{field} {problem}"));
        Self { field: Some(Box::new((field, problem))), ..failure }
    }

    /// `INVALID_ARGUMENT` with a reason of its own.
    pub fn invalid_argument(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, reason, message)
    }

    /// `NOT_FOUND`.
    pub fn not_found(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// `FAILED_PRECONDITION`.
    pub fn precondition(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, reason, message)
    }

    /// `PERMISSION_DENIED`.
    pub fn denied(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, reason, message)
    }

    /// `ABORTED`: lost against another; a retry of the whole may help, after this long.
    pub fn aborted(reason: impl Into<String>, message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(Code::Aborted, reason, message).retry_after(retry_after)
    }

    /// `UNAVAILABLE`: a retry may help, after this long.
    pub fn unavailable(reason: impl Into<String>, message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(Code::Unavailable, reason, message).retry_after(retry_after)
    }

    /// `RESOURCE_EXHAUSTED`: a retry may help, after this long.
    pub fn exhausted(reason: impl Into<String>, message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(Code::ResourceExhausted, reason, message).retry_after(retry_after)
    }

    /// `DEADLINE_EXCEEDED` `DEADLINE_EXCEEDED`.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message)
    }

    /// `INTERNAL` `INTERNAL`: the cause goes to the log here, and no further.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(cause = %cause, "internal error");
        Self::new(Code::Internal, "INTERNAL", INTERNAL_MESSAGE)
    }

    /// A retry may help, after this long (`google.rpc.RetryInfo`).
    pub fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// More for programs.
    pub fn with(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.metadata.push((name.into(), value.to_string()));
        self
    }
}

/// All that a caller learns of an internal error.
pub(crate) const INTERNAL_MESSAGE: &str = "something went wrong inside; the server's log says what";

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = failure.metadata.into_iter().collect();
        details.set_error_info(failure.reason, DOMAIN, metadata);
        if let Some(after) = failure.retry_after {
            details.set_retry_info(Some(after));
        }
        if let Some(field) = failure.field {
            let (field, problem) = *field;
            details.add_bad_request_violation(field, problem);
        }
        Status::with_error_details(failure.code, failure.message, details)
    }
}

/// The reason in an error's `ErrorInfo`, if it has one.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// How long the error asks to wait before a retry, if it does.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// One value of the error's metadata, if the far side gave it.
pub fn metadata(status: &Status, name: &str) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove(name))
}

/// The error as one plain sentence. `what` is who answered, or did not: `central`, `the engine at 10.0.0.7:50052`.
pub fn explain(status: &Status, what: &str) -> String {
    let text = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    match status.code() {
        Code::Unavailable => format!("{what} cannot be reached: {text}"),
        Code::DeadlineExceeded | Code::Cancelled => format!("{what} did not answer in time: {text}"),
        Code::ResourceExhausted => format!("{what} is overloaded: {text}"),
        Code::Internal | Code::Unknown | Code::DataLoss => format!("{what} failed: {text}"),
        Code::Unimplemented => format!("{what} does not know this call: {text}"),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => format!("{what} refused: {text}"),
    }
}

/// Why a connection failed, in words that people know: the innermost cause, such as "Connection refused". What another
/// kind of server does to a gRPC client is put in words here.
pub fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = || std::iter::successors(Some(error), |&error| error.source());
    let of_h2 = || causes().filter_map(|error| error.downcast_ref::<h2::Error>());
    // An answer in another protocol looks like a frame that is too long, or in the wrong place.
    let strange = [h2::Reason::FRAME_SIZE_ERROR, h2::Reason::PROTOCOL_ERROR, h2::Reason::HTTP_1_1_REQUIRED];
    if of_h2().any(|error| error.reason().is_some_and(|reason| strange.contains(&reason))) {
        return "something else listens there, or a server with TLS".to_owned();
    }
    let innermost = causes().last().map_or_else(String::new, ToString::to_string);
    let mut of_io = causes()
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .chain(of_h2().filter_map(h2::Error::get_io));
    let closed = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
    // hyper says it in its own words only.
    if innermost == "connection closed" || of_io.any(|error| closed.contains(&error.kind())) {
        return "the connection was closed; perhaps something else listens there, or a server with TLS"
            .to_owned();
    }
    innermost
}

/// Reads a field: an id, an address, a currency.
pub fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|problem| Failure::invalid(field, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::DriverId;

    #[test]
    fn a_wrong_field_is_named() {
        let status: Status = parse::<DriverId>("driver_id", "a b").unwrap_err().into();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason(&status).as_deref(), Some("INVALID_FIELD"));
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, "driver_id");
        assert_eq!(status.message(), "driver_id has ' '; only letters, digits, '-', '_' and '.' are allowed");
        assert_eq!(status.get_details_error_info().unwrap().domain, DOMAIN);
    }

    #[test]
    fn details_travel_with_the_status() {
        let failure = Failure::aborted("EPOCH_STALE", "a newer one is there", RETRY_AFTER).with("epoch", 7);
        let status = Status::from(failure);
        assert_eq!(retry_after(&status), Some(RETRY_AFTER));
        assert_eq!(metadata(&status, "epoch").as_deref(), Some("7"));
        assert_eq!(explain(&status, "central"), "central refused: a newer one is there");
    }

    #[test]
    fn an_internal_cause_does_not_leave() {
        let status = Status::from(Failure::internal("sled: /secret/path broke"));
        assert_eq!((status.code(), status.message()), (Code::Internal, INTERNAL_MESSAGE));
    }
}
