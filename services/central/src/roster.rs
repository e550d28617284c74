//! Every charge point as it was a moment ago, for those who follow the whole network: operators, the panel.
//!
//! It is collected page by page, so that a large network never holds the writer up for long, and only while somebody
//! wants it.

use crate::writer::Handle;
use domain::ChargePointId;
use domain::network::Detail;
use mesh::{Shutdown, grpc::Failure};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};

/// How often it is collected while somebody follows it.
const INTERVAL: Duration = Duration::from_secs(1);
/// One question to the writer covers so many charge points: half a millisecond.
const PAGE: usize = 500;
/// So many that were forgotten are remembered, for those who follow: who comes later by so many missed one.
const FORGOTTEN: usize = 1000;
/// So many may wait for a fresh one: more than a server has streams opening at once.
const REQUESTS: usize = 1024;

/// A charge point, and when it last changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The round in which it was found changed.
    pub changed: u64,
    pub detail: Detail,
}

/// Every charge point, by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    /// Rises with each collection.
    pub round: u64,
    /// In the order of their ids.
    pub entries: Vec<Arc<Entry>>,
    /// The charge points that were forgotten last, and the round in which they were missed; oldest first.
    pub forgotten: Vec<(u64, ChargePointId)>,
}

impl Roster {
    /// Merges what was collected: an entry that did not change stays the same.
    fn next(&self, details: Vec<Detail>) -> Self {
        let round = self.round + 1;
        let mut forgotten = self.forgotten.clone();
        let mut missed = |entry: &Arc<Entry>| forgotten.push((round, entry.detail.id.clone()));
        let mut known = self.entries.iter().peekable();
        let mut entries = Vec::with_capacity(details.len());
        for detail in details {
            while let Some(entry) = known.next_if(|entry| entry.detail.id < detail.id) {
                missed(entry);
            }
            entries.push(match known.next_if(|entry| entry.detail.id == detail.id) {
                Some(entry) if entry.detail == detail => entry.clone(),
                Some(_) | None => Arc::new(Entry { changed: round, detail }),
            });
        }
        known.for_each(missed);
        forgotten.drain(..forgotten.len().saturating_sub(FORGOTTEN));
        Self { round, entries, forgotten }
    }
}

#[derive(Debug, Clone)]
pub struct RosterHandle {
    newest: watch::Sender<Arc<Roster>>,
    requests: mpsc::Sender<oneshot::Sender<Arc<Roster>>>,
}

impl RosterHandle {
    /// One that was collected after this call; then follow it with [`RosterHandle::follow`].
    pub(crate) async fn fresh(&self) -> Option<Arc<Roster>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).await.ok()?;
        answer.await.ok()
    }

    /// Every collection from now on, about one a second.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<Roster>> {
        self.newest.subscribe()
    }
}

/// Collects until the order to stop.
pub fn spawn(newest: watch::Sender<Arc<Roster>>, handle: Handle, shutdown: Shutdown) -> RosterHandle {
    let (requests, mut waiting) = mpsc::channel::<oneshot::Sender<Arc<Roster>>>(REQUESTS);
    let roster = RosterHandle { newest: newest.clone(), requests };
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut asked = Vec::new();
            tokio::select! {
                () = shutdown.started() => return,
                _ = ticks.tick() => {
                    if newest.receiver_count() == 0 {
                        continue;
                    }
                }
                request = waiting.recv() => asked.extend(request),
            }
            while let Ok(request) = waiting.try_recv() {
                asked.push(request);
            }
            let Ok(details) = collect(&handle).await else {
                return;
            };
            let next = Arc::new(newest.borrow().next(details));
            newest.send_replace(next.clone());
            for request in asked {
                let _ = request.send(next.clone()); // who left misses nothing
            }
        }
    });
    roster
}

async fn collect(handle: &Handle) -> Result<Vec<Detail>, Failure> {
    let mut details: Vec<Detail> = Vec::new();
    loop {
        let after: Option<ChargePointId> = details.last().map(|detail| detail.id.clone());
        let page: Vec<Detail> = handle
            .query(move |snapshot| snapshot.network.charge_points_after(after.as_ref()).take(PAGE).collect())
            .await?;
        let last = page.len() < PAGE;
        details.extend(page);
        if last {
            return Ok(details);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::network::Status;

    pub(crate) fn detail(id: &str, status: Status) -> Detail {
        Detail {
            id: id.parse().unwrap(),
            location: "Madrid, Atocha".parse().unwrap(),
            price: "0.35 EUR".parse().unwrap(),
            status,
            status_reason: String::new(),
            telemetry_refused: String::new(),
            engine_address: "127.0.0.1:50052".into(),
            epoch: 1,
            live: None,
        }
    }

    #[test]
    fn what_did_not_change_keeps_its_round() {
        let of = |statuses: &[(&str, Status)]| {
            statuses.iter().map(|(id, status)| detail(id, *status)).collect::<Vec<_>>()
        };
        let first = Roster::default().next(of(&[("B", Status::Available), ("D", Status::Available)]));
        let second =
            first.next(of(&[("A", Status::Reserved), ("B", Status::Available), ("D", Status::Reserved)]));
        let changed: Vec<(&str, u64)> =
            second.entries.iter().map(|entry| (entry.detail.id.as_str(), entry.changed)).collect();
        assert_eq!(changed, [("A", 2), ("B", 1), ("D", 2)]);
        assert!(Arc::ptr_eq(&second.entries[1], &first.entries[0]));
        let third = second.next(of(&[("B", Status::Available)]));
        let forgotten = third.forgotten.iter().map(|(round, id)| (*round, id.as_str()));
        assert_eq!(forgotten.collect::<Vec<_>>(), [(3, "A"), (3, "D")]);
    }
}
