//! What the tests of the service share: an engine in this process, a monitor that pings it, and its clients.

#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use domain::supply::View;
use engine::{Error, Options, PlugIn, Service};
use evmesh_proto::{
    engine::{
        AttendRequest, AttendResponse, AuthorizeSupplyRequest, AuthorizeSupplyResponse, CallResult,
        ConfirmSettledRequest, EngineState, GetEngineStateRequest, SupplyRecord, SupplyState,
        engine_panel_service_client::EnginePanelServiceClient, engine_service_client::EngineServiceClient,
    },
    network::Price,
};
use futures_util::StreamExt as _;
use mesh::{
    Shutdown,
    grpc::{Address, CALL_TIMEOUT, Expected, Peer, Peers},
    kafka::KafkaOptions,
};
use std::{net::SocketAddr, path::Path, time::Duration};
use testing::{eventually, free_address};
use tokio::{sync::watch, task::JoinHandle};
use tokio_stream::wrappers::IntervalStream;
use tonic::{Status, Streaming};

/// Everything here happens within this, or not at all.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// An engine in this process.
pub struct Engine {
    pub address: SocketAddr,
    pub instance: String,
    pub view: watch::Receiver<View>,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Error>>,
    peer: Peer,
}

/// Quick cars: 10 Wh a real second, full at 25 Wh, plugged in after 50 ms; a monitor may be silent for 1 s.
pub fn options(folder: &Path, kafka: KafkaOptions) -> Options {
    Options {
        listen: ([127, 0, 0, 1], 0).into(),
        central: Address::from(free_address()),
        data: folder.join("engine"),
        kafka,
        power_w: 36_000,
        battery_wh: 25,
        plug_in_after: PlugIn::After(Duration::from_millis(50)),
        monitor_grace: Duration::from_secs(1),
        ..mesh::flags::defaults(&["--charge-point", "MAD-01"])
    }
}

/// Nothing listens there.
pub fn no_kafka() -> KafkaOptions {
    KafkaOptions::at(free_address().to_string())
}

impl Engine {
    /// Starts one; a store that its last owner is still closing is waited for.
    pub async fn start(options: Options) -> Self {
        let service = Self::bound(&options).await;
        Self::run(service)
    }

    async fn bound(options: &Options) -> Service {
        eventually("the engine starts", DEADLINE, || async {
            match Service::bind(options.clone()).await {
                Ok(service) => Some(service),
                Err(Error::Store(mesh::store::StoreError::InUse(_))) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }

    /// Runs one that is bound.
    pub fn run(service: Service) -> Self {
        let (address, view, shutdown) = (service.local_addr(), service.point().watch(), Shutdown::new());
        let instance = view.borrow().instance.to_string();
        let running = tokio::spawn(service.run(shutdown.clone()));
        let peer = Peers::default().peer(&Address::from(address), Expected::Anyone, CALL_TIMEOUT);
        Self { address, instance, view, shutdown, running, peer }
    }

    pub fn central(&self) -> EngineServiceClient<Peer> {
        EngineServiceClient::new(self.peer.clone())
    }

    pub fn panel(&self) -> EnginePanelServiceClient<Peer> {
        EnginePanelServiceClient::new(self.peer.clone())
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        self.shutdown.start();
        self.running.await.unwrap().unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn result(self) -> Result<(), Error> {
        self.running.await.unwrap()
    }

    /// It dies where it stands. Only its committed store is left.
    pub async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// Attends it as a monitor, whose registration central has named, until the monitor is dropped.
    pub async fn attended(&self, epoch: u64) -> Monitor {
        let named = GetEngineStateRequest { instance_id: self.instance.clone(), epoch, ..Default::default() };
        self.central().get_engine_state(named).await.unwrap();
        let monitor = Monitor::start(self, epoch).await.unwrap();
        let mut view = self.view.clone();
        view.wait_for(|view| view.attended).await.unwrap();
        monitor
    }

    pub fn authorization(&self, number: u64, session: &str) -> AuthorizeSupplyRequest {
        AuthorizeSupplyRequest {
            instance_id: self.instance.clone(),
            authorization_number: number,
            session_id: session.into(),
            driver_id: "ana".into(),
            price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 }),
            duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            signature: session.into(),
            ..Default::default()
        }
    }

    /// Of no session yet.
    pub fn confirmation(&self) -> ConfirmSettledRequest {
        ConfirmSettledRequest { instance_id: self.instance.clone(), ..Default::default() }
    }

    pub async fn authorize(&self, number: u64, session: &str) -> AuthorizeSupplyResponse {
        let request = self.authorization(number, session);
        self.central().authorize_supply(request).await.unwrap().into_inner()
    }

    pub async fn granted(&self, number: u64, session: &str) {
        assert_eq!(self.authorize(number, session).await.result(), CallResult::Done);
    }

    pub async fn state(&self) -> EngineState {
        let request = GetEngineStateRequest { instance_id: self.instance.clone(), ..Default::default() };
        self.central().get_engine_state(request).await.unwrap().into_inner().state.unwrap()
    }

    /// Waits until this session runs and has so many messages.
    pub async fn supplying(&self, session: &str, seq: u64) -> SupplyRecord {
        eventually("the supply runs", DEADLINE, || async {
            let current = self.state().await.current?;
            let runs = current.state() == SupplyState::Supplying && current.seq >= seq;
            (runs && current.session_id == session).then_some(current)
        })
        .await
    }

    /// Waits until this session has its final record.
    pub async fn ended(&self, session: &str) -> SupplyRecord {
        eventually("the supply ends", DEADLINE, || async {
            self.state().await.unsettled.into_iter().find(|record| record.session_id == session)
        })
        .await
    }
}

/// A monitor that pings every 100 ms while it lives.
pub struct Monitor {
    answers: Streaming<AttendResponse>,
    end: Shutdown,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.end.start(); // dropping the answers alone would not end the pings
    }
}

impl Monitor {
    pub async fn start(engine: &Engine, epoch: u64) -> Result<Self, Status> {
        Self::of("", engine, epoch).await
    }

    /// The monitor of this charge point.
    pub async fn of(charge_point: &'static str, engine: &Engine, epoch: u64) -> Result<Self, Status> {
        let end = Shutdown::new();
        let over = end.clone();
        let every = tokio::time::interval(Duration::from_millis(100));
        let pings = IntervalStream::new(every)
            .map(move |_| AttendRequest {
                epoch,
                central_reachable: true,
                charge_point_id: charge_point.into(),
            })
            .take_until(async move { over.started().await });
        let answers = engine.central().attend(pings).await?.into_inner();
        Ok(Self { answers, end })
    }

    pub async fn answer(&mut self) -> Result<AttendResponse, Status> {
        self.answers.message().await.map(|answer| answer.expect("the engine ends no stream in good order"))
    }
}
