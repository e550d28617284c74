//! Orders: stop, resume, price. Each carries a request id of its own, so that the client may safely repeat the call.

use super::{Desk, Which};
use crate::{
    exit::Failure,
    output::{self, Output},
};
use domain::{ChargePointId, Price};
use evmesh_proto::operations::{ResumeChargePointsRequest, SetPriceRequest, StopChargePointsRequest};
use mesh::grpc::with_request_id;
use serde_json::json;
use tonic::Request;

/// `operator stop`.
pub(super) async fn stop(desk: &Desk, which: Which) -> Result<(), Failure> {
    let request_id = request_id();
    let request = Request::new(StopChargePointsRequest {
        charge_point_ids: ids(&which),
        all: which.all,
        request_id: request_id.clone(),
    });
    let request = with_request_id(request, &request_id);
    let answer = desk.client().stop_charge_points(request).await;
    let answer = answer.map_err(|status| desk.far.failed(&status))?.into_inner();
    reached(desk, answer.charge_point_count, "out of service")
}

/// `operator resume`.
pub(super) async fn resume(desk: &Desk, which: Which) -> Result<(), Failure> {
    let request_id = request_id();
    let request = Request::new(ResumeChargePointsRequest {
        charge_point_ids: ids(&which),
        all: which.all,
        request_id: request_id.clone(),
    });
    let request = with_request_id(request, &request_id);
    let answer = desk.client().resume_charge_points(request).await;
    let answer = answer.map_err(|status| desk.far.failed(&status))?.into_inner();
    reached(desk, answer.charge_point_count, "in service")
}

/// `operator price`.
pub(super) async fn price(desk: &Desk, charge_point: &ChargePointId, price: Price) -> Result<(), Failure> {
    let request_id = request_id();
    let request = Request::new(SetPriceRequest {
        charge_point_id: charge_point.to_string(),
        price: Some(mesh::convert::price_proto(price)),
        request_id: request_id.clone(),
    });
    let request = with_request_id(request, &request_id);
    let answer = desk.client().set_price(request).await;
    answer.map_err(|status| desk.far.failed(&status))?;
    match desk.output {
        Output::Text => output::line(&format!("{charge_point} costs {price} a kWh from the next session on")),
        Output::Json => output::json(&json!({
            "charge_point_id": charge_point.as_str(),
            "price": { "currency_code": price.currency().as_str(), "micros_per_kwh": price.micros_per_kwh() },
        })),
    }
}

fn reached(desk: &Desk, count: i32, now: &str) -> Result<(), Failure> {
    match desk.output {
        Output::Text if count == 1 => output::line(&format!("1 charge point is {now}")),
        Output::Text => output::line(&format!("{count} charge points are {now}")),
        Output::Json => output::json(&json!({ "charge_point_count": count })),
    }
}

fn ids(which: &Which) -> Vec<String> {
    which.charge_points.iter().map(ToString::to_string).collect()
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
