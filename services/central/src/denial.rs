//! How a denial of the rules leaves: the one place where reasons become codes.

use domain::network::{Denial, Reason};
use mesh::grpc::{Failure, RETRY_AFTER};
use tonic::Code;

/// The denial as an error. Only what a retry can cure says when to retry.
pub(crate) fn failure(denial: Denial) -> Failure {
    let (code, retry) = match denial.reason {
        Reason::ChargePointUnknown | Reason::SessionUnknown | Reason::CardUnknown => (Code::NotFound, false),
        Reason::ChargePointDisconnected
        | Reason::ChargePointFaulted
        | Reason::ChargePointOutOfOrder
        | Reason::ChargePointBusy
        | Reason::ChargePointConnected
        | Reason::NoChargePointFree
        | Reason::PriceAboveMax
        | Reason::DriverBusy
        | Reason::DriverCoolingDown
        | Reason::CardRequired
        | Reason::CardsNotHeard
        | Reason::CardBlocked
        | Reason::CardExpired
        | Reason::EngineRefused
        | Reason::EngineSilent
        | Reason::ChargePointMismatch
        | Reason::IdentityRevoked
        | Reason::SessionAuthorized
        | Reason::SessionNotUnderReview
        | Reason::EnergyAboveReported
        | Reason::ChargeStopped => (Code::FailedPrecondition, false),
        Reason::RequestIdReused => (Code::InvalidArgument, false),
        Reason::RegistrationClosed => (Code::PermissionDenied, false),
        Reason::TooManyAtAddress | Reason::TooManyCardsTried => (Code::ResourceExhausted, false),
        Reason::Overloaded => (Code::ResourceExhausted, true),
        Reason::MonitorAlreadyConnected | Reason::InstanceAlreadyConnected => (Code::Aborted, true),
        // The caller has to register again first: a retry of the same call cures nothing.
        Reason::EpochStale | Reason::InstanceStale => (Code::Aborted, false),
    };
    let retry_after = denial.retry_after.or(retry.then_some(RETRY_AFTER));
    Failure { retry_after, ..Failure::new(code, denial.reason.as_str(), denial.text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_keeps_its_word_and_its_sentence() {
        for &reason in Reason::ALL {
            let failure = failure(Denial::new(reason, "why"));
            assert_eq!((failure.reason.as_str(), failure.message.as_str()), (reason.as_str(), "why"));
            let retry = matches!(
                reason,
                Reason::MonitorAlreadyConnected | Reason::InstanceAlreadyConnected | Reason::Overloaded
            );
            assert_eq!(failure.retry_after.is_some(), retry, "{reason:?}");
        }
    }
}
