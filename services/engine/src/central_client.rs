//! Central, as an engine calls it: for a supply asked for at the charge point itself.

use domain::{ChargePointId, InstanceId, SessionId, cards::CardNumber, supply::ManualRequest};
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
        (charge_point, instance): (&ChargePointId, &InstanceId),
        request: &ManualRequest,
        card: Option<CardNumber>,
        deadline: Option<Deadline>,
    ) -> Result<SessionId, Status> {
        let message = RequestManualSupplyRequest {
            charge_point_id: charge_point.to_string(),
            instance_id: instance.to_string(),
            driver_id: request.driver.as_ref().map(ToString::to_string).unwrap_or_default(),
            request_id: request.id.to_string(),
            card: card.map(|number| number.reveal()).unwrap_or_default(),
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
