//! Notices what drivers of the old system publish on `driver_requests`. Central does not read it: that is for
//! `evmesh bridge`, and where none runs, these drivers wait for ever. So it is said, once a minute at most.

use crate::{Error, events::Events};
use domain::{
    Mono,
    network::{Event, Level},
};
use evmesh_proto::topics::{BRIDGE_REQUEST_ID, DRIVER_REQUESTS};
use mesh::{
    Shutdown,
    kafka::{KafkaOptions, Origin, Reader, ReaderEvent},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// Its reader's name in Kafka's tools: not central's, for what it counts is not read.
const GROUP: &str = "evmesh-central-unread";
/// A bridge has asked for a message so soon after it came, or does not run.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said, and for how long one request of a bridge shows that there is one.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What is known of old drivers and of a bridge; nothing at first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OldRequests {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Messages that came and were not judged.
    came: AtomicU64,
    woken: Notify,
    /// When a bridge last asked, in [`Mono`]; 0 without one.
    bridged: AtomicU64,
}

impl OldRequests {
    /// Counts what comes, and says so while it does and no bridge asks, until the order to stop. It needs neither a
    /// broker nor the topic.
    pub(crate) fn watch(
        &self,
        options: &KafkaOptions,
        events: Events,
        stop: Shutdown,
    ) -> Result<impl Future<Output = ()> + Send + use<>, Error> {
        let (counted, told) = (self.clone(), self.clone());
        let sink = move |event| {
            if let ReaderEvent::Message(_) = event {
                counted.came();
            }
            true
        };
        // Where others could read on the way there is no bridge either.
        let may_read = options.may_have(DRIVER_REQUESTS);
        let options = options.unhurried();
        let reader = may_read.then(|| Reader::spawn(&options, DRIVER_REQUESTS, GROUP, Origin::Latest, sink));
        let reader = reader.transpose()?;
        Ok(async move {
            tokio::select! {
                () = told.tell(events) => {}
                () = stop.started() => {}
            }
            drop(reader);
        })
    }

    fn came(&self) {
        self.shared.came.fetch_add(1, Ordering::Relaxed);
        self.shared.woken.notify_one();
    }

    /// A charge was requested under this id.
    pub(crate) fn requested(&self, request_id: &str) {
        if request_id.starts_with(BRIDGE_REQUEST_ID) {
            self.shared.bridged.store(mesh::now().mono.0, Ordering::Relaxed);
        }
    }

    /// Never ends.
    async fn tell(&self, mut events: Events) {
        loop {
            self.shared.woken.notified().await;
            sleep(PATIENCE).await;
            let now = mesh::now();
            let came = self.shared.came.swap(0, Ordering::Relaxed);
            if came > 0 && !self.is_bridged(now.mono) {
                events.happened(now.wall, unbridged(came));
            }
            sleep(SAID_EVERY.saturating_sub(PATIENCE)).await;
        }
    }

    fn is_bridged(&self, now: Mono) -> bool {
        match self.shared.bridged.load(Ordering::Relaxed) {
            0 => false,
            last => now.since(Mono(last)) < SAID_EVERY,
        }
    }
}

fn unbridged(came: u64) -> Event {
    let came = match came {
        1 => "a message came".to_owned(),
        came => format!("{came} messages came"),
    };
    let text = format!(
        "{came} on {DRIVER_REQUESTS}, which central does not read, and no bridge asks for a charge: without one, drivers \
         of the old system wait there for ever; start 'evmesh bridge', or have them call DriverService.RequestCharge"
    );
    Event { level: Level::Warn, name: "requests_unbridged", text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many lines after that time, with a message each second and a bridge that asks when it says so.
    async fn said(seconds: u64, bridge_asks: impl Fn(u64) -> bool) -> usize {
        let old = OldRequests::default();
        let (events, ring) = Events::new();
        let telling = old.clone();
        let telling = tokio::spawn(async move { telling.tell(events).await });
        for second in 0..seconds {
            old.came();
            if bridge_asks(second) {
                old.requested("bridge-0-1-2");
            }
            old.requested("another-client's");
            sleep(Duration::from_secs(1)).await;
        }
        telling.abort();
        ring.worst_first(usize::MAX).len()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_a_minute_while_no_bridge_asks() {
        assert_eq!(said(4, |_| false).await, 0, "a bridge may still ask");
        assert_eq!(said(30, |_| false).await, 1);
        assert_eq!(said(170, |_| false).await, 3);
        assert_eq!(said(170, |second| second % 50 == 3).await, 0);
        assert_eq!(said(170, |second| second == 3).await, 2, "the bridge is gone");
    }
}
