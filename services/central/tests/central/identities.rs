//! Central where callers have identities: whom a message names is held against who acts.

use crate::{
    engine::Engine,
    running_central::{PATIENCE, no_kafka, registration},
};
use central::{
    events::Events,
    roster::{self, Roster},
    writer::{self, Outlets, Writer},
};
use domain::network::Reason;
use evmesh_proto::{
    Method,
    chargepoint::{
        EngineHealth, ReportHealthRequest, ReportHealthResponse,
        charge_point_service_client::ChargePointServiceClient,
    },
    driver::{self, driver_service_client::DriverServiceClient},
    operations::{self, operator_service_client::OperatorServiceClient},
};
use mesh::{
    Shutdown, flags,
    grpc::{Actor, Peers, Stack, reason},
    kafka::Producer,
    store::MemoryStore,
};
use prost::Message as _;
use std::{sync::Arc, time::Duration};
use testing::{CalledBy, called_by, eventually, known, refusal};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

/// A central that is called without a socket.
pub(crate) struct Central {
    pub(crate) stack: Stack,
    pub(crate) handle: writer::Handle,
    stop: Shutdown,
    _writer: writer::Running,
}

impl Drop for Central {
    fn drop(&mut self) {
        self.stop.start();
    }
}

impl Central {
    /// Its monitors need not report again for three of these intervals, and may in half of one.
    pub(crate) fn start(report_interval: Duration) -> Self {
        let (stop, mut options) =
            (Shutdown::new(), central::Options { kafka: no_kafka(), ..flags::defaults(&[]) });
        options.rules.report_interval = report_interval;
        let writer = Writer::open(MemoryStore::new(), options.rules.config().unwrap(), mesh::now()).unwrap();
        let outlets = Outlets {
            events: Events::new().0,
            producer: Producer::new(&options.kafka, "central").unwrap(),
            notifications: Arc::default(),
            dead_letters: Arc::default(),
            changelog: Arc::default(),
            lag: watch::Sender::default(),
            refused: Default::default(),
        };
        let (handle, writer) =
            central::start(writer, outlets, Duration::from_secs(5), Peers::default()).unwrap();
        let roster = watch::Sender::new(Arc::new(Roster::default()));
        let roster = roster::spawn(roster, handle.clone(), stop.clone());
        let stack = central::server(&options, &handle, roster, Default::default()).without_socket();
        Self { stack, handle, stop, _writer: writer }
    }

    fn drivers(&self, actor: &str) -> DriverServiceClient<CalledBy> {
        DriverServiceClient::new(called_by(&self.stack, &known(actor)))
    }

    fn operators(&self, actor: &str) -> OperatorServiceClient<CalledBy> {
        OperatorServiceClient::new(called_by(&self.stack, &known(actor)))
    }

    pub(crate) fn points(&self, actor: &str) -> ChargePointServiceClient<CalledBy> {
        ChargePointServiceClient::new(called_by(&self.stack, &known(actor)))
    }

    /// Registers a charge point, as its own monitor, and reports once that it is well.
    pub(crate) async fn charge_point(&self, id: &str) -> Monitor {
        self.charge_point_of(&format!("charge-point/{id}/monitor"), id).await
    }

    /// The same, as this one.
    pub(crate) async fn charge_point_of(&self, actor: &str, id: &str) -> Monitor {
        let engine = Engine::start(&format!("store-of-{id}")).await;
        let mut points = self.points(actor);
        let epoch = points.register_charge_point(registration(id, &engine)).await.unwrap().into_inner().epoch;
        let (reports, stream) = mpsc::channel(4);
        reports.send(report(id, epoch)).await.unwrap();
        let answers = points.report_health(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let mut monitor = Monitor { epoch, reports, answers, _engine: engine };
        monitor.answers.message().await.unwrap().unwrap();
        monitor
    }

    /// A session of this driver's, asked for by itself.
    async fn session(&self, driver: &str, charge_point: &str) -> String {
        let request = driver::RequestChargeRequest {
            driver_id: driver.into(),
            charge_point_id: charge_point.into(),
            ..Default::default()
        };
        eventually("a session is reserved", PATIENCE, || async {
            let answer = self.drivers(&format!("driver/{driver}")).request_charge(request.clone()).await;
            Some(answer.ok()?.into_inner().session?.session_id)
        })
        .await
    }
}

/// Longer than any test.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// A monitor that reports when its test does.
pub(crate) struct Monitor {
    pub(crate) epoch: u64,
    pub(crate) reports: mpsc::Sender<ReportHealthRequest>,
    pub(crate) answers: Streaming<ReportHealthResponse>,
    _engine: Engine,
}

pub(crate) fn report(id: &str, epoch: u64) -> ReportHealthRequest {
    let health = EngineHealth::Ok.into();
    ReportHealthRequest { charge_point_id: id.into(), epoch, health, reason: String::new() }
}

/// The first field of every message that is about a driver, or a charge point, is its id.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Named {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

pub(crate) fn why(refused: Option<Status>) -> String {
    refused.and_then(|status| reason(&status)).unwrap_or_default()
}

/// A method that is served, or changed, without its check is found here: those of the table are all tried.
#[tokio::test]
async fn every_method_that_names_a_driver_or_a_charge_point_names_the_callers_own() {
    use identity::permissions::{Subject, row};
    let central = Central::start(NEVER);
    let _point = central.charge_point("MAD-02").await;
    central.session("102", "MAD-02").await;
    let mut tried = 0;
    for &method in Method::ALL.iter().filter(|method| !method.path().starts_with("/evmesh.engine.")) {
        let (actors, own, others) = match row(method).subject {
            Subject::Any => continue,
            Subject::OwnDriver => (&["driver/101"][..], "101", ["102", "103"]),
            Subject::OwnChargePoint => {
                let roles = &["charge-point/MAD-01/monitor", "charge-point/MAD-01/engine"];
                (&roles[..], "MAD-01", ["MAD-02", "MAD-03"])
            }
        };
        for actor in actors.iter().filter(|actor| row(method).callers.include(&actor.parse().unwrap())) {
            let ask = async |id: &str| {
                let message = Named { id: id.into() }.encode_to_vec();
                refusal(&central.stack, &known(actor), method.path(), &message).await
            };
            for other in others {
                let refused = ask(other).await.unwrap();
                assert_eq!(
                    (refused.code(), why(Some(refused.clone()))),
                    (Code::PermissionDenied, "NOT_YOURS".into())
                );
                assert!(!refused.message().contains(other), "{method:?}: {refused:?}");
            }
            assert_ne!(why(ask(own).await), "NOT_YOURS", "{method:?}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}

#[tokio::test]
async fn each_report_of_a_stream_is_of_the_monitors_own_charge_point() {
    let central = Central::start(Duration::from_millis(300));
    let _another = central.charge_point("MAD-02").await;
    for other in ["MAD-02", "MAD-03"] {
        let mut monitor = central.charge_point("MAD-01").await;
        monitor.reports.send(report(other, monitor.epoch)).await.unwrap();
        let refused = monitor.answers.message().await.unwrap_err();
        assert_eq!(
            (refused.code(), why(Some(refused.clone()))),
            (Code::PermissionDenied, "NOT_YOURS".into())
        );
        assert_eq!(refused.message(), "charge-point/MAD-01/monitor does not act for another charge point");
    }
}

#[tokio::test]
async fn a_foreign_session_is_answered_like_one_that_does_not_exist() {
    let central = Central::start(NEVER);
    let _point = central.charge_point("MAD-01").await;
    let theirs = central.session("101", "MAD-01").await;
    let unknown = "no-such-session";
    for method in [
        Method::DriverGetSession,
        Method::DriverWatchSession,
        Method::DriverStopCharge,
        Method::DriverGetTicket,
    ] {
        // All four name the driver, then the session.
        let ask = async |driver: &str, session: &str| {
            let (driver_id, session_id) = (driver.to_owned(), session.to_owned());
            let message = driver::GetSessionRequest { driver_id, session_id }.encode_to_vec();
            let refused =
                refusal(&central.stack, &known("driver/102"), method.path(), &message).await.unwrap();
            (refused.code(), why(Some(refused.clone())), refused.message().replace(session, "SESSION"))
        };
        let foreign = ask("102", &theirs).await;
        assert_eq!(foreign, ask("102", unknown).await, "{method:?}");
        assert_eq!((foreign.0, foreign.1.as_str()), (Code::NotFound, Reason::SessionUnknown.as_str()));
        let in_their_name = ask("101", &theirs).await;
        assert_eq!(in_their_name, ask("101", unknown).await, "{method:?}");
        assert_eq!(in_their_name.1, "NOT_YOURS");
    }
    let own = driver::GetSessionRequest { driver_id: "101".into(), session_id: theirs.clone() };
    for actor in ["driver/101", "viewer/ana"] {
        central.drivers(actor).get_session(own.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn a_bridge_asks_for_every_driver_and_a_stranger_for_none() {
    let central = Central::start(NEVER);
    let _point = central.charge_point("MAD-01").await;
    central.session("101", "MAD-01").await; // it is free by then
    let request = driver::RequestChargeRequest {
        driver_id: "102".into(),
        charge_point_id: "MAD-01".into(),
        ..Default::default()
    };
    let denied = central.drivers("bridge/old").request_charge(request.clone()).await.unwrap_err();
    assert_eq!(reason(&denied).as_deref(), Some("CHARGE_POINT_BUSY"), "central has decided: {denied:?}");
    let path = Method::DriverRequestCharge.path();
    let refused = refusal(&central.stack, &Actor::Stranger, path, &request.encode_to_vec()).await;
    assert_eq!(why(refused), "IDENTITY_REQUIRED");
    let operator = central.operators("driver/101");
    let all = Request::new(operations::ListSessionsRequest::default());
    let refused = operator.clone().list_sessions(all).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("NOT_ALLOWED"), "sessions of every driver: {refused:?}");
}

#[tokio::test]
async fn who_did_what_and_who_was_refused_is_written_down_under_their_names() {
    let central = Central::start(Duration::from_millis(300));
    let mut monitor = central.charge_point("MAD-01").await;
    let session = central.session("101", "MAD-01").await;
    let end = operations::EndSessionRequest { session_id: session.clone(), ..Default::default() };
    central.operators("operator/ana").end_session(end).await.unwrap();
    let all = operations::ListSessionsRequest::default();
    central.operators("driver/101").list_sessions(all).await.unwrap_err();
    let theirs = driver::StopChargeRequest { driver_id: "102".into(), ..Default::default() };
    central.drivers("driver/101").stop_charge(theirs).await.unwrap_err();
    monitor.reports.send(report("MAD-02", monitor.epoch)).await.unwrap();
    monitor.answers.message().await.unwrap_err();
    let list = async |actor: &str, request: &operations::ListAuditEntriesRequest| {
        let answer = central.operators(actor).list_audit_entries(request.clone()).await;
        answer.map(|page| page.into_inner().entries)
    };
    let whole = operations::ListAuditEntriesRequest::default();
    assert_eq!(why(list("viewer/bo", &whole).await.err()), "NOT_ALLOWED");
    central.handle.tick().await;

    let entries = list("operator/ana", &whole).await.unwrap();
    let shown = |entries: &[operations::AuditEntry]| {
        let row = |one: &operations::AuditEntry| {
            [&one.actor, &one.method, &one.subject, &one.result].map(String::clone)
        };
        entries.iter().map(row).collect::<Vec<_>>()
    };
    let monitor = "charge-point/MAD-01/monitor";
    let of_session = format!("session/{session}");
    let expected = [
        [monitor, "RegisterChargePoint", "charge-point/MAD-01", "done"],
        ["driver/101", "RequestCharge", "driver/101", "begun"],
        ["driver/101", "RequestCharge", "driver/101", "done"],
        ["operator/ana", "EndSession", &of_session, "done"],
        ["driver/101", "ListSessions", "", "NOT_ALLOWED"],
        ["driver/101", "StopCharge", "", "NOT_YOURS"],
        [monitor, "ReportHealth", "", "NOT_YOURS"],
        ["viewer/bo", "ListAuditEntries", "", "NOT_ALLOWED"],
    ];
    let denied = ["DRIVER_BUSY", "CHARGE_POINT_FAULTED", "CHARGE_POINT_DISCONNECTED"]; // it was not free yet
    let decided: Vec<_> =
        entries.iter().filter(|one| !denied.contains(&one.result.as_str())).cloned().collect();
    assert_eq!(shown(&decided), expected.map(|row| row.map(str::to_owned)));
    assert!(entries.iter().zip(1..).all(|(one, number)| one.number == number));

    let anas = operations::ListAuditEntriesRequest { actor: "operator/ana".into(), ..Default::default() };
    assert_eq!(shown(&list("admin/bo", &anas).await.unwrap()), [expected[3].map(str::to_owned)]);
    let after = entries[0].create_time.map(|at| prost_types::Timestamp { seconds: at.seconds + 3600, ..at });
    let later = operations::ListAuditEntriesRequest { from_time: after, ..Default::default() };
    assert_eq!(list("admin/bo", &later).await.unwrap(), []);
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = operations::ListAuditEntriesRequest { page_size: 3, page_token, ..Default::default() };
        let page = central.operators("admin/bo").list_audit_entries(request).await.unwrap().into_inner();
        assert!(page.entries.len() <= 3);
        paged.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, entries);
}
