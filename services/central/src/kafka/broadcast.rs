//! The status of the whole network, on `network_status`, for anyone: every few seconds, as well as it can be sent.

use crate::{
    api::view,
    roster::{Roster, RosterHandle},
};
use domain::Wall;
use evmesh_proto::topics::{
    ChargePointEntry, NETWORK_STATUS, NETWORK_STATUS_KEY, NetworkStatus, NetworkStatusType,
};
use mesh::{Shutdown, kafka::Producer};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// A message has so many bytes at most: below the 1,000,000 of a broker and of clients with their defaults.
const MAX_BYTES: usize = 900_000;
/// What a message has besides its entries, at most.
const ENVELOPE_BYTES: usize = 256;

/// Broadcasts until the order to stop.
pub(crate) async fn run(roster: RosterHandle, producer: Producer, interval: Duration, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.started() => return,
            _ = ticks.tick() => {}
        }
        let Some(roster) = roster.fresh().await else {
            return;
        };
        let now = mesh::now().wall;
        for message in messages(&roster, now) {
            producer.send_lossy(NETWORK_STATUS, NETWORK_STATUS_KEY, &message);
        }
    }
}

/// One message while it fits; beyond, several that say which part they are.
fn messages(roster: &Roster, now: Wall) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<ChargePointEntry>> = vec![Vec::new()];
    let mut size = ENVELOPE_BYTES;
    for entry in &roster.entries {
        let detail = &entry.detail;
        let entry = ChargePointEntry {
            id: detail.id.to_string(),
            status: view::status(detail.status),
            location: detail.location.to_string(),
        };
        let bytes = json(&entry).len() + 1; // with its comma
        if size + bytes > MAX_BYTES {
            parts.push(Vec::new());
            size = ENVELOPE_BYTES;
        }
        size += bytes;
        if let Some(part) = parts.last_mut() {
            part.push(entry);
        }
    }
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let broadcast_id = format!("{}-{}", now.0, roster.round);
    let message = |(part, cps): (u32, Vec<ChargePointEntry>)| {
        let several = count > 1;
        json(&NetworkStatus {
            kind: NetworkStatusType::Update,
            cps,
            timestamp: Some(now.seconds()),
            broadcast_id: several.then(|| broadcast_id.clone()),
            part: several.then_some(part),
            parts: several.then_some(count),
        })
    };
    (1..).zip(parts).map(message).collect()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Only maps with strange keys, or a failing writer, are no JSON: these are structs, and the writer is memory.
    serde_json::to_vec(value).expect("a broadcast is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{Entry, tests::detail};
    use domain::network::Status;
    use std::sync::Arc;

    fn roster(count: usize, location: &str) -> Roster {
        let entry = |n: usize| {
            let mut detail = detail(&format!("CP-{n:06}"), Status::Available);
            detail.location = location.parse().unwrap();
            Arc::new(Entry { changed: 1, detail })
        };
        Roster { round: 7, entries: (0..count).map(entry).collect(), forgotten: Vec::new() }
    }

    #[test]
    fn a_small_network_is_the_seeds_one_message() {
        let messages = messages(&roster(2, "Madrid"), Wall(1_700_000_000_000));
        let [message] = &messages[..] else { panic!("{}", messages.len()) };
        testing::contract::check_published(NETWORK_STATUS, message);
        let read: serde_json::Value = serde_json::from_slice(message).unwrap();
        let cp = |id: &str| serde_json::json!({"id": id, "status": "ACTIVADO", "location": "Madrid"});
        assert_eq!(
            read,
            serde_json::json!({"type": "NETWORK_STATUS_UPDATE", "cps": [cp("CP-000000"), cp("CP-000001")],
                "timestamp": 1_700_000_000.0})
        );
        assert_eq!(
            super::messages(&Roster::default(), Wall(0)).len(),
            1,
            "an empty network is broadcast too"
        );
    }

    #[test]
    fn twenty_thousand_charge_points_come_in_parts_that_fit() {
        let roster = roster(20_000, &"ñ\"".repeat(64)); // places as long as they may be, with what JSON has to escape
        let messages = messages(&roster, Wall(1_700_000_000_000));
        assert!(messages.len() > 1 && messages.iter().all(|message| message.len() <= MAX_BYTES));
        let parts: Vec<NetworkStatus> =
            messages.iter().map(|message| serde_json::from_slice(message).unwrap()).collect();
        testing::contract::check_published(NETWORK_STATUS, messages.last().unwrap());
        for (number, part) in (1..).zip(&parts) {
            assert_eq!((part.part, part.parts), (Some(number), Some(parts.len() as u32)));
            assert_eq!(part.broadcast_id, parts[0].broadcast_id);
        }
        let ids: Vec<&str> = parts.iter().flat_map(|part| &part.cps).map(|cp| cp.id.as_str()).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.is_sorted());
    }
}
