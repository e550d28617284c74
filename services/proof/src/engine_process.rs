//! An engine without its thread, its sockets and its clocks: its own owner and its own store, driven step by step.

use domain::{
    ChargePointId, InstanceId, Mono, Now, SupplyRecord,
    simulated::Settings,
    supply::{Answer, Input, View, Write},
};
use engine::{
    Error, codec,
    owner::{self, Effect, Reply},
    storage, telemetry,
    wire::{self, Call},
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
    /// Anything else.
    Input(Input),
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
    /// To anything else.
    Done(Option<Answer>),
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
        let mut waiting = Vec::new();
        for asked in asked {
            let (input, reader) = split(asked);
            waiting.push(match input {
                Ok(input) => {
                    let (reply, answer) = oneshot::channel();
                    commands.push((input, Some(reply)));
                    Ok((answer, reader))
                }
                Err(failure) => Err(failure),
            });
        }
        let mut readings = Vec::new();
        for release in self.0.step(now, commands)? {
            match release {
                Effect::Reply(to, reply) => _ = to.send(reply), // it is in `waiting`
                Effect::Reading(message, _) => readings.push(telemetry::payload(&message)),
                Effect::Event(_) | Effect::OutboxOverflow(_) => {}
            }
        }
        let told = waiting.into_iter().map(|waiting| match waiting {
            Ok((mut answer, reader)) => match answer.try_recv() {
                Ok(reply) => reader(reply).unwrap_or_else(Told::Refused),
                Err(_) => Told::Done(None), // every command of a step is answered in it
            },
            Err(failure) => Told::Refused(failure),
        });
        Ok(Outcome { told: told.collect(), readings })
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

/// Reads a reply as the response to its request.
type Reader = fn(Reply) -> Result<Told, Failure>;

fn split(asked: Asked) -> (Result<Input, Failure>, Reader) {
    fn call<C: Call>(request: C, reader: Reader) -> (Result<Input, Failure>, Reader) {
        (request.input(), reader)
    }
    match asked {
        Asked::Authorize(request) => {
            call(request, |reply| proto::AuthorizeSupplyRequest::response(reply).map(Told::Authorize))
        }
        Asked::Revoke(request) => {
            call(request, |reply| proto::RevokeAuthorizationRequest::response(reply).map(Told::Revoke))
        }
        Asked::Stop(request) => {
            call(request, |reply| proto::StopSupplyRequest::response(reply).map(Told::Stop))
        }
        Asked::Confirm(request) => {
            call(request, |reply| proto::ConfirmSettledRequest::response(reply).map(Told::Confirm))
        }
        Asked::GetState(request) => {
            call(request, |reply| proto::GetEngineStateRequest::response(reply).map(Told::GetState))
        }
        Asked::Ping(link, ping) => (wire::ping(link, &ping), |reply| wire::pong(reply).map(Told::Pong)),
        Asked::Input(input) => (Ok(input), |reply| Ok(Told::Done(reply.answer))),
    }
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
