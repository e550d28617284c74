//! `EngineService`: central's calls and the monitor's stream. What comes in is checked here, and decided by the rules.

use crate::{
    Point, attend,
    convert::{outcome_proto, result_proto, state_proto},
    owner::Reply,
    point::unexpected,
};
use domain::supply::{Answer, Authorization, CallResult, Input, MAX_UNSETTLED};
use evmesh_proto::engine::{self as proto, engine_service_server::EngineService};
use mesh::{
    convert::{self, duration, price},
    grpc::{Failure, parse},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// The bounds of an authorisation's duration, as the contract has them.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

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

    async fn call(&self, input: Input) -> Result<(proto::CallResult, proto::EngineState), Failure> {
        match self.point.ask(input).await? {
            Reply { answer: Some(Answer::Call(result)), view } => {
                Ok((result_proto(result), state_proto(&view)))
            }
            Reply { answer, .. } => Err(unexpected(answer.as_ref())),
        }
    }
}

#[tonic::async_trait]
impl EngineService for EngineApi {
    async fn authorize_supply(
        &self,
        request: Request<proto::AuthorizeSupplyRequest>,
    ) -> Result<Response<proto::AuthorizeSupplyResponse>, Status> {
        let request = request.into_inner();
        let instance = parse("instance_id", &request.instance_id)?;
        let order = Authorization {
            number: number(request.authorization_number)?,
            session: parse("session_id", &request.session_id)?,
            driver: parse("driver_id", &request.driver_id)?,
            price: price("price", request.price.as_ref())?,
            duration: duration("duration", request.duration.as_ref())?,
        };
        if !(SHORTEST..=LONGEST).contains(&order.duration) {
            return Err(Failure::invalid("duration", "must be from 1 s to 24 h").into());
        }
        let (session, driver, number) = (order.session.clone(), order.driver.clone(), order.number);
        let (result, state) = self.call(Input::Authorize(instance, order)).await?;
        tracing::info!(
            charge_point = %self.point.charge_point(), %session, %driver, number, result = result.as_str_name(),
            "authorisation answered"
        );
        Ok(Response::new(proto::AuthorizeSupplyResponse { result: result.into(), state: Some(state) }))
    }

    async fn revoke_authorization(
        &self,
        request: Request<proto::RevokeAuthorizationRequest>,
    ) -> Result<Response<proto::RevokeAuthorizationResponse>, Status> {
        let request = request.into_inner();
        let input = Input::Revoke {
            instance: parse("instance_id", &request.instance_id)?,
            number: number(request.authorization_number)?,
            session: parse("session_id", &request.session_id)?,
        };
        let reply = self.point.ask(input).await?;
        let (result, outcome) = match reply.answer {
            Some(Answer::Revoke(Ok(outcome))) => (CallResult::Done, outcome_proto(outcome)),
            Some(Answer::Revoke(Err(_))) => (CallResult::WrongInstance, proto::RevokeOutcome::Unspecified),
            other => return Err(unexpected(other.as_ref()).into()),
        };
        Ok(Response::new(proto::RevokeAuthorizationResponse {
            result: result_proto(result).into(),
            outcome: outcome.into(),
            state: Some(state_proto(&reply.view)),
        }))
    }

    async fn stop_supply(
        &self,
        request: Request<proto::StopSupplyRequest>,
    ) -> Result<Response<proto::StopSupplyResponse>, Status> {
        let request = request.into_inner();
        let input = Input::Stop(
            parse("instance_id", &request.instance_id)?,
            parse("session_id", &request.session_id)?,
        );
        let (result, state) = self.call(input).await?;
        Ok(Response::new(proto::StopSupplyResponse { result: result.into(), state: Some(state) }))
    }

    async fn get_engine_state(
        &self,
        request: Request<proto::GetEngineStateRequest>,
    ) -> Result<Response<proto::GetEngineStateResponse>, Status> {
        let instance = parse("instance_id", &request.into_inner().instance_id)?;
        let (result, state) = self.call(Input::Query(instance)).await?;
        Ok(Response::new(proto::GetEngineStateResponse { result: result.into(), state: Some(state) }))
    }

    async fn confirm_settled(
        &self,
        request: Request<proto::ConfirmSettledRequest>,
    ) -> Result<Response<proto::ConfirmSettledResponse>, Status> {
        let request = request.into_inner();
        let instance = parse("instance_id", &request.instance_id)?;
        if request.session_ids.len() > MAX_UNSETTLED {
            let problem = format!("must be at most {MAX_UNSETTLED}");
            return Err(Failure::invalid("session_ids", problem).into());
        }
        let sessions = request
            .session_ids
            .iter()
            .enumerate()
            .map(|(place, session)| parse(&format!("session_ids[{place}]"), session))
            .collect::<Result<_, _>>()?;
        let (result, state) = self.call(Input::ConfirmSettled(instance, sessions)).await?;
        Ok(Response::new(proto::ConfirmSettledResponse { result: result.into(), state: Some(state) }))
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

fn number(number: u64) -> Result<u64, Failure> {
    match convert::number("authorization_number", number)? {
        0 => Err(Failure::invalid("authorization_number", "must be at least 1")),
        number => Ok(number),
    }
}
