//! A network under load: central as a process, and the charge points of a fleet beside it.

use crate::{bench::Bench, central::Central, error::Error};
use evmesh_proto::{
    network::ChargePointStatus,
    operations::{GetNetworkStatusRequest, operator_service_client::OperatorServiceClient},
};
use fleet::{Fleet, Supplying};
use mesh::{Shutdown, grpc::Peer, kafka::KafkaOptions};
use std::{fmt::Display, time::Duration};
use tokio::time::{Instant, sleep};

/// Central has room for all of them, no supply is given up before all have begun and their readings come, and a car
/// takes what the bench tells of it.
const CENTRAL: [&str; 10] = [
    "--max-charge-points",
    "1000000",
    "--max-streams",
    "200000",
    "--supply-silence",
    "3600",
    "--charge-point-power-max",
    "50000",
    "--session-energy-max",
    "10000",
];
/// So many drivers ask at once while the supplies begin.
const AT_ONCE: usize = 64;
/// Monitors' reports are so many a second at most: central's interval grows with the network.
const REPORTS_A_SECOND: u32 = 2_000;
/// What is waited for is seen so soon.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A network is connected, or supplies, within this, and so much longer for each thousand.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_A_THOUSAND: Duration = Duration::from_secs(5);

/// One that runs. Its fleet goes with it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) central: Central,
    pub(crate) kafka: KafkaOptions,
    fleet: Fleet,
    charge_points: u32,
    shutdown: Shutdown,
}

impl Network {
    /// So many charge points, all connected, whose readings the bench tells.
    pub(crate) async fn start(bench: &Bench, charge_points: u32) -> Result<Self, Error> {
        let kafka = bench.kafka().await?;
        let interval = f64::from(charge_points) / f64::from(REPORTS_A_SECOND);
        let interval = interval.max(1.0).to_string();
        let flags = [&CENTRAL[..], &["--report-interval", interval.as_str()]].concat();
        let central = bench.central(&kafka, &flags).await?;
        let options = fleet::Options {
            charge_points,
            drivers: 0,
            stay: Duration::from_secs(24 * 3600),
            central: central.to_address(),
            kafka: kafka.clone(),
            told_by_others: true,
            ..mesh::flags::defaults(&[])
        };
        let shutdown = Shutdown::new();
        let fleet = Fleet::start(options, shutdown.clone()).await.map_err(|error| lacks(&error))?;
        let mut network = Self { central, kafka, fleet, charge_points, shutdown };
        bench.say(&format!("{charge_points} charge points connect"));
        network
            .eventually("every charge point is connected", |fleet| {
                fleet.counts().connected == u64::from(charge_points)
            })
            .await?;
        Ok(network)
    }

    /// A supply at each of them.
    pub(crate) async fn supplies(&mut self, bench: &Bench) -> Result<Vec<Supplying>, Error> {
        bench.say(&format!("{} supplies begin", self.charge_points));
        let asked = tokio::time::timeout(self.patience(), self.fleet.supply_everywhere(AT_ONCE)).await;
        asked.map_err(|_| self.late("every charge point supplies"))?;
        let (mut central, until) = (self.central.operator(), Instant::now() + self.patience());
        while !all_supply(&mut central).await? {
            if Instant::now() > until {
                return Err(self.late("central knows that every charge point supplies"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(self.fleet.supplies())
    }

    /// Ends central in order.
    pub(crate) async fn end(mut self) -> Result<(), Error> {
        self.central.stop().await
    }

    async fn eventually(&mut self, what: &str, is_so: impl Fn(&Fleet) -> bool) -> Result<(), Error> {
        let until = Instant::now() + self.patience();
        while !is_so(&self.fleet) {
            self.central.lives()?;
            if Instant::now() > until {
                return Err(self.late(what));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        PATIENCE + PATIENCE_A_THOUSAND * self.charge_points.div_ceil(1_000)
    }

    fn late(&self, what: &str) -> Error {
        let counts = self.fleet.counts();
        let refused: Vec<String> =
            counts.refused.iter().map(|(why, count)| format!("{count} {why}")).collect();
        Error::Late {
            what: format!(
                "{what} ({} are connected, {} charges were granted; refused: {})",
                counts.connected,
                counts.granted,
                refused.join(", ")
            ),
            within: self.patience().as_secs(),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

/// By central's word.
async fn all_supply(central: &mut OperatorServiceClient<Peer>) -> Result<bool, Error> {
    let mut request = GetNetworkStatusRequest { page_size: 500, page_token: String::new() };
    loop {
        let page = central.get_network_status(request.clone()).await?.into_inner();
        let mut points = page.charge_points.iter().filter_map(|detail| detail.charge_point.as_ref());
        if !points.all(|point| point.status() == ChargePointStatus::Supplying) {
            return Ok(false);
        }
        if page.next_page_token.is_empty() {
            return Ok(true);
        }
        request.page_token = page.next_page_token;
    }
}

fn lacks(error: &impl Display) -> Error {
    Error::Lacks(error.to_string())
}
