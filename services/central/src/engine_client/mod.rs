//! Calls to engines: each is a task of its own, so that ten thousand silent engines hold up nobody else.
//!
//! The rules ask for one call at a time per engine, and for so many registrations at most, so there are little more
//! tasks than charge points: that is their bound, and a smaller one would let silent engines take the places of
//! others. Every call comes back to the rules, answered or not: what an engine answers is checked here, and a
//! malformed answer is none.

mod answer;
mod wire;

pub use wire::{Request, Response};

use crate::{signing::Keys, told::Told, writer::Handle};
use domain::network::{CallFailed, CallOutcome, Command, EngineAnswer, EngineCall};
use domain::{ChargePointId, Mono};
use evmesh_proto::engine::engine_service_client::EngineServiceClient;
use futures_util::FutureExt as _;
use mesh::{
    grpc::{Address, CallError, Expected, Peer, Peers},
    trace,
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime;

/// The largest answer that is read: 1,000 unsettled sessions with their signatures are some 400 kB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// And that of an engine whose registration waits for it, which may be made up: the answer has no sessions.
const MAX_PROVISIONAL_BYTES: usize = 64 * 1024;
/// A way to an engine that had no call for so long is let go, with its connection; the next call makes another.
const IDLE: Duration = Duration::from_secs(3600);
/// So often at most they are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Calls {
    /// One a charge point that had a call within [`IDLE`]: as many as may register, and those forgotten since.
    peers: HashMap<ChargePointId, Way>,
    /// When they were last looked through.
    looked: Mono,
    ways: Peers,
    handle: Handle,
    keys: Arc<Keys>,
    timeout: Duration,
    runtime: runtime::Handle,
}

/// The way to one engine.
#[derive(Debug)]
struct Way {
    address: String,
    /// As whom it is called.
    expected: Expected,
    peer: Peer,
    /// When its newest call was made.
    called: Mono,
    refused: Refused,
}

/// Which certificates an engine has heard of that it is to refuse, in which registration of which store: as a hash.
/// They are not sent again with each call, for there may be a thousand.
#[derive(Debug, Clone, Default)]
struct Refused(Arc<AtomicU64>);

impl Refused {
    /// Whether it is to be sent, and what is to be said of that call: did it hear? Until then it is sent again.
    fn wanted(&self, call: &EngineCall, told: &Told) -> (bool, impl FnOnce(bool) + Send + use<>) {
        let any = !told.is_empty();
        let mut hasher = DefaultHasher::new();
        (&call.instance, call.epoch, any.then(|| told.digest())).hash(&mut hasher);
        let (hash, known) = (hasher.finish(), self.0.clone());
        let is_known = known.load(Ordering::Relaxed) == hash;
        let heard = move |heard: bool| {
            if any {
                known.store(if heard { hash } else { 0 }, Ordering::Relaxed);
            }
        };
        (any && !is_known, heard)
    }
}

impl Calls {
    pub(crate) fn new(
        handle: Handle,
        keys: Arc<Keys>,
        timeout: Duration,
        ways: Peers,
        runtime: runtime::Handle,
    ) -> Self {
        let (peers, looked) = (HashMap::new(), mesh::now().mono);
        Self { peers, looked, ways, handle, keys, timeout, runtime }
    }

    /// Starts a call as a step of its order's trace; its result comes back as a command.
    pub(crate) fn start(&mut self, call: EngineCall, told: Told) {
        let mut request = Request::of(&self.keys, &call);
        let way = if call.provisional {
            self.connect(self.expected(&call.charge_point), &call.address)
                .map(|peer| (peer, Refused::default()))
        } else {
            self.peer(&call.charge_point, &call.address)
        };
        let known = way.as_ref().map(|(_, known)| known.clone()).unwrap_or_default();
        let (wanted, heard) = known.wanted(&call, &told);
        let secured = self.ways.are_secured();
        if secured {
            request = request.with_telemetry_key(&self.keys, &call);
        }
        let told = (secured && wanted).then_some(told);
        let peer = way.map(|(peer, _)| peer);
        let EngineCall { charge_point, address, call, provisional, trace, .. } = call;
        let (handle, keys, timeout) = (self.handle.clone(), self.keys.clone(), self.timeout);
        let calling = async move {
            let result = match peer {
                // Every call comes back, whatever becomes of it: one that did not would hold its charge point for ever.
                Ok(peer) => {
                    let most = if provisional { MAX_PROVISIONAL_BYTES } else { MAX_ANSWER_BYTES };
                    let (address, charge_point) = (&address, &charge_point);
                    let call = Call { address, keys: &keys, charge_point, timeout, most };
                    AssertUnwindSafe(call.perform(peer, request, told))
                        .catch_unwind()
                        .await
                        .unwrap_or_else(|_| Err(CallFailed("the call failed inside central".to_owned())))
                }
                Err(failed) => Err(failed),
            };
            heard(result.as_ref().is_ok_and(|answer| answer.outcome == CallOutcome::Done && answer.heard));
            metrics::counter!("evmesh_central_engine_calls_total", "answered" => result.is_ok().to_string())
                .increment(1);
            handle.tell(Command::EngineAnswered { charge_point, call, result }).await;
        };
        self.runtime.spawn(trace::scope(trace.map_or_else(trace::root, trace::child), calling));
    }

    fn peer(&mut self, id: &ChargePointId, address: &str) -> Result<(Peer, Refused), CallFailed> {
        let now = mesh::now().mono;
        if now.since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.peers.retain(|_, way| now.since(way.called) < IDLE);
        }
        let expected = self.expected(id);
        if let Some(way) = self.peers.get_mut(id)
            && way.address == address
            && way.expected == expected
        {
            way.called = now;
            return Ok((way.peer.clone(), way.refused.clone()));
        }
        let (peer, refused) = (self.connect(expected.clone(), address)?, Refused::default());
        let (address, called) = (address.to_owned(), now);
        let way = Way { address, expected, peer: peer.clone(), called, refused: refused.clone() };
        self.peers.insert(id.clone(), way);
        Ok((peer, refused))
    }

    /// Whose engine is called: the charge point's own, or its gateway's.
    fn expected(&self, id: &ChargePointId) -> Expected {
        let gateway = self.handle.served().of(id);
        gateway.map_or_else(|| Expected::Engine(id.clone()), Expected::Gateway)
    }

    /// Kept by nobody: for a registration that may be made up, and leaves nothing behind then.
    fn connect(&self, expected: Expected, address: &str) -> Result<Peer, CallFailed> {
        let parsed: Address = address
            .parse()
            .map_err(|problem| CallFailed(format!("the engine's address '{address}' {problem}")))?;
        Ok(self.ways.peer(&parsed, expected, self.timeout))
    }
}

/// Where a call goes.
struct Call<'a> {
    address: &'a str,
    keys: &'a Keys,
    charge_point: &'a ChargePointId,
    timeout: Duration,
    /// The largest answer that is read (bytes).
    most: usize,
}

impl Call<'_> {
    async fn perform(
        self,
        peer: Peer,
        mut request: Request,
        told: Option<Told>,
    ) -> Result<EngineAnswer, CallFailed> {
        let Self { address, keys, charge_point, timeout, most } = self;
        if matches!(request, Request::Authorize(_)) {
            keys.ready().await;
        }
        if let Some(told) = &told {
            request = request.with_refused(told);
        }
        let client = EngineServiceClient::new(peer).max_decoding_message_size(most);
        let engine = || format!("the engine at {address}");
        // The peer sets the call's deadline; this one holds whatever a far side does with it.
        match tokio::time::timeout(timeout, ask(client, request)).await {
            Ok(Ok(response)) => {
                let heard = told.is_none_or(|told| response.has_heard(&told));
                let answer = response.read(keys, charge_point);
                let answer = answer.map(|answer| EngineAnswer { heard, ..answer });
                answer
                    .map_err(|failure| CallFailed(format!("{} gave a malformed answer: {failure}", engine())))
            }
            Ok(Err(status)) => Err(CallFailed(CallError::from(&status).explain(&engine()))),
            Err(_) => {
                Err(CallFailed(format!("{} did not answer within {:.1} s", engine(), timeout.as_secs_f64())))
            }
        }
    }
}

async fn ask(mut client: EngineServiceClient<Peer>, request: Request) -> Result<Response, tonic::Status> {
    Ok(match request {
        Request::Authorize(request) => client.authorize_supply(request).await?.into_inner().into(),
        Request::Revoke(request) => client.revoke_authorization(request).await?.into_inner().into(),
        Request::Stop(request) => client.stop_supply(request).await?.into_inner().into(),
        Request::Confirm(request) => client.confirm_settled(request).await?.into_inner().into(),
        Request::GetState(request) => client.get_engine_state(request).await?.into_inner().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_is_to_refuse_is_sent_until_it_has_heard_and_to_another_store_again() {
        let known = Refused::default();
        let mut call = EngineCall {
            charge_point: "MAD-01".parse().unwrap(),
            address: String::new(),
            call: domain::network::CallId(1),
            instance: "store-1".parse().unwrap(),
            epoch: 4,
            request: domain::network::EngineRequest::GetState,
            provisional: false,
            trace: None,
        };
        let list = |count: usize| (0..count).map(|n| (n.to_string().into(), domain::Wall(1)));
        let sent = |call: &EngineCall, count: usize, hears: bool| {
            let (sent, heard) = known.wanted(call, &Told::new(list(count), &Arc::default()));
            heard(hears);
            if sent { count } else { 0 }
        };
        assert_eq!([sent(&call, 1, false), sent(&call, 1, true), sent(&call, 1, true)], [1, 1, 0]);
        assert_eq!([sent(&call, 0, true), sent(&call, 1, false), sent(&call, 1, true)], [0, 0, 1]);
        assert_eq!([sent(&call, 2, true), sent(&call, 2, true)], [2, 0], "others");
        call.epoch = 5;
        assert_eq!([sent(&call, 2, true), sent(&call, 2, true)], [2, 0], "registered anew");
        call.instance = "store-2".parse().unwrap();
        assert_eq!(sent(&call, 2, true), 2);
    }

    #[tokio::test]
    async fn an_engine_behind_a_gateway_is_expected_to_have_the_gateways_name_from_the_next_call_on() {
        let (handle, _inboxes) = crate::writer::queues();
        let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
        let (ways, runtime) = (Peers::default(), runtime::Handle::current());
        let mut calls = Calls::new(handle.clone(), keys, Duration::from_secs(1), ways, runtime);
        let id: ChargePointId = "MAD-01".parse().unwrap();
        let mut called = |gateway: Option<&str>| {
            let told = vec![(id.clone(), gateway.map(|name| name.parse().unwrap()))];
            handle.served().hear(domain::gateways::News { told, ..Default::default() });
            calls.peer(&id, "127.0.0.1:1").unwrap();
            (calls.peers[&id].expected.clone(), calls.peers.len())
        };
        let gateway = |name: &str| Expected::Gateway(name.parse().unwrap());
        assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
        assert_eq!(called(Some("site-7")), (gateway("site-7"), 1));
        assert_eq!(called(Some("site-8")), (gateway("site-8"), 1));
        assert_eq!(called(None), (Expected::Engine(id.clone()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_way_to_an_engine_without_calls_is_let_go_after_an_hour() {
        let (handle, _inboxes) = crate::writer::queues();
        let keys = Arc::new(Keys::new(&[7; 32], mesh::now(), &[]));
        let mut calls =
            Calls::new(handle, keys, Duration::from_secs(1), Peers::default(), runtime::Handle::current());
        let mut call = async |id: &str, after: Duration| {
            tokio::time::advance(after).await;
            calls.peer(&id.parse().unwrap(), "127.0.0.1:1").unwrap();
            let mut known: Vec<_> = calls.peers.keys().map(ToString::to_string).collect();
            known.sort();
            known.join(" ")
        };
        assert_eq!(call("A", Duration::ZERO).await, "A");
        assert_eq!(call("B", IDLE / 2).await, "A B");
        assert_eq!(call("C", IDLE / 2 - LOOK_EVERY / 2).await, "A B C");
        assert_eq!(call("C", LOOK_EVERY / 2).await, "A B C", "they were looked through a moment ago");
        assert_eq!(call("C", LOOK_EVERY / 2).await, "B C");
        assert_eq!(call("B", Duration::ZERO).await, "B C");
        assert_eq!(call("C", IDLE - LOOK_EVERY).await, "B C", "its calls keep it");
        assert_eq!(call("B", 2 * IDLE).await, "B");
    }
}
