//! What central takes in and lets out: answers are on disk first, and repeats get the first one (INV-6, INV-8).

use super::super::{
    central::caller,
    truth::{Life, final_reading_billed, rank},
    world::World,
};
use central::writer::Input;
use domain::network::{
    Broker, CallOutcome, Command, Denial, Effect, EngineCall, EngineRequest, Method, Order, Reason,
    Registered, Reply, RequestKey, Session, Which,
};
use domain::{ChargePointId, Price, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// The caller's number and its mutation's key, where it has them.
fn asked(command: &Command) -> Option<(u64, Option<&RequestKey>)> {
    fn of<A>(asked: &domain::network::Asked<A>) -> Option<(u64, Option<&RequestKey>)> {
        Some((asked.token.number, asked.request.as_ref().map(|(key, _)| key)))
    }
    match command {
        Command::RequestCharge { asked, .. }
        | Command::RequestManualSupply { asked, .. }
        | Command::StopCharge { asked, .. } => of(asked),
        Command::Order { asked, .. } => of(asked),
        Command::BlockCard { asked, .. } => of(asked),
        Command::Register { .. }
        | Command::Report { .. }
        | Command::Seen(_)
        | Command::MonitorGone { .. }
        | Command::EngineAnswered { .. }
        | Command::Telemetry { .. }
        | Command::Unreadable { .. }
        | Command::Broker(_)
        | Command::Copied(_)
        | Command::KeysTrusted
        | Command::PeopleRevoked
        | Command::Identity { .. }
        | Command::Moves { .. }
        | Command::Cards(_)
        | Command::Tick => None,
    }
}

/// An answer, as far as its repeats must be the same.
fn gist(reply: &Reply) -> Result<String, Denial> {
    match reply {
        Reply::Session(_, answer) => answer.as_ref().map(|session| format!("session {}", session.id)),
        Reply::Ordered(_, answer) => answer.as_ref().map(|ordered| format!("ordered {}", ordered.count)),
        Reply::Registered(_, answer) => {
            answer.as_ref().map(|Registered { epoch, .. }| format!("registered {epoch}"))
        }
        Reply::Reported(_, answer) => answer.as_ref().map(|_| "reported".into()),
        Reply::CardBlocked(_, answer) => answer.as_ref().map(|_| "card blocked".into()),
    }
    .map_err(Denial::clone)
}

fn disobeyed(effect: &Effect, id: &ChargePointId) -> bool {
    matches!(effect, Effect::Happened(event)
        if event.name == "stops_disobeyed" && event.text.starts_with(&format!("{id} ")))
}

/// What a step of central begins with.
pub(in crate::simulate) struct OrdersBefore {
    repeats: BTreeSet<u64>,
    points: BTreeMap<ChargePointId, (Price, bool)>,
}

impl World {
    /// Follows what a step of central has taken in.
    pub(in crate::simulate) fn took(&mut self, inputs: &[Input], effects: &[Effect]) {
        let mut replies: BTreeMap<u64, &Reply> = BTreeMap::new();
        for effect in effects {
            if let Effect::Reply(reply) = effect {
                let once = replies.insert(caller(reply), reply).is_none();
                self.expect("INV-6", once, || "a caller has two answers".into());
            }
        }
        for input in inputs {
            // A message is no sign of life: anyone can write one.
            if let Input::Command(command) = input {
                self.took_command(command, &replies);
            }
        }
        self.took_standings(inputs, effects);
        for effect in effects {
            match effect {
                Effect::Call(EngineCall { call, provisional: true, .. }) => {
                    self.truth.life.provisional.insert(*call);
                }
                Effect::Call(EngineCall { charge_point, call, .. }) => {
                    let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                    heard.call = Some(*call);
                }
                Effect::Reply(Reply::Reported(token, _)) => {
                    if let Some(id) = self.truth.life.back.remove(&token.number) {
                        self.truth.life.points.entry(id).or_default().call = None;
                    }
                }
                Effect::Cut(id) => self.took_cut(id),
                Effect::Reply(Reply::Registered(token, answer)) => {
                    let id = self.truth.life.registering.remove(&token.number);
                    if let (Some(id), Ok(Registered { epoch, .. })) = (id, answer)
                        && !self.forgotten_at_once(&id, inputs)
                    {
                        self.took_registration(id, *epoch);
                    }
                }
                _ => {}
            }
        }
    }

    /// An order of the same step removed it again.
    fn forgotten_at_once(&self, id: &ChargePointId, inputs: &[Input]) -> bool {
        let forgets = |input: &Input| {
            let Input::Command(Command::Order { order: Order::Forget(forgotten), .. }) = input else {
                return false;
            };
            forgotten == id
        };
        !self.truth.points.contains_key(id) && inputs.iter().any(forgets)
    }

    fn took_registration(&mut self, id: ChargePointId, epoch: u64) {
        let newer = self.truth.registered.insert(id.clone(), epoch).is_none_or(|old| old < epoch);
        self.expect("INV-8", newer, || format!("{id} is registered twice with epoch {epoch}"));
        let replaced = self.truth.points.get(&id).is_some_and(|p| p.epoch >= epoch);
        self.expect("INV-6", replaced, || format!("the registration of {id} is not on disk"));
        let heard = self.truth.life.points.entry(id).or_default();
        (heard.epoch, heard.reported, heard.answered) = (epoch, None, None);
    }

    fn took_command(&mut self, command: &Command, replies: &BTreeMap<u64, &Reply>) {
        let at = self.at;
        if let Some((caller, Some(key))) = asked(command)
            && let Some(reply) = replies.get(&caller)
        {
            self.check_repeat(key, reply);
        }
        match command {
            Command::Register { asked, registration } => {
                let id = registration.charge_point.clone();
                self.truth.life.registering.insert(asked.token.number, id);
            }
            Command::Report { asked, charge_point, epoch, health, .. } => {
                if let Some(Reply::Reported(_, Ok(_))) = replies.get(&asked.token.number) {
                    let newest = self.truth.registered.get(charge_point).copied().unwrap_or(0);
                    self.expect("INV-8", *epoch >= newest, || {
                        format!(
                            "a report of epoch {epoch} of {charge_point} is taken, whose newest is {newest}"
                        )
                    });
                    let Life { points, back, .. } = &mut self.truth.life;
                    let heard = points.entry(charge_point.clone()).or_default();
                    heard.epoch = *epoch;
                    if heard.reported.is_none() {
                        // What was asked before it came back does not count, nor what was in this very step.
                        (heard.answered, heard.call) = (None, None);
                        back.insert(asked.token.number, charge_point.clone());
                    }
                    heard.reported = Some((at, *health));
                }
            }
            Command::MonitorGone { charge_point, epoch } => {
                let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                if heard.epoch == *epoch {
                    heard.reported = None;
                }
            }
            // Nothing of a charge point's state comes from the answer to a registration's call.
            Command::EngineAnswered { call, .. } if self.truth.life.provisional.contains(call) => {}
            Command::EngineAnswered { charge_point, call, result } => {
                let instance = self.truth.points.get(charge_point).map(|point| point.instance.clone());
                if let Ok(answer) = result {
                    for claim in answer.report.current.iter().chain(&answer.report.unsettled) {
                        self.truth.life.signs.insert(claim.record.session.clone(), at);
                    }
                }
                let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                heard.asked.get_or_insert(at);
                if heard.call == Some(*call) {
                    heard.call = None;
                    heard.answered = Some(result.as_ref().is_ok_and(|answer| {
                        answer.outcome != CallOutcome::WrongInstance
                            && Some(&answer.report.instance) == instance.as_ref()
                    }));
                }
            }
            Command::Broker(Broker::ReadTo(_) | Broker::Away) => {
                self.truth.life.kafka_judged.get_or_insert(at);
            }
            Command::StopCharge { asked, .. } => {
                if let Some(Reply::Session(_, Ok(session))) = replies.get(&asked.token.number) {
                    self.truth.life.stopped.entry(session.id.clone()).or_insert(at);
                }
            }
            Command::Seen(_) | Command::Tick => {}
            Command::Order { .. }
            | Command::RequestCharge { .. }
            | Command::RequestManualSupply { .. }
            | Command::Telemetry { .. }
            | Command::Unreadable { .. }
            | Command::Broker(Broker::Gap)
            | Command::Copied(_)
            | Command::KeysTrusted
            | Command::PeopleRevoked
            | Command::Identity { .. }
            | Command::Moves { .. }
            | Command::BlockCard { .. }
            | Command::Cards(_) => {}
        }
    }

    /// A mutation's answer is on disk with it, and each repeat gets the first one (INV-6).
    fn check_repeat(&mut self, key: &RequestKey, reply: &Reply) {
        let answer = gist(reply);
        if answer.as_ref().is_err_and(|denial| {
            matches!(denial.reason, Reason::RequestIdReused | Reason::Overloaded)
                || denial.retry_after.is_some()
        }) {
            return;
        }
        // A stop of what is over is answered alike each time, kept or not.
        let over = |session: &Session| key.method == Method::StopCharge && !session.is_open();
        let over = matches!(reply, Reply::Session(_, Ok(session)) if over(session));
        let recorded = over || self.truth.answers.contains_key(key);
        self.expect("INV-6", recorded, || format!("the answer to request {} is not on disk", key.id));
        let unknown = answer.as_ref().is_err_and(|denial| denial.reason == Reason::SessionUnknown);
        let now = answer.unwrap_or_else(|denial| format!("denied: {}", denial.text));
        match self.truth.given.get(key) {
            Some(first) => {
                self.tally.count("requests repeated");
                let of = first.strip_prefix("session ").and_then(|id| id.parse::<SessionId>().ok());
                let gone = unknown && of.is_some_and(|id| self.truth.forgotten.contains(&id));
                let same = *first == now || gone;
                let first = first.clone();
                self.expect("INV-6", same, || {
                    format!("request {} was answered '{first}', and now '{now}'", key.id)
                });
            }
            None => drop(self.truth.given.insert(key.clone(), now)),
        }
    }

    /// Prices and orders as they are on disk, and which of the inputs are repeats: before a step.
    pub(in crate::simulate) fn orders_before(&self, inputs: &[Input]) -> OrdersBefore {
        let commands = inputs.iter().filter_map(|input| match input {
            Input::Command(command) => asked(command),
            _ => None,
        });
        // Answered before, or asked before in this very step.
        let mut met = BTreeSet::new();
        let repeats = commands.filter(|(_, key)| {
            key.is_some_and(|key| !met.insert(key) || self.truth.answers.contains_key(key))
        });
        let points = self.truth.points.values();
        OrdersBefore {
            repeats: repeats.map(|(caller, _)| caller).collect(),
            points: points.map(|point| (point.id.clone(), (point.price, point.out_of_order))).collect(),
        }
    }

    /// A price and an operator's order change by their own calls alone, and what was answered is on disk (INV-6); but a
    /// charge point that does not obey a stop is taken out of service, and so it is said.
    pub(in crate::simulate) fn check_orders(
        &mut self,
        inputs: &[Input],
        effects: &[Effect],
        before: &OrdersBefore,
    ) {
        let granted = |number: u64| {
            let to =
                |sent: &Effect| matches!(sent, Effect::Reply(to) if caller(to) == number && gist(to).is_ok());
            !before.repeats.contains(&number) && effects.iter().any(to)
        };
        let meant = |which: &Which, id: &ChargePointId| match which {
            Which::All => true,
            Which::Some(ids) => ids.contains(id),
        };
        let mut expected = before.points.clone();
        for input in inputs {
            let Input::Command(Command::Order { asked, order }) = input else { continue };
            if !granted(asked.token.number) {
                continue;
            }
            for (id, point) in &mut expected {
                if let Order::SetPrice { charge_point, price } = order
                    && charge_point == id
                {
                    point.0 = *price;
                }
                if let Order::Service { which, out_of_order } = order
                    && meant(which, id)
                {
                    point.1 = *out_of_order;
                }
                if let Order::End(session) = order
                    && self.truth.sessions.get(session).is_some_and(|ended| ended.charge_point == *id)
                {
                    // Where a supply was ended, and its engine is in reach.
                    point.1 |= self.truth.points.get(id).is_some_and(|now| now.out_of_order);
                }
            }
        }
        for (id, (price, out_of_order)) in expected {
            let Some(now) = self.truth.points.get(&id) else { continue };
            let (is_price, is_order) = (now.price, now.out_of_order);
            let out_of_order =
                out_of_order || is_order && effects.iter().any(|effect| disobeyed(effect, &id));
            self.expect("INV-6", (is_price, is_order) == (price, out_of_order), || {
                format!("{id} has price {is_price}, stopped {is_order} on disk; answered was {price}, {out_of_order}")
            });
        }
    }

    /// Nothing leaves central before what it says is on its disk (INV-6).
    pub(in crate::simulate) fn check_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Reply(Reply::Session(_, Ok(session))) => {
                let on_disk = self.truth.sessions.get(&session.id);
                let there = on_disk.is_some_and(|known| {
                    rank(known.state()) >= rank(session.state())
                        && known.driver == session.driver
                        && (known.ticket().is_some() || session.ticket().is_none())
                        && (known.stop().is_some() || session.stop().is_none() || !known.is_open())
                });
                self.expect("INV-6", there, || {
                    format!("session {} is told before it is on disk as told", session.id)
                });
            }
            Effect::Call(EngineCall { charge_point, request, .. }) => self.check_call(charge_point, request),
            Effect::Reply(_)
            | Effect::Notify(_)
            | Effect::NotifyAtOnce(_)
            | Effect::DeadLetter(_)
            | Effect::Changed(_)
            | Effect::Tell(_)
            | Effect::Cut(_)
            | Effect::Happened(_) => {}
        }
    }

    fn check_call(&mut self, charge_point: &ChargePointId, request: &EngineRequest) {
        match request {
            EngineRequest::Authorize { number, session, driver, price, manual, .. } => {
                let known = self.truth.sessions.get(session);
                let there =
                    known.is_some_and(|known| known.authorization >= *number && known.price == *price);
                self.expect("INV-6", there, || {
                    format!("session {session} is authorised before it is on disk")
                });
                let said = manual.is_some() == self.truth.manual.sessions.contains(session);
                self.expect("INV-10", said, || {
                    format!("the engine of {charge_point} is not told who asked for session {session}")
                });
                let noted =
                    self.truth.points.get(charge_point).is_some_and(|p| p.highest_authorization >= *number);
                self.expect("INV-8", noted, || format!("number {number} is used before it is on disk"));
                let whose = (charge_point.clone(), driver.clone());
                self.truth.authorized.insert(session.clone(), whose);
                let fixed = *self.truth.fixed.entry(session.clone()).or_insert(*price);
                self.expect("INV-4", fixed == *price, || {
                    format!("session {session} is authorised at {fixed}, and then at {price}")
                });
            }
            EngineRequest::Confirm { sessions } => {
                for id in sessions {
                    let known = self.truth.sessions.get(id);
                    let done = known.is_some_and(final_reading_billed);
                    self.expect("INV-1", done, || {
                        format!("session {id} is confirmed before its final record and ticket are on disk")
                    });
                }
            }
            EngineRequest::Revoke { .. } | EngineRequest::Stop { .. } | EngineRequest::GetState => {}
        }
    }
}
