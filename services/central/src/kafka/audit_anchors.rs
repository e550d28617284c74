//! Tells Kafka, which keeps it, how far the audit's chain is.

use crate::{
    audit::anchors::{self, log},
    writer::Handle,
};
use evmesh_proto::topics::AuditAnchor;
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
    let mut due = Due { handle, shutdown, published: 0, stopping: false };
    while let Some(anchor) = due.next().await {
        if due.stopping && *state.borrow() != BrokerState::Reached {
            continue; // it would hold up the end, in vain
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
            () = due.shutdown.started() => false,
        };
        if delivered {
            due.published = anchor.number;
        }
    }
}

/// When there is something to publish.
struct Due {
    handle: Handle,
    shutdown: Shutdown,
    /// Kafka has the anchor of this entry.
    published: u64,
    /// The order to stop has come: the next one is the last.
    stopping: bool,
}

impl Due {
    /// Waits for the next anchor that is to be published. `None`: there is none any more.
    async fn next(&mut self) -> Option<AuditAnchor> {
        while !self.stopping {
            self.stopping = tokio::select! {
                () = self.shutdown.started() => true,
                () = sleep(EVERY) => false,
            };
            let anchor = self.handle.anchor().await?;
            if anchor.number > self.published {
                return Some(anchor);
            }
        }
        None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::Events,
        writer::{Outlets, Running, Writer, queues, spawn},
    };
    use domain::{Deed, network::Config};
    use mesh::store::MemoryStore;
    use tokio::time::Instant;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A writer with an audit, whose changelog and messages go nowhere.
    fn writer() -> (Handle, Running) {
        let writer = Writer::open(MemoryStore::new(), Config::default(), mesh::now()).unwrap();
        let (handle, inboxes) = queues();
        let outlets = Outlets {
            events: Events::new().0,
            producer: Producer::new(&KafkaOptions::at(testing::free_address().to_string()), "test").unwrap(),
            notifications: Default::default(),
            dead_letters: Default::default(),
            changelog: Default::default(),
            lag: Default::default(),
            refused: Default::default(),
        };
        let running = spawn(writer, outlets, |_, _| {}, (&handle, inboxes)).unwrap();
        (handle, running)
    }

    /// On a clock that passes only while everybody waits for it: not while the writer is asked.
    #[tokio::test(start_paused = true)]
    async fn each_hour_what_is_new_is_due_until_it_is_published() {
        let (handle, _writer) = writer();
        let (shutdown, began) = (Shutdown::new(), Instant::now());
        let mut due =
            Due { handle: handle.clone(), shutdown: shutdown.clone(), published: 0, stopping: false };
        let deed = async || handle.trust(Vec::new(), Deed::default()).await.unwrap();
        deed().await;
        let mut next = async |published| {
            due.published = published;
            due.next().await.map(|anchor| (began.elapsed().as_secs() / HOUR.as_secs(), anchor.number))
        };
        assert_eq!(next(0).await, Some((1, 1)));
        assert_eq!(next(0).await, Some((2, 1)), "it was not delivered");
        deed().await;
        assert_eq!(next(1).await, Some((3, 2)));
        shutdown.start();
        assert_eq!(next(2).await, None, "nothing is new");
    }
}
