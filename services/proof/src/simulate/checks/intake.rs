//! What central takes in and lets out: answers are on disk first, and repeats get the first one (INV-6, INV-8).

use super::{
    super::{truth::rank, world::World},
    reading_of,
};
use central::parts::{Input, Release};
use domain::network::{
    Answer, Broker, CallOutcome, Command, Denial, EngineRequest, Reason, RequestKey, Token, Which,
};
use domain::{ChargePointId, Price};
use std::collections::{BTreeMap, BTreeSet};

/// The mutation's key and token, where it has them.
fn asked(command: &Command) -> Option<&domain::network::Asked> {
    match command {
        Command::RequestCharge { asked, .. }
        | Command::RequestManualSupply { asked, .. }
        | Command::StopCharge { asked, .. }
        | Command::Order { asked, .. }
        | Command::SetPrice { asked, .. } => Some(asked),
        Command::Register { .. }
        | Command::Report { .. }
        | Command::MonitorGone { .. }
        | Command::EngineAnswered { .. }
        | Command::Telemetry { .. }
        | Command::Unreadable { .. }
        | Command::Broker(_)
        | Command::Copied(_)
        | Command::Tick => None,
    }
}

/// An answer, as far as its repeats must be the same.
fn gist(answer: &Result<Answer, Denial>) -> String {
    match answer {
        Ok(Answer::Session(session)) => format!("session {}", session.id),
        Ok(Answer::Ordered(count)) => format!("ordered {count}"),
        Ok(Answer::PriceSet(id)) => format!("price set at {id}"),
        Ok(Answer::Registered { epoch, .. }) => format!("registered {epoch}"),
        Ok(Answer::Reported { .. }) => "reported".into(),
        Err(denial) => format!("denied: {}", denial.text),
    }
}

/// What a step of central begins with.
pub(in crate::simulate) struct OrdersBefore {
    repeats: BTreeSet<Token>,
    points: BTreeMap<ChargePointId, (Price, bool)>,
}

impl World {
    /// Follows what a step of central has taken in.
    pub(in crate::simulate) fn took(&mut self, inputs: &[Input], releases: &[Release]) {
        let mut replies: BTreeMap<Token, &Result<Answer, Denial>> = BTreeMap::new();
        for release in releases {
            if let Release::Reply { token, answer } = release {
                let once = replies.insert(*token, answer).is_none();
                self.expect("INV-6", once, || "a caller has two answers".into());
            }
        }
        for input in inputs {
            match input {
                Input::Command(command) => self.took_command(command, &replies),
                Input::Message { payload, .. } => {
                    if let Some((session, ..)) = reading_of(payload) {
                        self.truth.life.signs.insert(session, self.at);
                    }
                }
                Input::NewCluster(_) | Input::Delivered(_) | Input::LettersDelivered(_) => {}
            }
        }
        for release in releases {
            if let Release::Call { charge_point, call, .. } = release {
                let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                heard.call = Some(*call);
            }
        }
    }

    fn took_command(&mut self, command: &Command, replies: &BTreeMap<Token, &Result<Answer, Denial>>) {
        let at = self.at;
        if let Some(asked) = asked(command)
            && let Some(answer) = replies.get(&asked.token)
            && let Some((key, _)) = &asked.request
        {
            self.check_repeat(key, answer);
        }
        match command {
            Command::Register { token, registration } => {
                if let Some(Ok(Answer::Registered { epoch, .. })) = replies.get(token) {
                    let id = registration.charge_point.clone();
                    let newer =
                        self.truth.registered.insert(id.clone(), *epoch).is_none_or(|old| old < *epoch);
                    self.expect("INV-8", newer, || format!("{id} is registered twice with epoch {epoch}"));
                    let replaced = self.truth.points.get(&id).is_some_and(|p| p.epoch >= *epoch);
                    self.expect("INV-6", replaced, || format!("the registration of {id} is not on disk"));
                    let heard = self.truth.life.points.entry(id).or_default();
                    (heard.epoch, heard.reported, heard.answered) = (*epoch, None, None);
                }
            }
            Command::Report { token, charge_point, epoch, health, .. } => {
                if let Some(Ok(_)) = replies.get(token) {
                    let newest = self.truth.registered.get(charge_point).copied().unwrap_or(0);
                    self.expect("INV-8", *epoch >= newest, || {
                        format!(
                            "a report of epoch {epoch} of {charge_point} is taken, whose newest is {newest}"
                        )
                    });
                    let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                    heard.epoch = *epoch;
                    if heard.reported.is_none() {
                        heard.answered = None;
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
            Command::EngineAnswered { charge_point, call, result } => {
                let instance = self.truth.points.get(charge_point).map(|point| point.instance.clone());
                let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
                heard.asked.get_or_insert(at);
                if let Ok(answer) = result {
                    let records = answer.report.current.iter().chain(&answer.report.unsettled);
                    for record in records {
                        self.truth.life.signs.insert(record.session.clone(), at);
                    }
                }
                let heard = self.truth.life.points.entry(charge_point.clone()).or_default();
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
                if let Some(Ok(Answer::Session(session))) = replies.get(&asked.token) {
                    self.truth.life.stopped.entry(session.id.clone()).or_insert(at);
                }
            }
            Command::SetPrice { .. }
            | Command::Order { .. }
            | Command::RequestCharge { .. }
            | Command::RequestManualSupply { .. }
            | Command::Telemetry { .. }
            | Command::Unreadable { .. }
            | Command::Broker(Broker::Gap)
            | Command::Copied(_)
            | Command::Tick => {}
        }
    }

    /// A mutation's answer is on disk with it, and each repeat gets the first one (INV-6).
    fn check_repeat(&mut self, key: &RequestKey, answer: &Result<Answer, Denial>) {
        if matches!(answer, Err(denial) if denial.reason == Reason::RequestIdReused) {
            return;
        }
        let recorded = self.truth.answers.contains_key(key);
        self.expect("INV-6", recorded, || format!("the answer to request {} is not on disk", key.id));
        let now = gist(answer);
        match self.truth.given.get(key) {
            Some(first) => {
                self.tally.count("requests repeated");
                let same = *first == now;
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
            Input::Message { .. }
            | Input::NewCluster(_)
            | Input::Delivered(_)
            | Input::LettersDelivered(_) => None,
        });
        let repeats = commands.filter(|asked| {
            asked.request.as_ref().is_some_and(|(key, _)| self.truth.answers.contains_key(key))
        });
        let points = self.truth.points.values();
        OrdersBefore {
            repeats: repeats.map(|asked| asked.token).collect(),
            points: points.map(|point| (point.id.clone(), (point.price, point.out_of_order))).collect(),
        }
    }

    /// A price and an operator's order change by their own calls alone, and what was answered is on disk (INV-6).
    pub(in crate::simulate) fn check_orders(
        &mut self,
        inputs: &[Input],
        releases: &[Release],
        before: &OrdersBefore,
    ) {
        let granted = |token: &Token| {
            !before.repeats.contains(token)
                && releases.iter().any(
                    |release| matches!(release, Release::Reply { token: to, answer: Ok(_) } if to == token),
                )
        };
        let mut expected = before.points.clone();
        for input in inputs {
            match input {
                Input::Command(Command::SetPrice { asked, charge_point, price }) if granted(&asked.token) => {
                    if let Some(point) = expected.get_mut(charge_point) {
                        point.0 = *price;
                    }
                }
                Input::Command(Command::Order { asked, which, out_of_order }) if granted(&asked.token) => {
                    let meant = |id: &ChargePointId| match which {
                        Which::All => true,
                        Which::Some(ids) => ids.contains(id),
                    };
                    expected
                        .iter_mut()
                        .filter(|(id, _)| meant(id))
                        .for_each(|(_, point)| point.1 = *out_of_order);
                }
                Input::Command(_)
                | Input::Message { .. }
                | Input::NewCluster(_)
                | Input::Delivered(_)
                | Input::LettersDelivered(_) => {}
            }
        }
        for (id, (price, out_of_order)) in expected {
            let Some(now) = self.truth.points.get(&id) else { continue };
            let (is_price, is_order) = (now.price, now.out_of_order);
            self.expect("INV-6", (is_price, is_order) == (price, out_of_order), || {
                format!("{id} has price {is_price}, stopped {is_order} on disk; answered was {price}, {out_of_order}")
            });
        }
    }

    /// Nothing leaves central before what it says is on its disk (INV-6).
    pub(in crate::simulate) fn check_release(&mut self, release: &Release) {
        match release {
            Release::Reply { answer: Ok(Answer::Session(session)), .. } => {
                let on_disk = self.truth.sessions.get(&session.id);
                let there = on_disk.is_some_and(|known| {
                    rank(known.state) >= rank(session.state)
                        && known.driver == session.driver
                        && (known.ticket.is_some() || session.ticket.is_none())
                        && (known.stop.is_some() || session.stop.is_none())
                });
                self.expect("INV-6", there, || {
                    format!("session {} is told before it is on disk as told", session.id)
                });
            }
            Release::Call { charge_point, request, .. } => self.check_call(charge_point, request),
            Release::Reply { .. }
            | Release::Reading(_)
            | Release::Changed(_)
            | Release::Happened(_)
            | Release::Rows => {}
        }
    }

    fn check_call(&mut self, charge_point: &ChargePointId, request: &EngineRequest) {
        match request {
            EngineRequest::Authorize { number, session, price, .. } => {
                let known = self.truth.sessions.get(session);
                let there =
                    known.is_some_and(|known| known.authorization >= *number && known.price == *price);
                self.expect("INV-6", there, || {
                    format!("session {session} is authorised before it is on disk")
                });
                let noted =
                    self.truth.points.get(charge_point).is_some_and(|p| p.highest_authorization >= *number);
                self.expect("INV-8", noted, || format!("number {number} is used before it is on disk"));
                let fixed = *self.truth.fixed.entry(session.clone()).or_insert(*price);
                self.expect("INV-4", fixed == *price, || {
                    format!("session {session} is authorised at {fixed}, and then at {price}")
                });
            }
            EngineRequest::Confirm { sessions } => {
                for id in sessions {
                    let known = self.truth.sessions.get(id);
                    let done = known.is_some_and(|known| known.ticket.is_some() && known.final_reading);
                    self.expect("INV-1", done, || {
                        format!("session {id} is confirmed before its final record and ticket are on disk")
                    });
                }
            }
            EngineRequest::Revoke { .. } | EngineRequest::Stop { .. } | EngineRequest::GetState => {}
        }
    }
}
