//! `DriverService`.

use super::view;
use super::{
    Answers, HEARTBEAT,
    pages::{self, Page},
    requests::{Arrived, new_session_id},
};
use crate::{old_requests::OldRequests, store::Filter, writer::Handle};
use domain::network::{Asked, Command, Method, Session, Target};
use domain::{DriverId, Location, SessionId};
use evmesh_proto::driver::{self as proto, driver_service_server::DriverService};
use futures_util::{Stream, StreamExt as _, stream};
use mesh::{
    convert,
    grpc::{Failure, parse},
};
use tokio::{sync::watch, time::timeout};
use tonic::{Code, Request, Response, Status};

#[derive(Debug, Clone)]
pub(crate) struct Drivers {
    pub(crate) handle: Handle,
    pub(crate) old_requests: OldRequests,
}

fn session_unknown(driver: &DriverId, session: &SessionId) -> Failure {
    let text = format!(
        "driver {driver} has no session {session}; ListSessions shows those that it has, and one that came to nothing \
         is kept for as long as answers are, 24 hours as a rule"
    );
    Failure::new(Code::NotFound, "SESSION_UNKNOWN", text)
}

/// A session as it is now, then after each change, and where nothing changes for so long the same once more. It ends
/// with what it follows.
fn followed(mut changes: watch::Receiver<Session>) -> impl Stream<Item = Session> {
    changes.mark_changed();
    stream::unfold(changes, |mut changes| async move {
        if let Ok(changed) = timeout(HEARTBEAT, changes.changed()).await {
            changed.ok()?;
        }
        let session = changes.borrow_and_update().clone();
        Some((session, changes))
    })
}

impl Drivers {
    /// One session, if it is this driver's: another's is as unknown as one that does not exist (INV-5).
    async fn session(&self, arrived: &Arrived, driver: &str, session: &str) -> Result<Session, Failure> {
        let driver = arrived.driver(driver)?;
        let session: SessionId = parse("session_id", session)?;
        let id = session.clone();
        let found = self.handle.read(move |snapshot| snapshot.session(&id)).await?;
        found.filter(|found| found.driver == driver).ok_or_else(|| session_unknown(&driver, &session))
    }
}

#[tonic::async_trait]
impl DriverService for Drivers {
    type WatchSessionStream = Answers<proto::WatchSessionResponse>;

    async fn request_charge(
        &self,
        request: Request<proto::RequestChargeRequest>,
    ) -> Result<Response<proto::RequestChargeResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let driver = arrived.driver(&message.driver_id)?;
        let location_prefix: Location = parse("location_prefix", &message.location_prefix)?;
        let target = match message.charge_point_id.as_str() {
            "" => Target::Any { location_prefix },
            _ if !location_prefix.as_str().is_empty() => {
                return Err(
                    Failure::invalid("location_prefix", "must be empty beside a charge_point_id").into()
                );
            }
            id => Target::Named(parse("charge_point_id", id)?),
        };
        let max_price = message.max_price.as_ref();
        let max_price = max_price.map(|price| convert::price("max_price", Some(price))).transpose()?;
        let request_id = std::mem::take(&mut message.request_id);
        self.old_requests.requested(&request_id);
        let mutation = arrived.mutation(Method::RequestCharge, driver.as_str(), &request_id, &message)?;
        let ask = |token| Command::RequestCharge {
            asked: mutation.asked(token),
            session: new_session_id(),
            driver,
            target,
            max_price,
        };
        let session = self.handle.ask(ask).await?;
        Ok(Response::new(proto::RequestChargeResponse { session: Some(view::session(&session)) }))
    }

    async fn stop_charge(
        &self,
        request: Request<proto::StopChargeRequest>,
    ) -> Result<Response<proto::StopChargeResponse>, Status> {
        let (arrived, mut message) = Arrived::take(request);
        let driver = arrived.driver(&message.driver_id)?;
        let session = match message.session_id.as_str() {
            "" => None,
            id => Some(parse("session_id", id)?),
        };
        let request_id = std::mem::take(&mut message.request_id);
        let mutation = arrived.mutation(Method::StopCharge, driver.as_str(), &request_id, &message)?;
        let ask = |token| Command::StopCharge { asked: mutation.asked(token), driver, session };
        let session = self.handle.ask(ask).await?;
        Ok(Response::new(proto::StopChargeResponse { session: Some(view::session(&session)) }))
    }

    async fn block_card(
        &self,
        request: Request<proto::BlockCardRequest>,
    ) -> Result<Response<proto::BlockCardResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let driver = arrived.driver(&message.driver_id)?;
        let card = parse("card_id", &message.card_id)?;
        let context = arrived.context(driver.as_str());
        let block = |token| Command::BlockCard { asked: Asked::once(token, context), driver, card };
        self.handle.ask(block).await?;
        Ok(Response::new(proto::BlockCardResponse {}))
    }

    async fn get_session(
        &self,
        request: Request<proto::GetSessionRequest>,
    ) -> Result<Response<proto::GetSessionResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let session = self.session(&arrived, &message.driver_id, &message.session_id).await?;
        Ok(Response::new(proto::GetSessionResponse { session: Some(view::session(&session)) }))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let driver = arrived.driver(&message.driver_id)?;
        let page = Page::new(format!("sessions of {driver}"), message.page_size, &message.page_token)?;
        let (sessions, next_page_token) =
            pages::sessions(&self.handle, Filter::of_driver(driver), false, page).await?;
        let sessions = sessions.iter().map(view::session).collect();
        Ok(Response::new(proto::ListSessionsResponse { sessions, next_page_token }))
    }

    async fn watch_session(
        &self,
        request: Request<proto::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let (arrived, message) = Arrived::take(request);
        let session = self.session(&arrived, &message.driver_id, &message.session_id).await?;
        let changes = self.handle.watch(session.id.clone()).await?;
        let answers = followed(changes)
            .map(|session| Ok(proto::WatchSessionResponse { session: Some(view::session(&session)) }));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn list_charge_points(
        &self,
        request: Request<proto::ListChargePointsRequest>,
    ) -> Result<Response<proto::ListChargePointsResponse>, Status> {
        let message = request.into_inner();
        let prefix: Location = parse("location_prefix", &message.location_prefix)?;
        let available = message.available_only;
        let list = format!("charge points {available} {prefix}");
        let page = Page::new(list, message.page_size, &message.page_token)?;
        let (details, next_page_token) = pages::charge_points(&self.handle, page, available, move |detail| {
            detail.location.as_str().starts_with(prefix.as_str())
        })
        .await?;
        let charge_points = details.iter().map(view::charge_point).collect();
        Ok(Response::new(proto::ListChargePointsResponse { charge_points, next_page_token }))
    }

    async fn get_ticket(
        &self,
        request: Request<proto::GetTicketRequest>,
    ) -> Result<Response<proto::GetTicketResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let session = self.session(&arrived, &message.driver_id, &message.session_id).await?;
        let none = || {
            let text =
                format!("session {} has no ticket yet; WatchSession ends once it is settled", session.id);
            Failure::new(Code::NotFound, "TICKET_UNKNOWN", text)
        };
        let ticket = view::ticket(&session).ok_or_else(none)?;
        Ok(Response::new(proto::GetTicketResponse { ticket: Some(ticket) }))
    }

    async fn list_tickets(
        &self,
        request: Request<proto::ListTicketsRequest>,
    ) -> Result<Response<proto::ListTicketsResponse>, Status> {
        let (arrived, message) = Arrived::take(request);
        let driver = arrived.driver(&message.driver_id)?;
        let page = Page::new(format!("tickets of {driver}"), message.page_size, &message.page_token)?;
        let (sessions, next_page_token) =
            pages::sessions(&self.handle, Filter::of_driver(driver), true, page).await?;
        let tickets = sessions.iter().filter_map(view::ticket).collect();
        Ok(Response::new(proto::ListTicketsResponse { tickets, next_page_token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codec::tests::sessions;
    use proptest::{strategy::Strategy as _, strategy::ValueTree as _, test_runner::TestRunner};
    use std::{pin::pin, time::Duration};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_session_is_heard_of_within_every_minute_until_it_ends() {
        let session = sessions().new_tree(&mut TestRunner::deterministic()).unwrap().current();
        let (sender, changes) = watch::channel(session.clone());
        let mut followed = pin!(followed(changes));
        let start = Instant::now();
        assert_eq!(followed.next().await, Some(session.clone()));
        assert_eq!(start.elapsed(), Duration::ZERO, "as it is now, at once");
        for _ in 0..3 {
            let before = Instant::now();
            assert_eq!(followed.next().await, Some(session.clone()));
            assert!(before.elapsed() < Duration::from_secs(60), "{:?}", before.elapsed());
        }
        sender.send_replace(session.clone());
        drop(sender);
        assert_eq!(followed.next().await, Some(session), "the last word");
        assert_eq!(followed.next().await, None);
    }
}
