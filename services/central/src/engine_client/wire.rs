//! A call to an engine as the contract has it: the request from the rules' question, and what came of it from the
//! response.

use super::answer;
use crate::{
    signing::{Authorized, Keys},
    told::Told,
};
use domain::network::{CallOutcome, EngineAnswer, EngineCall, EngineRequest};
use domain::{ChargePointId, Wall, revocations::Serial};
use evmesh_proto::engine;
use mesh::convert::{self, InvalidField};

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Authorize(engine::AuthorizeSupplyRequest),
    Revoke(engine::RevokeAuthorizationRequest),
    Stop(engine::StopSupplyRequest),
    Confirm(engine::ConfirmSettledRequest),
    GetState(engine::GetEngineStateRequest),
}

impl Request {
    /// The question, to the charge point's engine and its instance; what it authorises is signed.
    pub fn of(keys: &Keys, call: &EngineCall) -> Self {
        let EngineCall { charge_point, instance, epoch, request, provisional, .. } = call;
        let (instance_id, epoch) = (instance.to_string(), *epoch);
        let charge_point_id = charge_point.to_string();
        match request {
            EngineRequest::Authorize { number, session, driver, price, created, duration, manual } => {
                let (number, price) = (*number, *price);
                let what = Authorized { charge_point, instance, session, driver, number, price };
                Self::Authorize(engine::AuthorizeSupplyRequest {
                    instance_id,
                    authorization_number: number,
                    session_id: session.to_string(),
                    driver_id: driver.to_string(),
                    price: Some(convert::price_proto(price)),
                    duration: Some(convert::duration_proto(*duration)),
                    charge_point_id,
                    epoch,
                    signature: keys.sign(&what, *created, *created + *duration),
                    manual_request_id: manual.as_ref().map(ToString::to_string),
                })
            }
            EngineRequest::Revoke { number, session } => Self::Revoke(engine::RevokeAuthorizationRequest {
                instance_id,
                authorization_number: *number,
                session_id: session.to_string(),
                charge_point_id,
                epoch,
            }),
            EngineRequest::Stop { session } => {
                let session_id = session.to_string();
                Self::Stop(engine::StopSupplyRequest { instance_id, session_id, charge_point_id, epoch })
            }
            EngineRequest::Confirm { sessions } => {
                let session_ids = sessions.iter().map(ToString::to_string).collect();
                Self::Confirm(engine::ConfirmSettledRequest {
                    instance_id,
                    session_ids,
                    charge_point_id,
                    epoch,
                })
            }
            EngineRequest::GetState => {
                let without_sessions = *provisional; // of who is not known nothing else is wanted
                Self::GetState(engine::GetEngineStateRequest {
                    instance_id,
                    charge_point_id,
                    epoch,
                    without_sessions,
                    telemetry_key: None,
                    refused_certificates: Vec::new(),
                })
            }
        }
    }
}

impl Request {
    /// The same with the key that the engine seals its telemetry with: over TLS only. Not to who only wants to
    /// register: it would have one that no revocation takes back.
    pub(super) fn with_telemetry_key(mut self, keys: &Keys, call: &EngineCall) -> Self {
        if let Self::GetState(request) = &mut self
            && !call.provisional
        {
            let key = keys.telemetry_key(&call.charge_point, call.epoch);
            request.telemetry_key =
                key.map(|key| engine::TelemetryKey { name: key.name.to_string(), key: key.bytes().to_vec() });
        }
        self
    }
}

impl Request {
    /// The same, where of its sessions nothing is wanted.
    pub(super) fn without_sessions(mut self) -> Self {
        if let Self::GetState(request) = &mut self {
            request.without_sessions = true;
        }
        self
    }

    /// The same with what the engine is to refuse.
    pub(super) fn with_refused(mut self, told: &Told) -> Self {
        if let Self::GetState(request) = &mut self {
            let one = |(serial, ends): &(Serial, Wall)| engine::RefusedCertificate {
                serial: serial.to_string(),
                expire_time: Some(convert::timestamp(*ends)),
            };
            request.refused_certificates = told.all().map(one).collect();
        }
        self
    }
}

/// What came of the call, as the contract says it, and the state beside it: not checked yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    outcome: Option<CallOutcome>,
    state: Option<engine::EngineState>,
    /// Of which certificates it says that it was told them last, and refuses them; empty: an older one, which says so
    /// only where it is told some, or never.
    refused: Vec<u8>,
}

impl Response {
    /// Was it the engine that is meant?
    pub(super) fn is_done(&self) -> bool {
        self.outcome == Some(CallOutcome::Done)
    }

    /// Does it say that the engine refuses this, which it was told just now or before? A liar may say so, too. `None`:
    /// it says nothing of it.
    pub(super) fn has_heard(&self, told: &Told) -> Option<bool> {
        (!self.refused.is_empty()).then(|| self.refused == told.digest().as_bytes())
    }

    /// Nothing of it is believed before it is what the contract says, and no session that central does not know
    /// without its own signature for this very charge point. Whether it has heard what it was told is not looked at.
    pub fn read(self, keys: &Keys, charge_point: &ChargePointId) -> Result<EngineAnswer, InvalidField> {
        answer::read(self.outcome, self.state, keys, charge_point)
    }
}

macro_rules! responses {
    ($($response:ident),*) => {
        $(impl From<engine::$response> for Response {
            fn from(answer: engine::$response) -> Self {
                Self { outcome: answer::outcome(answer.result()), state: answer.state, refused: Vec::new() }
            }
        })*
    };
}

responses!(AuthorizeSupplyResponse, StopSupplyResponse, ConfirmSettledResponse);

impl From<engine::RevokeAuthorizationResponse> for Response {
    fn from(answer: engine::RevokeAuthorizationResponse) -> Self {
        let outcome = answer::revoke_outcome(answer.result(), answer.outcome());
        Self { outcome, state: answer.state, refused: Vec::new() }
    }
}

impl From<engine::GetEngineStateResponse> for Response {
    fn from(answer: engine::GetEngineStateResponse) -> Self {
        let outcome = answer::outcome(answer.result());
        Self { outcome, state: answer.state, refused: answer.refused_digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Now, network::CallId};
    use identity::SealingSecret;

    #[test]
    fn who_only_wants_to_register_gets_no_key_of_telemetry() {
        let keys = Keys::new(&[7; 32], Now::default(), &[]).with_sealing(SealingSecret::new([8; 32]));
        for provisional in [true, false] {
            let call = EngineCall {
                charge_point: "MAD-01".parse().unwrap(),
                address: String::new(),
                call: CallId(1),
                instance: "store-1".parse().unwrap(),
                epoch: 4,
                request: EngineRequest::GetState,
                provisional,
                trace: None,
            };
            let Request::GetState(asked) = Request::of(&keys, &call).with_telemetry_key(&keys, &call) else {
                panic!("another request")
            };
            let name = asked.telemetry_key.map(|key| key.name);
            assert_eq!(name.is_some_and(|name| name.starts_with("MAD-01/4/")), !provisional);
        }
    }

    #[test]
    fn an_engine_has_heard_once_it_says_that_it_refuses_all_that_was_named() {
        let named = [("a".into(), Wall(5)), ("b".into(), Wall(6))];
        let told = Told::new(named.into_iter(), &Default::default());
        let has_heard = |refused_digest: Vec<u8>| {
            let answer = engine::GetEngineStateResponse { refused_digest, ..Default::default() };
            Response::from(answer).has_heard(&told)
        };
        let of = |all: &[(&'static str, i64)]| {
            let all = all.iter().map(|(serial, ends)| (*serial, Wall(*ends)));
            identity::RefusedDigest::of(all).as_bytes().to_vec()
        };
        assert_eq!(has_heard(of(&[("b", 6), ("a", 5)])), Some(true));
        for wrong in [of(&[]), of(&[("a", 5)]), of(&[("a", 5), ("b", 7)])] {
            assert_eq!(has_heard(wrong), Some(false));
        }
        assert_eq!(has_heard(Vec::new()), None, "an older one");
    }
}
