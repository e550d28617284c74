//! Central's calls as the contract has them: the rules' input from a request, checked, and the response from their
//! answer.

use crate::{
    convert::{obstacle, outcome_proto, result_proto, state_proto},
    owner::Reply,
};
use domain::{
    Signature, SupplyState, Trace,
    refusals::{List, MAX_REFUSALS},
    revocations::Serial,
    supply::{
        Addressee, Authorization, Call, CallResult, Input, MAX_UNSETTLED, Ping, Revoke, RevokeOutcome,
        StaleEpoch, WrongInstance,
    },
};
use evmesh_proto::engine as proto;
use mesh::{
    convert::{self, duration, price, wall},
    grpc::{Failure, RETRY_AFTER, parse},
};
use std::time::Duration;

/// The bounds of an authorisation's duration, as the contract has them.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The longest number that a certificate can have, and room.
const MAX_SERIAL: usize = 64;

/// A request of one of central's calls.
pub trait Request {
    type Input: Input;
    type Response;

    /// `trace` is where the call stands in one.
    fn input(self, trace: Option<Trace>) -> Result<Self::Input, Failure>;
    fn response(reply: Reply<<Self::Input as Input>::Answer>) -> Self::Response;
}

impl Request for proto::AuthorizeSupplyRequest {
    type Input = (Addressee, Call);
    type Response = proto::AuthorizeSupplyResponse;

    fn input(self, trace: Option<Trace>) -> Result<Self::Input, Failure> {
        let addressee = addressee(&self.instance_id, &self.charge_point_id, self.epoch)?;
        let order = Authorization {
            number: number(self.authorization_number)?,
            session: parse("session_id", &self.session_id)?,
            driver: parse("driver_id", &self.driver_id)?,
            price: price("price", self.price.as_ref())?,
            duration: duration("duration", self.duration.as_ref())?,
            trace,
            signature: signature(&self.signature)?,
            manual: self
                .manual_request_id
                .as_deref()
                .map(|request| parse("manual_request_id", request))
                .transpose()?,
        };
        if !(SHORTEST..=LONGEST).contains(&order.duration) {
            return Err(Failure::invalid("duration", "must be from 1 s to 24 h"));
        }
        Ok((addressee, Call::Authorize(order)))
    }

    fn response(reply: Reply<CallResult>) -> Self::Response {
        let (result, state) = answered(&reply);
        Self::Response { result, state }
    }
}

impl Request for proto::RevokeAuthorizationRequest {
    type Input = (Addressee, Revoke);
    type Response = proto::RevokeAuthorizationResponse;

    fn input(self, _: Option<Trace>) -> Result<Self::Input, Failure> {
        let addressee = addressee(&self.instance_id, &self.charge_point_id, self.epoch)?;
        let number = number(self.authorization_number)?;
        Ok((addressee, Revoke { number, session: parse("session_id", &self.session_id)? }))
    }

    fn response(reply: Reply<Result<RevokeOutcome, WrongInstance>>) -> Self::Response {
        let (result, outcome) = match reply.answer {
            Ok(outcome) => (CallResult::Done, outcome_proto(outcome)),
            Err(WrongInstance) => (CallResult::WrongInstance, proto::RevokeOutcome::Unspecified),
        };
        let (result, state) = answered(&Reply { answer: result, view: reply.view });
        Self::Response { result, outcome: outcome.into(), state }
    }
}

impl Request for proto::StopSupplyRequest {
    type Input = (Addressee, Call);
    type Response = proto::StopSupplyResponse;

    fn input(self, _: Option<Trace>) -> Result<Self::Input, Failure> {
        let addressee = addressee(&self.instance_id, &self.charge_point_id, self.epoch)?;
        Ok((addressee, Call::Stop(parse("session_id", &self.session_id)?)))
    }

    fn response(reply: Reply<CallResult>) -> Self::Response {
        let (result, state) = answered(&reply);
        Self::Response { result, state }
    }
}

impl Request for proto::GetEngineStateRequest {
    type Input = (Addressee, Call);
    type Response = proto::GetEngineStateResponse;

    fn input(self, _: Option<Trace>) -> Result<Self::Input, Failure> {
        Ok((addressee(&self.instance_id, &self.charge_point_id, self.epoch)?, Call::Query))
    }

    fn response(reply: Reply<CallResult>) -> Self::Response {
        let (result, state) = answered(&reply);
        Self::Response { result, state, refused_digest: Vec::new() }
    }
}

impl Request for proto::ConfirmSettledRequest {
    type Input = (Addressee, Call);
    type Response = proto::ConfirmSettledResponse;

    fn input(self, _: Option<Trace>) -> Result<Self::Input, Failure> {
        let addressee = addressee(&self.instance_id, &self.charge_point_id, self.epoch)?;
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
        Ok((addressee, Call::ConfirmSettled(sessions)))
    }

    fn response(reply: Reply<CallResult>) -> Self::Response {
        let (result, state) = answered(&reply);
        Self::Response { result, state }
    }
}

/// Which certificates are to be refused, and their ends.
pub(crate) fn refused(all: &[proto::RefusedCertificate]) -> Result<List, Failure> {
    const FIELD: &str = "refused_certificates";
    if all.len() > MAX_REFUSALS {
        return Err(Failure::invalid(FIELD, format!("must be at most {MAX_REFUSALS}")));
    }
    let one = |one: &proto::RefusedCertificate| {
        if one.serial.is_empty() || one.serial.len() > MAX_SERIAL {
            return Err(Failure::invalid(FIELD, format!("a serial has from 1 to {MAX_SERIAL} bytes")));
        }
        let ends = wall("expire_time", one.expire_time.as_ref())?;
        let ends = ends.ok_or_else(|| Failure::invalid(FIELD, "each needs its expire_time"))?;
        Ok((Serial::from(one.serial.as_str()), ends))
    };
    all.iter().map(one).collect()
}

/// A ping on the stream with this number.
pub fn ping(link: u64, ping: &proto::AttendRequest) -> Result<Ping, Failure> {
    let epoch = convert::number("epoch", ping.epoch)?;
    Ok(Ping { link, epoch, central_reachable: ping.central_reachable })
}

pub fn pong(reply: Reply<Result<(), StaleEpoch>>) -> Result<proto::AttendResponse, Failure> {
    let Reply { answer, view } = reply;
    answer.map_err(|stale| {
        Failure::aborted("EPOCH_STALE", stale.to_string(), RETRY_AFTER).with("epoch", stale.newest)
    })?;
    Ok(proto::AttendResponse {
        instance_id: view.instance.to_string(),
        fault: obstacle(&view),
        supplying: view.current.as_ref().is_some_and(|record| record.state == SupplyState::Supplying),
        charge_point_id: view.charge_point.to_string(),
    })
}

fn answered(reply: &Reply<CallResult>) -> (i32, Option<proto::EngineState>) {
    (result_proto(reply.answer).into(), Some(state_proto(&reply.view)))
}

fn addressee(instance: &str, charge_point: &str, epoch: u64) -> Result<Addressee, Failure> {
    Ok(Addressee {
        instance: parse("instance_id", instance)?,
        charge_point: (!charge_point.is_empty())
            .then(|| parse("charge_point_id", charge_point))
            .transpose()?,
        epoch: convert::number("epoch", epoch)?,
    })
}

fn signature(bytes: &[u8]) -> Result<Signature, Failure> {
    Signature::try_from(bytes).map_err(|problem| Failure::invalid("signature", problem.to_string()))
}

fn number(number: u64) -> Result<u64, Failure> {
    match convert::number("authorization_number", number)? {
        0 => Err(Failure::invalid("authorization_number", "must be at least 1")),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Wall;

    #[test]
    fn what_is_to_be_refused_is_looked_at() {
        let expire_time = Some(convert::timestamp(Wall(5)));
        let one = proto::RefusedCertificate { serial: "a".into(), expire_time };
        assert_eq!(refused(std::slice::from_ref(&one)).unwrap(), [("a".into(), Wall(5))]);
        let endless = proto::RefusedCertificate { expire_time: None, ..one.clone() };
        let [none, long] =
            [0, 65].map(|n| proto::RefusedCertificate { serial: "a".repeat(n), ..one.clone() });
        for wrong in [vec![endless], vec![none], vec![long], vec![one; MAX_REFUSALS + 1]] {
            assert_eq!(refused(&wrong).unwrap_err().reason, "INVALID_FIELD");
        }
    }
}
