//! Tells Kafka, which keeps it, how far the audit's chain is.

use crate::{
    audit::anchors::{self, log},
    writer::Handle,
};
use mesh::{
    Shutdown,
    backoff::Backoff,
    kafka::{BrokerState, KafkaOptions, Log, Producer},
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// So much of the past, at most, could be rewritten unseen.
const EVERY: Duration = Duration::from_secs(3600);
/// How long the producer may have no room for one.
const ROOM: Duration = Duration::from_secs(1);

/// Publishes where there are new entries: every hour, and at the order to stop. What Kafka does not take then is made
/// up for by the next one.
pub(crate) async fn run(handle: Handle, options: KafkaOptions, producer: Producer, shutdown: Shutdown) {
    let (log, state) = (log(&options), producer.state());
    tokio::select! {
        () = create(&log) => {}
        () = shutdown.started() => {} // the topic may be there all the same
    }
    let (mut published, mut stopping) = (0, false);
    while !stopping {
        stopping = tokio::select! {
            () = shutdown.started() => true,
            () = sleep(EVERY) => false,
        };
        let Some(anchor) = handle.anchor().await else { return };
        let in_vain = stopping && *state.borrow() != BrokerState::Reached; // it would hold up the end
        if anchor.number <= published || in_vain {
            continue;
        }
        let payload = anchors::payload(&anchor);
        let sent = log.append(&producer, anchor.store_id.as_bytes(), Some(&payload), &[]);
        let delivered = match timeout(ROOM, sent).await {
            Ok(Ok(delivered)) => delivered,
            Ok(Err(_)) | Err(_) => continue,
        };
        // At a stop the producer's own last moments are what is left.
        let delivered = tokio::select! {
            delivered = delivered => delivered.is_ok(),
            () = shutdown.started() => false,
        };
        if delivered {
            published = anchor.number;
        }
    }
}

/// Until Kafka has answered.
async fn create(log: &Log) {
    let mut backoff = Backoff::default();
    loop {
        match log.create().await {
            Ok(None) => return,
            Ok(Some(wrong)) => {
                return tracing::error!(
                    "{wrong}: the audit's anchors go with time, and so does what they prove"
                );
            }
            Err(error) => tracing::debug!(%error, "the audit's topic could not be looked at; tried again"),
        }
        backoff.wait().await;
    }
}
