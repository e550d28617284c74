//! Stand-ins for the two sides of a monitor: an engine and a central that a test drives.

use evmesh_proto::{
    chargepoint::{
        charge_point_service_server::{ChargePointService, ChargePointServiceServer},
        *,
    },
    engine::{
        engine_service_server::{EngineService, EngineServiceServer},
        *,
    },
};
use mesh::{
    Shutdown, convert,
    grpc::{Failure, GrpcServer, Listener, Security, SecurityOptions, ServeError, ServerOptions},
};
use monitor::{Options, Service, View};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::eventually;
use tokio::{sync::watch, task::JoinHandle};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

/// Everything here happens well within this, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Pings and reports in these tests.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A server that can be killed, and started again at the same address.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(address: SocketAddr, build: impl FnOnce(GrpcServer) -> GrpcServer) -> Self {
        let listener = Listener::bind(address, "the stand-in", &Security::default()).await.unwrap();
        let shutdown = Shutdown::new();
        let server = build(GrpcServer::new(&ServerOptions::default()));
        Self {
            address: listener.local_addr(),
            served: tokio::spawn(server.serve(listener, shutdown.clone())),
            shutdown,
        }
    }

    pub(crate) async fn stop(self) -> SocketAddr {
        self.shutdown.start();
        self.served.await.unwrap().unwrap();
        self.address
    }
}

/// An engine that answers pings with what the test says.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) answer: Arc<Mutex<AttendResponse>>,
    pub(crate) stale_below: Arc<Mutex<u64>>,
    pub(crate) last_ping: watch::Sender<Option<AttendRequest>>,
}

impl Engine {
    pub(crate) fn new(instance: &str) -> Self {
        Self {
            answer: Arc::new(Mutex::new(AttendResponse {
                instance_id: instance.into(),
                ..Default::default()
            })),
            stale_below: Arc::default(),
            last_ping: watch::Sender::new(None),
        }
    }

    pub(crate) fn set_fault(&self, fault: &str) {
        self.answer.lock().unwrap().fault = fault.into();
    }

    pub(crate) fn set_instance(&self, instance: &str) {
        self.answer.lock().unwrap().instance_id = instance.into();
    }

    pub(crate) async fn start(&self, address: SocketAddr) -> Running {
        let service = EngineServiceServer::new(self.clone());
        Running::start(address, |server| server.add_service(service)).await
    }

    /// Waits for a ping like this.
    pub(crate) async fn pinged(&self, what: &str, like: impl Fn(&AttendRequest) -> bool) -> AttendRequest {
        eventually(what, SOON, || async { self.last_ping.borrow().clone().filter(&like) }).await
    }
}

#[tonic::async_trait]
impl EngineService for Engine {
    type AttendStream = Answers<AttendResponse>;

    async fn attend(
        &self,
        request: Request<Streaming<AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let engine = self.clone();
        let answers = request.into_inner().map(move |ping| {
            let ping = ping?;
            let stale_below = *engine.stale_below.lock().unwrap();
            if (1..stale_below).contains(&ping.epoch) {
                let stale = Failure::aborted("EPOCH_STALE", "a newer registration was seen", INTERVAL);
                return Err(stale.with("epoch", stale_below - 1).into());
            }
            engine.last_ping.send_replace(Some(ping));
            Ok(engine.answer.lock().unwrap().clone())
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn authorize_supply(
        &self,
        _: Request<AuthorizeSupplyRequest>,
    ) -> Result<Response<AuthorizeSupplyResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }

    async fn revoke_authorization(
        &self,
        _: Request<RevokeAuthorizationRequest>,
    ) -> Result<Response<RevokeAuthorizationResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }

    async fn stop_supply(
        &self,
        _: Request<StopSupplyRequest>,
    ) -> Result<Response<StopSupplyResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }

    async fn get_engine_state(
        &self,
        _: Request<GetEngineStateRequest>,
    ) -> Result<Response<GetEngineStateResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }

    async fn confirm_settled(
        &self,
        _: Request<ConfirmSettledRequest>,
    ) -> Result<Response<ConfirmSettledResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }
}

/// A central that takes every charge point, unless the test says otherwise.
#[derive(Clone, Default)]
pub(crate) struct Central {
    pub(crate) refusal: Arc<Mutex<Option<Failure>>>,
    pub(crate) registrations: Arc<Mutex<Vec<RegisterChargePointRequest>>>,
    pub(crate) reports: Arc<Mutex<Vec<ReportHealthRequest>>>,
    pub(crate) out_of_order: Arc<Mutex<bool>>,
    /// Reports of older epochs are stale; each registration raises it.
    pub(crate) epoch: Arc<Mutex<u64>>,
}

impl Central {
    pub(crate) async fn start(&self, address: SocketAddr) -> Running {
        let service = ChargePointServiceServer::new(self.clone());
        Running::start(address, |server| server.add_service(service)).await
    }

    pub(crate) fn registered(&self) -> Vec<RegisterChargePointRequest> {
        self.registrations.lock().unwrap().clone()
    }

    /// Waits until so many registrations were granted or refused.
    pub(crate) async fn registrations(&self, count: usize) -> Vec<RegisterChargePointRequest> {
        let enough = || async { Some(self.registered()).filter(|all| all.len() >= count) };
        eventually(&format!("{count} registrations"), SOON, enough).await
    }

    /// Waits until the newest report has this health; gives its reason.
    pub(crate) async fn reported(&self, health: EngineHealth) -> String {
        let like = || async {
            let newest = self.reports.lock().unwrap().last().cloned()?;
            (newest.health() == health).then_some(newest.reason)
        };
        eventually(&format!("a report of {health:?}"), SOON, like).await
    }
}

#[tonic::async_trait]
impl ChargePointService for Central {
    async fn register_charge_point(
        &self,
        request: Request<RegisterChargePointRequest>,
    ) -> Result<Response<RegisterChargePointResponse>, Status> {
        let request = request.into_inner();
        let newest = request.newest_epoch;
        self.registrations.lock().unwrap().push(request);
        if let Some(failure) = self.refusal.lock().unwrap().clone() {
            return Err(failure.into());
        }
        let mut epoch = self.epoch.lock().unwrap();
        *epoch = newest.max(*epoch) + 1;
        Ok(Response::new(RegisterChargePointResponse {
            epoch: *epoch,
            report_interval: Some(convert::duration_proto(INTERVAL)),
            ..Default::default()
        }))
    }

    type ReportHealthStream = Answers<ReportHealthResponse>;

    async fn report_health(
        &self,
        request: Request<Streaming<ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        let central = self.clone();
        let answers = request.into_inner().map(move |report| {
            let report = report?;
            if report.epoch < *central.epoch.lock().unwrap() {
                return Err(
                    Failure::aborted("EPOCH_STALE", "a newer registration holds the id", INTERVAL).into()
                );
            }
            central.reports.lock().unwrap().push(report);
            let out_of_order = *central.out_of_order.lock().unwrap();
            Ok(ReportHealthResponse { out_of_order, report_interval: None })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn request_manual_supply(
        &self,
        _: Request<RequestManualSupplyRequest>,
    ) -> Result<Response<RequestManualSupplyResponse>, Status> {
        Err(Status::unimplemented("not for monitors"))
    }
}

/// A monitor under test; it ends with the test.
pub(crate) struct Monitor {
    pub(crate) address: SocketAddr,
    pub(crate) view: watch::Receiver<View>,
    shutdown: Shutdown,
    run: JoinHandle<Result<(), monitor::Error>>,
}

pub(crate) fn options(engine: SocketAddr, central: SocketAddr) -> Options {
    Options {
        charge_point: "MAD-01".parse().unwrap(),
        location: "Madrid, Atocha".parse().unwrap(),
        price: "0.35 EUR".parse().unwrap(),
        engine: engine.into(),
        engine_advertised: None,
        central: central.into(),
        listen: ([127, 0, 0, 1], 0).into(),
        ping_interval: INTERVAL,
        misses: 3,
        server: ServerOptions::default(),
        security: SecurityOptions::default(),
    }
}

impl Monitor {
    pub(crate) async fn start(options: Options) -> Self {
        let service = Service::bind(options).await.unwrap();
        let (address, view, shutdown) = (service.local_addr(), service.view(), Shutdown::new());
        Self { address, view, run: tokio::spawn(service.run(shutdown.clone())), shutdown }
    }

    /// Waits until the panel shows this.
    pub(crate) async fn shows(&self, what: &str, like: impl Fn(&View) -> bool) -> View {
        eventually(what, SOON, || async { Some(self.view.borrow().clone()).filter(&like) }).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.start();
        self.run.await.unwrap().unwrap();
    }
}

pub(crate) fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
