//! A charge point of the laboratory: a scripted engine with its monitor, so that each refusal, each silence and each
//! watt-hour is the script's own. It keeps what central asks of it.

use evmesh_proto::{
    chargepoint::{
        EngineHealth, ReportHealthRequest, ReportHealthResponse,
        charge_point_service_client::ChargePointServiceClient,
    },
    engine::{
        self as proto, CallResult, EngineState, RevokeOutcome, SupplyEnd, SupplyRecord, SupplyState,
        engine_service_server::{EngineService, EngineServiceServer},
    },
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming};

/// Four times an interval.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should.
    Willing,
    /// `AuthorizeSupply` is refused with this.
    Refuses(CallResult),
    /// `AuthorizeSupply` waits until the mood is another.
    Thinks,
    /// Nothing is ever answered.
    Silent,
}

/// What it knows.
#[derive(Debug)]
pub(crate) struct Inside {
    charge_point: String,
    pub(crate) instance: String,
    pub(crate) highest: u64,
    pub(crate) current: Option<SupplyRecord>,
    pub(crate) unsettled: Vec<SupplyRecord>,
    /// How often central asked for its state.
    pub(crate) questions: u64,
    /// What else central asked; a repeat is not noted.
    asked: Vec<(String, Value)>,
}

/// A running stand-in; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
    served: Served,
    server: JoinHandle<()>,
    monitor: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone)]
struct Served {
    inside: Arc<Mutex<Inside>>,
    mood: watch::Sender<Mood>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.abort();
        self.unwatched();
    }
}

impl Lab {
    pub(crate) async fn start(id: &str) -> Self {
        let inside = Inside {
            charge_point: id.to_owned(),
            instance: format!("store-of-{id}"),
            highest: 0,
            current: None,
            unsettled: Vec::new(),
            questions: 0,
            asked: Vec::new(),
        };
        let served = Served { inside: Arc::new(Mutex::new(inside)), mood: watch::Sender::new(Mood::Willing) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router =
            tonic::transport::Server::builder().add_service(EngineServiceServer::new(served.clone()));
        let server = tokio::spawn(async move {
            let ended = router.serve_with_incoming(TcpListenerStream::new(listener)).await;
            ended.expect("it serves");
        });
        Self { id: id.to_owned(), address, served, server, monitor: None }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.served.inside.lock().expect("nobody panics")
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.served.mood.send_replace(mood);
    }

    /// What its monitor registers.
    pub(crate) fn registration(&self) -> Value {
        json!({
            "charge_point_id": self.id, "location": format!("Laboratory, {}", self.id),
            "price": {"currency_code": "EUR", "micros_per_kwh": 250_000},
            "engine_address": self.address.to_string(), "instance_id": self.inside().instance,
            "monitor_id": format!("monitor-of-{}", self.id),
        })
    }

    /// Its monitor reports four times an interval that the engine is well, from now on.
    pub(crate) async fn watched(&mut self, central: &str, epoch: u64) {
        let mut client =
            ChargePointServiceClient::connect(format!("http://{central}")).await.expect("central");
        let report = ReportHealthRequest {
            charge_point_id: self.id.clone(),
            epoch,
            health: EngineHealth::Ok.into(),
            reason: String::new(),
        };
        let (reports, stream) = mpsc::channel(1);
        // The stream of reports ends with this.
        self.monitor = Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(REPORT_EVERY);
            while reports.send(report.clone()).await.is_ok() {
                ticks.tick().await;
            }
        }));
        tokio::spawn(async move {
            let answers = client.report_health(ReceiverStream::new(stream)).await;
            let mut answers = answers.expect("it reports").into_inner();
            while let Ok(Some(ReportHealthResponse { .. })) = answers.message().await {}
        });
    }

    /// Its monitor is gone.
    pub(crate) fn unwatched(&mut self) {
        if let Some(monitor) = self.monitor.take() {
            monitor.abort();
        }
    }

    /// What central asked of it, call by call.
    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        self.inside().asked.clone()
    }
}

impl Inside {
    /// The meter shows this much; the first time, the car has just been plugged in. Gives the number of the reading.
    pub(crate) fn supply(&mut self, energy_wh: u64) -> u64 {
        let record = self.current.as_mut().expect("a session is authorised");
        record.set_state(SupplyState::Supplying);
        record.seq += 1;
        (record.energy_wh, record.power_w) = (energy_wh, 7_400);
        record.seq
    }

    /// The supply ends at its last reading.
    pub(crate) fn end(&mut self, end: SupplyEnd) {
        if let Some(mut record) = self.current.take() {
            record.set_state(SupplyState::Ended);
            record.set_end(end);
            record.seq += 1;
            record.power_w = 0;
            self.unsettled.push(record);
        }
    }

    fn state(&self) -> Option<EngineState> {
        Some(EngineState {
            seals_telemetry: None,
            instance_id: self.instance.clone(),
            highest_authorization: self.highest,
            current: self.current.clone(),
            unsettled: self.unsettled.clone(),
            fault: String::new(),
            charge_point_id: self.charge_point.clone(),
            rated_power_w: 0,
            plugged_in: false,
        })
    }

    fn note(&mut self, call: &str, request: Value) {
        let noted = (call.to_owned(), request);
        if !self.asked.contains(&noted) {
            self.asked.push(noted);
        }
    }

    fn result(&self, instance: &str) -> i32 {
        if instance == self.instance { CallResult::Done.into() } else { CallResult::WrongInstance.into() }
    }
}

impl Served {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nobody panics")
    }

    /// Waits as long as the mood is for it.
    async fn ready(&self, asks: bool) -> Mood {
        let waits = |mood: &Mood| *mood == Mood::Silent || asks && *mood == Mood::Thinks;
        *self.mood.subscribe().wait_for(|mood| !waits(mood)).await.expect("it stands as long as this")
    }
}

#[tonic::async_trait]
impl EngineService for Served {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<proto::AttendResponse, Status>> + Send>>;

    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let request = request.into_inner();
        let price = request.price.clone().unwrap_or_default();
        let duration = request.duration.unwrap_or_default();
        let noted = json!({"instance_id": request.instance_id, "session_id": request.session_id,
            "authorization_number": request.authorization_number, "driver_id": request.driver_id,
            "price": format!("{} {}", price.micros_per_kwh, price.currency_code),
            "duration": format!("{} s {} ns", duration.seconds, duration.nanos)});
        self.inside().note("AuthorizeSupply", noted);
        let mood = self.ready(true).await;
        let mut inside = self.inside();
        let mut result = inside.result(&request.instance_id);
        if let Mood::Refuses(refusal) = mood {
            result = refusal.into();
        } else if result == i32::from(CallResult::Done) && request.authorization_number > inside.highest {
            inside.highest = request.authorization_number;
            inside.current = Some(SupplyRecord {
                session_id: request.session_id,
                driver_id: request.driver_id,
                price: request.price,
                authorization_number: request.authorization_number,
                state: SupplyState::Authorized.into(),
                signature: request.signature,
                ..SupplyRecord::default()
            });
        }
        Ok(Response::new(proto::AuthorizeSupplyResponse { result, state: inside.state() }))
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        let request = request.into_inner();
        let noted = json!({"instance_id": request.instance_id, "session_id": request.session_id,
            "authorization_number": request.authorization_number});
        self.inside().note("RevokeAuthorization", noted);
        self.ready(false).await;
        let mut inside = self.inside();
        let of_it = |record: &SupplyRecord| record.session_id == request.session_id;
        let outcome = match &inside.current {
            Some(record) if of_it(record) && record.state() == SupplyState::Supplying => {
                RevokeOutcome::Supplying
            }
            _ if inside.unsettled.iter().any(of_it) => RevokeOutcome::Ended,
            _ => {
                inside.highest = inside.highest.max(request.authorization_number);
                inside.current.take_if(|record| of_it(record));
                RevokeOutcome::Revoked
            }
        };
        let (result, outcome) = (inside.result(&request.instance_id), outcome.into());
        Ok(Response::new(proto::RevokeAuthorizationResponse { result, outcome, state: inside.state() }))
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        let request = request.into_inner();
        let noted = json!({"instance_id": request.instance_id, "session_id": request.session_id});
        self.inside().note("StopSupply", noted);
        self.ready(false).await;
        let mut inside = self.inside();
        if inside.current.as_ref().is_some_and(|record| record.session_id == request.session_id) {
            inside.end(SupplyEnd::Stopped);
        }
        let result = inside.result(&request.instance_id);
        Ok(Response::new(proto::StopSupplyResponse { result, state: inside.state() }))
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        self.ready(false).await;
        let mut inside = self.inside();
        inside.questions += 1;
        let result = inside.result(&request.into_inner().instance_id);
        Ok(Response::new(proto::GetEngineStateResponse {
            result,
            state: inside.state(),
            ..Default::default()
        }))
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        let request = request.into_inner();
        self.ready(false).await;
        let mut inside = self.inside();
        for id in &request.session_ids {
            inside.note("ConfirmSettled", json!({"instance_id": request.instance_id, "session_id": id}));
        }
        inside.unsettled.retain(|record| !request.session_ids.contains(&record.session_id));
        let result = inside.result(&request.instance_id);
        Ok(Response::new(proto::ConfirmSettledResponse { result, state: inside.state() }))
    }

    async fn attend(
        &self,
        _: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        Err(Status::unimplemented("its monitor is of the laboratory too"))
    }
}
