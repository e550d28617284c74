//! A large fleet does not come to central all at once.

use evmesh_proto::chargepoint::{
    RegisterChargePointRequest, RegisterChargePointResponse, ReportHealthRequest, ReportHealthResponse,
    RequestManualSupplyRequest, RequestManualSupplyResponse,
    charge_point_service_server::{ChargePointService, ChargePointServiceServer},
};
use fleet::{Fleet, Options};
use mesh::{
    Shutdown,
    grpc::{Address, GrpcServer, Listener, Security, ServerOptions},
    kafka::KafkaOptions,
    process::free_address,
};
use std::time::Duration;
use testing::eventually;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

const PATIENCE: Duration = Duration::from_secs(30);
/// So many register at once.
const AT_ONCE: u64 = 256;
const CHARGE_POINTS: u32 = 300;

/// A central that counts who registers, and answers nobody until it is told to.
struct Slow {
    asked: watch::Sender<u64>,
    answers: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl ChargePointService for Slow {
    type ReportHealthStream = BoxStream<ReportHealthResponse>;

    async fn register_charge_point(
        &self,
        _: Request<RegisterChargePointRequest>,
    ) -> Result<Response<RegisterChargePointResponse>, Status> {
        self.asked.send_modify(|asked| *asked += 1);
        let _ = self.answers.clone().wait_for(|answers| *answers).await; // or the test is over
        Ok(Response::new(RegisterChargePointResponse { epoch: 1, ..Default::default() }))
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
        Err(Status::unimplemented("nobody asks for one"))
    }
}

#[tokio::test]
async fn so_many_monitors_register_at_once_and_the_others_after_them() {
    let (asked, seen) = watch::channel(0);
    let (answer, answers) = watch::channel(false);
    let shutdown = Shutdown::new();
    let listener = Listener::bind(free_address(), "central", &Security::default()).await.unwrap();
    let address = listener.local_addr();
    let central = GrpcServer::new(&ServerOptions::default());
    let central = central.add_service(ChargePointServiceServer::new(Slow { asked, answers }));
    tokio::spawn(central.serve(listener, shutdown.clone()));

    let options = Options {
        charge_points: CHARGE_POINTS,
        drivers: 0,
        central: Address::from(address),
        kafka: KafkaOptions::at(free_address().to_string()),
        ..mesh::flags::defaults(&[])
    };
    let fleet = Fleet::start(options, shutdown.clone()).await.unwrap();
    // Were there no bound, all would have asked at once.
    eventually("as many register as may", PATIENCE, async || (*seen.borrow() == AT_ONCE).then_some(())).await;
    answer.send_replace(true);
    eventually("all are connected", PATIENCE, async || {
        (fleet.counts().connected == u64::from(CHARGE_POINTS)).then_some(())
    })
    .await;
    assert_eq!(*seen.borrow(), u64::from(CHARGE_POINTS));
    shutdown.start();
}
