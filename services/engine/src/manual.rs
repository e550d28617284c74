//! A supply asked for at the charge point itself: central decides, and calls this engine back before it answers.

use crate::Point;
use domain::{
    DriverId, RequestId, SessionId,
    supply::{Act, View},
};
use mesh::grpc::{Deadline, parse};
use tonic::Status;

impl Point {
    /// Asks central for a supply here. Without a request id one is made up, so that a lost answer is asked for again.
    pub async fn start_manual(
        &self,
        driver: DriverId,
        request: Option<RequestId>,
        deadline: Option<Deadline>,
    ) -> Result<(SessionId, View), Status> {
        let view = self.act(Act::CheckManual).await?;
        let request = match request {
            Some(request) => request,
            None => parse("request_id", &uuid::Uuid::new_v4().to_string())?,
        };
        let session = self
            .central
            .request_supply(self.charge_point(), &view.instance, &driver, &request, deadline)
            .await?;
        tracing::info!(charge_point = %self.charge_point(), %session, %driver, "manual supply authorised");
        Ok((session, self.act(Act::Look).await?))
    }
}
