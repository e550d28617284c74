//! A charge point that is none: an engine that answers whatever it likes, and a monitor that says that it is well.

use super::network::Network;
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
        StopSupplyRequest, StopSupplyResponse, SupplyEnd, SupplyRecord, SupplyState, TelemetryKey,
        engine_service_server::{EngineService, EngineServiceServer},
    },
    network::Price,
};
use mesh::{
    Shutdown,
    grpc::{GrpcServer, Listener, Security, ServerOptions},
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

/// What it answers, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) state: EngineState,
    /// An authorisation is answered so late; without it never.
    pub(super) authorizes_after: Option<Duration>,
    /// What it says of an authorisation; what is unspecified is granted.
    pub(super) refuses: CallResult,
    /// Of what it refuses it claims that the request's next session has ended there already.
    pub(super) guesses: bool,
    /// What it granted it supplies at once.
    pub(super) supplies: bool,
    /// It obeys a stop.
    pub(super) stops: bool,
    /// It is the engine of whichever charge point it is asked about.
    pub(super) anyones: bool,
    /// What it says that it supplies has another id at each call.
    pub(super) restless: bool,
    /// What was asked of it, in all and by kind.
    pub(super) calls: u64,
    pub(super) authorizations: Vec<AuthorizeSupplyRequest>,
    pub(super) stop_calls: u64,
    /// With which it is to seal what it tells.
    pub(super) telemetry_key: Option<TelemetryKey>,
}

/// An engine, at an address of its own. It ends with this.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
    server: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Liar {
    /// The engine of this charge point, with a store of this name.
    pub(super) async fn start(charge_point: &str, instance: &str) -> anyhow::Result<Self> {
        Self::start_as(&Security::Loopback, charge_point, instance).await
    }

    /// The same, to callers who ask who it is.
    pub(super) async fn start_as(
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
        let listener = Listener::bind(([127, 0, 0, 1], 0), "a liar", security).await?;
        let address = listener.local_addr();
        let service = EngineServiceServer::new(Served(inside.clone()));
        let server = GrpcServer::new(&ServerOptions::default()).add_service(service);
        let serving = server.serve(listener, Shutdown::new());
        let server = tokio::spawn(async move {
            let _ = serving.await; // it ends with the scene
        });
        Ok(Self { address, inside, server })
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }

    /// What it registers as, at this price.
    pub(super) fn registration(&self, micros_per_kwh: i64) -> RegisterChargePointRequest {
        let state = self.inside().state.clone();
        RegisterChargePointRequest {
            monitor_id: format!("monitor-of-{}", state.instance_id),
            charge_point_id: state.charge_point_id,
            instance_id: state.instance_id,
            location: super::network::ELSEWHERE.into(),
            price: Some(Price { currency_code: "EUR".into(), micros_per_kwh }),
            engine_address: self.address.to_string(),
            newest_epoch: 0,
        }
    }

    /// Its monitor registers, as soon as central lets it, and says each second that all is well.
    pub(super) async fn attend(&self, network: &Network, price: i64) -> anyhow::Result<Attended> {
        let registration = self.registration(price);
        let id = registration.charge_point_id.clone();
        let mut client = ChargePointServiceClient::new(network.connect().await?);
        let epoch = super::network::eventually("a registration", async || {
            let registered = client.register_charge_point(registration.clone()).await;
            registered.ok().map(|answer| answer.into_inner().epoch)
        })
        .await?;
        let (reports, stream) = mpsc::channel(1);
        let report = ReportHealthRequest {
            charge_point_id: id.clone(),
            epoch,
            health: EngineHealth::Ok.into(),
            reason: String::new(),
        };
        let reporting = tokio::spawn(async move {
            while reports.send(report.clone()).await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
        });
        let mut answers = client.report_health(ReceiverStream::new(stream)).await?.into_inner();
        answers.message().await?.context("a report is not answered")?;
        Ok(Attended { reporting, _answers: answers })
    }
}

/// A monitor's stream. Central hears of its end.
#[derive(Debug)]
pub(super) struct Attended {
    reporting: JoinHandle<()>,
    _answers: Streaming<evmesh_proto::chargepoint::ReportHealthResponse>,
}

impl Drop for Attended {
    fn drop(&mut self) {
        self.reporting.abort();
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
            Some(late) => sleep(late).await,
            None => std::future::pending().await,
        }
        let mut inside = lock(&self.0);
        let result = if inside.refuses == CallResult::Unspecified {
            let (state, seq) = match inside.supplies {
                true => (SupplyState::Supplying, 1),
                false => (SupplyState::Authorized, 0),
            };
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
        let mut inside = self.enter();
        inside.telemetry_key = asked.telemetry_key.or(inside.telemetry_key.take());
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
