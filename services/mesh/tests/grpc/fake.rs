//! A service whose answers a test chooses by the charge point's id.

use evmesh_proto::chargepoint::{
    charge_point_service_client::ChargePointServiceClient,
    charge_point_service_server::{ChargePointService, ChargePointServiceServer},
    *,
};
use mesh::{
    Shutdown,
    grpc::{
        Deadline, Expected, Failure, GrpcServer, Listener, Peer, Peers, REQUEST_CODING, Refusal, Security,
        ServeError, ServerOptions, Stack, StreamShare,
    },
    trace,
};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

#[derive(Default)]
pub(crate) struct Fake {
    /// How many calls came in.
    pub(crate) calls: AtomicU64,
    /// `flaky` is unavailable while this is above zero.
    pub(crate) failures: AtomicU64,
    /// `held` waits for it.
    pub(crate) release: Notify,
    /// Of calls and connections that were refused for who made them: the path, and why.
    pub(crate) refused: Mutex<Vec<(&'static str, String)>>,
}

/// The service itself.
struct Service(Arc<Fake>);

#[tonic::async_trait]
impl ChargePointService for Service {
    async fn register_charge_point(
        &self,
        request: Request<RegisterChargePointRequest>,
    ) -> Result<Response<RegisterChargePointResponse>, Status> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let mut answer = RegisterChargePointResponse::default();
        let left = Deadline::of(&request).map(Deadline::remaining);
        match request.get_ref().charge_point_id.as_str() {
            "ok" => {}
            "long" => answer.location = "x".repeat(100 * 1024),
            "slow" => std::future::pending().await,
            "held" => self.0.release.notified().await,
            "panic" => panic!("a handler's mistake"),
            "secret" => return Err(Status::internal("sled: /var/lib/secret broke")),
            "refused" => {
                return Err(
                    Failure::aborted("EPOCH_STALE", "a newer one is there", Duration::from_secs(3)).into()
                );
            }
            "flaky" => {
                let fails = |left: u64| left.checked_sub(1);
                if self.0.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
                    return Err(Failure::unavailable("STARTING", "not yet", Duration::from_secs(1)).into());
                }
            }
            "deadline" => answer.epoch = left.map_or(0, |left| left.as_millis() as u64),
            "trace" => answer.location = trace::current().map(domain::Trace::id).unwrap_or_default(),
            other => panic!("{other}?"),
        }
        Ok(Response::new(answer))
    }

    type ReportHealthStream = Pin<Box<dyn Stream<Item = Result<ReportHealthResponse, Status>> + Send>>;

    async fn report_health(
        &self,
        request: Request<Streaming<ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        // Each report is answered; `secret` breaks the stream.
        let share = StreamShare::of(&request);
        let answers = request.into_inner().map(move |report| match report?.charge_point_id.as_str() {
            "secret" => Err(Status::internal("sled: /var/lib/secret broke")),
            _ => {
                share.give_back();
                Ok(ReportHealthResponse::default())
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn request_manual_supply(
        &self,
        _: Request<RequestManualSupplyRequest>,
    ) -> Result<Response<RequestManualSupplyResponse>, Status> {
        Ok(Response::new(RequestManualSupplyResponse::default()))
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) fake: Arc<Fake>,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
}

pub(crate) async fn start(options: ServerOptions) -> Running {
    start_at(([127, 0, 0, 1], 0).into(), options).await
}

pub(crate) async fn start_at(address: SocketAddr, options: ServerOptions) -> Running {
    start_with(address, options, &Security::default()).await
}

pub(crate) async fn start_with(address: SocketAddr, options: ServerOptions, security: &Security) -> Running {
    let fake = Arc::new(Fake::default());
    let listener = Listener::bind(address, "central", security).await.unwrap();
    let address = listener.local_addr();
    let service = ChargePointServiceServer::new(Service(fake.clone()))
        .max_decoding_message_size(options.max_message_bytes)
        .accept_compressed(REQUEST_CODING);
    let told = fake.clone();
    let told = move |refusal: Refusal| told.refused.lock().unwrap().push((refusal.path, refusal.reason));
    let server = GrpcServer::new(&options).tell_refusals(told).add_service(service);
    let shutdown = Shutdown::new();
    let served = tokio::spawn(server.serve(listener, shutdown.clone()));
    Running { fake, address, shutdown, served }
}

/// The same without a socket.
pub(crate) fn stack() -> Stack {
    let service = ChargePointServiceServer::new(Service(Arc::default()));
    GrpcServer::new(&ServerOptions::default()).add_service(service).without_socket()
}

pub(crate) type Client = ChargePointServiceClient<Peer>;

pub(crate) fn client(address: SocketAddr, timeout: Duration) -> Client {
    ChargePointServiceClient::new(Peers::default().peer(&address.into(), Expected::Anyone, timeout))
}

pub(crate) fn register(charge_point_id: &str) -> Request<RegisterChargePointRequest> {
    Request::new(RegisterChargePointRequest { charge_point_id: charge_point_id.into(), ..Default::default() })
}

pub(crate) fn report(charge_point_id: &str) -> ReportHealthRequest {
    ReportHealthRequest { charge_point_id: charge_point_id.into(), ..Default::default() }
}
