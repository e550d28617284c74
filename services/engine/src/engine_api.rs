//! `EngineService`: central's calls and the monitor's stream. What comes in is checked by [`wire`], and decided by the
//! rules.

use crate::{Point, attend, wire};
use evmesh_proto::engine::{self as proto, engine_service_server::EngineService};
use identity::RefusedDigest;
use mesh::{grpc::Actor, trace};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(crate) struct EngineApi {
    point: Point,
    /// Streams are numbered, so that an older one is told from a newer one.
    links: AtomicU64,
    /// Of which certificates central told it last, and it refuses them. Not over a restart: its store may be another
    /// copy then, and central tells them anew.
    told: Mutex<RefusedDigest>,
}

impl EngineApi {
    pub(crate) fn new(point: Point) -> Self {
        Self { point, links: AtomicU64::new(1), told: Mutex::default() }
    }

    async fn call<R: wire::Request>(&self, request: Request<R>) -> Result<Response<R::Response>, Status> {
        let trace = trace::parent(request.metadata().as_ref());
        let input = request.into_inner().input(trace)?;
        Ok(Response::new(R::response(self.point.ask(input).await?)))
    }
}

/// In words, for the log.
fn outcome(result: proto::CallResult) -> &'static str {
    match result {
        proto::CallResult::Unspecified => "not answered", // never sent
        proto::CallResult::Done => "authorised",
        proto::CallResult::WrongInstance => "refused, it was meant for another engine",
        proto::CallResult::NumberStale => "refused, its number is out of order",
        proto::CallResult::Busy => "refused, another supply is under way",
        proto::CallResult::Faulted => "refused, the charge point is broken",
        proto::CallResult::Unattended => "refused, no monitor is there",
        proto::CallResult::NotAskedFor => "refused, nobody is asking for it here",
    }
}

#[tonic::async_trait]
impl EngineService for EngineApi {
    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let asked = request.get_ref();
        let (session, driver) = (asked.session_id.clone(), asked.driver_id.clone());
        let number = asked.authorization_number;
        let response = self.call(request).await?;
        tracing::info!(
            charge_point = %self.point.charge_point(), session, driver, number,
            "asked to authorise a supply: {}", outcome(response.get_ref().result())
        );
        Ok(response)
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        self.call(request).await
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        self.call(request).await
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        let without_sessions = request.get_ref().without_sessions;
        let key = request.get_ref().telemetry_key.clone();
        let refused = wire::refused(&request.get_ref().refused_certificates)?;
        let mut response = self.call(request).await?;
        // Not from a call that was meant for another engine.
        if response.get_ref().result() == proto::CallResult::Done {
            if let Some(key) = key {
                self.point.seal.take(self.point.charge_point(), &key)?;
            }
            let mut told = self.told.lock().await;
            if !refused.is_empty() {
                let held = self.point.refuse(refused).await?;
                *told = RefusedDigest::of(held.iter().map(|(serial, ends)| (serial.as_ref(), *ends)));
            }
            response.get_mut().refused_digest = told.as_bytes().to_vec();
        }
        if let Some(state) = &mut response.get_mut().state {
            state.seals_telemetry = Some(self.point.seal.seals());
            if without_sessions {
                (state.current, state.unsettled) = (None, Vec::new());
            }
        }
        Ok(response)
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        self.call(request).await
    }

    type AttendStream = ReceiverStream<Result<proto::AttendResponse, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        // Of each ping: one that names another charge point attends nothing.
        self.point.is_named_by(&Actor::of(&request))?;
        let link = self.links.fetch_add(1, Ordering::Relaxed);
        let (answers, stream) = mpsc::channel(attend::ANSWERS);
        tokio::spawn(attend::attend(self.point.clone(), link, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_an_authorisation_is_said_in_words() {
        for number in 0.. {
            let Ok(result) = proto::CallResult::try_from(number) else {
                break;
            };
            assert!(!outcome(result).contains('_'), "{}", outcome(result));
        }
        assert_eq!(outcome(proto::CallResult::Done), "authorised");
    }
}
