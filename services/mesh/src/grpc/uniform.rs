//! Gives every error that leaves a server the one form, tonic's own refusals included.
//!
//! tonic refuses before any handler runs, and without details: what it cannot decode as `INTERNAL`, an oversized
//! message as `OUT_OF_RANGE`, an unknown method as `UNIMPLEMENTED`.

use super::error_details::{Failure, INTERNAL_MESSAGE, RETRY_AFTER};
use http::HeaderMap;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

/// How tonic begins what it says of a request that it cannot decode.
const UNDECODABLE: [&str; 6] = [
    "failed to decode Protobuf message",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "protocol error: received message with",
    "Error decompressing",
    "unexpected compression flag",
];

/// Rewrites an answer that is an error; says its code.
pub(super) fn response(response: http::Response<Body>) -> (http::Response<Body>, Option<Code>) {
    match Status::from_header_map(response.headers()) {
        None => (response, None),
        Some(status) if status.code() == Code::Ok => (response, Some(Code::Ok)),
        Some(status) => {
            let status = uniform(status);
            let code = status.code();
            (status.into_http(), Some(code))
        }
    }
}

/// Rewrites the end of a body that is an error; says its code.
pub(super) fn trailers(trailers: HeaderMap) -> (HeaderMap, Code) {
    let Some(status) = Status::from_header_map(&trailers) else {
        return (trailers, Code::Unknown);
    };
    if status.code() == Code::Ok {
        return (trailers, Code::Ok);
    }
    let status = uniform(status);
    let mut rewritten = HeaderMap::new();
    match status.add_header(&mut rewritten) {
        Ok(()) => (rewritten, status.code()),
        Err(status) => (trailers, status.code()), // only for headers that are no text, and ours are
    }
}

fn uniform(status: Status) -> Status {
    if status.get_details_error_info().is_some() {
        return status; // ours already
    }
    let message = status.message();
    let failure = match status.code() {
        Code::Internal if UNDECODABLE.iter().any(|start| message.starts_with(start)) => Failure::new(
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
            "the request cannot be decoded: it is not the protobuf message that this method takes, or a text in it \
             is not UTF-8",
        ),
        Code::OutOfRange if message.starts_with("Error, decoded message length too large") => {
            Failure::new(Code::InvalidArgument, "REQUEST_TOO_LARGE", too_large(message))
        }
        // The same of a compressed one: decompressing stopped at the bound.
        Code::ResourceExhausted if message.starts_with("Error decompressing: size limit") => {
            Failure::new(Code::InvalidArgument, "REQUEST_TOO_LARGE", too_large_inside(message))
        }
        Code::Unimplemented if message.starts_with("Content is compressed") => {
            let message = "send the request uncompressed, or with gzip";
            Failure::new(Code::Unimplemented, "COMPRESSION_UNSUPPORTED", message)
        }
        Code::Unimplemented => no_such_method(),
        code @ (Code::Internal | Code::Unknown | Code::DataLoss) => {
            tracing::error!(%code, cause = message, "internal error");
            Failure::new(code, name(code), INTERNAL_MESSAGE)
        }
        code @ (Code::Unavailable | Code::ResourceExhausted | Code::Aborted) => {
            Failure::new(code, name(code), message).retry_after(RETRY_AFTER)
        }
        code => Failure::new(code, name(code), message), // gRPC's codes are a closed list
    };
    let mut rewritten = Status::from(failure);
    *rewritten.metadata_mut() = status.metadata().clone();
    rewritten
}

pub(super) fn no_such_method() -> Failure {
    let message = "there is no such method here; server reflection lists those that there are";
    Failure::new(Code::Unimplemented, "METHOD_UNKNOWN", message)
}

fn numbers(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty())
}

/// tonic says `… size limit, of 4 bytes, exceeded …`.
fn too_large_inside(message: &str) -> String {
    match numbers(message).next() {
        Some(limit) => {
            format!(
                "the request has more than {limit} bytes when it is decompressed; at most {limit} are allowed"
            )
        }
        None => "the request is too large when it is decompressed".to_owned(),
    }
}

/// tonic says `… found 5 bytes, the limit is: 4 bytes`.
fn too_large(message: &str) -> String {
    let mut numbers = numbers(message);
    match (numbers.next(), numbers.next()) {
        (Some(found), Some(limit)) => {
            format!("the request has {found} bytes; at most {limit} are allowed")
        }
        _ => "the request is too large".to_owned(),
    }
}

/// A code as a reason, where there is no better one.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::reason;

    #[test]
    fn trailers_and_headers_get_the_same_form() {
        for (code, message, becomes, why) in [
            (
                Code::Internal,
                "failed to decode Protobuf message: x",
                Code::InvalidArgument,
                "MALFORMED_REQUEST",
            ),
            (Code::Internal, "sled: /secret broke", Code::Internal, "INTERNAL"),
            (Code::Unknown, "oh", Code::Unknown, "UNKNOWN"),
            (Code::NotFound, "no such service", Code::NotFound, "NOT_FOUND"),
            (Code::Unimplemented, "", Code::Unimplemented, "METHOD_UNKNOWN"),
        ] {
            let status = Status::new(code, message);
            let (answer, answered) = response(status.clone().into_http());
            let mut end = HeaderMap::new();
            status.add_header(&mut end).unwrap();
            let (end, ended) = trailers(end);
            assert_eq!((answered, ended), (Some(becomes), becomes));
            for headers in [answer.headers(), &end] {
                let status = Status::from_header_map(headers).unwrap();
                assert_eq!((status.code(), reason(&status).as_deref()), (becomes, Some(why)));
                assert!(!status.message().contains("secret"));
            }
        }
    }
}
