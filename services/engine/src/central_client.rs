//! Central, as an engine calls it: for a supply asked for at the charge point itself.

use domain::{ChargePointId, InstanceId, SessionId, supply::ManualRequest};
use evmesh_proto::chargepoint::{
    RequestManualSupplyRequest, charge_point_service_client::ChargePointServiceClient,
};
use mesh::grpc::{CallError, Deadline, Failure, Peer, RETRY_AFTER, parse, with_request_id};
use tonic::{Code, Request, Status};

#[derive(Debug, Clone)]
pub(crate) struct Central(pub(crate) Peer);

impl Central {
    pub(crate) async fn request_supply(
        &self,
        charge_point: &ChargePointId,
        instance: &InstanceId,
        request: &ManualRequest,
        deadline: Option<Deadline>,
    ) -> Result<SessionId, Status> {
        let message = RequestManualSupplyRequest {
            charge_point_id: charge_point.to_string(),
            instance_id: instance.to_string(),
            driver_id: request.driver.to_string(),
            request_id: request.id.to_string(),
        };
        let call = with_request_id(Request::new(message), request.id.as_str());
        let answer = ChargePointServiceClient::new(self.0.with_deadline(deadline))
            .request_manual_supply(call)
            .await
            .map_err(|status| self.denied(status))?;
        let session = answer.into_inner().session.unwrap_or_default();
        Ok(parse("session_id", &session.session_id)
            .map_err(|_| Failure::internal("central named no session"))?)
    }

    /// Central's own denials are passed on as they are.
    fn denied(&self, status: Status) -> Status {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                let central = format!("central at {}", self.0.address());
                let why = CallError::from(&status).explain(&central);
                Failure::unavailable("CENTRAL_UNREACHABLE", why, RETRY_AFTER).into()
            }
            _ => Status::with_details(status.code(), status.message(), status.details().to_vec().into()),
        }
    }
}
