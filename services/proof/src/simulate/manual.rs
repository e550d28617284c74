//! Supplies asked for at charge points, by their engines, and by strangers in their names.

use super::{
    central::Caller,
    driver::{asked, fingerprint, new_session},
    engine::ReplyTo,
    world::{Place, World},
};
use central::writer::Input;
use domain::network::{Command, Method, RequestKey, Session, Token};
use domain::supply::{Act, Happened, ManualRequest};
use domain::{DriverId, Mono, RequestId, SessionId, cards::held::Shown};
use proof::engine_process::Asked;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// So long an engine waits for central's answer about a supply there.
pub(super) const ASKS_FOR: Duration = Duration::from_secs(5);

/// What of them is known from outside.
#[derive(Debug, Default)]
pub(super) struct Manual {
    /// The sessions that were asked for in an engine's name.
    pub(super) sessions: BTreeSet<SessionId>,
    /// When somebody at a charge point, in this life of its engine, last asked for this.
    pub(super) wanted: BTreeMap<(usize, u64, ManualRequest), u64>,
}

impl World {
    /// Someone at the charge point wants a supply, perhaps again and again; or a stranger says to central that someone
    /// does, under a name of its own, none, or that of the very request.
    pub(super) fn wants_manual(&mut self, p: usize) {
        let driver = if self.random.one_in(2) { DriverId::guest() } else { self.somebody() };
        let caller = self.points[p].id.to_string();
        let key = |id: RequestId| {
            (RequestKey { method: Method::RequestManualSupply, caller, id }, fingerprint(driver.as_str()))
        };
        let key = key(self.request_id());
        let which = self.random.below(4);
        if which < 2 {
            self.tally.count("manual supplies asked for in an engine's name");
            let named = (which == 0 || self.random.one_in(2)).then(|| key.clone());
            let command = self.manual_supply(p, driver.clone(), named);
            self.stranger_asks(command);
        }
        if which == 1 {
            return;
        }
        let request = ManualRequest { id: key.0.id.clone(), driver: Some(driver) };
        let times = if self.random.one_in(2) { self.random.between(1, 3) } else { 1 };
        for n in 0..times {
            let wait = if n == 0 { 0 } else { self.random.span(60_000) };
            let act = Act::AskManual { request: request.clone(), within: ASKS_FOR };
            let reply = ReplyTo::Manual { request: request.clone(), key: key.clone() };
            self.after(wait, move |world| _ = world.engine_takes(p, Asked::Act(act), reply));
        }
    }

    /// What central is asked in the name of this charge point's engine.
    fn manual_supply(
        &self,
        p: usize,
        driver: DriverId,
        request: Option<(RequestKey, u64)>,
    ) -> impl Fn(Token<Box<Session>>, Mono) -> Command + Clone + 'static {
        let (charge_point, instance) = (self.points[p].id.clone(), self.points[p].instance.clone());
        move |token, now| Command::RequestManualSupply {
            asked: asked(token, Some(now + ASKS_FOR), request.clone()),
            session: new_session(token),
            charge_point: charge_point.clone(),
            instance: instance.clone(),
            shown: Shown::Driver(driver.clone()),
        }
    }

    /// What central takes in, whether the step is its last or not.
    pub(super) fn are_asked_for_manually(&mut self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Command(Command::RequestManualSupply { session, .. }) = input {
                self.truth.manual.sessions.insert(session.clone());
            }
        }
    }

    /// Its engine asks central for a supply there, and stops waiting in the end.
    pub(super) fn asks_for_manual(&mut self, p: usize, request: ManualRequest, key: (RequestKey, u64)) {
        let Some(ms) = self.delay(Place::Engine(p), Place::Central) else { return };
        let life = self.points[p].life;
        self.after(ms, move |world| {
            if world.edge_refuses(p) {
                return world.manual_answered(p, life, request, false);
            }
            let driver = request.driver.clone().unwrap_or_else(DriverId::guest);
            let command = world.manual_supply(p, driver, Some(key));
            world.central_asked(Caller::Engine { p, life, request }, command);
        });
    }

    pub(super) fn manual_answered(&mut self, p: usize, life: u64, request: ManualRequest, granted: bool) {
        self.tally.count(if granted { "manual supplies granted" } else { "manual supplies denied" });
        let Some(ms) = self.delay(Place::Central, Place::Engine(p)) else { return };
        self.after(ms, move |world| {
            if world.points[p].life == life {
                let answered = Asked::Happened(Happened::ManualAnswered(request));
                world.engine_takes(p, answered, ReplyTo::Nobody);
            }
        });
    }
}
