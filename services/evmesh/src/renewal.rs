//! A role renews its own certificate, as long as it runs: one that was enrolled by a token knows where.

use crate::{
    exit::{Because as _, Failure},
    remote::{Remote, security},
};
use domain::Wall;
use evmesh_proto::registry::{RenewRequest, registry_service_client::RegistryServiceClient};
use identity::{Identity, folder::REGISTRY};
use mesh::{
    convert::timestamp,
    grpc::{Address, Peers, Security, SecurityOptions},
};
use registry::Applicant;
use std::{fs, path::Path, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);
/// Renewed so often, and never later than after half of the time that is left.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// The first try after a failed one is after so long at most, each further one after twice as long, up to [`HOUR`].
const FIRST_RETRY: Duration = Duration::from_secs(60);

/// Gets a newer certificate for the identity in a folder.
pub(crate) async fn renew(folder: &Path, registry: &Remote) -> Result<Identity, Failure> {
    let applicant = Applicant::again(folder).because()?;
    let request = RenewRequest { certificate_request: applicant.csr_pem().to_owned() };
    let renewed = registry.waited(RegistryServiceClient::new(registry.peer.clone()).renew(request)).await;
    let given = registry.answer(renewed)?.credentials.unwrap_or_default();
    applicant.keep_newer(&given).because()
}

/// Renews, as long as this is polled, the identity of these options; ends at once if there is none, or none that a
/// registry renews.
pub(crate) async fn keep_renewed(options: SecurityOptions) {
    let Some(folder) = &options.identity else { return };
    let Ok(text) = fs::read_to_string(folder.join(REGISTRY)) else { return };
    let address: Address = match text.trim().parse() {
        Ok(address) => address,
        Err(problem) => {
            let file = folder.join(REGISTRY);
            tracing::warn!(file = %file.display(), "the identity is not renewed: where its registry is {problem}");
            return;
        }
    };
    let Ok(security) = security(&options) else { return }; // its role says so
    let Security::Identity { credentials, .. } = &security else { return };
    let credentials = credentials.clone();
    let not_after = || credentials.not_after().unwrap_or(Wall::MAX); // whom a token names was not enrolled
    let registry = Remote::registry(&address, &Peers::new(security));
    let mut failures = 0;
    let mut wait = at_start(mesh::now().wall, not_after(), fastrand::f64());
    loop {
        tokio::time::sleep(wait).await;
        match renew(folder, &registry).await {
            Ok(identity) => {
                failures = 0;
                tracing::info!(%identity, not_after = %timestamp(not_after()), "renewed");
            }
            Err(failure) => {
                failures += 1;
                let (not_after, why) = (not_after(), failure.sentence().unwrap_or_default());
                tracing::warn!(not_after = %timestamp(not_after), "the identity is not renewed yet: {why}");
            }
        }
        wait = next(mesh::now().wall, not_after(), failures, fastrand::f64());
    }
}

/// What starts together does not ask together: within the hour, unless there is no time for it.
fn at_start(now: Wall, not_after: Wall, share: f64) -> Duration {
    if left(now, not_after) < DAILY { Duration::ZERO } else { HOUR.mul_f64(share) }
}

/// How long to wait for the next try, after so many failed ones in a row; `share` is drawn from 0 to 1.
fn next(now: Wall, not_after: Wall, failures: u32, share: f64) -> Duration {
    if failures > 0 {
        let most = FIRST_RETRY.saturating_mul(1 << (failures - 1).min(10)).min(HOUR);
        return most.mul_f64(0.5 + share / 2.0);
    }
    let day = DAILY.mul_f64(0.75 + share / 2.0);
    day.min(left(now, not_after) / 2).max(FIRST_RETRY)
}

fn left(now: Wall, not_after: Wall) -> Duration {
    Duration::from_millis(u64::try_from(not_after.0.saturating_sub(now.0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_800_000_000_000);

    #[test]
    fn a_certificate_is_renewed_daily_and_in_time_and_never_in_step_with_others() {
        let month = NOW + 30 * DAILY;
        assert_eq!([0.0, 1.0].map(|share| next(NOW, month, 0, share)), [DAILY * 3 / 4, DAILY * 5 / 4]);
        assert_eq!([0.0, 1.0].map(|share| at_start(NOW, month, share)), [Duration::ZERO, HOUR]);
        let evening = NOW + 4 * HOUR;
        assert_eq!(next(NOW, evening, 0, 0.5), 2 * HOUR);
        for out in [evening, NOW, NOW + Duration::from_secs(1), Wall(0)] {
            assert_eq!(at_start(NOW, out, 1.0), Duration::ZERO);
            assert!(next(NOW, out, 0, 0.0) >= FIRST_RETRY, "no registry is asked without a pause");
        }
    }

    #[test]
    fn a_registry_that_is_away_is_asked_seldom_and_for_ever() {
        let waits = |share| [1, 2, 7, 40, u32::MAX].map(|failures| next(NOW, NOW, failures, share).as_secs());
        assert_eq!(waits(1.0), [60, 120, 3600, 3600, 3600]);
        assert_eq!(waits(0.0), [30, 60, 1800, 1800, 1800]);
    }
}
