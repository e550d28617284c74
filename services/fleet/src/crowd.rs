//! Drivers who come to the fleet's charge points, again and again.

use crate::{options::Options, site, tally::Tally};
use evmesh_proto::driver::{RequestChargeRequest, driver_service_client::DriverServiceClient};
use mesh::{
    Shutdown,
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

/// A driver for each charge point, who asks for that one alone.
#[derive(Debug)]
pub(crate) struct Own {
    /// The number of the first of them.
    first: u32,
    connections: Vec<Peer>,
    places: Arc<Semaphore>,
}

impl Own {
    /// So many ask at once.
    pub(crate) fn new(options: &Options, at_once: usize) -> Self {
        let numbers = options.numbers();
        let first = numbers.start;
        let connections = connections(options, numbers).map(|(peer, _)| peer).collect();
        Self { first, connections, places: Arc::new(Semaphore::new(at_once)) }
    }

    /// Each of these charge points' asks once.
    pub(crate) async fn ask(&self, numbers: impl Iterator<Item = u32>, tally: &Arc<Tally>) {
        let mut asking = JoinSet::new();
        for number in numbers {
            let (places, tally) = (self.places.clone(), tally.clone());
            let peer = self.connections[((number - self.first) / A_CONNECTION) as usize].clone();
            let mut central = DriverServiceClient::new(peer);
            asking.spawn(async move {
                let _place = places.acquire().await; // they are never closed
                let request = RequestChargeRequest {
                    driver_id: name(number),
                    charge_point_id: site::charge_point(number).to_string(),
                    ..Default::default()
                };
                match central.request_charge(request).await {
                    Ok(_) => tally.granted(),
                    Err(status) => tally.refused(&Failure::from(&status).reason),
                }
            });
        }
        asking.join_all().await;
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
