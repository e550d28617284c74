//! How messages with a secret in them are shown, in a log or a panic: without it.

use crate::{
    engine::TelemetryKey,
    registry::{CreateEnrolmentTokenResponse, EnrolRequest},
};
use std::fmt;

impl fmt::Debug for TelemetryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for CreateEnrolmentTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CreateEnrolmentTokenResponse");
        shown.field("expire_time", &self.expire_time).finish_non_exhaustive()
    }
}

impl fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EnrolRequest");
        shown.field("certificate_request", &self.certificate_request).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let (key, secret) = (vec![171; 32], vec![171; 32]);
        let shown = [
            format!("{:?}", TelemetryKey { name: "MAD-01/4/0f1e2d3c".into(), key }),
            format!("{:#?}", EnrolRequest { secret, ..EnrolRequest::default() }),
            format!(
                "{:?}",
                CreateEnrolmentTokenResponse { token: "evmesh1/171".into(), ..Default::default() }
            ),
        ];
        assert!(shown.iter().all(|text| !text.contains("171")), "{shown:?}");
        assert!(shown[0].contains("MAD-01/4"), "{shown:?}");
    }
}
