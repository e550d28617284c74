//! A charge point that costs next to nothing: an engine without a meter and a monitor that says that it is well, behind
//! the product's own server and its own client.

use anyhow::Context as _;
use evmesh_proto::{
    chargepoint::{
        EngineHealth, RegisterChargePointRequest, ReportHealthRequest,
        charge_point_service_client::ChargePointServiceClient,
    },
    engine::{
        AttendRequest, AttendResponse, AuthorizeSupplyRequest, AuthorizeSupplyResponse, CallResult,
        ConfirmSettledRequest, ConfirmSettledResponse, EngineState, GetEngineStateRequest,
        GetEngineStateResponse, RevokeAuthorizationRequest, RevokeAuthorizationResponse, RevokeOutcome,
        StopSupplyRequest, StopSupplyResponse, SupplyEnd, SupplyRecord, SupplyState,
        engine_service_server::{EngineService, EngineServiceServer},
    },
    network::Price,
};
use identity::SealingKey;
use mesh::{
    Shutdown,
    grpc::{Address, CALL_TIMEOUT, Expected, GrpcServer, Listener, Peer, Peers, Security, ServerOptions},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use tonic::{
    Request, Response, Status, Streaming,
    codegen::{BoxStream, tokio_stream::wrappers::ReceiverStream},
};

/// How often a monitor reports: as `evmesh monitor` does.
const REPORTS: Duration = Duration::from_secs(1);

/// What becomes of an authorisation, and of what is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It waits for its car.
    Reserved,
    /// The car is there, and what it takes is told in plain text.
    Open,
    /// The same, sealed.
    Sealed,
}

/// An engine and its monitor. They end with this.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) id: String,
    inside: Arc<Mutex<Inside>>,
    tasks: Vec<JoinHandle<Status>>,
}

#[derive(Debug)]
struct Inside {
    kind: Kind,
    state: EngineState,
    key: Option<SealingKey>,
}

impl Drop for Point {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Point {
    /// Registers at central, and has been heard of as well when this returns.
    pub(super) async fn start(
        (id, kind): (String, Kind),
        central: SocketAddr,
        [engine, monitor]: [Security; 2],
    ) -> anyhow::Result<Self> {
        let state = EngineState {
            charge_point_id: id.clone(),
            instance_id: format!("store-of-{id}"),
            seals_telemetry: Some(kind == Kind::Sealed),
            ..EngineState::default()
        };
        let inside = Arc::new(Mutex::new(Inside { kind, state, key: None }));
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "an engine", &engine).await?;
        let address = listener.local_addr();
        let server = GrpcServer::new(&ServerOptions::default())
            .add_service(EngineServiceServer::new(Served(inside.clone())));
        let serving = tokio::spawn(async move {
            let ended = server.serve(listener, Shutdown::new()).await;
            Status::internal(ended.err().map(|error| error.to_string()).unwrap_or_default())
        });
        let peers = Peers::new(monitor);
        let peer = peers.peer(&Address::from(central), Expected::Central, CALL_TIMEOUT);
        let reporting = reporting(ChargePointServiceClient::new(peer), &id, address).await?;
        Ok(Self { id, inside, tasks: vec![serving, reporting] })
    }

    /// With what it seals, once central has given it that.
    pub(super) fn key(&self) -> Option<SealingKey> {
        lock(&self.inside).key.clone()
    }

    /// Why its monitor's reports, or its server, have ended; `None`: they go on.
    pub(super) async fn ended(mut self) -> Option<Status> {
        let ended = self.tasks.iter().position(JoinHandle::is_finished)?;
        self.tasks.remove(ended).await.ok()
    }
}

/// A monitor's work; the first report has been answered.
async fn reporting(
    mut client: ChargePointServiceClient<Peer>,
    id: &str,
    engine: SocketAddr,
) -> anyhow::Result<JoinHandle<Status>> {
    let registration = RegisterChargePointRequest {
        charge_point_id: id.to_owned(),
        location: "Madrid".to_owned(),
        price: Some(Price { currency_code: "EUR".to_owned(), micros_per_kwh: 300_000 }),
        engine_address: engine.to_string(),
        instance_id: format!("store-of-{id}"),
        monitor_id: format!("monitor-of-{id}"),
        newest_epoch: 0,
    };
    let registered = client.register_charge_point(registration).await.context("a registration")?;
    let health = EngineHealth::Ok.into();
    let epoch = registered.into_inner().epoch;
    let report = ReportHealthRequest { charge_point_id: id.to_owned(), epoch, health, reason: String::new() };
    let (reports, stream) = mpsc::channel(1);
    reports.send(report.clone()).await?;
    let mut answers = client.report_health(ReceiverStream::new(stream)).await?.into_inner();
    answers.message().await?.context("a report is not answered")?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sleep(REPORTS) => { let _ = reports.send(report.clone()).await; } // central says why not
                answer = answers.message() => match answer {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::internal("the stream of reports ended"),
                    Err(status) => return status,
                },
            }
        }
    }))
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Served(Arc<Mutex<Inside>>);

/// What every call comes to.
const DONE: i32 = CallResult::Done as i32;

#[tonic::async_trait]
impl EngineService for Served {
    type AttendStream = BoxStream<AttendResponse>;

    async fn authorize_supply(
        &self,
        request: Request<AuthorizeSupplyRequest>,
    ) -> Result<Response<AuthorizeSupplyResponse>, Status> {
        let request = request.into_inner();
        let mut inside = lock(&self.0);
        let (state, seq) = match inside.kind {
            Kind::Reserved => (SupplyState::Authorized, 0),
            Kind::Open | Kind::Sealed => (SupplyState::Supplying, 1),
        };
        inside.state.highest_authorization = request.authorization_number;
        inside.state.current = Some(SupplyRecord {
            session_id: request.session_id,
            driver_id: request.driver_id,
            price: request.price,
            authorization_number: request.authorization_number,
            state: state.into(),
            seq,
            signature: request.signature,
            ..SupplyRecord::default()
        });
        Ok(Response::new(AuthorizeSupplyResponse { result: DONE, state: Some(inside.state.clone()) }))
    }

    async fn revoke_authorization(
        &self,
        request: Request<RevokeAuthorizationRequest>,
    ) -> Result<Response<RevokeAuthorizationResponse>, Status> {
        let request = request.into_inner();
        let mut inside = lock(&self.0);
        inside.state.highest_authorization = request.authorization_number;
        let supplies = inside.kind != Kind::Reserved && inside.state.current.is_some();
        let outcome = if supplies { RevokeOutcome::Supplying } else { RevokeOutcome::Revoked };
        if !supplies {
            inside.state.current = None;
        }
        let (outcome, state) = (outcome.into(), Some(inside.state.clone()));
        Ok(Response::new(RevokeAuthorizationResponse { result: DONE, outcome, state }))
    }

    async fn stop_supply(
        &self,
        _: Request<StopSupplyRequest>,
    ) -> Result<Response<StopSupplyResponse>, Status> {
        let mut inside = lock(&self.0);
        if let Some(mut current) = inside.state.current.take() {
            current.seq += 1;
            current.set_state(SupplyState::Ended);
            current.set_end(SupplyEnd::Stopped);
            inside.state.unsettled.push(current);
        }
        Ok(Response::new(StopSupplyResponse { result: DONE, state: Some(inside.state.clone()) }))
    }

    async fn get_engine_state(
        &self,
        request: Request<GetEngineStateRequest>,
    ) -> Result<Response<GetEngineStateResponse>, Status> {
        let mut inside = lock(&self.0);
        if let Some(given) = request.into_inner().telemetry_key
            && inside.kind == Kind::Sealed
        {
            inside.key = given.name.parse().ok().and_then(|name| SealingKey::given(name, &given.key));
        }
        Ok(Response::new(GetEngineStateResponse {
            result: DONE,
            state: Some(inside.state.clone()),
            ..Default::default()
        }))
    }

    async fn confirm_settled(
        &self,
        request: Request<ConfirmSettledRequest>,
    ) -> Result<Response<ConfirmSettledResponse>, Status> {
        let settled = request.into_inner().session_ids;
        let mut inside = lock(&self.0);
        inside.state.unsettled.retain(|record| !settled.contains(&record.session_id));
        Ok(Response::new(ConfirmSettledResponse { result: DONE, state: Some(inside.state.clone()) }))
    }

    async fn attend(
        &self,
        _: Request<Streaming<AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        Err(Status::unimplemented("its monitor is beside it"))
    }
}
