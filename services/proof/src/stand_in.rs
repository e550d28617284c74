//! A stand-in for a charge point: an engine without a meter, behind the product's own server, that answers as it is
//! told to, and a monitor, the product's own client, that says that it is well.

use anyhow::Context as _;
use evmesh_proto::{
    chargepoint::{
        EngineHealth, RegisterChargePointRequest, ReportHealthRequest, ReportHealthResponse,
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
    collections::HashSet,
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

/// What an engine answers, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) state: EngineState,
    /// An authorisation is answered so late; without it never.
    pub(crate) authorizes_after: Option<Duration>,
    /// What it says of an authorisation; what is unspecified is granted.
    pub(crate) refuses: CallResult,
    /// Of what it refuses it claims that the request's next session has ended there already.
    pub(crate) guesses: bool,
    /// What it granted it supplies at once.
    pub(crate) supplies: bool,
    /// It obeys a stop.
    pub(crate) stops: bool,
    /// It is the engine of whichever charge point it is asked about.
    pub(crate) anyones: bool,
    /// Of each charge point, the first question for its state is answered, and none after it.
    pub(crate) heard: Option<HashSet<String>>,
    /// What it says that it supplies has another id at each call.
    pub(crate) restless: bool,
    /// What was asked of it, in all and by kind.
    pub(crate) calls: u64,
    pub(crate) authorizations: Vec<AuthorizeSupplyRequest>,
    pub(crate) stop_calls: u64,
    /// With which it is to seal what it tells, once central has given it that.
    pub(crate) key: Option<SealingKey>,
}

/// An engine, at an address of its own. It ends with this.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
    /// Its server.
    pub(crate) serving: Ongoing,
}

impl StandIn {
    /// The engine of this charge point, with a store of this name, to callers who ask who it is. It grants at once, and
    /// says that it seals where it has an identity.
    pub(crate) async fn start(
        security: &Security,
        charge_point: &str,
        instance: &str,
    ) -> anyhow::Result<Self> {
        let state = EngineState {
            seals_telemetry: security.own().map(|_| true),
            charge_point_id: charge_point.into(),
            instance_id: instance.into(),
            ..Default::default()
        };
        let inside = Inside { state, authorizes_after: Some(Duration::ZERO), ..Inside::default() };
        let inside = Arc::new(Mutex::new(inside));
        let listener = Listener::bind(([127, 0, 0, 1], 0), "a stand-in", security).await?;
        let address = listener.local_addr();
        let service = EngineServiceServer::new(Served(inside.clone()));
        // Whoever asks it waits as long as it likes.
        let options = ServerOptions { max_concurrent_requests: 100_000, ..ServerOptions::default() };
        let server = GrpcServer::new(&options).add_service(service);
        let serving = Ongoing(tokio::spawn(async move {
            let ended = server.serve(listener, Shutdown::new()).await;
            Status::internal(ended.err().map(|error| error.to_string()).unwrap_or_default())
        }));
        Ok(Self { address, inside, serving })
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }

    /// What it registers as, at this place and this price.
    pub(crate) fn registration(&self, location: &str, micros_per_kwh: i64) -> RegisterChargePointRequest {
        let state = self.inside().state.clone();
        RegisterChargePointRequest {
            monitor_id: format!("monitor-of-{}", state.instance_id),
            charge_point_id: state.charge_point_id,
            instance_id: state.instance_id,
            location: location.into(),
            price: Some(Price { currency_code: "EUR".into(), micros_per_kwh }),
            engine_address: self.address.to_string(),
            newest_epoch: 0,
        }
    }
}

/// Central, as monitors call it.
pub(crate) type Points = ChargePointServiceClient<Peer>;

/// As somebody's monitor reaches it.
pub(crate) fn points_client(monitor: Security, central: SocketAddr) -> Points {
    let peers = Peers::new(monitor);
    Points::new(peers.peer(&Address::from(central), Expected::Central, CALL_TIMEOUT))
}

/// A monitor's stream. Central hears of its end.
#[derive(Debug)]
pub(crate) struct Reports {
    report: ReportHealthRequest,
    sender: mpsc::Sender<ReportHealthRequest>,
    answers: Streaming<ReportHealthResponse>,
}

impl Reports {
    /// Registered under this epoch; the first report has been answered.
    pub(crate) async fn begin(points: &mut Points, charge_point: &str, epoch: u64) -> anyhow::Result<Self> {
        let (charge_point_id, health) = (charge_point.to_owned(), EngineHealth::Ok.into());
        let report = ReportHealthRequest { charge_point_id, epoch, health, reason: String::new() };
        let (sender, stream) = mpsc::channel(1);
        sender.send(report.clone()).await?;
        let mut answers = points.report_health(ReceiverStream::new(stream)).await?.into_inner();
        answers.message().await?.context("a report is not answered")?;
        Ok(Self { report, sender, answers })
    }

    /// Says the same each second, from now on.
    pub(crate) fn go_on(self) -> Ongoing {
        Ongoing(tokio::spawn(self.goes_on(REPORTS)))
    }

    /// Says the same so often, and at its end why it has ended.
    pub(crate) async fn goes_on(self, every: Duration) -> Status {
        let Self { report, sender, mut answers } = self;
        loop {
            tokio::select! {
                () = sleep(every) => { let _ = sender.send(report.clone()).await; } // central says why not
                answer = answers.message() => match answer {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::internal("the stream of reports ended"),
                    Err(status) => return status,
                },
            }
        }
    }
}

/// What goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Ongoing(JoinHandle<Status>);

impl Ongoing {
    /// Why it has ended by itself; `None`: it goes on.
    pub(crate) async fn ended(&mut self) -> Option<Status> {
        if self.0.is_finished() { (&mut self.0).await.ok() } else { None }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Served(Arc<Mutex<Inside>>);

impl Served {
    fn enter(&self) -> MutexGuard<'_, Inside> {
        let mut inside = lock(&self.0);
        inside.calls += 1;
        let calls = inside.calls;
        if inside.restless
            && let Some(current) = &mut inside.state.current
        {
            current.session_id = format!("restless-{calls}");
        }
        inside
    }

    /// It is asked for its state; will it answer?
    fn hears(&self, charge_point: &str) -> bool {
        let heard = &mut self.enter().heard;
        heard.as_mut().is_none_or(|heard| heard.insert(charge_point.to_owned()))
    }
}

/// What every call but an authorisation comes to.
const DONE: i32 = CallResult::Done as i32;

#[tonic::async_trait]
impl EngineService for Served {
    type AttendStream = BoxStream<AttendResponse>;

    async fn authorize_supply(
        &self,
        request: Request<AuthorizeSupplyRequest>,
    ) -> Result<Response<AuthorizeSupplyResponse>, Status> {
        let request = request.into_inner();
        let late = {
            let mut inside = self.enter();
            inside.authorizations.push(request.clone());
            inside.authorizes_after
        };
        match late {
            Some(Duration::ZERO) => {} // a clock's tick would be late
            Some(late) => sleep(late).await,
            None => std::future::pending().await,
        }
        let mut inside = lock(&self.0);
        let result = if inside.refuses == CallResult::Unspecified {
            let (state, seq) = match inside.supplies {
                true => (SupplyState::Supplying, 1),
                false => (SupplyState::Authorized, 0),
            };
            let highest = inside.state.highest_authorization.max(request.authorization_number);
            inside.state.highest_authorization = highest;
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
            CallResult::Done
        } else {
            if inside.guesses {
                inside.state.unsettled.push(SupplyRecord {
                    session_id: format!("{}.2", request.session_id),
                    driver_id: request.driver_id,
                    price: request.price,
                    authorization_number: request.authorization_number + 1,
                    state: SupplyState::Ended.into(),
                    end: SupplyEnd::Completed.into(),
                    seq: 9,
                    energy_wh: 9_000,
                    signature: request.signature,
                    ..SupplyRecord::default()
                });
            }
            inside.refuses
        };
        let state = Some(inside.state.clone());
        Ok(Response::new(AuthorizeSupplyResponse { result: result.into(), state }))
    }

    async fn revoke_authorization(
        &self,
        request: Request<RevokeAuthorizationRequest>,
    ) -> Result<Response<RevokeAuthorizationResponse>, Status> {
        let session = request.into_inner().session_id;
        let mut inside = self.enter();
        let current = inside.state.current.take_if(|current| current.session_id == session);
        let outcome = match current.filter(|current| current.state() == SupplyState::Supplying) {
            Some(current) => {
                inside.state.current = Some(current);
                RevokeOutcome::Supplying
            }
            None => RevokeOutcome::Revoked,
        };
        let (outcome, state) = (outcome.into(), Some(inside.state.clone()));
        Ok(Response::new(RevokeAuthorizationResponse { result: DONE, outcome, state }))
    }

    async fn stop_supply(
        &self,
        _: Request<StopSupplyRequest>,
    ) -> Result<Response<StopSupplyResponse>, Status> {
        let mut inside = self.enter();
        inside.stop_calls += 1;
        if inside.stops
            && let Some(mut current) = inside.state.current.take()
        {
            current.seq += 1;
            current.set_state(SupplyState::Ended);
            current.set_end(SupplyEnd::Stopped);
            current.end_time = current.start_time;
            inside.state.unsettled.push(current);
        }
        Ok(Response::new(StopSupplyResponse { result: DONE, state: Some(inside.state.clone()) }))
    }

    async fn get_engine_state(
        &self,
        request: Request<GetEngineStateRequest>,
    ) -> Result<Response<GetEngineStateResponse>, Status> {
        let asked = request.into_inner();
        let answers = self.hears(&asked.charge_point_id);
        if !answers {
            return std::future::pending().await;
        }
        let mut inside = lock(&self.0);
        if let Some(given) = asked.telemetry_key {
            inside.key = given.name.parse().ok().and_then(|name| SealingKey::given(name, &given.key));
        }
        if inside.anyones {
            inside.state.charge_point_id = asked.charge_point_id;
            inside.state.instance_id = asked.instance_id;
        }
        if asked.without_sessions {
            // It wants to be registered, and more than a little is not read of it until then.
            let (current, unsettled) = (None, Vec::new());
            let state = EngineState { current, unsettled, ..inside.state.clone() };
            return Ok(Response::new(GetEngineStateResponse {
                result: DONE,
                state: Some(state),
                ..Default::default()
            }));
        }
        if let Some(current) = inside.state.current.as_mut().filter(|current| current.seq > 0) {
            current.seq += 1;
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
        let mut inside = self.enter();
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
