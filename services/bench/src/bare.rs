//! The barest servers that do what central does beside the bench: tonic alone, with nothing of the product between the
//! wire and the answer. Each is a process of its own, as central is.

use crate::error::{Doing as _, Error};
use evmesh_proto::{
    chargepoint::{
        RegisterChargePointRequest, RegisterChargePointResponse, ReportHealthRequest, ReportHealthResponse,
        RequestManualSupplyRequest, RequestManualSupplyResponse,
        charge_point_service_server::{ChargePointService, ChargePointServiceServer},
    },
    driver::{RequestChargeRequest, RequestChargeResponse, driver_service_server::DriverServiceServer},
    engine::{
        AuthorizeSupplyRequest, AuthorizeSupplyResponse, CallResult, EngineState, SupplyRecord, SupplyState,
        engine_service_client::EngineServiceClient, engine_service_server::EngineServiceServer,
    },
    network::{Price, Session, SessionState},
};
use mesh::grpc::{Address, CALL_TIMEOUT};
use std::{
    convert::Infallible,
    future::Future,
    io::{Read as _, Write as _},
    marker::PhantomData,
    net::Ipv4Addr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::BoxStream,
    server::NamedService,
    transport::{Channel, Server, server::TcpIncoming},
};

/// A chain has so many connections to its engine.
const CONNECTIONS: usize = 8;
/// As long as an Ed25519 signature, which nobody here makes.
const SIGNATURE: [u8; 64] = [7; 64];
/// Whoever reports to a bare server is to be silent: it is the stream that is measured.
const REPORTS: Duration = Duration::from_secs(3600);

/// A bare server, for 'evmesh bench', which starts it.
#[derive(Debug, Clone, clap::Args)]
pub struct Bare {
    /// What it serves.
    #[arg(value_name = "KIND")]
    kind: Kind,

    /// The engine that a chain calls.
    #[arg(long, value_name = "HOST:PORT", required_if_eq("kind", "chain"))]
    engine: Option<Address>,
}

/// What a bare server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Requests of charges, each of which it answers with what the engine answered.
    Chain,
    /// Authorisations: all are granted.
    Engine,
    /// Monitors' streams.
    Streams,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Engine => "engine",
            Self::Streams => "streams",
        }
    }
}

impl Bare {
    /// Prints its address, and serves until its standard input ends: with the bench.
    ///
    /// # Errors
    ///
    /// If the port or the connection is refused.
    pub async fn serve(self) -> Result<(), Error> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing("a bare server needs a port")?;
        let address = listener.local_addr().doing("a bare server has no address")?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut server = Server::builder();
        let router = match (self.kind, self.engine) {
            (Kind::Chain, Some(engine)) => server.add_service(chain(&engine)),
            (Kind::Chain, None) => return Err(Error::Lacks("a chain needs an --engine".into())),
            (Kind::Engine, _) => server.add_service(engine()),
            (Kind::Streams, _) => server.add_service(ChargePointServiceServer::new(Streams)),
        };
        let said = writeln!(std::io::stdout(), "{address}");
        said.doing("a bare server cannot say where it is")?;
        let bench = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        tokio::select! {
            served = router.serve_with_incoming(incoming) => {
                served.map_err(|error| Error::Lacks(format!("a bare server failed: {error}")))
            }
            _ = bench => Ok(()),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// A service that answers each call in one way, without what a generated server has besides.
struct Only<S, M, H> {
    answer: H,
    of: PhantomData<fn(S, M)>,
}

impl<S, M, H: Clone> Clone for Only<S, M, H> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), of: PhantomData }
    }
}

impl<S: NamedService, M, H> NamedService for Only<S, M, H> {
    const NAME: &'static str = S::NAME;
}

impl<S, M, R, F, H> tower::Service<http::Request<Body>> for Only<S, M, H>
where
    M: prost::Message + Default + 'static,
    R: prost::Message + 'static,
    F: Future<Output = Result<Response<R>, Status>> + Send + 'static,
    H: Fn(Request<M>) -> F + Clone + Send + Sync + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.answer.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::<R, M>::default());
            Ok(grpc.unary(tower::service_fn(answer), request).await)
        })
    }
}

/// What a server of tonic's can have.
trait Served:
    tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future = Answer>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Served for T where
    T: tower::Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future = Answer,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

fn only<S, M, H>(answer: H) -> Only<S, M, H> {
    Only { answer, of: PhantomData }
}

fn chain(engine: &Address) -> impl Served {
    let engines: Arc<[Channel]> = (0..CONNECTIONS).map(|_| connection(engine, CALL_TIMEOUT)).collect();
    let next = Arc::new(AtomicUsize::new(0));
    only::<DriverServiceServer<()>, _, _>(move |request: Request<RequestChargeRequest>| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        charge(engines[number % CONNECTIONS].clone(), number, request.into_inner())
    })
}

/// As central's own client makes one, whose calls may take so long.
pub(crate) fn connection(to: &Address, timeout: Duration) -> Channel {
    let endpoint = to.endpoint().connect_timeout(Duration::from_secs(2));
    let endpoint = endpoint
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true);
    endpoint.timeout(timeout).connect_lazy()
}

async fn charge(
    engine: Channel,
    number: usize,
    asked: RequestChargeRequest,
) -> Result<Response<RequestChargeResponse>, Status> {
    let session = format!("019ac0de-0000-7000-8000-{number:012x}");
    let price = Some(Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 });
    let authorize = AuthorizeSupplyRequest {
        instance_id: "6d1f7c5e-3c1e-4f6a-9d8b-0f4b7d2c9a11".into(),
        authorization_number: number as u64 + 1,
        session_id: session.clone(),
        driver_id: asked.driver_id.clone(),
        price: price.clone(),
        duration: Some(mesh::convert::duration_proto(Duration::from_secs(60))),
        signature: SIGNATURE.to_vec(),
        charge_point_id: asked.charge_point_id.clone(),
        epoch: 1,
        manual_request_id: None,
    };
    let answer = EngineServiceClient::new(engine).authorize_supply(authorize).await?.into_inner();
    if answer.result() != CallResult::Done {
        return Err(Status::unavailable("the engine did not grant"));
    }
    Ok(Response::new(RequestChargeResponse {
        session: Some(Session {
            session_id: session,
            charge_point_id: asked.charge_point_id,
            driver_id: asked.driver_id,
            state: SessionState::Reserved.into(),
            price,
            ..Session::default()
        }),
    }))
}

fn engine() -> impl Served {
    only::<EngineServiceServer<()>, _, _>(async |request: Request<AuthorizeSupplyRequest>| {
        let asked = request.into_inner();
        let current = SupplyRecord {
            session_id: asked.session_id,
            driver_id: asked.driver_id,
            price: asked.price,
            authorization_number: asked.authorization_number,
            state: SupplyState::Authorized.into(),
            signature: asked.signature,
            ..SupplyRecord::default()
        };
        let state = EngineState {
            instance_id: asked.instance_id,
            highest_authorization: asked.authorization_number,
            current: Some(current),
            charge_point_id: asked.charge_point_id,
            rated_power_w: 50_000,
            seals_telemetry: Some(false),
            ..EngineState::default()
        };
        Ok(Response::new(AuthorizeSupplyResponse { result: CallResult::Done.into(), state: Some(state) }))
    })
}

#[derive(Debug)]
struct Streams;

#[tonic::async_trait]
impl ChargePointService for Streams {
    type ReportHealthStream = BoxStream<ReportHealthResponse>;

    async fn register_charge_point(
        &self,
        _: Request<RegisterChargePointRequest>,
    ) -> Result<Response<RegisterChargePointResponse>, Status> {
        let report_interval = Some(mesh::convert::duration_proto(REPORTS));
        Ok(Response::new(RegisterChargePointResponse { epoch: 1, report_interval, ..Default::default() }))
    }

    async fn report_health(
        &self,
        request: Request<Streaming<ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        let answers = request.into_inner().map(|report| report.map(|_| ReportHealthResponse::default()));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn request_manual_supply(
        &self,
        _: Request<RequestManualSupplyRequest>,
    ) -> Result<Response<RequestManualSupplyResponse>, Status> {
        Err(Status::unimplemented("a bare server has streams alone"))
    }
}
