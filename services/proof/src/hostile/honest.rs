//! Honest people beside an attack: a driver who charges again and again, and an operator who looks. Each call of theirs
//! is answered within a second, on connections old and new, and each charge is billed to the last unit.

use super::network::{BATTERY_WH, BILL};
use anyhow::Context as _;
use evmesh_proto::{
    driver::{GetSessionRequest, RequestChargeRequest, driver_service_client::DriverServiceClient},
    operations::{ListSessionsRequest, operator_service_client::OperatorServiceClient},
};
use std::{fmt, future::Future, sync::Mutex, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tonic::transport::{self, Channel};

/// A network with honest people in it.
pub(super) trait Attacked {
    /// A new connection of the driver's, who is `honest`.
    async fn driver(&self) -> Result<Channel, transport::Error>;
    /// One of the operator's.
    async fn operator(&self) -> Result<Channel, transport::Error>;
}

/// Nobody waits longer for an answer.
const PROMPT: Duration = Duration::from_secs(1);
/// A charge is over and billed within this.
const BILLED: Duration = Duration::from_secs(20);
/// How often each of them asks.
const PAUSE: Duration = Duration::from_millis(50);

/// What they were served.
#[derive(Debug, Default)]
pub(super) struct Served {
    calls: u64,
    charges: u64,
    slowest: Duration,
}

impl Served {
    /// A scene in which hardly anybody asked shows nothing: of one that `took` so long, a call for every four pauses,
    /// which twenty are enough of. Each of the two asks four times as often, where nobody keeps it waiting.
    pub(super) fn enough(&self, took: Duration) -> anyhow::Result<()> {
        let least = (took.as_millis() / (4 * PAUSE.as_millis())).clamp(1, 20);
        anyhow::ensure!(
            u128::from(self.calls) >= least && self.charges >= 1,
            "too little was asked in {took:?}: {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, charges, slowest } = self;
        write!(f, "{calls} honest calls, the slowest {} ms, and {charges} exact tickets", slowest.as_millis())
    }
}

/// They work until `ended` says so, and finish what they have begun. The driver charges here.
pub(super) async fn work(
    network: &impl Attacked,
    charge_point: &str,
    ended: watch::Receiver<bool>,
) -> anyhow::Result<Served> {
    let served = Mutex::default();
    tokio::try_join!(charge(network, charge_point, &served, &ended), look(network, &served, &ended))?;
    Ok(served.into_inner().unwrap_or_default())
}

async fn charge(
    network: &impl Attacked,
    charge_point: &str,
    served: &Mutex<Served>,
    ended: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    while !*ended.borrow() {
        let channel = prompt(served, "a connection", network.driver()).await?;
        let mut driver = DriverServiceClient::new(channel);
        let request = RequestChargeRequest {
            driver_id: "honest".into(),
            charge_point_id: charge_point.into(),
            ..Default::default()
        };
        let granted = prompt(served, "RequestCharge", driver.request_charge(request)).await?;
        let session = granted.into_inner().session.context("a session was promised")?;
        let (until, mut bill) = (Instant::now() + BILLED, None);
        while bill.is_none() {
            anyhow::ensure!(Instant::now() < until, "session {} has no ticket", session.session_id);
            sleep(PAUSE).await;
            let (driver_id, session_id) = (session.driver_id.clone(), session.session_id.clone());
            let get = driver.get_session(GetSessionRequest { driver_id, session_id });
            let found = prompt(served, "GetSession", get).await?.into_inner();
            bill = found.session.and_then(|session| session.ticket);
        }
        let ticket = bill.unwrap_or_default();
        let micros = ticket.amount.as_ref().map(|amount| amount.micros);
        anyhow::ensure!(
            (ticket.energy_wh, micros, ticket.estimated) == (BATTERY_WH, Some(BILL), false),
            "not what was charged: {ticket:?}"
        );
        served.lock().unwrap_or_else(std::sync::PoisonError::into_inner).charges += 1;
    }
    Ok(())
}

async fn look(
    network: &impl Attacked,
    served: &Mutex<Served>,
    ended: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let channel = prompt(served, "a connection", network.operator()).await?;
    let mut operator = OperatorServiceClient::new(channel);
    while !*ended.borrow() {
        let list = operator.list_sessions(ListSessionsRequest { page_size: 10, ..Default::default() });
        prompt(served, "ListSessions", list).await?;
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn prompt<T, E>(
    served: &Mutex<Served>,
    what: &str,
    call: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let began = Instant::now();
    let answer =
        timeout(PROMPT, call).await.with_context(|| format!("{what} took longer than {PROMPT:?}"))?;
    let mut served = served.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    served.calls += 1;
    served.slowest = served.slowest.max(began.elapsed());
    answer.with_context(|| format!("{what} was refused"))
}
