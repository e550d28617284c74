//! The faults that a file of requests expects: `evmesh up` is the hand that breaks the charge point, and mends it.

use domain::{
    ChargePointId,
    requests::{self, Expectation},
    supply::Act,
};
use driver::DriverEvent;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// A supply runs for so long before it is broken off: two readings, so that there is something to bill.
const BREAK_AFTER: Duration = Duration::from_secs(2);

/// What is said to have broken.
const REASON: &str = "broken on purpose: the request's line expects a fault";

/// The lines of a file that expect a fault; none if it cannot be read, which the driver's app says better.
pub(super) fn expected(file: &Path) -> HashSet<u32> {
    let text = mesh::files::read_text(file).unwrap_or_default();
    let lines = requests::parse(&file.display().to_string(), &text).unwrap_or_default();
    let faults = lines.into_iter().filter(|line| line.expectation == Expectation::Fault);
    faults.map(|line| line.number).collect()
}

/// Breaks and mends until the driver's run ends.
pub(super) async fn inject(
    expected: HashSet<u32>,
    hands: BTreeMap<ChargePointId, engine::Point>,
    mut events: Receiver<DriverEvent>,
) {
    let mut current = None;
    let mut broken = None;
    loop {
        match events.recv().await {
            Ok(DriverEvent::Requesting { line, .. }) => current = Some(line),
            Ok(DriverEvent::Consumption { charge_point, .. })
                if broken.is_none() && current.is_some_and(|line| expected.contains(&line)) =>
            {
                tokio::time::sleep(BREAK_AFTER).await;
                if let Some(hand) = hands.get(&charge_point)
                    && let Err(error) = hand.act(Act::Break(REASON.to_owned())).await
                {
                    tracing::error!(%charge_point, %error, "the fault cannot be injected");
                }
                broken = Some(charge_point);
            }
            Ok(DriverEvent::Concluded(_)) => {
                if let Some(charge_point) = broken.take()
                    && let Some(hand) = hands.get(&charge_point)
                    && let Err(error) = hand.act(Act::Repair).await
                {
                    tracing::error!(%charge_point, %error, "the fault cannot be cleared");
                }
            }
            Ok(_) => {}
            // Nothing is lost: readings repeat themselves.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
