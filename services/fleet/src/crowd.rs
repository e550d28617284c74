//! Drivers who come to the fleet's charge points, again and again.

use crate::{options::Options, site, tally::Tally};
use evmesh_proto::driver::{RequestChargeRequest, driver_service_client::DriverServiceClient};
use mesh::{
    Shutdown,
    grpc::{CALL_TIMEOUT, Expected, Failure, Peer, Peers},
};
use std::{ops::Range, sync::Arc, time::Duration};

/// So many drivers call from one address, over one connection: as those behind one network's door.
pub(crate) const A_CONNECTION: u32 = 100;

/// Starts them all: they live until the shutdown.
pub(crate) fn start(options: &Options, tally: &Arc<Tally>, shutdown: &Shutdown) {
    let mut peer: Option<Peer> = None;
    for number in 0..options.drivers {
        if number % A_CONNECTION == 0 {
            let peers = Peers::default();
            let peers = peers.calling_from(site::address(site::DRIVERS, options.first - 1 + number / A_CONNECTION));
            peer = Some(peers.peer(&options.central, Expected::Central, CALL_TIMEOUT));
        }
        let Some(central) = peer.clone() else { continue };
        let driver = Driver {
            id: format!("driver-{:06}", options.first + number),
            charge_points: options.first - 1..options.first - 1 + options.charge_points,
            pause: options.pause,
            stay: options.stay,
            tally: tally.clone(),
        };
        tokio::spawn(driver.run(DriverServiceClient::new(central), shutdown.clone()));
    }
}

struct Driver {
    id: String,
    charge_points: Range<u32>,
    pause: Duration,
    stay: Duration,
    tally: Arc<Tally>,
}

impl Driver {
    async fn run(self, mut central: DriverServiceClient<Peer>, shutdown: Shutdown) {
        loop {
            // As they come who know nothing of each other.
            let pause = self.pause.mul_f64(-(1.0 - fastrand::f64()).ln());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.started() => return,
            }
            let request = RequestChargeRequest {
                driver_id: self.id.clone(),
                charge_point_id: site::charge_point(fastrand::u32(self.charge_points.clone())).to_string(),
                ..Default::default()
            };
            match central.request_charge(request).await {
                Ok(_) => {
                    self.tally.granted();
                    tokio::time::sleep(self.stay).await;
                }
                Err(status) => self.tally.refused(&Failure::from(&status).reason),
            }
        }
    }
}
