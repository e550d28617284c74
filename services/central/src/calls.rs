//! Calls to engines: each is a task of its own, so that ten thousand silent engines hold up nobody else.
//!
//! The rules ask for one call at a time per engine, so there are at most as many tasks as charge points: that is their bound,
//! and a smaller one would let silent engines take the places of others. Every call comes back to the rules, answered or
//! not: what an engine answers is checked here, and a malformed answer is none.

mod answer;

use crate::writer::Handle;
use domain::network::{CallFailed, CallId, CallOutcome, Command, EngineAnswer, EngineRequest};
use domain::{ChargePointId, InstanceId};
use evmesh_proto::engine::{self, engine_service_client::EngineServiceClient};
use futures_util::FutureExt as _;
use mesh::{
    convert,
    grpc::{Address, Peer, PeerOptions, explain},
};
use std::{collections::HashMap, panic::AssertUnwindSafe, time::Duration};
use tokio::runtime;

/// The largest answer that is read: 1,000 unsettled sessions are a quarter of it.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) charge_point: ChargePointId,
    pub(crate) address: String,
    pub(crate) call: CallId,
    pub(crate) instance: InstanceId,
    pub(crate) request: EngineRequest,
}

/// Makes the calls.
#[derive(Debug)]
pub(crate) struct Calls {
    /// One a charge point, so as many as may register.
    peers: HashMap<ChargePointId, (String, Peer)>,
    handle: Handle,
    timeout: Duration,
    runtime: runtime::Handle,
}

impl Calls {
    pub(crate) fn new(handle: Handle, timeout: Duration, runtime: runtime::Handle) -> Self {
        Self { peers: HashMap::new(), handle, timeout, runtime }
    }

    /// Starts a call; its result comes back as a command.
    pub(crate) fn start(&mut self, call: Call) {
        let peer = self.peer(&call.charge_point, &call.address);
        let (handle, timeout) = (self.handle.clone(), self.timeout);
        self.runtime.spawn(async move {
            let Call { charge_point, address, call, instance, request } = call;
            let result = match peer {
                // Every call comes back, whatever becomes of it: one that did not would hold its charge point for ever.
                Ok(peer) => AssertUnwindSafe(perform(peer, timeout, &address, &instance, request))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(CallFailed("the call failed inside central".to_owned()))),
                Err(failed) => Err(failed),
            };
            metrics::counter!("evmesh_central_engine_calls_total", "answered" => result.is_ok().to_string())
                .increment(1);
            handle.tell(Command::EngineAnswered { charge_point, call, result }).await;
        });
    }

    fn peer(&mut self, id: &ChargePointId, address: &str) -> Result<Peer, CallFailed> {
        if let Some((known, peer)) = self.peers.get(id)
            && known == address
        {
            return Ok(peer.clone());
        }
        let parsed: Address = address
            .parse()
            .map_err(|problem| CallFailed(format!("the engine's address '{address}' {problem}")))?;
        let options = PeerOptions { timeout: self.timeout, ..PeerOptions::default() };
        let peer = Peer::new(&parsed, options);
        self.peers.insert(id.clone(), (address.to_owned(), peer.clone()));
        Ok(peer)
    }
}

async fn perform(
    peer: Peer,
    timeout: Duration,
    address: &str,
    instance: &InstanceId,
    request: EngineRequest,
) -> Result<EngineAnswer, CallFailed> {
    let client = EngineServiceClient::new(peer).max_decoding_message_size(MAX_ANSWER_BYTES);
    let engine = || format!("the engine at {address}");
    // The peer sets the call's deadline; this one holds whatever a far side does with it.
    match tokio::time::timeout(timeout, ask(client, instance.to_string(), request)).await {
        Ok(Ok((outcome, state))) => answer::read(outcome, state)
            .map_err(|failure| CallFailed(format!("{} gave a malformed answer: {failure}", engine()))),
        Ok(Err(status)) => Err(CallFailed(explain(&status, &engine()))),
        Err(_) => {
            Err(CallFailed(format!("{} did not answer within {:.1} s", engine(), timeout.as_secs_f64())))
        }
    }
}

/// What came of the call, as the wire says it, and the state beside it.
type Answered = (Option<CallOutcome>, Option<engine::EngineState>);

async fn ask(
    mut client: EngineServiceClient<Peer>,
    instance_id: String,
    request: EngineRequest,
) -> Result<Answered, tonic::Status> {
    Ok(match request {
        EngineRequest::Authorize { number, session, driver, price, duration } => {
            let request = engine::AuthorizeSupplyRequest {
                instance_id,
                authorization_number: number,
                session_id: session.to_string(),
                driver_id: driver.to_string(),
                price: Some(convert::price_proto(price)),
                duration: Some(convert::duration_proto(duration)),
            };
            let answer = client.authorize_supply(request).await?.into_inner();
            (answer::outcome(answer.result()), answer.state)
        }
        EngineRequest::Revoke { number, session } => {
            let session_id = session.to_string();
            let request =
                engine::RevokeAuthorizationRequest { instance_id, authorization_number: number, session_id };
            let answer = client.revoke_authorization(request).await?.into_inner();
            (answer::revoke_outcome(answer.result(), answer.outcome()), answer.state)
        }
        EngineRequest::Stop { session } => {
            let request = engine::StopSupplyRequest { instance_id, session_id: session.to_string() };
            let answer = client.stop_supply(request).await?.into_inner();
            (answer::outcome(answer.result()), answer.state)
        }
        EngineRequest::Confirm { sessions } => {
            let session_ids = sessions.iter().map(ToString::to_string).collect();
            let request = engine::ConfirmSettledRequest { instance_id, session_ids };
            let answer = client.confirm_settled(request).await?.into_inner();
            (answer::outcome(answer.result()), answer.state)
        }
        EngineRequest::GetState => {
            let answer =
                client.get_engine_state(engine::GetEngineStateRequest { instance_id }).await?.into_inner();
            (answer::outcome(answer.result()), answer.state)
        }
    })
}
