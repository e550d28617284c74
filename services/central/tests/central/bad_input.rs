//! What is wrong with a request is said in one form: the code, the reason, the field.

use crate::{
    engine::Engine,
    running_central::{Central, no_kafka, registration},
};
use evmesh_proto::{chargepoint, driver, operations};
use mesh::grpc::reason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn field<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::InvalidArgument, Some("INVALID_FIELD")),
        "{status:?}"
    );
    status.get_details_bad_request().expect("BadRequest").field_violations[0].field.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_are_named() {
    let central = Central::start(no_kafka()).await;
    let engine = Engine::start("store").await;
    assert_eq!(field(central.request("", "MAD-01").await), "driver_id");
    assert_eq!(field(central.request("INVITADO", "MAD-01").await), "driver_id");
    assert_eq!(field(central.request("101", "M D").await), "charge_point_id");
    assert_eq!(field(central.request_again("101", "MAD-01", &"x".repeat(65)).await), "request_id");
    assert_eq!(field(central.session("101", "").await), "session_id");
    let mut drivers = central.drivers.clone();
    let both = driver::RequestChargeRequest {
        driver_id: "101".into(),
        charge_point_id: "MAD-01".into(),
        location_prefix: "Madrid".into(),
        ..Default::default()
    };
    assert_eq!(field(drivers.request_charge(both).await), "location_prefix");
    let page = |page_size, page_token: &str| driver::ListSessionsRequest {
        driver_id: "101".into(),
        page_size,
        page_token: page_token.into(),
    };
    assert_eq!(field(drivers.list_sessions(page(-1, "")).await), "page_size");
    assert_eq!(field(drivers.list_sessions(page(0, "made up")).await), "page_token");

    let mut points = central.points.clone();
    type Change = fn(&mut chargepoint::RegisterChargePointRequest);
    let changes: [(&str, Change); 6] = [
        ("charge_point_id", |request| request.charge_point_id = "ñ".into()),
        ("location", |request| request.location = "x".repeat(129)),
        ("price", |request| request.price = None),
        ("price.micros_per_kwh", |request| request.price.as_mut().unwrap().micros_per_kwh = -1),
        ("engine_address", |request| request.engine_address = "nowhere".into()),
        ("instance_id", |request| request.instance_id.clear()),
    ];
    for (wrong, change) in changes {
        let mut request = registration("MAD-01", &engine);
        change(&mut request);
        assert_eq!(field(points.register_charge_point(request).await), wrong);
    }

    let mut operators = central.operators.clone();
    let none = operations::StopChargePointsRequest::default();
    assert_eq!(field(operators.stop_charge_points(none).await), "charge_point_ids");
    let many = operations::StopChargePointsRequest {
        charge_point_ids: vec!["A".into(); 1001],
        ..Default::default()
    };
    assert_eq!(field(operators.stop_charge_points(many).await), "charge_point_ids");
    let no_time = prost_types::Timestamp { seconds: 0, nanos: -1 };
    let before = operations::ListTicketsRequest { before_time: Some(no_time), ..Default::default() };
    assert_eq!(field(operators.list_tickets(before).await), "before_time");
    let price = operations::SetPriceRequest { charge_point_id: "MAD-01".into(), ..Default::default() };
    assert_eq!(field(operators.set_price(price).await), "price");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_makes_no_sense_ends_its_stream_only() {
    let central = Central::start(no_kafka()).await;
    let (_engine, _monitor) = central.charge_point("MAD-01").await;
    let report = |charge_point: &str, epoch, health| chargepoint::ReportHealthRequest {
        charge_point_id: charge_point.into(),
        epoch,
        health,
        reason: String::new(),
    };
    for (wrong, code, reason_expected) in [
        (report("MAD-99", 1, 1), Code::NotFound, "CHARGE_POINT_UNKNOWN"),
        (report("MAD-01", 1, 1), Code::Aborted, "EPOCH_STALE"),
        (report("MAD-01", 1, 0), Code::InvalidArgument, "INVALID_FIELD"),
        (report("MAD-01", 1, 99), Code::InvalidArgument, "INVALID_FIELD"),
        (report("", 1, 1), Code::InvalidArgument, "INVALID_FIELD"),
    ] {
        let mut answers =
            central.points.clone().report_health(tokio_stream::iter([wrong])).await.unwrap().into_inner();
        let status = answers.message().await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_deref()), (code, Some(reason_expected)));
    }
    central.request("101", "MAD-01").await.expect("the charge point's own stream is untouched");
    central.stop().await;
}
