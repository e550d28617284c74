//! A fleet from its start to its end.

use crate::{
    crowd,
    options::Options,
    point::{Points, Supplying},
    site,
    tally::{Counts, Tally},
};
use evmesh_proto::topics::CP_TELEMETRY;
use mesh::{
    Shutdown,
    grpc::BindError,
    kafka::{self, Producer, ensure_topics},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, watch};

/// A site listens, is called by central, and calls it.
const FILES_A_SITE: u64 = 3;
/// What the process has open besides: Kafka's sockets, the runtime's, its streams.
const OTHER_FILES: u64 = 64;
/// So many monitors register at once. Machines of their own would not wait for each other; here they share cores with
/// their engines, whom central asks meanwhile, and a whole fleet at once is answered too late everywhere.
const REGISTER_AT_ONCE: usize = 256;
/// While supplies begin everywhere, it is looked so often who has none.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// At the end the last messages have so long to leave.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// Why a fleet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{sites} sites with three open files each and {drivers} connections of drivers are {wanted} files, and this \
         process may have {limit} (ulimit -n): take fewer --charge-points or --drivers, or raise the limit"
    )]
    Files { sites: u64, drivers: u64, wanted: u64, limit: u64 },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
}

/// A fleet that runs.
#[derive(Debug)]
pub struct Fleet {
    options: Options,
    tally: Arc<Tally>,
    sites: Vec<Arc<Points>>,
    producer: Producer,
    storms: watch::Sender<u64>,
    shutdown: Shutdown,
}

impl Fleet {
    /// Starts all sites and all drivers. Needs a tokio runtime.
    pub async fn start(options: Options, shutdown: Shutdown) -> Result<Self, Error> {
        has_files(&options, rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX))?;
        let producer = Producer::new(&options.kafka, "fleet")?;
        tokio::spawn(ensure_topics(options.kafka.clone(), &[CP_TELEMETRY], shutdown.clone()));
        let (tally, (storms, lost)) = (Arc::new(Tally::default()), watch::channel(0));
        let places = Arc::new(Semaphore::new(REGISTER_AT_ONCE));
        let mut sites = Vec::new();
        for number in 0..options.sites() {
            let shared = (&producer, &tally, &places);
            sites.push(site::start(number, &options, shared, &lost, &shutdown).await?);
        }
        crowd::start(&options, &tally, &shutdown);
        Ok(Self { options, tally, sites, producer, storms, shutdown })
    }

    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// The supplies that run.
    pub fn supplies(&self) -> Vec<Supplying> {
        let supply = |points: &Arc<Points>| -> Vec<Supplying> {
            points.ids().filter_map(|id| points.get(id)?.supply()).collect()
        };
        self.sites.iter().flat_map(supply).collect()
    }

    /// Begins a supply at every charge point: each has a driver of its own, who asks again until it runs, so many at
    /// once; each hundred of them call from an address of their own.
    pub async fn supply_everywhere(&self, at_once: usize) {
        let drivers = crowd::Own::new(&self.options, at_once);
        let numbers = self.options.numbers();
        while self.supplies().len() < numbers.len() && !self.shutdown.is_started() {
            drivers.ask(numbers.clone().filter(|number| self.is_free(*number)), &self.tally).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Has the charge point with this number nobody?
    fn is_free(&self, number: u32) -> bool {
        let place = number - self.options.numbers().start;
        let points = self.sites.get((place / self.options.site) as usize);
        let point = points.and_then(|points| points.get(&site::charge_point(number)));
        point.is_some_and(|point| point.view().current.is_none())
    }

    /// Lives until the shutdown, or as long as it is to run.
    pub async fn run(&self) {
        let runs = async {
            match self.options.runs {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let storms = async {
            let Some(every) = self.options.storms else { return std::future::pending().await };
            loop {
                tokio::time::sleep(every).await;
                self.storms.send_modify(|storms| *storms += 1);
            }
        };
        tokio::select! {
            () = runs => self.shutdown.start(),
            () = storms => {}
            () = self.shutdown.started() => {}
        }
        self.producer.flush(LAST_MESSAGES).await;
    }
}

fn has_files(options: &Options, limit: u64) -> Result<(), Error> {
    let (sites, drivers) =
        (u64::from(options.sites()), u64::from(options.drivers.div_ceil(crowd::A_CONNECTION)));
    let wanted = sites * FILES_A_SITE + drivers + OTHER_FILES;
    if wanted > limit { Err(Error::Files { sites, drivers, wanted, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_this_machine_cannot_hold_is_refused_with_the_arithmetic() {
        let options =
            Options { charge_points: 100_000, drivers: 5_000, ..mesh::flags::defaults::<Options>(&[]) };
        assert!(has_files(&options, 20_000).is_ok());
        let said = has_files(&options, 3_000).unwrap_err().to_string();
        assert!(
            said.starts_with(
                "1000 sites with three open files each and 50 connections of drivers are 3114 files"
            ),
            "{said}"
        );
    }
}
