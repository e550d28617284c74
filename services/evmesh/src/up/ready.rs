//! Waits until a network can serve its first request.

use crate::{exit::Failure, remote::Remote};
use domain::ChargePointId;
use evmesh_proto::{
    network::{ChargePointDetail, ChargePointStatus},
    operations::{WatchNetworkRequest, operator_service_client::OperatorServiceClient},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, pin::pin, time::Duration};
use tokio::time::Instant;

/// What is waited for is said so often, where it has changed.
const SAID_EVERY: Duration = Duration::from_secs(1);
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
    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { available, all, missing } = self;
        format!("waiting: {available} of {all} charge points are available; {missing}")
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let Self { available, all, missing } = self;
        json!({"event": "waiting", "available": available, "charge_points": all, "missing": missing})
    }
}

/// What central said last of each charge point that is waited for.
type Seen = BTreeMap<String, Option<ChargePointDetail>>;

/// Returns once central shows every one of these charge points as available.
pub(super) async fn ready(
    central: &Remote,
    charge_points: &[ChargePointId],
    within: Duration,
    progress: impl FnMut(&Waiting) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut seen: Seen = charge_points.iter().map(|id| (id.to_string(), None)).collect();
    match tokio::time::timeout(within, follow(central, &mut seen, progress)).await {
        Ok(ready) => ready,
        Err(_) => Err(Failure::Failed(format!(
            "after {} s not every charge point is available: {}; the log says more, and --ready-timeout waits longer",
            within.as_secs_f64(),
            missing(&seen)
        ))),
    }
}

/// `progress` hears about once a second what is missing, when it is something else than before.
async fn follow(
    central: &Remote,
    seen: &mut Seen,
    mut progress: impl FnMut(&Waiting) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut said = String::new();
    let mut still = |seen: &Seen| {
        let missing = missing(seen);
        if said == missing {
            return Ok(());
        }
        let available = seen.values().filter(|detail| is_available(detail)).count();
        progress(&Waiting { available, all: seen.len(), missing: missing.clone() })?;
        said = missing;
        Ok::<(), Failure>(())
    };
    let mut ticks = tokio::time::interval_at(Instant::now() + SAID_EVERY, SAID_EVERY);
    let mut client = OperatorServiceClient::new(central.peer.clone());
    let mut opening = pin!(client.watch_network(WatchNetworkRequest {}));
    let stream = loop {
        tokio::select! {
            stream = &mut opening => break stream,
            _ = ticks.tick() => still(seen)?,
        }
    };
    let mut stream = central.answer(stream)?;
    while !seen.values().all(is_available) {
        let message = tokio::select! {
            message = stream.message() => message.map_err(|status| central.failed(&status))?,
            _ = ticks.tick() => {
                still(seen)?;
                continue;
            }
        };
        for detail in message.ok_or_else(|| central.ended())?.charge_points {
            let id = detail.charge_point.as_ref().map(|charge_point| charge_point.charge_point_id.as_str());
            if let Some(place) = id.and_then(|id| seen.get_mut(id)) {
                *place = Some(detail);
            }
        }
    }
    Ok(())
}

fn status(detail: &ChargePointDetail) -> ChargePointStatus {
    detail.charge_point.as_ref().map_or(ChargePointStatus::Unspecified, |charge_point| charge_point.status())
}

fn is_available(detail: &Option<ChargePointDetail>) -> bool {
    detail.as_ref().is_some_and(|detail| status(detail) == ChargePointStatus::Available)
}

fn missing(seen: &Seen) -> String {
    let missing = seen.iter().filter(|(_, detail)| !is_available(detail));
    let missing = missing.map(|(id, detail)| match detail {
        None => format!("{id} is not registered"),
        Some(detail) if detail.status_reason.is_empty() => {
            format!("{id} is {}", ui::status::label(status(detail)))
        }
        Some(detail) => format!("{id} is {} ({})", ui::status::label(status(detail)), detail.status_reason),
    });
    let missing: Vec<String> = missing.collect();
    let named = missing[..missing.len().min(NAMED)].join(", ");
    match missing.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}
