//! Supplies asked for at the charge point itself, with a central that only knows this.

#![allow(clippy::unwrap_used)] // clippy's exception for tests does not cover what they share

mod common;

use common::{Engine, no_kafka, options};
use engine::Options;
use evmesh_proto::{
    chargepoint::{
        RegisterChargePointRequest, RegisterChargePointResponse, ReportHealthRequest, ReportHealthResponse,
        RequestManualSupplyRequest, RequestManualSupplyResponse,
        charge_point_service_server::{ChargePointService, ChargePointServiceServer},
    },
    engine::{
        AuthorizeSupplyRequest, CallResult, StartManualSupplyRequest, SupplyState,
        engine_service_client::EngineServiceClient,
    },
    network::{Price, Session},
};
use mesh::{
    Shutdown,
    grpc::{
        Address, CALL_TIMEOUT, Expected, Failure, GrpcServer, Listener, Peers, Security, ServeError,
        ServerOptions, reason,
    },
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use tempfile::{TempDir, tempdir};
use tokio::{sync::watch, task::JoinHandle};
use tokio_stream::Empty;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

/// The number of the next authorisation.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Denies the driver `denied`, takes `another` for ana, and authorises everyone else by calling the engine back, as
/// central does.
struct Central {
    engine: watch::Receiver<Option<Address>>,
    asked: Arc<Mutex<Vec<RequestManualSupplyRequest>>>,
}

#[async_trait]
impl ChargePointService for Central {
    type ReportHealthStream = Empty<Result<ReportHealthResponse, Status>>;

    async fn register_charge_point(
        &self,
        _: Request<RegisterChargePointRequest>,
    ) -> Result<Response<RegisterChargePointResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn report_health(
        &self,
        _: Request<Streaming<ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        Err(Status::unimplemented("not needed here"))
    }

    async fn request_manual_supply(
        &self,
        request: Request<RequestManualSupplyRequest>,
    ) -> Result<Response<RequestManualSupplyResponse>, Status> {
        let request = request.into_inner();
        self.asked.lock().unwrap().push(request.clone());
        if request.driver_id == "denied" {
            return Err(Failure::precondition("DRIVER_BUSY", "this driver has an open session").into());
        }
        let engine = self.engine.borrow().clone().expect("the engine is known");
        let mut engine =
            EngineServiceClient::new(Peers::default().peer(&engine, Expected::Anyone, CALL_TIMEOUT));
        let driver = match request.driver_id.as_str() {
            "another" => "ana",
            "" if !request.card.is_empty() => "ana",
            driver => driver,
        };
        let authorize = authorization(&request.instance_id, driver, Some(&request.request_id));
        let answer = engine.authorize_supply(authorize).await?.into_inner();
        if request.driver_id == "another" {
            assert_eq!(answer.result(), CallResult::NotAskedFor, "the engine asks for another driver");
            return Err(Failure::precondition("ENGINE_REFUSED", "its engine did not ask for it").into());
        }
        assert_eq!(answer.result(), CallResult::Done);
        let session = Some(Session { session_id: "s1".into(), ..Session::default() });
        Ok(Response::new(RequestManualSupplyResponse { session }))
    }
}

/// An engine, and the central that it asks.
struct Begun {
    engine: Engine,
    asked: Arc<Mutex<Vec<RequestManualSupplyRequest>>>,
    stop: Shutdown,
    serving: JoinHandle<Result<(), ServeError>>,
    _folder: TempDir,
}

impl Begun {
    async fn new() -> Self {
        let folder = tempdir().unwrap();
        let (known, engine_address) = watch::channel(None);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = Listener::bind(([127, 0, 0, 1], 0), "central", &Security::default()).await.unwrap();
        let central = Address::from(listener.local_addr());
        let stop = Shutdown::new();
        let service = ChargePointServiceServer::new(Central { engine: engine_address, asked: asked.clone() });
        let server = GrpcServer::new(&ServerOptions::default()).add_service(service);
        let serving = tokio::spawn(server.serve(listener, stop.clone()));
        let engine = Engine::start(Options { central, ..options(folder.path(), no_kafka()) }).await;
        known.send_replace(Some(Address::from(engine.address)));
        Self { engine, asked, stop, serving, _folder: folder }
    }
}

/// What central asks of the engine, for a request for a supply there.
fn authorization(instance: &str, driver: &str, manual: Option<&str>) -> AuthorizeSupplyRequest {
    AuthorizeSupplyRequest {
        instance_id: instance.into(),
        authorization_number: NEXT.fetch_add(1, Ordering::Relaxed),
        session_id: "s1".into(),
        driver_id: driver.into(),
        price: Some(Price { currency_code: "EUR".into(), micros_per_kwh: 300_000 }),
        duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        manual_request_id: manual.map(str::to_owned),
        ..Default::default()
    }
}

fn show(card: &str) -> StartManualSupplyRequest {
    StartManualSupplyRequest { request_id: "r1".into(), card: card.into(), ..Default::default() }
}

fn start(driver: &str) -> StartManualSupplyRequest {
    StartManualSupplyRequest { driver_id: driver.into(), request_id: "r1".into(), ..Default::default() }
}

#[tokio::test]
async fn central_decides_and_calls_back() {
    let Begun { engine, asked, stop, serving, _folder } = Begun::new().await;
    let refused = engine.panel().start_manual_supply(start("")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_deref()), (Code::FailedPrecondition, Some("UNATTENDED")));
    assert!(asked.lock().unwrap().is_empty(), "central is not even asked");
    let _monitor = engine.attended(1).await;

    let denied = engine.panel().start_manual_supply(start("denied")).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_deref()), (Code::FailedPrecondition, Some("DRIVER_BUSY")));
    assert_eq!(denied.message(), "this driver has an open session");
    let another = engine.panel().start_manual_supply(start("another")).await.unwrap_err();
    assert_eq!(reason(&another).as_deref(), Some("ENGINE_REFUSED"));

    // What nobody asks for there, or not any more, does not start, whoever tells central so.
    for manual in ["r1", "r2", "r3"] {
        let authorize = authorization(&engine.instance, "denied", Some(manual));
        let answer = engine.central().authorize_supply(authorize).await.unwrap().into_inner();
        assert_eq!(answer.result(), CallResult::NotAskedFor);
        assert_eq!(answer.state.unwrap().current, None);
    }
    let unnamed = authorization(&engine.instance, "ana", Some(""));
    let invalid = engine.central().authorize_supply(unnamed).await.unwrap_err();
    assert_eq!((invalid.code(), reason(&invalid).as_deref()), (Code::InvalidArgument, Some("INVALID_FIELD")));

    for wrong in
        [show("04:A1:B2"), StartManualSupplyRequest { driver_id: "101".into(), ..show("04:A1:B2:C3") }]
    {
        let invalid = engine.panel().start_manual_supply(wrong).await.unwrap_err();
        assert_eq!(reason(&invalid).as_deref(), Some("INVALID_FIELD"));
        assert!(!invalid.message().contains("A1"), "{invalid}");
    }

    let granted = engine.panel().start_manual_supply(start("")).await.unwrap().into_inner();
    assert_eq!(granted.session_id, "s1");
    let current = granted.panel.unwrap().current.unwrap();
    assert_eq!((current.driver_id.as_str(), current.session_id.as_str()), ("INVITADO", "s1"));
    assert!(matches!(current.state(), SupplyState::Authorized | SupplyState::Supplying));
    let request = asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!((request.charge_point_id.as_str(), request.request_id.as_str()), ("MAD-01", "r1"));
    assert_eq!(request.instance_id, engine.instance);

    let busy = engine.panel().start_manual_supply(start("")).await.unwrap_err();
    assert_eq!(reason(&busy).as_deref(), Some("CHARGE_POINT_BUSY"));
    engine.supplying("s1", 1).await;
    engine.stop().await;
    stop.start();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_card_is_passed_on_and_central_says_whose_it_is() {
    let Begun { engine, asked, stop, serving, _folder } = Begun::new().await;
    let _monitor = engine.attended(1).await;
    let granted = engine.panel().start_manual_supply(show("04:a1:b2:c3")).await.unwrap().into_inner();
    assert_eq!(granted.panel.unwrap().current.unwrap().driver_id, "ana");
    let request = asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!((request.card.as_str(), request.driver_id.as_str()), ("04A1B2C3", ""));
    engine.stop().await;
    stop.start();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_central_it_is_said_plainly() {
    let folder = tempdir().unwrap();
    let engine = Engine::start(options(folder.path(), no_kafka())).await;
    let _monitor = engine.attended(1).await;
    let refused = engine.panel().start_manual_supply(start("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused).as_deref(), Some("CENTRAL_UNREACHABLE"));
    assert!(refused.message().starts_with("central at 127.0.0.1:"), "{}", refused.message());
    let wrong = engine.panel().start_manual_supply(start("a b")).await.unwrap_err();
    assert_eq!(reason(&wrong).as_deref(), Some("INVALID_FIELD"));
    engine.stop().await;
}
