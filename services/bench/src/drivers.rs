//! Drivers who ask central, or a bare chain: tonic's client alone, over as many connections as a chain has.

use crate::{
    bare,
    calls::{Called, closed},
    central::LOOK_EVERY,
    error::Error,
};
use evmesh_proto::{
    driver::{
        ListChargePointsRequest, ListSessionsRequest, RequestChargeRequest, StopChargeRequest,
        driver_service_client::DriverServiceClient,
    },
    network::{ChargePointStatus, SessionState},
};
use mesh::grpc::Address;
use std::{future::Future, ops::Range, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tonic::{Status, transport::Channel};

/// So many connections carry all drivers' calls.
const CONNECTIONS: u32 = 8;
/// What is not measured is done by so many at once.
const AT_ONCE: usize = 64;
/// What is not measured is done within this, and a call is waited for: one that takes as long is a figure, too.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much longer for each further driver: several times what it takes on a machine with nothing else to do.
const EACH: Duration = Duration::from_millis(4);
/// The largest page that central gives.
const PAGE: i32 = 1_000;

/// Each driver and each charge point has a number, from 0; the first driver charges at the first one.
#[derive(Debug, Clone)]
pub(crate) struct Drivers(Arc<[Channel]>);

/// The charge point of a fleet with this number.
fn charge_point(number: u32) -> String {
    format!("FLEET-{:06}", number + 1)
}

fn driver(number: u32) -> String {
    format!("bench-{number:06}")
}

/// As the driver's app makes them, of the same length.
fn request_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

impl Drivers {
    pub(crate) fn of(central: &Address) -> Self {
        Self((0..CONNECTIONS).map(|_| bare::connection(central, PATIENCE)).collect())
    }

    fn client(&self, number: u32) -> DriverServiceClient<Channel> {
        DriverServiceClient::new(self.0[(number % CONNECTIONS) as usize].clone())
    }

    /// This driver's charge at this charge point, which is granted.
    pub(crate) fn requests(&self, number: u32) -> impl Future<Output = Result<(), Status>> + Send + use<> {
        let mut client = self.client(number);
        async move {
            let request = RequestChargeRequest {
                driver_id: driver(number),
                charge_point_id: charge_point(number),
                request_id: request_id(),
                ..Default::default()
            };
            client.request_charge(request).await.map(|_| ())
        }
    }

    /// This driver's charge wherever it is free.
    pub(crate) fn requests_any(
        &self,
        number: u32,
    ) -> impl Future<Output = Result<(), Status>> + Send + use<> {
        let mut client = self.client(number);
        async move {
            let (driver_id, request_id) = (driver(number), request_id());
            let request = RequestChargeRequest { driver_id, request_id, ..Default::default() };
            client.request_charge(request).await.map(|_| ())
        }
    }

    /// The end of whatever this driver has.
    pub(crate) fn stops(&self, number: u32) -> impl Future<Output = Result<(), Status>> + Send + use<> {
        let mut client = self.client(number);
        async move {
            let (driver_id, request_id) = (driver(number), request_id());
            let request = StopChargeRequest { driver_id, session_id: String::new(), request_id };
            client.stop_charge(request).await.map(|_| ())
        }
    }

    /// A page of charge points, from the first on.
    pub(crate) async fn lists(&self, available_only: bool, page_size: i32) -> Result<usize, Status> {
        let request = ListChargePointsRequest { available_only, page_size, ..Default::default() };
        let list = self.client(0).list_charge_points(request).await?;
        Ok(list.into_inner().charge_points.len())
    }

    /// All of these charge: each is granted.
    pub(crate) async fn all_charge(&self, numbers: Range<u32>) -> Result<Called, Error> {
        let drivers = self.clone();
        all("charges to begin with", numbers, move |number| drivers.requests(number)).await
    }

    /// All of these stop, and central takes a request for each of their charge points again.
    pub(crate) async fn all_stop(&self, numbers: Range<u32>) -> Result<(), Error> {
        let drivers = self.clone();
        all("charges to be stopped", numbers.clone(), move |number| drivers.stops(number)).await?;
        self.are_free(numbers.len()).await
    }

    /// Waits until so many of a fleet's charge points are free.
    pub(crate) async fn are_free(&self, wanted: usize) -> Result<(), Error> {
        let within = patience(wanted);
        let until = Instant::now() + within;
        while self.count(ChargePointStatus::Available).await? < wanted {
            if Instant::now() > until {
                let what = format!("{wanted} charge points are free");
                return Err(Error::Late { what, within: within.as_secs() });
            }
            sleep(LOOK_EVERY * 10).await;
        }
        Ok(())
    }

    /// Waits until all of these supply.
    pub(crate) async fn all_supply(&self, numbers: Range<u32>) -> Result<(), Error> {
        let until = Instant::now() + patience(numbers.len());
        let drivers = self.clone();
        let supplied = move |number| {
            let drivers = drivers.clone();
            async move {
                while !drivers.is_supplied(number).await? {
                    if Instant::now() > until {
                        return Err(Status::deadline_exceeded("a supply did not begin in time"));
                    }
                    sleep(LOOK_EVERY * 10).await;
                }
                Ok(())
            }
        };
        all("supplies to begin with", numbers, supplied).await.map(|_| ())
    }

    /// So many charge points have this status.
    pub(crate) async fn count(&self, status: ChargePointStatus) -> Result<usize, Error> {
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let request = ListChargePointsRequest { page_size: PAGE, page_token, ..Default::default() };
            let page = self.client(0).list_charge_points(request).await?.into_inner();
            count += page.charge_points.iter().filter(|point| point.status() == status).count();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(count);
            }
        }
    }

    /// Is one of this driver's sessions a supply?
    async fn is_supplied(&self, number: u32) -> Result<bool, Status> {
        let request =
            ListSessionsRequest { driver_id: driver(number), page_size: PAGE, ..Default::default() };
        let list = self.client(number).list_sessions(request).await?.into_inner();
        Ok(list.sessions.iter().any(|session| session.state() == SessionState::Supplying))
    }
}

/// Makes each of these calls once, in time: all are answered well.
async fn all<F>(
    what: &str,
    numbers: Range<u32>,
    call: impl Fn(u32) -> F + Clone + Send + Sync + 'static,
) -> Result<Called, Error>
where
    F: Future<Output = Result<(), Status>> + Send,
{
    let (wanted, within) = (numbers.len(), patience(numbers.len()));
    let called = closed(numbers, AT_ONCE, within, call).await.whole(what)?;
    match called.latencies.len() {
        done if done < wanted => Err(Error::Late {
            what: format!("{what} ({done} of {wanted} are done)"),
            within: within.as_secs(),
        }),
        _ => Ok(called),
    }
}

/// What so many do is waited for so long.
fn patience(count: usize) -> Duration {
    PATIENCE + EACH * u32::try_from(count).unwrap_or(u32::MAX)
}
