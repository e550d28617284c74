//! Central's calls as the contract has them: the rules' input from a request, checked, and the response from their
//! answer.

use crate::{
    convert::{obstacle, outcome_proto, result_proto, state_proto},
    owner::Reply,
    point::unexpected,
};
use domain::{
    SupplyState,
    supply::{Answer, Authorization, CallResult, Input, MAX_UNSETTLED},
};
use evmesh_proto::engine as proto;
use mesh::{
    convert::{self, duration, price},
    grpc::{Failure, RETRY_AFTER, parse},
};
use std::time::Duration;

/// The bounds of an authorisation's duration, as the contract has them.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A request of one of central's calls.
pub trait Call {
    type Response;

    fn input(self) -> Result<Input, Failure>;
    fn response(reply: Reply) -> Result<Self::Response, Failure>;
}

impl Call for proto::AuthorizeSupplyRequest {
    type Response = proto::AuthorizeSupplyResponse;

    fn input(self) -> Result<Input, Failure> {
        let instance = parse("instance_id", &self.instance_id)?;
        let order = Authorization {
            number: number(self.authorization_number)?,
            session: parse("session_id", &self.session_id)?,
            driver: parse("driver_id", &self.driver_id)?,
            price: price("price", self.price.as_ref())?,
            duration: duration("duration", self.duration.as_ref())?,
            trace: None, // it is no part of the message
        };
        if !(SHORTEST..=LONGEST).contains(&order.duration) {
            return Err(Failure::invalid("duration", "must be from 1 s to 24 h"));
        }
        Ok(Input::Authorize(instance, order))
    }

    fn response(reply: Reply) -> Result<Self::Response, Failure> {
        let (result, state) = answered(reply)?;
        Ok(Self::Response { result: result.into(), state: Some(state) })
    }
}

impl Call for proto::RevokeAuthorizationRequest {
    type Response = proto::RevokeAuthorizationResponse;

    fn input(self) -> Result<Input, Failure> {
        Ok(Input::Revoke {
            instance: parse("instance_id", &self.instance_id)?,
            number: number(self.authorization_number)?,
            session: parse("session_id", &self.session_id)?,
        })
    }

    fn response(reply: Reply) -> Result<Self::Response, Failure> {
        let (result, outcome) = match reply.answer {
            Some(Answer::Revoke(Ok(outcome))) => (CallResult::Done, outcome_proto(outcome)),
            Some(Answer::Revoke(Err(_))) => (CallResult::WrongInstance, proto::RevokeOutcome::Unspecified),
            other => return Err(unexpected(other.as_ref())),
        };
        Ok(Self::Response {
            result: result_proto(result).into(),
            outcome: outcome.into(),
            state: Some(state_proto(&reply.view)),
        })
    }
}

impl Call for proto::StopSupplyRequest {
    type Response = proto::StopSupplyResponse;

    fn input(self) -> Result<Input, Failure> {
        Ok(Input::Stop(parse("instance_id", &self.instance_id)?, parse("session_id", &self.session_id)?))
    }

    fn response(reply: Reply) -> Result<Self::Response, Failure> {
        let (result, state) = answered(reply)?;
        Ok(Self::Response { result: result.into(), state: Some(state) })
    }
}

impl Call for proto::GetEngineStateRequest {
    type Response = proto::GetEngineStateResponse;

    fn input(self) -> Result<Input, Failure> {
        Ok(Input::Query(parse("instance_id", &self.instance_id)?))
    }

    fn response(reply: Reply) -> Result<Self::Response, Failure> {
        let (result, state) = answered(reply)?;
        Ok(Self::Response { result: result.into(), state: Some(state) })
    }
}

impl Call for proto::ConfirmSettledRequest {
    type Response = proto::ConfirmSettledResponse;

    fn input(self) -> Result<Input, Failure> {
        let instance = parse("instance_id", &self.instance_id)?;
        if self.session_ids.len() > MAX_UNSETTLED {
            let problem = format!("must be at most {MAX_UNSETTLED}");
            return Err(Failure::invalid("session_ids", problem));
        }
        let sessions = self
            .session_ids
            .iter()
            .enumerate()
            .map(|(place, session)| parse(&format!("session_ids[{place}]"), session))
            .collect::<Result<_, _>>()?;
        Ok(Input::ConfirmSettled(instance, sessions))
    }

    fn response(reply: Reply) -> Result<Self::Response, Failure> {
        let (result, state) = answered(reply)?;
        Ok(Self::Response { result: result.into(), state: Some(state) })
    }
}

/// A ping on the stream with this number.
pub fn ping(link: u64, ping: &proto::AttendRequest) -> Result<Input, Failure> {
    let epoch = convert::number("epoch", ping.epoch)?;
    Ok(Input::Attend { link, epoch, central_reachable: ping.central_reachable })
}

pub fn pong(reply: Reply) -> Result<proto::AttendResponse, Failure> {
    match reply.answer {
        Some(Answer::Attend(Ok(()))) => Ok(proto::AttendResponse {
            instance_id: reply.view.instance.to_string(),
            fault: obstacle(&reply.view),
            supplying: reply
                .view
                .current
                .as_ref()
                .is_some_and(|record| record.state == SupplyState::Supplying),
        }),
        Some(Answer::Attend(Err(stale))) => {
            Err(Failure::aborted("EPOCH_STALE", stale.to_string(), RETRY_AFTER).with("epoch", stale.newest))
        }
        other => Err(unexpected(other.as_ref())),
    }
}

fn answered(reply: Reply) -> Result<(proto::CallResult, proto::EngineState), Failure> {
    match reply {
        Reply { answer: Some(Answer::Call(result)), view } => Ok((result_proto(result), state_proto(&view))),
        Reply { answer, .. } => Err(unexpected(answer.as_ref())),
    }
}

fn number(number: u64) -> Result<u64, Failure> {
    match convert::number("authorization_number", number)? {
        0 => Err(Failure::invalid("authorization_number", "must be at least 1")),
        number => Ok(number),
    }
}
