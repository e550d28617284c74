//! A large fleet does not come to central all at once, and leaves one that does not answer.

use evmesh_proto::chargepoint::{
    RegisterChargePointRequest, RegisterChargePointResponse, ReportHealthRequest, ReportHealthResponse,
    RequestManualSupplyRequest, RequestManualSupplyResponse,
    charge_point_service_server::{ChargePointService, ChargePointServiceServer},
};
use fleet::{Fleet, Options};
use mesh::{
    Shutdown,
    convert::duration_proto,
    grpc::{Address, GrpcServer, Listener, Security, ServerOptions},
    kafka::KafkaOptions,
    process::free_address,
};
use std::{error::Error, time::Duration};
use testing::eventually;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

const PATIENCE: Duration = Duration::from_secs(30);
/// So many register at once.
const AT_ONCE: u64 = 256;
const CHARGE_POINTS: u32 = 300;

/// How often monitors are to report.
const INTERVAL: Duration = Duration::from_millis(50);

/// A central that counts who registers, and answers nobody until it is told to; or that, and no report.
struct Slow {
    asked: watch::Sender<u64>,
    answers: watch::Receiver<bool>,
    answers_reports: bool,
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
        let report_interval = Some(duration_proto(INTERVAL));
        Ok(Response::new(RegisterChargePointResponse { epoch: 1, report_interval, ..Default::default() }))
    }

    async fn report_health(
        &self,
        request: Request<Streaming<ReportHealthRequest>>,
    ) -> Result<Response<Self::ReportHealthStream>, Status> {
        let answers_reports = self.answers_reports;
        let answers = request.into_inner().filter(move |_| answers_reports);
        Ok(Response::new(Box::pin(answers.map(|report| report.map(|_| ReportHealthResponse::default())))))
    }

    async fn request_manual_supply(
        &self,
        _: Request<RequestManualSupplyRequest>,
    ) -> Result<Response<RequestManualSupplyResponse>, Status> {
        Err(Status::unimplemented("nobody asks for one"))
    }
}

/// A fleet of so many charge points, at such a central.
async fn fleet(central: Slow, charge_points: u32, shutdown: &Shutdown) -> Result<Fleet, Box<dyn Error>> {
    let listener = Listener::bind(free_address(), "central", &Security::default()).await?;
    let address = listener.local_addr();
    let server = GrpcServer::new(&ServerOptions::default());
    let server = server.add_service(ChargePointServiceServer::new(central));
    tokio::spawn(server.serve(listener, shutdown.clone()));
    let options = Options {
        charge_points,
        drivers: 0,
        central: Address::from(address),
        kafka: KafkaOptions::at(free_address().to_string()),
        ..mesh::flags::defaults(&[])
    };
    Ok(Fleet::start(options, shutdown.clone()).await?)
}

#[tokio::test]
async fn so_many_monitors_register_at_once_and_the_others_after_them() {
    let (asked, seen) = watch::channel(0);
    let (answer, answers) = watch::channel(false);
    let shutdown = Shutdown::new();
    let central = Slow { asked, answers, answers_reports: true };
    let fleet = fleet(central, CHARGE_POINTS, &shutdown).await.unwrap();
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

#[tokio::test]
async fn a_monitor_leaves_a_central_that_answers_no_report_and_registers_again() {
    let (asked, seen) = watch::channel(0);
    let (_answer, answers) = watch::channel(true);
    let shutdown = Shutdown::new();
    let fleet = fleet(Slow { asked, answers, answers_reports: false }, 1, &shutdown).await.unwrap();
    eventually("it registers again", PATIENCE, async || (*seen.borrow() > 1).then_some(())).await;
    let counts = fleet.counts();
    assert!(!counts.refused.is_empty(), "{counts:?}");
    shutdown.start();
}
