//! Drivers who come to the fleet's charge points, again and again.

use crate::{options::Options, site, tally::Tally};
use evmesh_proto::driver::{RequestChargeRequest, driver_service_client::DriverServiceClient};
use mesh::{
    Shutdown,
    backoff::Backoff,
    grpc::{CALL_TIMEOUT, Expected, Failure, Peer, Peers},
};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// So many drivers call from one address, over one connection: as those behind one network's door.
pub(crate) const A_CONNECTION: u32 = 100;

/// The connections of drivers with these numbers, and the numbers of who share each.
fn connections(options: &Options, drivers: Range<u32>) -> impl Iterator<Item = (Peer, Range<u32>)> {
    let firsts = drivers.clone().step_by(A_CONNECTION as usize);
    firsts.enumerate().map(move |(connection, first)| {
        let own = site::address(site::DRIVERS, drivers.start + connection as u32);
        let peer = Peers::default().calling_from(own).peer(&options.central, Expected::Central, CALL_TIMEOUT);
        (peer, first..drivers.end.min(first + A_CONNECTION))
    })
}

fn name(number: u32) -> String {
    format!("driver-{:06}", number + 1)
}

/// Each charge point gets a driver of its own, see [`Fleet::charge_everywhere`](crate::Fleet::charge_everywhere).
pub(crate) async fn charge_everywhere(
    options: &Options,
    tally: &Arc<Tally>,
    shutdown: &Shutdown,
    at_once: usize,
) {
    let places = Arc::new(Semaphore::new(at_once));
    let mut asking = JoinSet::new();
    for (peer, numbers) in connections(options, options.numbers()) {
        for number in numbers {
            let (places, tally) = (places.clone(), tally.clone());
            let mut central = DriverServiceClient::new(peer.clone());
            let request = RequestChargeRequest {
                driver_id: name(number),
                charge_point_id: site::charge_point(number).to_string(),
                ..Default::default()
            };
            asking.spawn(async move {
                let mut backoff = Backoff::default();
                loop {
                    let place = places.acquire().await; // they are never closed
                    let Err(status) = central.request_charge(request.clone()).await else { break };
                    drop(place);
                    tally.refused(&Failure::from(&status).reason);
                    backoff.wait().await;
                }
                tally.granted();
            });
        }
    }
    tokio::select! {
        _ = asking.join_all() => {}
        () = shutdown.started() => {}
    }
}

/// Starts them all: they live until the shutdown.
pub(crate) fn start(options: &Options, tally: &Arc<Tally>, shutdown: &Shutdown) {
    for (central, number) in connections(options, options.of_drivers())
        .flat_map(|(peer, numbers)| numbers.map(move |number| (peer.clone(), number)))
    {
        let driver = Driver {
            id: name(number),
            charge_points: options.numbers(),
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
