//! A supply asked for at the charge point itself: central decides, and calls this engine back before it answers.

use crate::Point;
use domain::{
    DriverId, RequestId, SessionId,
    cards::CardNumber,
    supply::{Act, Happened, ManualRequest, View},
};
use mesh::grpc::{CALL_TIMEOUT, Deadline, parse};
use tonic::Status;

/// What somebody shows who wants a supply here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: it is a guest's.
    Guest,
    Driver(DriverId),
    /// It is passed on to central, which knows whose it is, and nothing is kept of it.
    Card(CardNumber),
}

impl Point {
    /// Asks central for a supply here. Without a request id one is made up, so that a lost answer is asked for again.
    pub async fn start_manual(
        &self,
        shown: Shown,
        request: Option<RequestId>,
        deadline: Option<Deadline>,
    ) -> Result<(SessionId, View), Status> {
        let id = match request {
            Some(request) => request,
            None => parse("request_id", &uuid::Uuid::new_v4().to_string())?,
        };
        let (driver, card) = match shown {
            Shown::Guest => (Some(DriverId::guest()), None),
            Shown::Driver(driver) => (Some(driver), None),
            Shown::Card(number) => (None, Some(number)),
        };
        let request = ManualRequest { id, driver };
        // The rules know of it before central does, and for as long as it may be answered: whoever asked may be gone
        // before that.
        let within = deadline.map_or(CALL_TIMEOUT, |deadline| deadline.remaining().min(CALL_TIMEOUT));
        let view = self.act(Act::AskManual { request: request.clone(), within }).await?;
        let at = (self.charge_point(), &view.instance);
        let answer = self.central.request_supply(at, &request, card, deadline).await;
        self.tell(Happened::ManualAnswered(request.clone())).await;
        let session = answer?;
        let whose = request.driver.as_ref().map_or("a card's", DriverId::as_str);
        tracing::info!(charge_point = %self.charge_point(), %session, whose, "manual supply authorised");
        Ok((session, self.act(Act::Look).await?))
    }
}
