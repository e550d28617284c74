//! A stand-in for central, for one driver at a time: its charge points complete, break, or wait for the test.

use driver::{DriverEvent, Options, Output, Service, Stop, Summary};
use evmesh_proto::{
    driver::{
        driver_service_server::{DriverService, DriverServiceServer},
        *,
    },
    network::{ChargePoint, ChargePointStatus, Money, Session, SessionOutcome, SessionState, Ticket},
};
use mesh::{
    Shutdown, convert,
    grpc::{Failure, GrpcServer, Listener, Security, SecurityOptions, ServeError, ServerOptions},
    kafka::KafkaOptions,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use testing::{eventually, free_address};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status};

/// Everything here happens well within this, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// Between requests, in these tests.
pub(crate) const PAUSE: Duration = Duration::from_millis(300);
/// Between readings of a charge that runs by itself.
const STEP: Duration = Duration::from_millis(30);

/// What the stand-in knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) asked: Vec<(Instant, RequestChargeRequest)>,
    granted: BTreeMap<String, String>,
    /// So many grants and stops are not answered.
    pub(crate) answers_to_lose: usize,
}

#[derive(Clone)]
pub(crate) struct Central {
    pub(crate) state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

/// A server that can be stopped, and started again at the same address.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) async fn stop(self) -> SocketAddr {
        self.shutdown.start();
        self.served.await.unwrap().unwrap();
        self.address
    }
}

impl Central {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(()) }
    }

    pub(crate) async fn start(&self, address: SocketAddr) -> Running {
        let listener = Listener::bind(address, "the stand-in", &Security::default()).await.unwrap();
        let (address, shutdown) = (listener.local_addr(), Shutdown::new());
        let server =
            GrpcServer::new(&ServerOptions::default()).add_service(DriverServiceServer::new(self.clone()));
        Running { address, served: tokio::spawn(server.serve(listener, shutdown.clone())), shutdown }
    }

    pub(crate) fn asked(&self) -> Vec<(Instant, RequestChargeRequest)> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Opens a session as if it had been asked for.
    pub(crate) fn open(&self, driver: &str, charge_point: &str) -> String {
        let mut state = self.state.lock().unwrap();
        let id = format!("s-{}", state.sessions.len() + 1);
        let session = Session {
            session_id: id.clone(),
            charge_point_id: charge_point.into(),
            driver_id: driver.into(),
            state: SessionState::Reserved.into(),
            price: Some(convert::price_proto("0.40 EUR".parse().unwrap())),
            ..Default::default()
        };
        state.sessions.insert(id.clone(), session);
        id
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Session)) {
        change(self.state.lock().unwrap().sessions.get_mut(id).unwrap());
        self.changed.send_replace(());
    }

    pub(crate) fn supply(&self, id: &str, energy_wh: u64) {
        self.change(id, |session| {
            session.state = SessionState::Supplying.into();
            session.energy_wh = energy_wh;
            session.power_w = 7_400;
        });
    }

    pub(crate) fn end(&self, id: &str, outcome: SessionOutcome) {
        self.change(id, |session| {
            session.state = SessionState::Ended.into();
            session.outcome = outcome.into();
            session.settled = true;
            session.ticket = Some(Ticket {
                session_id: session.session_id.clone(),
                charge_point_id: session.charge_point_id.clone(),
                driver_id: session.driver_id.clone(),
                energy_wh: session.energy_wh,
                price: session.price.clone(),
                amount: Some(Money { currency_code: "EUR".into(), micros: session.energy_wh as i64 * 400 }),
                outcome: outcome.into(),
                issue_time: Some(convert::timestamp(mesh::now().wall)),
                ..Default::default()
            });
        });
    }

    /// Charges by itself: `BROKEN` breaks in mid-charge, `MANUAL` waits for the test, all others complete.
    fn charge(&self, id: String, charge_point: &str) {
        let (central, charge_point) = (self.clone(), charge_point.to_owned());
        if charge_point == "MANUAL" {
            return;
        }
        tokio::spawn(async move {
            let mut steps = tokio::time::interval(STEP);
            steps.tick().await; // at once
            for energy_wh in [100, 200, 300] {
                steps.tick().await;
                central.supply(&id, energy_wh);
            }
            steps.tick().await;
            let broken = charge_point == "BROKEN";
            central.end(&id, if broken { SessionOutcome::Faulted } else { SessionOutcome::Completed });
        });
    }

    fn may_answer(&self) -> Result<(), Status> {
        let mut state = self.state.lock().unwrap();
        let lost = state.answers_to_lose > 0;
        state.answers_to_lose = state.answers_to_lose.saturating_sub(1);
        if lost { Err(Status::deadline_exceeded("the answer is lost")) } else { Ok(()) }
    }

    fn session(&self, driver: &str, id: &str) -> Result<Session, Status> {
        let state = self.state.lock().unwrap();
        let session = state.sessions.get(id).filter(|session| session.driver_id == driver);
        session
            .cloned()
            .ok_or_else(|| Failure::new(Code::NotFound, "SESSION_UNKNOWN", "there is no such session").into())
    }
}

#[tonic::async_trait]
impl DriverService for Central {
    async fn request_charge(
        &self,
        request: Request<RequestChargeRequest>,
    ) -> Result<Response<RequestChargeResponse>, Status> {
        let request = request.into_inner();
        let known = {
            let mut state = self.state.lock().unwrap();
            state.asked.push((Instant::now(), request.clone()));
            state.granted.get(&request.request_id).cloned()
        };
        if request.charge_point_id.starts_with("GONE") {
            let message = format!("there is no charge point {}", request.charge_point_id);
            return Err(Failure::new(Code::NotFound, "CHARGE_POINT_UNKNOWN", message).into());
        }
        let id = match known {
            Some(id) => id,
            None => {
                let charge_point = match request.charge_point_id.as_str() {
                    "" => "CHEAPEST",
                    id => id,
                };
                let id = self.open(&request.driver_id, charge_point);
                self.charge(id.clone(), charge_point);
                self.state.lock().unwrap().granted.insert(request.request_id, id.clone());
                id
            }
        };
        self.may_answer()?;
        Ok(Response::new(RequestChargeResponse { session: Some(self.session(&request.driver_id, &id)?) }))
    }

    async fn stop_charge(
        &self,
        request: Request<StopChargeRequest>,
    ) -> Result<Response<StopChargeResponse>, Status> {
        let request = request.into_inner();
        self.may_answer()?;
        let session = self.session(&request.driver_id, &request.session_id)?;
        self.end(&session.session_id, SessionOutcome::Stopped);
        Ok(Response::new(StopChargeResponse { session: Some(session) }))
    }

    async fn block_card(&self, _: Request<BlockCardRequest>) -> Result<Response<BlockCardResponse>, Status> {
        Err(Status::unimplemented("the app blocks no cards"))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(GetSessionResponse {
            session: Some(self.session(&request.driver_id, &request.session_id)?),
        }))
    }

    /// One session a page.
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let state = self.state.lock().unwrap();
        let mine = state.sessions.values().filter(|session| session.driver_id == request.driver_id);
        let mut rest = mine.filter(|session| session.session_id > request.page_token);
        let sessions: Vec<Session> = rest.next().cloned().into_iter().collect();
        let next_page_token = match rest.next() {
            Some(_) => sessions[0].session_id.clone(),
            None => String::new(),
        };
        Ok(Response::new(ListSessionsResponse { sessions, next_page_token }))
    }

    type WatchSessionStream = Pin<Box<dyn Stream<Item = Result<WatchSessionResponse, Status>> + Send>>;

    async fn watch_session(
        &self,
        request: Request<WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let request = request.into_inner();
        self.session(&request.driver_id, &request.session_id)?;
        let (central, mut changed) = (self.clone(), self.changed.subscribe());
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let Ok(session) = central.session(&request.driver_id, &request.session_id) else {
                    return;
                };
                let settled = session.settled;
                if sender.send(session).await.is_err() || settled {
                    return;
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    () = sender.closed() => return,
                }
            }
        });
        let answers =
            ReceiverStream::new(receiver).map(|session| Ok(WatchSessionResponse { session: Some(session) }));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_charge_points(
        &self,
        _: Request<ListChargePointsRequest>,
    ) -> Result<Response<ListChargePointsResponse>, Status> {
        let point = ChargePoint {
            charge_point_id: "LISTED".into(),
            location: "Madrid".into(),
            price: Some(convert::price_proto("0.40 EUR".parse().unwrap())),
            status: ChargePointStatus::Available.into(),
        };
        Ok(Response::new(ListChargePointsResponse {
            charge_points: vec![point],
            next_page_token: String::new(),
        }))
    }

    async fn get_ticket(&self, _: Request<GetTicketRequest>) -> Result<Response<GetTicketResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let state = self.state.lock().unwrap();
        let driver = request.into_inner().driver_id;
        let mine = state.sessions.values().filter(|session| session.driver_id == driver);
        Ok(Response::new(ListTicketsResponse {
            tickets: mine.filter_map(|session| session.ticket.clone()).collect(),
            next_page_token: String::new(),
        }))
    }
}

/// An app under test, and everything that it told.
pub(crate) struct App {
    events: Arc<Mutex<Vec<DriverEvent>>>,
    pub(crate) stop_charge: Stop,
    shutdown: Shutdown,
    run: JoinHandle<Result<Summary, driver::Error>>,
}

/// Of driver `ana`, without Kafka.
pub(crate) fn options(central: SocketAddr) -> Options {
    Options {
        security: SecurityOptions::default(),
        driver: "ana".parse().unwrap(),
        central: central.into(),
        charge_point: None,
        max_price: None,
        location_prefix: None,
        requests: None,
        pause: PAUSE,
        ticket_wait: Duration::from_secs(5),
        output: Output::Text,
        kafka: KafkaOptions::at(free_address().to_string()),
    }
}

/// A file of requests, as long as the folder lives.
pub(crate) fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("requests.txt");
    std::fs::write(&path, text).unwrap();
    path
}

impl App {
    pub(crate) async fn start(options: Options) -> Self {
        let service = Service::bind(options).await.unwrap();
        let (events, shutdown) = (Arc::<Mutex<Vec<DriverEvent>>>::default(), Shutdown::new());
        let (mut told, kept) = (service.events(), events.clone());
        tokio::spawn(async move {
            while let Ok(event) = told.recv().await {
                kept.lock().unwrap().push(event);
            }
        });
        let stop_charge = service.stop();
        Self { events, stop_charge, run: tokio::spawn(service.run(shutdown.clone())), shutdown }
    }

    pub(crate) fn events(&self) -> Vec<DriverEvent> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until it has told something like this.
    pub(crate) async fn told<T>(&self, what: &str, like: impl Fn(&DriverEvent) -> Option<T>) -> T {
        eventually(what, SOON, || async { self.events.lock().unwrap().iter().find_map(&like) }).await
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> (Summary, Vec<DriverEvent>) {
        let summary = tokio::time::timeout(SOON, self.run).await;
        let summary = summary.expect("it ends").unwrap().unwrap();
        let events = self.events.lock().unwrap().clone();
        (summary, events)
    }

    pub(crate) async fn stop(self) -> (Summary, Vec<DriverEvent>) {
        self.shutdown.start();
        self.ended().await
    }
}

pub(crate) fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
