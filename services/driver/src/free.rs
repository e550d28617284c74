//! The charge points free now: from the broadcasts, and from central while there are none.

use crate::{service::Heard, wire};
use domain::requests::FreePoint;
use evmesh_proto::driver::{ListChargePointsRequest, driver_service_client::DriverServiceClient};
use mesh::grpc::Peer;
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tonic::Status;

/// Central broadcasts each 5 s. Without two of them Kafka counts as away, and central is asked as often.
const ASK_EVERY: Duration = Duration::from_secs(5);
const BROADCASTS_MISSED: Duration = Duration::from_secs(11);

/// The most pages that are read: 20,000 charge points that are free, more than anyone chooses from.
const MAX_PAGES: usize = 40;
const PAGE_SIZE: i32 = 500;

/// Asks central at once, and then as long as no broadcast comes. `broadcast` holds when the last one came.
pub(crate) async fn ask(
    peer: Peer,
    heard: mpsc::Sender<Heard>,
    mut broadcast: watch::Receiver<Option<Instant>>,
) {
    loop {
        // A failure is no news here: the calls for the driver's own sessions say so.
        if let Ok(free) = list(peer.clone()).await
            && heard.send(Heard::Listed(free)).await.is_err()
        {
            return;
        }
        let mut next = Instant::now() + ASK_EVERY;
        loop {
            let last = *broadcast.borrow_and_update();
            let quiet = last.map_or(next, |last| next.max(last + BROADCASTS_MISSED));
            tokio::select! {
                () = sleep_until(quiet) => break,
                changed = broadcast.changed() => {
                    if changed.is_err() {
                        return; // the app ends
                    }
                    next = Instant::now();
                }
            }
        }
    }
}

async fn list(peer: Peer) -> Result<Vec<FreePoint>, Status> {
    let mut client = DriverServiceClient::new(peer);
    let mut free = Vec::new();
    let mut page_token = String::new();
    for _ in 0..MAX_PAGES {
        let request = ListChargePointsRequest {
            location_prefix: String::new(),
            available_only: true,
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_charge_points(request).await?.into_inner();
        free.extend(page.charge_points.into_iter().map(wire::free_point));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(free)
}
