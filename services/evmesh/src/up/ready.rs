//! Waits until a network can serve its first request.

use crate::{
    exit::Failure,
    operator::network::{Network, Seen, follow, open},
    remote::Remote,
};
use domain::ChargePointId;
use evmesh_proto::network::{ChargePointDetail, ChargePointStatus};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use ui::values::count;

/// What is waited for is said so often, where it has changed.
const SAID_EVERY: Duration = Duration::from_secs(1);
/// Central is asked again so soon after it gave no answer.
const ASKED_AGAIN: Duration = Duration::from_millis(200);
/// So many charge points are named; of more, the number is enough.
const NAMED: usize = 5;

/// How far a network is that is not ready yet.
#[derive(Debug)]
pub(super) struct Waiting {
    available: usize,
    all: usize,
    missing: String,
}

impl Waiting {
    fn of(network: &Network, charge_points: &[ChargePointId]) -> Self {
        let missing = charge_points.iter().filter_map(|id| missing(id, network.get(id.as_str())));
        let missing: Vec<String> = missing.collect();
        let named = missing[..missing.len().min(NAMED)].join(", ");
        Self {
            available: charge_points.len() - missing.len(),
            all: charge_points.len(),
            missing: match missing.len().saturating_sub(NAMED) {
                0 => named,
                more => format!("{named}, and {more} more"),
            },
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { available, all, missing } = self;
        let (all, are) = (count(*all, "charge point"), if *all == 1 { "is" } else { "are" });
        format!("waiting: {available} of {all} {are} available; {missing}")
    }

    pub(super) fn json(&self) -> Value {
        let Self { available, all, missing } = self;
        json!({"event": "waiting", "available": available, "charge_points": all, "missing": missing})
    }
}

/// Returns once central shows every one of these charge points as available. `progress` hears about once a second what
/// is missing, when it is something else than before.
pub(super) async fn ready(
    central: &Remote,
    charge_points: &[ChargePointId],
    within: Duration,
    mut progress: impl FnMut(&Waiting) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (network, mut seen) = watch::channel(Seen::default());
    // Central may still be opening its store, and takes no connection meanwhile: it has as long as all the others.
    let following = async {
        let stream = loop {
            match open(central).await {
                Ok(stream) => break stream,
                Err(_) => sleep(ASKED_AGAIN).await,
            }
        };
        follow(central, stream, &network, |_| Ok(())).await
    };
    let waiting = async {
        let all = |seen: &Seen| Waiting::of(&seen.network, charge_points).missing.is_empty();
        let mut said = String::new();
        while timeout(SAID_EVERY, seen.wait_for(all)).await.is_err() {
            let now = Waiting::of(&network.borrow().network, charge_points);
            if now.missing != said {
                progress(&now)?;
                said = now.missing;
            }
        }
        Ok(())
    };
    let ready = async {
        tokio::select! {
            failed = following => failed,
            ready = waiting => ready,
        }
    };
    timeout(within, ready).await.unwrap_or_else(|_| {
        let (seconds, missing) =
            (within.as_secs_f64(), Waiting::of(&network.borrow().network, charge_points).missing);
        Err(Failure::Failed(format!(
            "after {seconds} s not every charge point is available: {missing}; the log says more, and \
             --ready-timeout waits longer"
        )))
    })
}

/// What keeps a charge point from being available; `None` if it is.
fn missing(id: &ChargePointId, detail: Option<&ChargePointDetail>) -> Option<String> {
    let Some(detail) = detail else {
        return Some(format!("{id} is not registered"));
    };
    let status = detail.charge_point.as_ref().map_or(ChargePointStatus::Unspecified, |one| one.status());
    let label = ui::status::label(status);
    match detail.status_reason.as_str() {
        _ if status == ChargePointStatus::Available => None,
        "" => Some(format!("{id} is {label}")),
        reason => Some(format!("{id} is {label} ({reason})")),
    }
}
