//! A running central, and its clients.

use crate::engine::Engine;
use central::{Options, Service, panel::View};
use domain::Trace;
use evmesh_proto::{
    chargepoint::{self, charge_point_service_client::ChargePointServiceClient},
    driver::{self, driver_service_client::DriverServiceClient},
    network,
    operations::{self, operator_service_client::OperatorServiceClient},
};
use futures_util::StreamExt as _;
use mesh::{Shutdown, flags, kafka::KafkaOptions};
use ratatui::{Terminal, backend::TestBackend};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use tonic::{Request, Status, transport::Channel};
use ui::Panel as _;

/// How long anything may take that is not measured: two cores run everything at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// So many register at once: half of what central takes from one host.
const REGISTERING: usize = 64;

/// A running central.
pub(crate) struct Central {
    pub(crate) address: SocketAddr,
    pub(crate) drivers: DriverServiceClient<Channel>,
    pub(crate) points: ChargePointServiceClient<Channel>,
    pub(crate) operators: OperatorServiceClient<Channel>,
    view: View,
    lag: Box<dyn Fn() -> (usize, f64) + Send + Sync>,
    stop: Shutdown,
    running: JoinHandle<Result<(), central::Error>>,
    _folder: Option<tempfile::TempDir>,
}

/// Kafka that is not there.
pub(crate) fn no_kafka() -> KafkaOptions {
    KafkaOptions::at(testing::free_address().to_string())
}

/// The options of the tests: everything that a test waits for is short.
pub(crate) fn options(folder: &Path, kafka: KafkaOptions) -> Options {
    let mut options =
        Options { listen: ([127, 0, 0, 1], 0).into(), data: folder.into(), kafka, ..flags::defaults(&[]) };
    options.engine_timeout = Duration::from_millis(500);
    options.broadcast_interval = Duration::from_millis(500);
    options.changelog_wait = Duration::from_millis(200);
    options.rules.authorize_timeout = Duration::from_secs(2);
    options.rules.report_interval = Duration::from_millis(300);
    options.rules.reservation = Duration::from_secs(30);
    options.rules.unused_reservations = 0; // its drivers reserve and stop at will
    // Its engines' supplies take no time.
    (options.rules.charge_point_power_max, options.rules.session_energy_max) = (50_000, 10_000);
    options
}

impl Central {
    /// With a store of its own.
    pub(crate) async fn start(kafka: KafkaOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), kafka);
        Self { _folder: Some(folder), ..Self::with(options).await }
    }

    pub(crate) async fn with(options: Options) -> Self {
        let service = Service::bind(options).await.unwrap();
        let address = service.local_addr();
        let (view, lag) = (service.view(), Box::new(service.changelog_lag()));
        let stop = Shutdown::new();
        let running = tokio::spawn(service.run(stop.clone()));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self {
            address,
            view,
            lag,
            drivers: DriverServiceClient::new(channel.clone()),
            points: ChargePointServiceClient::new(channel.clone()),
            operators: OperatorServiceClient::new(channel),
            stop,
            running,
            _folder: None,
        }
    }

    /// How many rows the changelog lacks, and for how many seconds the oldest of them.
    pub(crate) fn lag(&self) -> (usize, f64) {
        (self.lag)()
    }

    /// Waits until the changelog has everything.
    pub(crate) async fn copied(&self) {
        testing::eventually("the changelog has everything", PATIENCE, || async {
            (self.lag() == (0, 0.0)).then_some(())
        })
        .await;
    }

    /// Waits for these words on the panel.
    pub(crate) async fn says(&self, words: &str) {
        testing::eventually(&format!("central says: {words}"), PATIENCE, || async {
            let mut screen = Terminal::new(TestBackend::new(300, 40)).unwrap();
            screen.draw(|frame| self.view.draw(frame, frame.area())).unwrap();
            screen.backend().to_string().contains(words).then_some(())
        })
        .await;
    }

    /// Stops in order.
    pub(crate) async fn stop(self) {
        self.stop.start();
        self.running.await.unwrap().unwrap();
    }

    /// A charge point with its stand-in engine, free to be used.
    pub(crate) async fn charge_point(&self, id: &str) -> (Engine, Monitor) {
        let engine = Engine::start(&format!("store-of-{id}")).await;
        let monitor = Monitor::connect(self, id, &engine).await;
        self.status(id, network::ChargePointStatus::Available).await;
        (engine, monitor)
    }

    /// So many charge points `CP-00000`, … of this engine register, with nobody to attend them.
    pub(crate) async fn register(&self, count: usize, engine: &Engine) {
        let registered = futures_util::stream::iter(0..count).for_each_concurrent(REGISTERING, async |n| {
            let mut one = registration("", engine);
            one.charge_point_id = format!("CP-{n:05}");
            // Beside a compiler the engine's answer may be late; a monitor would ask again, too.
            testing::eventually("it is registered", PATIENCE, || async {
                self.points.clone().register_charge_point(one.clone()).await.ok()
            })
            .await;
        });
        registered.await;
    }

    /// The keys by which it knows what it authorised.
    pub(crate) async fn signing_keys(&self) -> Vec<operations::SigningKey> {
        let all = operations::ListSigningKeysRequest { page_size: 500, ..Default::default() };
        self.operators.clone().list_signing_keys(all).await.unwrap().into_inner().keys
    }

    /// Has it take what was signed with these keys for its own; how many it did not know.
    pub(crate) async fn trust(&self, keys: Vec<operations::SigningKey>) -> i32 {
        let request = operations::TrustSigningKeysRequest { keys };
        self.operators.clone().trust_signing_keys(request).await.unwrap().into_inner().new_key_count
    }

    /// Waits until a charge point has this status.
    pub(crate) async fn status(&self, id: &str, status: network::ChargePointStatus) {
        testing::eventually(&format!("{id} is {status:?}"), PATIENCE, || async {
            let all = driver::ListChargePointsRequest { page_size: 500, ..Default::default() };
            let points = self.drivers.clone().list_charge_points(all).await;
            let points = points.unwrap().into_inner().charge_points;
            points.iter().any(|point| point.charge_point_id == id && point.status() == status).then_some(())
        })
        .await;
    }

    pub(crate) async fn request(&self, driver: &str, charge_point: &str) -> Result<network::Session, Status> {
        self.request_again(driver, charge_point, "").await
    }

    pub(crate) async fn request_again(
        &self,
        driver: &str,
        charge_point: &str,
        request_id: &str,
    ) -> Result<network::Session, Status> {
        let request = driver::RequestChargeRequest {
            driver_id: driver.into(),
            charge_point_id: charge_point.into(),
            location_prefix: String::new(),
            request_id: request_id.into(),
            max_price: None,
        };
        let answer = self.drivers.clone().request_charge(request).await?;
        Ok(answer.into_inner().session.unwrap())
    }

    pub(crate) async fn session(&self, driver: &str, id: &str) -> Result<network::Session, Status> {
        let request = driver::GetSessionRequest { driver_id: driver.into(), session_id: id.into() };
        Ok(self.drivers.clone().get_session(request).await?.into_inner().session.unwrap())
    }

    /// Waits until a session is as wanted.
    pub(crate) async fn session_is(
        &self,
        driver: &str,
        id: &str,
        what: &str,
        wanted: impl Fn(&network::Session) -> bool,
    ) -> network::Session {
        testing::eventually(&format!("session {id} {what}"), PATIENCE, || async {
            Some(self.session(driver, id).await.unwrap()).filter(&wanted)
        })
        .await
    }

    pub(crate) async fn tickets(&self, driver: &str) -> Vec<network::Ticket> {
        let request =
            driver::ListTicketsRequest { driver_id: driver.into(), page_size: 0, page_token: String::new() };
        self.drivers.clone().list_tickets(request).await.unwrap().into_inner().tickets
    }

    /// Waits for the one ticket of a driver.
    pub(crate) async fn ticket(&self, driver: &str) -> network::Ticket {
        let mut tickets = testing::eventually(&format!("driver {driver} has a ticket"), PATIENCE, || async {
            Some(self.tickets(driver).await).filter(|tickets| !tickets.is_empty())
        })
        .await;
        assert_eq!(tickets.len(), 1, "{tickets:?}");
        tickets.remove(0)
    }
}

/// What a monitor sends to register `id`, whose engine is there.
pub(crate) fn registration(id: &str, engine: &Engine) -> chargepoint::RegisterChargePointRequest {
    chargepoint::RegisterChargePointRequest {
        charge_point_id: id.into(),
        location: format!("Madrid, {id}"),
        price: Some(network::Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 }),
        engine_address: engine.address.to_string(),
        instance_id: engine.inside().instance.clone(),
        monitor_id: format!("monitor-of-{id}"),
        newest_epoch: 0,
    }
}

/// A monitor whose reports a test sets. It reports several times an interval, until it is dropped, in the trace of its
/// charge point's id.
pub(crate) struct Monitor {
    pub(crate) epoch: u64,
    pub(crate) health: watch::Sender<chargepoint::EngineHealth>,
    /// How its stream ended, once it has.
    pub(crate) ended: watch::Receiver<Option<Status>>,
    stream: JoinHandle<()>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

impl Monitor {
    pub(crate) async fn connect(central: &Central, id: &str, engine: &Engine) -> Self {
        Self::register(central, registration(id, engine)).await
    }

    pub(crate) async fn register(
        central: &Central,
        registration: chargepoint::RegisterChargePointRequest,
    ) -> Self {
        let mut points = central.points.clone();
        let id = registration.charge_point_id.clone();
        let trace = Trace::of(&id);
        let answer = points.register_charge_point(registration).await.unwrap().into_inner();
        let epoch = answer.epoch;
        let (health, reported) = watch::channel(chargepoint::EngineHealth::Ok);
        let (end, ended) = watch::channel(None);
        let reports = futures_util::stream::unfold((reported, true), move |(mut reported, first)| {
            let id = id.clone();
            async move {
                if !first {
                    let changed = tokio::time::timeout(Duration::from_millis(200), reported.changed());
                    changed.await.unwrap_or(Ok(())).ok()?; // the monitor was dropped: no more reports
                }
                let report = chargepoint::ReportHealthRequest {
                    charge_point_id: id,
                    epoch,
                    health: (*reported.borrow_and_update()).into(),
                    reason: String::new(),
                };
                Some((report, (reported, false)))
            }
        });
        let mut reports = Request::new(reports);
        reports.metadata_mut().insert("traceparent", trace.to_string().parse().unwrap());
        let stream = tokio::spawn(async move {
            let status = match points.report_health(reports).await {
                Ok(answers) => {
                    let mut answers = answers.into_inner();
                    loop {
                        match answers.message().await {
                            Ok(Some(_)) => {}
                            Ok(None) => break Status::ok("ended"),
                            Err(status) => break status,
                        }
                    }
                }
                Err(status) => status,
            };
            end.send_replace(Some(status));
        });
        Self { epoch, health, ended, stream }
    }
}
