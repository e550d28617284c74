//! A charge point's monitor: it registers it, reports, and begins again whenever that ends.

use crate::{point::Points, tally::Tally};
use domain::{ChargePointId, watchdog::LOST_AFTER_INTERVALS};
use evmesh_proto::{
    chargepoint::{
        EngineHealth, RegisterChargePointRequest, ReportHealthRequest,
        charge_point_service_client::ChargePointServiceClient,
    },
    network::Price,
};
use mesh::{
    Shutdown,
    backoff::Backoff,
    convert,
    grpc::{Failure, Peer},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Where central names no interval.
const REPORTS: Duration = Duration::from_secs(1);
/// What a kWh costs everywhere: 0.30 EUR.
const PRICE: i64 = 300_000;
/// So many towns have a name of their own.
const TOWNS: usize = 20;

pub(crate) struct Monitor {
    pub(crate) points: Arc<Points>,
    pub(crate) id: ChargePointId,
    /// Its site's.
    pub(crate) address: SocketAddr,
    /// How often it reports, whatever central tells it.
    pub(crate) reports: Option<Duration>,
    pub(crate) tally: Arc<Tally>,
    /// Of those that register at once.
    pub(crate) places: Arc<Semaphore>,
}

type Central = ChargePointServiceClient<Peer>;

impl Monitor {
    /// `storms` changes when all monitors lose central.
    pub(crate) async fn run(self, mut central: Central, storms: watch::Receiver<u64>, shutdown: Shutdown) {
        let mut backoff = Backoff::default();
        while !shutdown.is_started() {
            if let Err(status) = self.registered(&mut central, &mut backoff, storms.clone(), &shutdown).await
            {
                let failure = Failure::from(&status);
                self.tally.refused(&failure.reason);
                if let Some(after) = failure.retry_after {
                    tokio::time::sleep(after).await;
                }
            }
            if let Some(mut point) = self.points.get(&self.id) {
                point.registered(0);
            }
            backoff.wait().await;
        }
    }

    /// Registers, and reports until that ends, or central answers nothing for as long as a monitor waits.
    async fn registered(
        &self,
        central: &mut Central,
        backoff: &mut Backoff,
        mut storms: watch::Receiver<u64>,
        shutdown: &Shutdown,
    ) -> Result<(), Status> {
        let place = tokio::select! {
            place = self.places.acquire() => place, // they are never closed
            () = shutdown.started() => return Ok(()),
        };
        storms.mark_unchanged();
        let registered = central.register_charge_point(self.registration()).await?.into_inner();
        if let Some(mut point) = self.points.get(&self.id) {
            point.registered(registered.epoch);
        }
        let interval = convert::duration("report_interval", registered.report_interval.as_ref());
        let mut interval = self.reports.or(interval.ok()).unwrap_or(REPORTS);
        let (reports, stream) = mpsc::channel(2);
        let _ = reports.try_send(self.report(registered.epoch)); // there is room for the first
        let mut answers = central.report_health(ReceiverStream::new(stream)).await?.into_inner();
        drop(place);
        let _connected = self.tally.connected();
        backoff.reset();
        let mut heard = Instant::now();
        let mut next = heard + interval; // the first report is on its way
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    if heard.elapsed() >= interval * LOST_AFTER_INTERVALS {
                        return Err(Status::unavailable("central does not answer"));
                    }
                    next = Instant::now() + interval;
                    // Full: central takes none, and counts its silence.
                    let _ = reports.try_send(self.report(registered.epoch));
                }
                answer = answers.message() => {
                    let Some(answer) = answer? else { return Ok(()) };
                    heard = Instant::now();
                    let given = convert::duration("report_interval", answer.report_interval.as_ref());
                    interval = self.reports.or(given.ok()).unwrap_or(interval);
                }
                _ = storms.changed() => return Ok(()),
                () = shutdown.started() => return Ok(()),
            }
        }
    }

    fn registration(&self) -> RegisterChargePointRequest {
        let instance = self.points.get(&self.id).map(|point| point.instance().to_string());
        let town = self.id.as_str().bytes().fold(0, |sum, byte| sum * 31 + usize::from(byte)) % TOWNS;
        RegisterChargePointRequest {
            charge_point_id: self.id.to_string(),
            location: format!("Town {}, site {}", town + 1, self.address),
            price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: PRICE }),
            engine_address: self.address.to_string(),
            monitor_id: format!("monitor-of-{}", self.id),
            instance_id: instance.unwrap_or_default(),
            newest_epoch: 0,
        }
    }

    fn report(&self, epoch: u64) -> ReportHealthRequest {
        let fault = self.points.get(&self.id).and_then(|point| point.fault());
        let health = if fault.is_some() { EngineHealth::Faulted } else { EngineHealth::Ok };
        ReportHealthRequest {
            charge_point_id: self.id.to_string(),
            epoch,
            health: health.into(),
            reason: fault.unwrap_or_default(),
        }
    }
}
