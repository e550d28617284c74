//! Calls to engines: each is a task of its own, so that ten thousand silent engines hold up nobody else.
//!
//! The rules ask for one call at a time per engine and one that tells it whom to refuse, and for so many registrations
//! at most, so there are little more than two tasks a charge point: that is their bound, and a smaller one would let
//! silent engines take the places of others. Only what weighs much, a list of certificates, waits for a place; and only
//! for an engine that answers, so a silent one has none. Every call comes back to the rules, answered or not: what an
//! engine answers is checked here, and a malformed answer is none.

mod answer;
mod wire;

pub use wire::{Request, Response};

use crate::{
    signing::Keys,
    told::{Telling, Told},
    writer::Handle,
};
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
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime, sync::Semaphore};

/// The largest answer that is read: 1,000 unsettled sessions with their signatures are some 400 kB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// And that of an engine whose registration waits for it, which may be made up: the answer has no sessions.
const MAX_PROVISIONAL_BYTES: usize = 64 * 1024;
/// So many calls that carry a list of certificates are under way at most, each with some 200 kB: once somebody is
/// revoked, every engine is told. The others wait in the order in which they came; calls that carry none never do.
const LISTS: usize = 128;
/// So many of those besides, for engines that did not answer the last list: whoever hangs on lists waits for its like.
const LISTS_OF_DOUBTFUL: usize = 8;
/// An engine that answered within this time is told without being asked before.
const LATELY: Duration = Duration::from_secs(5);
/// A way to an engine that had no call for so long is let go; the next call makes another.
const IDLE: Duration = Duration::from_secs(3600);
/// So often at most they are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Calls {
    /// One a charge point that had a call within [`IDLE`]: as many as may register, and those forgotten since.
    peers: HashMap<ChargePointId, Way>,
    /// The charge points of a site, which are at one address under one name, have one connection; it is let go with the
    /// last of their [`Way`]s.
    sites: HashMap<(String, Expected), Peer>,
    /// When both were last looked through.
    looked: Mono,
    ways: Peers,
    handle: Handle,
    keys: Arc<Keys>,
    timeout: Duration,
    runtime: runtime::Handle,
    secured: bool,
    /// Those of [`LISTS`], and of [`LISTS_OF_DOUBTFUL`].
    places: [Arc<Semaphore>; 2],
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
    known: Known,
}

/// What is known of an engine by its answers.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Which certificates it said that it refuses, in which registration of which store: as a hash. An older one says
    /// so only when it is told some.
    refused: Arc<AtomicU64>,
    /// When it answered last, in milliseconds; 0: it did not, the last time that it was called.
    answered: Arc<AtomicU64>,
    /// It did not answer the last list that it was told.
    is_doubtful: Arc<AtomicBool>,
}

impl Known {
    /// A call has ended so.
    fn comes_of(&self, result: &Result<EngineAnswer, CallFailed>) {
        let at = result.as_ref().map_or(0, |_| mesh::now().mono.0);
        self.answered.store(at, Ordering::Relaxed);
    }

    fn has_answered_lately(&self) -> bool {
        let at = self.answered.load(Ordering::Relaxed);
        at > 0 && mesh::now().mono.since(Mono(at)) < LATELY
    }

    /// What comes of a call: has the engine heard all this, by what it says, or, where it does not say, as before?
    fn judge(&self, call: &EngineCall, told: &Told) -> impl Fn(Option<bool>) -> bool + Send + use<> {
        let mut hasher = DefaultHasher::new();
        (&call.instance, call.epoch, told.digest()).hash(&mut hasher);
        let (hash, known, any) = (hasher.finish(), self.refused.clone(), !told.is_empty());
        move |says: Option<bool>| {
            let heard = says.unwrap_or_else(|| known.load(Ordering::Relaxed) == hash);
            if any {
                known.store(if heard { hash } else { 0 }, Ordering::Relaxed);
            }
            heard || !any
        }
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
        let (peers, sites, looked) = (HashMap::new(), HashMap::new(), mesh::now().mono);
        let places = [LISTS, LISTS_OF_DOUBTFUL].map(|places| Arc::new(Semaphore::new(places)));
        let secured = ways.are_secured();
        Self { peers, sites, looked, ways, handle, keys, timeout, runtime, secured, places }
    }

    /// Starts a call as a step of its order's trace; its result comes back as a command.
    pub(crate) fn start(&mut self, call: EngineCall, telling: Telling) {
        let way = match telling {
            Telling::Nothing | Telling::Asks(_) | Telling::Tells(_) if call.provisional => {
                let expected = self.expected(&call.charge_point);
                self.connect(expected, &call.address).map(|peer| (peer, Known::default()))
            }
            Telling::Nothing | Telling::Asks(_) | Telling::Tells(_) => {
                self.peer(&call.charge_point, &call.address)
            }
        };
        let (told, tells) = match telling {
            Telling::Asks(told) if self.secured => (told, false),
            Telling::Tells(told) if self.secured => (told, true),
            Telling::Nothing | Telling::Asks(_) | Telling::Tells(_) => {
                (Told::default(), false) // without identities nobody is refused for a certificate
            }
        };
        let known = way.as_ref().map(|(_, known)| known.clone()).unwrap_or_default();
        let judge = known.judge(&call, &told);
        let peer = way.map(|(peer, _)| peer);
        let (handle, keys, timeout, secured) =
            (self.handle.clone(), self.keys.clone(), self.timeout, self.secured);
        let places = self.places[usize::from(known.is_doubtful.load(Ordering::Relaxed))].clone();
        let trace = call.trace.map_or_else(trace::root, trace::child);
        let calling = async move {
            let result = match peer {
                // Every call comes back, whatever becomes of it: one that did not would hold its charge point for ever.
                Ok(peer) => {
                    let most = if call.provisional { MAX_PROVISIONAL_BYTES } else { MAX_ANSWER_BYTES };
                    let (address, charge_point, told) = (&*call.address, &call.charge_point, &told);
                    let list = tells.then_some(&*places).filter(|_| !told.is_empty());
                    let (keys, known) = (&*keys, &known);
                    let way = Call { peer, address, keys, charge_point, timeout, most, told, list, known };
                    let asked = async {
                        // It signs, which is not for the writer to wait for.
                        let mut request = Request::of(keys, &call);
                        if secured {
                            request = request.with_telemetry_key(keys, &call);
                        }
                        way.perform(request, &judge).await
                    };
                    AssertUnwindSafe(asked)
                        .catch_unwind()
                        .await
                        .unwrap_or_else(|_| Err(CallFailed("the call failed inside central".to_owned())))
                }
                Err(failed) => Err(failed),
            };
            if result.as_ref().map_or(true, |answer| answer.outcome != CallOutcome::Done) {
                judge(Some(false)); // it may come back with another store
            }
            known.comes_of(&result);
            metrics::counter!("evmesh_central_engine_calls_total", "answered" => result.is_ok().to_string())
                .increment(1);
            let EngineCall { charge_point, call, .. } = call;
            handle.tell(Command::EngineAnswered { charge_point, call, result }).await;
        };
        self.runtime.spawn(trace::scope(trace, calling));
    }

    fn peer(&mut self, id: &ChargePointId, address: &str) -> Result<(Peer, Known), CallFailed> {
        let now = mesh::now().mono;
        if now.since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.peers.retain(|_, way| now.since(way.called) < IDLE);
            self.sites.retain(|_, peer| peer.has_others());
        }
        let expected = self.expected(id);
        if let Some(way) = self.peers.get_mut(id)
            && way.address == address
            && way.expected == expected
        {
            way.called = now;
            return Ok((way.peer.clone(), way.known.clone()));
        }
        let (peer, known) = (self.beside(expected.clone(), address)?, Known::default());
        let (address, called) = (address.to_owned(), now);
        let way = Way { address, expected, peer: peer.clone(), called, known: known.clone() };
        self.peers.insert(id.clone(), way);
        Ok((peer, known))
    }

    /// Whose engine is called: the charge point's own, or its gateway's.
    fn expected(&self, id: &ChargePointId) -> Expected {
        let gateway = self.handle.served().of(id);
        gateway.map_or_else(|| Expected::Engine(id.clone()), Expected::Gateway)
    }

    /// Over the connection of whoever is there already. In plain text nobody shows a name.
    fn beside(&mut self, expected: Expected, address: &str) -> Result<Peer, CallFailed> {
        let name = if self.secured { expected } else { Expected::Anyone };
        let site = (address.to_owned(), name.clone());
        if let Some(peer) = self.sites.get(&site) {
            return Ok(peer.beside());
        }
        let peer = self.connect(name, address)?;
        Ok(self.sites.entry(site).insert_entry(peer).get().beside())
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
    peer: Peer,
    address: &'a str,
    keys: &'a Keys,
    charge_point: &'a ChargePointId,
    timeout: Duration,
    /// The largest answer that is read (bytes).
    most: usize,
    /// What the engine is to refuse, as far as the answer is to say whether it does.
    told: &'a Told,
    /// It is told that: where the call gets its place.
    list: Option<&'a Semaphore>,
    known: &'a Known,
}

impl Call<'_> {
    async fn perform(
        self,
        request: Request,
        judge: impl Fn(Option<bool>) -> bool,
    ) -> Result<EngineAnswer, CallFailed> {
        if matches!(request, Request::Authorize(_)) {
            self.keys.ready().await;
        }
        if let Some(places) = self.list {
            return self.tell(request.without_sessions(), places, judge).await;
        }
        let response = self.ask(request).await?;
        let heard = judge(response.has_heard(self.told));
        self.read(response, heard)
    }

    /// Whether the engine answers is found out without a place: a silent one would keep that from the others.
    async fn tell(
        self,
        request: Request,
        places: &Semaphore,
        judge: impl Fn(Option<bool>) -> bool,
    ) -> Result<EngineAnswer, CallFailed> {
        let has_heard = |response: &Response| response.has_heard(self.told) == Some(true);
        if !self.known.has_answered_lately() {
            let response = self.ask(request.clone()).await?;
            let heard = has_heard(&response);
            if heard || !response.is_done() {
                return self.read(response, judge(Some(heard)));
            }
        }
        let place = places.acquire().await; // until the answer is there; they are never closed
        let response = self.ask(request.with_refused(self.told)).await;
        drop(place);
        self.known.is_doubtful.store(response.is_err(), Ordering::Relaxed);
        let response = response?;
        let heard = judge(Some(has_heard(&response)));
        self.read(response, heard)
    }

    async fn ask(&self, request: Request) -> Result<Response, CallFailed> {
        let client = EngineServiceClient::new(self.peer.clone()).max_decoding_message_size(self.most);
        // The peer sets the call's deadline; this one holds whatever a far side does with it.
        match tokio::time::timeout(self.timeout, ask(client, request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(status)) => Err(CallFailed(CallError::from(&status).explain(&self.engine()))),
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                Err(CallFailed(format!("{} did not answer within {seconds:.1} s", self.engine())))
            }
        }
    }

    fn read(&self, response: Response, heard: bool) -> Result<EngineAnswer, CallFailed> {
        let answer = response.read(self.keys, self.charge_point);
        answer
            .map(|answer| EngineAnswer { heard, ..answer })
            .map_err(|failure| CallFailed(format!("{} gave a malformed answer: {failure}", self.engine())))
    }

    fn engine(&self) -> String {
        format!("the engine at {}", self.address)
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
mod tests;
