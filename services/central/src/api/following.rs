//! What follows the whole network: everything as it is, then what changed.

use super::{HEARTBEAT, view};
use crate::roster::{Entry, Roster};
use evmesh_proto::{network::ChargePointDetail, operations as proto};
use std::sync::Arc;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// One message of `WatchNetwork` has so many charge points at most.
const WATCH_PAGE: usize = 500;

/// One operator who follows the network. What it is to be told is read off the roster, which all share, once it is: who
/// follows and takes nothing costs next to nothing.
pub(super) struct Following {
    roster: watch::Receiver<Arc<Roster>>,
    /// Of this one, what lies behind these entries and changed after this round is still to be told.
    told_of: (Arc<Roster>, usize, u64),
    forgotten: Vec<String>,
    complete: bool,
}

impl Following {
    pub(super) fn new(first: Arc<Roster>, roster: watch::Receiver<Arc<Roster>>) -> Self {
        Self { roster, told_of: (first, 0, 0), forgotten: Vec::new(), complete: false }
    }

    /// The next message, empty where nothing changed for so long; `None` once central stops.
    pub(super) async fn next(&mut self) -> Option<proto::WatchNetworkResponse> {
        let heartbeat_at = Instant::now() + HEARTBEAT;
        while self.complete && self.is_told() && self.forgotten.is_empty() {
            match timeout_at(heartbeat_at, self.roster.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => break,
            }
            let (newest, round) = (self.roster.borrow_and_update().clone(), self.told_of.0.round);
            let gone = newest.forgotten.iter().filter(|(at, _)| *at > round);
            self.forgotten.extend(gone.map(|(_, id)| id.to_string()));
            self.told_of = (newest, 0, round);
        }
        let charge_points = self.page();
        self.complete |= self.is_told();
        let forgotten_charge_point_ids = std::mem::take(&mut self.forgotten);
        Some(proto::WatchNetworkResponse {
            charge_points,
            complete: self.complete,
            forgotten_charge_point_ids,
        })
    }

    fn untold(&self) -> impl Iterator<Item = (usize, &Arc<Entry>)> {
        let (roster, from, round) = &self.told_of;
        let behind = roster.entries.iter().enumerate().skip(*from);
        behind.filter(|(_, entry)| entry.changed > *round)
    }

    fn is_told(&self) -> bool {
        self.untold().next().is_none()
    }

    fn page(&mut self) -> Vec<ChargePointDetail> {
        let page = self.untold().take(WATCH_PAGE);
        let (places, page): (Vec<usize>, Vec<_>) =
            page.map(|(at, entry)| (at, view::detail(&entry.detail))).unzip();
        self.told_of.1 = places.last().map_or(usize::MAX, |last| last + 1);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::tests::detail;
    use domain::network::Status;
    use std::time::Duration;

    fn roster(round: u64, changed: &[u64]) -> Arc<Roster> {
        let entries = changed.iter().enumerate().map(|(n, &changed)| {
            Arc::new(Entry { changed, detail: detail(&format!("CP-{n:04}"), Status::Available) })
        });
        Arc::new(Roster { round, entries: entries.collect(), forgotten: Vec::new() })
    }

    #[tokio::test]
    async fn all_come_first_in_pages_and_then_what_changed() {
        let first = roster(5, &[1; 1200]);
        let (sender, receiver) = watch::channel(first.clone());
        let mut following = Following::new(first, receiver);
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let message = following.next().await.unwrap();
            sizes.push((message.charge_points.len(), message.complete));
        }
        assert_eq!(sizes, [(500, false), (500, false), (200, true)]);
        let mut changed = vec![1; 1200];
        (changed[3], changed[7]) = (6, 7);
        sender.send_replace(roster(6, &[1; 1200]));
        sender.send_replace(roster(7, &changed));
        let message = following.next().await.unwrap();
        let ids: Vec<String> = message
            .charge_points
            .into_iter()
            .map(|detail| detail.charge_point.unwrap().charge_point_id)
            .collect();
        assert_eq!((ids, message.complete), (vec!["CP-0003".into(), "CP-0007".into()], true));
        let forgotten = vec![(4, "CP-0001".parse().unwrap()), (8, "CP-0002".parse().unwrap())];
        sender.send_replace(Arc::new(Roster { round: 8, entries: Vec::new(), forgotten }));
        let message = following.next().await.unwrap();
        assert_eq!(
            (message.forgotten_charge_point_ids, message.charge_points),
            (vec!["CP-0002".into()], vec![])
        );
        drop(sender);
        assert!(following.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_network_is_heard_of_within_every_minute() {
        let first = roster(1, &[1]);
        let (sender, receiver) = watch::channel(first.clone());
        let mut following = Following::new(first, receiver);
        following.next().await.unwrap();
        // It is collected every second, and nothing is new.
        tokio::spawn(async move {
            for round in 2.. {
                tokio::time::sleep(Duration::from_secs(1)).await;
                sender.send_replace(roster(round, &[1]));
            }
        });
        for _ in 0..3 {
            let before = Instant::now();
            let message = following.next().await.unwrap();
            assert!(message.charge_points.is_empty() && message.complete, "{message:?}");
            assert!(before.elapsed() < Duration::from_secs(60), "{:?}", before.elapsed());
        }
    }

    #[test]
    fn a_thousand_followers_of_three_thousand_charge_points_share_what_they_are_told() {
        let first = roster(1, &[1; 3000]);
        let (_sender, receiver) = watch::channel(first.clone());
        let mut followers = Vec::with_capacity(1000);
        let held = allocation_counter::measure(|| {
            followers.extend((0..1000).map(|_| Following::new(first.clone(), receiver.clone())));
        });
        assert!(held.bytes_current < 100_000, "{held:?}");
    }

    #[tokio::test]
    async fn an_empty_network_says_so_at_once() {
        let (_sender, receiver) = watch::channel(roster(1, &[]));
        let message = Following::new(roster(1, &[]), receiver).next().await.unwrap();
        assert!(message.complete && message.charge_points.is_empty());
    }
}
