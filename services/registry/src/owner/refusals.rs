//! What whoever asked is told when it was refused.

use domain::enrolment::Denied;
use identity::AuthorityError;
use mesh::grpc::{Failure, RETRY_AFTER};
use tonic::Code;

/// What a caller is told once nothing is decided any more.
pub(crate) fn stopping() -> Failure {
    Failure::unavailable("SHUTTING_DOWN", "the registry is stopping", RETRY_AFTER)
}

pub(super) fn failed(error: AuthorityError) -> Failure {
    match error {
        AuthorityError::Expired => Failure::precondition("AUTHORITY_EXPIRED", error.to_string()),
        error => Failure::internal(error),
    }
}

pub(super) fn denied(why: Denied) -> Failure {
    let (code, reason) = match why {
        Denied::TokenUnknown => (Code::NotFound, "TOKEN_UNKNOWN"),
        Denied::TokenExpired => (Code::FailedPrecondition, "TOKEN_EXPIRED"),
        Denied::TokenUsed => (Code::FailedPrecondition, "TOKEN_USED"),
        Denied::KeyTaken => (Code::FailedPrecondition, "KEY_TAKEN"),
        Denied::IdentityUnknown | Denied::KeyUnknown => (Code::NotFound, "IDENTITY_UNKNOWN"),
        Denied::IdentityRevoked => (Code::FailedPrecondition, "IDENTITY_REVOKED"),
        Denied::IdentityExpired => (Code::FailedPrecondition, "IDENTITY_EXPIRED"),
        Denied::TooManyTokens => (Code::ResourceExhausted, "TOO_MANY_TOKENS"),
        Denied::TooManyIdentities => (Code::ResourceExhausted, "TOO_MANY_IDENTITIES"),
        Denied::TooManyCertificates => (Code::ResourceExhausted, "TOO_MANY_CERTIFICATES"),
    };
    Failure::new(code, reason, why.to_string())
}
