//! An engine that is not ours: scripted, and without a meter of its own.

use evmesh_proto::engine::{
    self as proto,
    engine_service_server::{EngineService, EngineServiceServer},
};
use mesh::Shutdown;
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should.
    Willing,
    /// `AuthorizeSupply` is refused with this.
    Refuses(proto::CallResult),
    /// Nothing is ever answered.
    Silent,
    /// Only `AuthorizeSupply` is never answered.
    SilentWhenAsked,
    /// Answers come from another store.
    AnotherInstance,
    /// Answers without a state.
    Malformed,
}

#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) mood: Mood,
    /// It ends no supply when it is told to.
    pub(crate) stubborn: bool,
    /// A car is there.
    pub(crate) plugged_in: bool,
    /// It names its sessions whatever it is asked.
    pub(crate) older: bool,
    pub(crate) instance: String,
    /// Whose it is; empty: whichever is registered with it, as if it were as many.
    pub(crate) charge_point: String,
    /// The charge points that were asked about.
    pub(crate) highest: u64,
    pub(crate) current: Option<proto::SupplyRecord>,
    pub(crate) unsettled: Vec<proto::SupplyRecord>,
    pub(crate) authorizations: Vec<proto::AuthorizeSupplyRequest>,
    /// What it asks for itself: request and driver.
    pub(crate) asking: Vec<(String, String)>,
    /// Each call, and its `traceparent`.
    pub(crate) traces: Vec<(&'static str, String)>,
    pub(crate) calls: usize,
}

/// A running stand-in. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
    stop: Shutdown,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.start();
    }
}

#[derive(Debug, Clone)]
struct Served(Arc<Mutex<Inside>>);

impl Engine {
    pub(crate) async fn start(instance: &str) -> Self {
        let inside = Arc::new(Mutex::new(Inside {
            mood: Mood::Willing,
            stubborn: false,
            plugged_in: false,
            older: false,
            instance: instance.to_owned(),
            charge_point: String::new(),
            highest: 0,
            current: None,
            unsettled: Vec::new(),
            authorizations: Vec::new(),
            asking: Vec::new(),
            traces: Vec::new(),
            calls: 0,
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Shutdown::new();
        let (server, stopping) = (Served(inside.clone()), stop.clone());
        tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(EngineServiceServer::new(server))
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
                    stopping.started().await
                })
                .await
        });
        Self { address, inside, stop }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.inside().mood = mood;
    }

    /// The car is there: the meter shows this much.
    pub(crate) fn supply(&self, energy_wh: u64) {
        let mut inside = self.inside();
        let record = inside.current.as_mut().expect("a session is authorised");
        record.set_state(proto::SupplyState::Supplying);
        record.seq += 1;
        (record.energy_wh, record.power_w) = (energy_wh, 7400);
    }

    /// The supply ends at its last reading.
    pub(crate) fn end(&self, end: proto::SupplyEnd) {
        self.inside().end(end);
    }

    pub(crate) fn supplies(&self) -> bool {
        let inside = self.inside();
        inside.current.as_ref().is_some_and(|record| record.state() == proto::SupplyState::Supplying)
    }
}

impl Inside {
    fn end(&mut self, end: proto::SupplyEnd) {
        let Some(mut record) = self.current.take() else {
            return;
        };
        record.set_state(proto::SupplyState::Ended);
        record.set_end(end);
        record.seq += 1;
        record.power_w = 0;
        self.unsettled.push(record);
    }

    fn asks_for(&self, request: &proto::AuthorizeSupplyRequest) -> bool {
        let asks = |(id, driver): &(_, _)| {
            Some(id) == request.manual_request_id.as_ref() && *driver == request.driver_id
        };
        request.manual_request_id.is_none() || self.asking.iter().any(asks)
    }

    fn state(&self) -> Option<proto::EngineState> {
        if self.mood == Mood::Malformed {
            return None;
        }
        let instance_id = match self.mood {
            Mood::AnotherInstance => "another-store".to_owned(),
            _ => self.instance.clone(),
        };
        Some(proto::EngineState {
            seals_telemetry: None,
            instance_id,
            highest_authorization: self.highest,
            current: self.current.clone(),
            unsettled: self.unsettled.clone(),
            fault: String::new(),
            charge_point_id: self.charge_point.clone(),
            rated_power_w: 0,
            plugged_in: self.plugged_in,
        })
    }

    fn result(&self, instance: &str, charge_point: &str) -> proto::CallResult {
        let other = !self.charge_point.is_empty() && charge_point != self.charge_point;
        if self.mood == Mood::AnotherInstance || instance != self.instance || other {
            proto::CallResult::WrongInstance
        } else {
            proto::CallResult::Done
        }
    }
}

impl Served {
    async fn enter(&self, call: &'static str, metadata: &MetadataMap, asks: bool) -> MutexGuard<'_, Inside> {
        let trace = metadata.get("traceparent").and_then(|trace| trace.to_str().ok());
        let mood = {
            let mut inside = self.0.lock().unwrap();
            inside.calls += 1;
            inside.traces.push((call, trace.unwrap_or_default().to_owned()));
            inside.mood
        };
        if mood == Mood::Silent || asks && mood == Mood::SilentWhenAsked {
            std::future::pending::<()>().await;
        }
        self.0.lock().unwrap()
    }
}

#[tonic::async_trait]
impl EngineService for Served {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<proto::AttendResponse, Status>> + Send>>;

    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut inside = self.enter("AuthorizeSupply", &metadata, true).await;
        inside.authorizations.push(request.clone());
        let mut result = inside.result(&request.instance_id, &request.charge_point_id);
        if let Mood::Refuses(refusal) = inside.mood {
            result = refusal;
        } else if !inside.asks_for(&request) {
            inside.highest = inside.highest.max(request.authorization_number);
            result = proto::CallResult::NotAskedFor;
        } else if result == proto::CallResult::Done {
            inside.highest = inside.highest.max(request.authorization_number);
            inside.current = Some(proto::SupplyRecord {
                session_id: request.session_id,
                driver_id: request.driver_id,
                price: request.price,
                authorization_number: request.authorization_number,
                state: proto::SupplyState::Authorized.into(),
                signature: request.signature,
                ..Default::default()
            });
        }
        Ok(Response::new(proto::AuthorizeSupplyResponse { result: result.into(), state: inside.state() }))
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut inside = self.enter("RevokeAuthorization", &metadata, false).await;
        let result = inside.result(&request.instance_id, &request.charge_point_id);
        let of_it = |record: &proto::SupplyRecord| record.session_id == request.session_id;
        let supplying = |record: &proto::SupplyRecord| record.state() == proto::SupplyState::Supplying;
        let outcome = match &inside.current {
            Some(record) if of_it(record) && supplying(record) => proto::RevokeOutcome::Supplying,
            _ if inside.unsettled.iter().any(of_it) => proto::RevokeOutcome::Ended,
            _ => proto::RevokeOutcome::Revoked,
        };
        if outcome == proto::RevokeOutcome::Revoked {
            inside.highest = inside.highest.max(request.authorization_number);
            inside.current.take_if(|record| of_it(record));
        }
        let (result, outcome) = (result.into(), outcome.into());
        Ok(Response::new(proto::RevokeAuthorizationResponse { result, outcome, state: inside.state() }))
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut inside = self.enter("StopSupply", &metadata, false).await;
        let result = inside.result(&request.instance_id, &request.charge_point_id);
        let it = inside.current.as_ref().is_some_and(|record| record.session_id == request.session_id);
        if it && !inside.stubborn {
            inside.end(proto::SupplyEnd::Stopped);
        }
        Ok(Response::new(proto::StopSupplyResponse { result: result.into(), state: inside.state() }))
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let inside = self.enter("GetEngineState", &metadata, false).await;
        let result = inside.result(&request.instance_id, &request.charge_point_id);
        let mut state = inside.state();
        if let Some(state) = state.as_mut().filter(|state| state.charge_point_id.is_empty()) {
            state.charge_point_id = request.charge_point_id;
        }
        if let Some(state) = state.as_mut().filter(|_| request.without_sessions && !inside.older) {
            (state.current, state.unsettled) = (None, Vec::new());
        }
        Ok(Response::new(proto::GetEngineStateResponse {
            result: result.into(),
            state,
            ..Default::default()
        }))
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let mut inside = self.enter("ConfirmSettled", &metadata, false).await;
        let result = inside.result(&request.instance_id, &request.charge_point_id);
        inside.unsettled.retain(|record| !request.session_ids.contains(&record.session_id));
        Ok(Response::new(proto::ConfirmSettledResponse { result: result.into(), state: inside.state() }))
    }

    async fn attend(
        &self,
        _: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        Err(Status::unimplemented("the tests report by hand"))
    }
}
