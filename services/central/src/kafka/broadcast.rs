//! The status of the whole network, on `network_status`, for anyone: every few seconds, as well as it can be sent. A
//! large one's parts come one after the other.
//!
//! What is told of each charge point is asked for here, page by page, and not taken from the roster, which knows far
//! more of each: most networks are broadcast while nobody follows them otherwise.

use crate::{api::view, writer::Handle};
use domain::network::Status;
use domain::{ChargePointId, Location, Wall};
use evmesh_proto::topics::{
    ChargePointEntry, NETWORK_STATUS, NETWORK_STATUS_KEY, NetworkStatus, NetworkStatusType,
};
use mesh::{Shutdown, grpc::Failure, kafka::Producer};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

/// A message has so many bytes at most: below the 1,000,000 of a broker and of clients with their defaults.
const MAX_BYTES: usize = 900_000;
/// What a message has besides its entries, at most.
const ENVELOPE_BYTES: usize = 256;
/// So many entries a second at most: a round of more than 100,000 charge points takes longer than the interval.
const ENTRIES_A_SECOND: usize = 20_000;
/// One question to the writer covers so many charge points: a fraction of a millisecond.
const PAGE: usize = 1_000;

/// What is told of a charge point.
#[derive(Debug, Clone)]
struct Entry {
    id: ChargePointId,
    location: Location,
    status: Status,
}

/// Broadcasts until the order to stop.
pub(crate) async fn run(handle: Handle, producer: Producer, interval: Duration, shutdown: Shutdown) {
    let rounds = async {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 1.. {
            ticks.tick().await;
            let Ok(entries) = collect(&handle).await else {
                return;
            };
            let now = mesh::now().wall;
            let mut at = Instant::now();
            for (entries, message) in messages(&entries, now, round) {
                sleep_until(at).await;
                producer.send_lossy(NETWORK_STATUS, NETWORK_STATUS_KEY, &message);
                at += taken_by(entries);
            }
            sleep_until(at).await;
        }
    };
    tokio::select! {
        () = shutdown.started() => {}
        () = rounds => {}
    }
}

fn taken_by(entries: usize) -> Duration {
    Duration::from_secs(1).mul_f64(entries as f64 / ENTRIES_A_SECOND as f64)
}

async fn collect(handle: &Handle) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map(|entry| entry.id.clone());
        let question = |after: Option<ChargePointId>| {
            move |snapshot: &crate::store::Snapshot<'_>| {
                let points = snapshot.network.statuses_after(after.as_ref()).take(PAGE);
                let entry = |(id, location, status): (&ChargePointId, &Location, _)| Entry {
                    id: id.clone(),
                    location: location.clone(),
                    status,
                };
                points.map(entry).collect::<Vec<_>>()
            }
        };
        let page = handle.query(question(after)).await?;
        let last = page.len() < PAGE;
        entries.extend(page);
        if last {
            return Ok(entries);
        }
    }
}

/// One message while it fits; beyond, several that say which part they are. Each comes with how many entries it has,
/// and is made when it is its turn.
fn messages(entries: &[Entry], now: Wall, round: u64) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let parts = parts(entries);
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let message = move |(part, entries): (u32, &[Entry])| {
        let several = count > 1;
        let message = json(&NetworkStatus {
            kind: NetworkStatusType::Update,
            cps: entries.iter().map(told).collect(),
            timestamp: Some(now.seconds()),
            broadcast_id: several.then(|| format!("{}-{round}", now.0)),
            part: several.then_some(part),
            parts: several.then_some(count),
        });
        (entries.len(), message)
    };
    (1..).zip(parts).map(message)
}

/// As many as fit into a message each; one at least, of an empty network too.
fn parts(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut parts = Vec::new();
    let (mut from, mut size) = (0, ENVELOPE_BYTES);
    for (at, entry) in entries.iter().enumerate() {
        let bytes = bytes(entry);
        if size + bytes > MAX_BYTES {
            parts.push(&entries[from..at]);
            (from, size) = (at, ENVELOPE_BYTES);
        }
        size += bytes;
    }
    parts.push(&entries[from..]);
    parts
}

fn told(entry: &Entry) -> ChargePointEntry {
    ChargePointEntry {
        id: entry.id.to_string(),
        status: view::status(entry.status),
        location: entry.location.to_string(),
    }
}

/// What an entry takes of a message, with its comma: no more than this. Ids have nothing that JSON escapes, and places
/// quotes and backslashes alone.
fn bytes(entry: &Entry) -> usize {
    const FRAME: usize = r#"{"id":"","status":"SUMINISTRANDO","location":""},"#.len();
    let place = entry.location.as_str();
    let escapes = place.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    FRAME + entry.id.as_str().len() + place.len() + escapes
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Only maps with strange keys, or a failing writer, are no JSON: these are structs, and the writer is memory.
    serde_json::to_vec(value).expect("a broadcast is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(count: usize, location: &str) -> Vec<Entry> {
        let entry = |n: usize| Entry {
            id: format!("CP-{n:06}").parse().unwrap(),
            location: location.parse().unwrap(),
            status: Status::Available,
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn a_small_network_is_the_seeds_one_message() {
        let network = network(2, "Madrid");
        let messages: Vec<_> = messages(&network, Wall(1_700_000_000_000), 7).collect();
        let [(2, message)] = &messages[..] else { panic!("{messages:?}") };
        testing::contract::check_published(NETWORK_STATUS, message);
        let read: serde_json::Value = serde_json::from_slice(message).unwrap();
        let cp = |id: &str| serde_json::json!({"id": id, "status": "ACTIVADO", "location": "Madrid"});
        assert_eq!(
            read,
            serde_json::json!({"type": "NETWORK_STATUS_UPDATE", "cps": [cp("CP-000000"), cp("CP-000001")],
                "timestamp": 1_700_000_000.0})
        );
        assert_eq!(super::messages(&[], Wall(0), 1).count(), 1, "an empty network is broadcast too");
    }

    #[test]
    fn twenty_thousand_charge_points_come_in_parts_that_fit() {
        let network = network(20_000, &"ñ\"".repeat(64)); // places as long as may be, escaped in JSON
        let messages: Vec<_> = messages(&network, Wall(1_700_000_000_000), 7).collect();
        assert!(messages.len() > 1 && messages.iter().all(|(_, message)| message.len() <= MAX_BYTES));
        let parts: Vec<NetworkStatus> =
            messages.iter().map(|(_, message)| serde_json::from_slice(message).unwrap()).collect();
        testing::contract::check_published(NETWORK_STATUS, &messages.last().unwrap().1);
        for ((number, part), (entries, _)) in (1..).zip(&parts).zip(&messages) {
            assert_eq!((part.part, part.parts), (Some(number), Some(parts.len() as u32)));
            assert_eq!(part.broadcast_id, parts[0].broadcast_id);
            assert_eq!(part.cps.len(), *entries);
        }
        let ids: Vec<&str> = parts.iter().flat_map(|part| &part.cps).map(|cp| cp.id.as_str()).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_entry_takes_no_more_than_is_counted_and_nearly_as_much() {
        for place in ["", "Madrid", "ñ", "\"\\\"", &"\u{1F50C}".repeat(128), "a/b\u{2028}"] {
            let statuses = [
                Status::Disconnected,
                Status::Faulted,
                Status::Supplying,
                Status::OutOfOrder,
                Status::Reserved,
                Status::Available,
            ];
            let Ok(location) = place.parse::<Location>() else { continue };
            for status in statuses {
                let entry = Entry { id: "MAD-01".parse().unwrap(), location: location.clone(), status };
                let takes = json(&told(&entry)).len() + 1;
                assert!((takes..takes + 16).contains(&bytes(&entry)), "{place} {status:?}");
            }
        }
    }

    #[test]
    fn a_round_takes_five_seconds_up_to_a_hundred_thousand_and_fifty_at_a_million() {
        assert_eq!(taken_by(100_000), Duration::from_secs(5));
        assert_eq!(taken_by(1_000_000), Duration::from_secs(50));
    }
}
