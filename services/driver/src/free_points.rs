//! The charge points free now: from the broadcasts, and from central while there are none.

use crate::{
    decode,
    heard::Heard,
    pages::{PAGE_SIZE, every_page},
};
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
    let mut free = Vec::new();
    let ask = |page_token| {
        let mut client = DriverServiceClient::new(peer.clone());
        async move {
            let request = ListChargePointsRequest {
                location_prefix: String::new(),
                available_only: true,
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = client.list_charge_points(request).await?.into_inner();
            Ok((page.charge_points, page.next_page_token))
        }
    };
    every_page(MAX_PAGES, ask, |page| free.extend(page.into_iter().map(decode::free_point))).await?;
    Ok(free)
}
