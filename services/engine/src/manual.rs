//! A supply asked for at the charge point itself: central decides, and calls this engine back before it answers.

use crate::Point;
use domain::{
    DriverId, RequestId, SessionId,
    supply::{Act, Happened, ManualRequest, View},
};
use mesh::grpc::{CALL_TIMEOUT, Deadline, parse};
use tonic::Status;

impl Point {
    /// Asks central for a supply here. Without a request id one is made up, so that a lost answer is asked for again.
    pub async fn start_manual(
        &self,
        driver: DriverId,
        request: Option<RequestId>,
        deadline: Option<Deadline>,
    ) -> Result<(SessionId, View), Status> {
        let id = match request {
            Some(request) => request,
            None => parse("request_id", &uuid::Uuid::new_v4().to_string())?,
        };
        let request = ManualRequest { id, driver };
        // The rules know of it before central does, and for as long as it may be answered: whoever asked may be gone
        // before that.
        let within = deadline.map_or(CALL_TIMEOUT, |deadline| deadline.remaining().min(CALL_TIMEOUT));
        let view = self.act(Act::AskManual { request: request.clone(), within }).await?;
        let answer =
            self.central.request_supply(self.charge_point(), &view.instance, &request, deadline).await;
        self.tell(Happened::ManualAnswered(request.clone())).await;
        let (session, driver) = (answer?, &request.driver);
        tracing::info!(charge_point = %self.charge_point(), %session, %driver, "manual supply authorised");
        Ok((session, self.act(Act::Look).await?))
    }
}
