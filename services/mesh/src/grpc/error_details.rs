//! The one form of every error that leaves a service: a code, a reason for programs, a sentence for people.

use crate::convert::InvalidField;
use http::HeaderMap;
use std::{collections::HashMap, error::Error, fmt::Display, iter, time::Duration};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = "evmesh";

/// How long a caller is asked to wait where nothing better is known.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error for a caller. Everything in it is public: internal text goes to the log and never in here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
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

    pub fn precondition(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, reason, message)
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

    /// `INTERNAL` `INTERNAL`: the cause goes to the log here, and no further.
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(cause = %cause, "internal error");
        Self::new(Code::Internal, "INTERNAL", INTERNAL_MESSAGE)
    }

    /// A retry may help, after this long (`google.rpc.RetryInfo`).
    pub fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    pub fn with(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.metadata.push((name.into(), value.to_string()));
        self
    }

    /// A value of the metadata, if it is there.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All that a caller learns of an internal error.
pub(crate) const INTERNAL_MESSAGE: &str = "something went wrong inside; the server's log says what";

/// A value that a request carried is wrong.
impl From<InvalidField> for Failure {
    fn from(InvalidField { field, problem }: InvalidField) -> Self {
        Self::invalid(field, problem)
    }
}

impl From<InvalidField> for Status {
    fn from(wrong: InvalidField) -> Self {
        Failure::from(wrong).into()
    }
}

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

/// What the far side says; without a reason of its own, the code's description stands for it.
impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let description = status.code().description();
        let info = status.get_details_error_info();
        let (reason, metadata) =
            info.map_or((description.to_owned(), HashMap::new()), |info| (info.reason, info.metadata));
        let bad_request = status.get_details_bad_request();
        let field = bad_request.and_then(|bad| bad.field_violations.into_iter().next());
        Self {
            code: status.code(),
            reason,
            message: if status.message().is_empty() { description } else { status.message() }.to_owned(),
            retry_after: retry_after(status),
            field: field.map(|wrong| Box::new((wrong.field, wrong.description))),
            metadata: metadata.into_iter().collect(),
        }
    }
}

/// An error's sentence, then its causes in brackets.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = iter::successors(error.source(), |&error| error.source()).map(ToString::to_string);
    match causes.collect::<Vec<_>>().join(": ").as_str() {
        "" => error.to_string(),
        causes => format!("{error} ({causes})"),
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

/// tonic panics on details that are not base64: a far side's nonsense must not do that to us.
pub(super) fn sanitize(headers: &mut HeaderMap) {
    const DETAILS: &str = "grpc-status-details-bin";
    let metadata = MetadataMap::from_headers(std::mem::take(headers));
    let broken = metadata.get_bin(DETAILS).is_some_and(|details| details.to_bytes().is_err());
    *headers = metadata.into_headers();
    if broken {
        headers.remove(DETAILS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::parse;
    use domain::DriverId;
    use http::HeaderValue;

    #[test]
    fn a_wrong_field_is_named() {
        let status: Status = Failure::from(parse::<DriverId>("driver_id", "a b").unwrap_err()).into();
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
        let status = Status::from(failure.clone());
        assert_eq!(Failure::from(&status), failure);
        assert_eq!((failure.retry_after, failure.metadata("epoch")), (Some(RETRY_AFTER), Some("7")));
    }

    #[test]
    fn an_internal_cause_does_not_leave() {
        let status = Status::from(Failure::internal("sled: /secret/path broke"));
        assert_eq!((status.code(), status.message()), (Code::Internal, INTERNAL_MESSAGE));
    }

    #[test]
    fn broken_details_are_dropped() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status-details-bin", HeaderValue::from_static("not base64!"));
        headers.insert("grpc-status", HeaderValue::from_static("5"));
        sanitize(&mut headers);
        assert_eq!(Status::from_header_map(&headers).unwrap().code(), Code::NotFound);
    }
}
