//! `EngineService`: central's calls and the monitor's stream. What comes in is checked by [`wire`](crate::wire), and
//! decided by the rules.

use crate::{Point, attend, wire::Call};
use domain::supply::Input;
use evmesh_proto::engine::{self as proto, engine_service_server::EngineService};
use mesh::{grpc::Failure, trace::TRACEPARENT};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(crate) struct EngineApi {
    point: Point,
    /// Streams are numbered, so that an older one is told from a newer one.
    links: AtomicU64,
}

impl EngineApi {
    pub(crate) fn new(point: Point) -> Self {
        Self { point, links: AtomicU64::new(1) }
    }

    async fn call<C: Call>(&self, request: C) -> Result<C::Response, Failure> {
        C::response(self.point.ask(request.input()?).await?)
    }
}

#[tonic::async_trait]
impl EngineService for EngineApi {
    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let trace = request.metadata().get(TRACEPARENT).and_then(|text| text.to_str().ok()?.parse().ok());
        let request = request.into_inner();
        let (session, driver) = (request.session_id.clone(), request.driver_id.clone());
        let number = request.authorization_number;
        let mut input = request.input()?;
        if let Input::Authorize(_, order) = &mut input {
            order.trace = trace;
        }
        let response = proto::AuthorizeSupplyRequest::response(self.point.ask(input).await?)?;
        tracing::info!(
            charge_point = %self.point.charge_point(), session, driver, number,
            result = response.result().as_str_name(), "authorisation answered"
        );
        Ok(Response::new(response))
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        Ok(Response::new(self.call(request.into_inner()).await?))
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        Ok(Response::new(self.call(request.into_inner()).await?))
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        Ok(Response::new(self.call(request.into_inner()).await?))
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        Ok(Response::new(self.call(request.into_inner()).await?))
    }

    type AttendStream = ReceiverStream<Result<proto::AttendResponse, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<proto::AttendRequest>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let link = self.links.fetch_add(1, Ordering::Relaxed);
        let (answers, stream) = mpsc::channel(attend::ANSWERS);
        tokio::spawn(attend::attend(self.point.clone(), link, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
