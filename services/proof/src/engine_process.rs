//! An engine without its thread, its sockets and its clocks: its own owner and its own store, driven step by step.

use domain::{
    ChargePointId, InstanceId, Mono, Now, SupplyRecord,
    simulated::Settings,
    supply::{Act, Happened, Input, Refusal, View, Write},
};
use engine::{
    Error, codec,
    owner::{self, Applied, Effect, Reply},
    storage, telemetry,
    wire::{self, Request},
};
use evmesh_proto::{
    engine as proto,
    store::{StoredEngine, StoredMessage, StoredSupply},
};
use mesh::{
    group_commit::Owner,
    grpc::Failure,
    store::{Batch, Store},
};
use prost::Message as _;
use std::path::Path;
use tokio::sync::oneshot;

/// What comes to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// `AuthorizeSupply`.
    Authorize(proto::AuthorizeSupplyRequest),
    /// `RevokeAuthorization`.
    Revoke(proto::RevokeAuthorizationRequest),
    /// `StopSupply`.
    Stop(proto::StopSupplyRequest),
    /// `ConfirmSettled`.
    Confirm(proto::ConfirmSettledRequest),
    /// `GetEngineState`.
    GetState(proto::GetEngineStateRequest),
    /// A ping on the `Attend` stream with this number.
    Ping(u64, proto::AttendRequest),
    /// What a person does there.
    Act(Act),
    /// What nobody waits for.
    Happened(Happened),
}

/// What is answered; [`Told::Done`] where nobody waits.
#[derive(Debug)]
pub enum Told {
    /// To `AuthorizeSupply`.
    Authorize(proto::AuthorizeSupplyResponse),
    /// To `RevokeAuthorization`.
    Revoke(proto::RevokeAuthorizationResponse),
    /// To `StopSupply`.
    Stop(proto::StopSupplyResponse),
    /// To `ConfirmSettled`.
    Confirm(proto::ConfirmSettledResponse),
    /// To `GetEngineState`.
    GetState(proto::GetEngineStateResponse),
    /// To a ping.
    Pong(proto::AttendResponse),
    /// To whoever stands there.
    Panel(Result<(), Refusal>),
    /// It happened.
    Done,
    /// Refused before or by the rules, with a status.
    Refused(Failure),
}

/// What one step gave.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of what was asked.
    pub told: Vec<Told>,
    /// The bytes of the readings to publish.
    pub readings: Vec<Vec<u8>>,
}

/// The engine's owner, over any store.
#[derive(Debug)]
pub struct Engine<S>(Owner<owner::Engine, S>);

impl<S: Store> Engine<S> {
    /// Reads the store, as at every start. An empty one becomes `instance`, where a running engine would draw a
    /// random id.
    pub fn open(
        mut store: S,
        charge_point: ChargePointId,
        instance: &InstanceId,
        settings: Settings,
        now: Now,
    ) -> Result<Self, Error> {
        if store.range(&[], &[], 1)?.is_empty() {
            let mut batch = Batch::default();
            storage::write(&mut batch, &charge_point, instance, &Write::Engine { highest: 0, current: None });
            store.commit(batch)?;
        }
        owner::Engine::open(store, Path::new("."), charge_point, settings, now).map(Self)
    }

    /// One step of the owner: everything that is asked, one commit, and then what may be let out.
    pub fn step(&mut self, now: Now, asked: Vec<Asked>) -> Result<Outcome, Error> {
        let mut commands = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        for asked in asked {
            match ask(asked) {
                Ok((command, told)) => {
                    commands.push(command);
                    waiting.push(told);
                }
                Err(failure) => waiting.push(Box::new(|| Told::Refused(failure))),
            }
        }
        let mut readings = Vec::new();
        for release in self.0.step(now, commands)? {
            match release {
                Effect::Reply(reply) => reply.send(), // to `waiting`
                Effect::Reading(message, _) => readings.push(telemetry::payload(&message)),
                Effect::Event(_) | Effect::OutboxOverflow(_) | Effect::Refused(_) => {}
            }
        }
        Ok(Outcome { told: waiting.into_iter().map(|told| told()).collect(), readings })
    }

    /// The engine as it looks from outside.
    pub fn view(&self) -> View {
        self.0.rules.view()
    }

    /// When time alone changes something.
    pub fn wake_at(&self) -> Option<Mono> {
        self.0.rules.wake_at()
    }
}

/// Gives what was answered, once the step is done.
type Waiting = Box<dyn FnOnce() -> Told>;

fn ask(asked: Asked) -> Result<(Applied, Waiting), Failure> {
    match asked {
        Asked::Authorize(request) => call(request, Told::Authorize),
        Asked::Revoke(request) => call(request, Told::Revoke),
        Asked::Stop(request) => call(request, Told::Stop),
        Asked::Confirm(request) => call(request, Told::Confirm),
        Asked::GetState(request) => call(request, Told::GetState),
        Asked::Ping(link, ping) => Ok(waits(wire::ping(link, &ping)?, |reply| {
            wire::pong(reply).map_or_else(Told::Refused, Told::Pong)
        })),
        Asked::Act(act) => Ok(waits(act, |reply| Told::Panel(reply.answer))),
        Asked::Happened(happened) => Ok(waits(happened, |_| Told::Done)),
    }
}

fn call<R: Request>(request: R, told: fn(R::Response) -> Told) -> Result<(Applied, Waiting), Failure>
where
    R::Response: 'static,
{
    Ok(waits(request.input(None)?, move |reply| told(R::response(reply))))
}

fn waits<I: Input>(input: I, told: impl FnOnce(Reply<I::Answer>) -> Told + 'static) -> (Applied, Waiting) {
    let (reply, mut answer) = oneshot::channel();
    let applied = owner::Engine::input(input, Some(reply));
    (applied, Box::new(move || told(answer.try_recv().expect("each input of a step is answered in it"))))
}

/// An entry of an engine's store, told apart by its key.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    /// The highest authorisation number seen, and the supply that runs.
    Engine(u64, Option<SupplyRecord>),
    /// Central has not confirmed it.
    Ended(SupplyRecord),
    /// A row of the outbox.
    Event(StoredMessage),
}

impl Page {
    /// Fails where the engine would refuse its store.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        if key.starts_with(storage::ENDED) {
            return Ok(Self::Ended(codec::supply(&StoredSupply::decode(value)?)?));
        }
        if key.starts_with(storage::EVENT) {
            return Ok(Self::Event(StoredMessage::decode(value)?));
        }
        let stored = StoredEngine::decode(value)?;
        let current = stored.current.as_ref().map(codec::supply).transpose()?;
        Ok(Self::Engine(stored.highest_authorization, current))
    }

    /// As [`Page::read`] reads it.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Engine(highest, current) => StoredEngine {
                format: storage::FORMAT,
                highest_authorization: *highest,
                current: current.as_ref().map(codec::supply_value),
                ..StoredEngine::default()
            }
            .encode_to_vec(),
            Self::Ended(record) => codec::supply_value(record).encode_to_vec(),
            Self::Event(message) => message.encode_to_vec(),
        }
    }
}
