//! The promises, held against what is known, after each step and at each message that leaves.

use super::{
    truth::{Supplied, rank, word},
    world::World,
};
use central::parts::{Input, Release};
use domain::network::{
    Answer, Broker, CallFailed, CallOutcome, Command, Denial, EngineAnswer, EngineRequest, Health, Outcome,
    Reason, RequestKey, Session, State, Status, Ticket, Token, Which,
};
use domain::requests;
use domain::supply::View;
use domain::{ChargePointId, Energy, Price, SessionId};
use engine::parts::{Asked, Told};
use evmesh_proto::engine::CallResult;
use evmesh_proto::topics::{Notification, NotificationType, Telemetry};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// INV-3's 5 s, and what late ticks and slow steps of this simulation add (ms).
const LATE: u64 = 5_000 + 2_500;
/// A deadline of before central's start is judged once Kafka and the engine were asked: that takes so long at most (ms).
const JUDGED: u64 = 30_000;

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a bill must be, reckoned apart from the product's own way: half to even, once, to the minor unit.
pub(super) fn bill(price: Price, energy: Energy) -> u64 {
    let exact = u128::from(energy.wh()) * u128::from(price.micros_per_kwh());
    let unit = 1000 * 10_u128.pow(6 - price.currency().decimals());
    let mut units = exact / unit;
    let twice = 2 * (exact - units * unit);
    if twice > unit || (twice == unit && units % 2 == 1) {
        units += 1;
    }
    u64::try_from(units * unit / 1000).unwrap_or(u64::MAX)
}

/// The session, energy and number of a message on `cp_telemetry`.
pub(super) fn reading_of(payload: &[u8]) -> Option<(SessionId, Energy, u64)> {
    let message: Telemetry = serde_json::from_slice(payload).ok()?;
    Some((message.session_id?.parse().ok()?, Energy::from_kwh(message.kwh?)?, message.seq?))
}

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
pub(super) struct OrdersBefore {
    repeats: BTreeSet<Token>,
    points: BTreeMap<ChargePointId, (Price, bool)>,
}

impl World {
    // --- what central took and gave ---

    /// Follows what a step of central has taken in.
    pub(super) fn took(&mut self, inputs: &[Input], releases: &[Release]) {
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
    pub(super) fn orders_before(&self, inputs: &[Input]) -> OrdersBefore {
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
    pub(super) fn check_orders(&mut self, inputs: &[Input], releases: &[Release], before: &OrdersBefore) {
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
    pub(super) fn check_release(&mut self, release: &Release) {
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

    // --- tickets ---

    pub(super) fn check_ticket(&mut self, session: &Session, ticket: Ticket) {
        let id = &session.id;
        let first = *self.truth.tickets.entry(id.clone()).or_insert(ticket);
        let same = Ticket { late_energy: first.late_energy, ..ticket } == first;
        let again =
            self.truth.restored && (ticket.estimated || first.estimated || ticket.energy == first.energy);
        self.expect("INV-1", same || again, || {
            format!("the ticket of session {id} changes: {first:?}, {ticket:?}")
        });
        let Some(supplied) = self.truth.supplies.get(id).cloned() else {
            return self.broken("INV-1", format!("session {id} has a ticket and no supply"));
        };
        let price = self.truth.fixed.get(id).copied().unwrap_or(supplied.price);
        let amount = bill(price, ticket.energy);
        self.expect("INV-4", ticket.amount_micros == amount && session.price == price, || {
            format!(
                "session {id}, authorised at {price}, is billed {} micros for {}: it must be {amount}",
                ticket.amount_micros, ticket.energy
            )
        });
        if ticket.estimated {
            self.check_estimate(session, ticket, &supplied);
        } else {
            let exact = supplied.ended && supplied.energy == ticket.energy;
            self.expect("INV-4", exact, || {
                format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
            });
        }
        if self.truth.sessions.get(id).is_none_or(|known| known.ticket.is_none()) {
            self.tally.count(if ticket.estimated { "tickets estimated" } else { "tickets exact" });
        }
    }

    /// Only a lost store, or the settlement deadline, lets a ticket do without the final reading.
    fn check_estimate(&mut self, session: &Session, ticket: Ticket, supplied: &Supplied) {
        let id = &session.id;
        let ended = self.truth.ended.get(id).copied().unwrap_or(self.at);
        let over = self.at >= ended + ms(self.plan.config.settlement).saturating_sub(1_000);
        let jumped = self.truth.jumped.is_some_and(|at| at >= ended);
        let lost = self.truth.lost.contains(&supplied.instance);
        let may = over || jumped || lost || self.truth.restored;
        self.expect("INV-1", may, || format!("session {id} is settled early, on {}", ticket.energy));
        self.expect("INV-4", ticket.energy <= supplied.energy, || {
            format!("session {id} is billed {}, and its engine has {supplied:?}", ticket.energy)
        });
    }

    // --- central's state ---

    /// INV-2, INV-3, and each status, after each step.
    pub(super) fn check_network(&mut self) {
        let Some(running) = &self.central.up else { return };
        let network = running.central.network();
        let (mut points, mut drivers) = (BTreeSet::new(), BTreeSet::new());
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        let config = &self.plan.config;
        let life = &mut self.truth.life;
        for session in network.sessions() {
            let id = &session.id;
            if session.state.is_open() {
                if !points.insert(&session.charge_point) {
                    wrong.push(("INV-2", format!("two open sessions at {}", session.charge_point)));
                }
                if !session.driver.is_guest() && !drivers.insert(&session.driver) {
                    wrong.push(("INV-2", format!("two open sessions of {}", session.driver)));
                }
            }
            let first = (session.state, self.at, session.live.restored);
            let (before, since, restored) = life.since.get(id).copied().unwrap_or(first);
            let (lasted, fresh) = (self.at - since, !restored);
            if before != session.state {
                if session.state == State::Ended(Outcome::Expired)
                    && before == State::Reserved
                    && fresh
                    && !session.store_lost
                    && lasted + 100 < ms(config.reservation)
                {
                    wrong.push(("INV-3", format!("session {id} expires {lasted} ms after its reservation")));
                }
                if session.state == State::Ended(Outcome::Faulted)
                    && before == State::Supplying
                    && fresh
                    && session.end.is_none()
                    && !session.store_lost
                    && lasted + 100 < ms(config.supply_silence)
                {
                    wrong.push(("INV-3", format!("session {id} is silent after {lasted} ms of supply")));
                }
                life.since.insert(id.clone(), (session.state, self.at, restored));
                continue;
            }
            life.since.entry(id.clone()).or_insert(first);
            let base = if fresh {
                since
            } else {
                let asked = life.points.get(&session.charge_point).and_then(|heard| heard.asked);
                let judged =
                    life.kafka_judged.max(asked).filter(|_| life.kafka_judged.is_some() && asked.is_some());
                judged.unwrap_or(life.began + JUDGED).max(since)
            };
            let most = match session.state {
                State::Authorizing => ms(config.authorize_timeout),
                State::Reserved => ms(config.reservation + config.reservation_margin),
                State::Supplying => {
                    let sign = life.signs.get(id).copied().unwrap_or(since).max(base);
                    if self.at > sign + ms(config.supply_silence) + LATE {
                        wrong
                            .push(("INV-3", format!("session {id} is silent since {sign} ms, and not over")));
                    }
                    continue;
                }
                State::Ended(_) if session.ticket.is_none() && session.started => ms(config.settlement),
                State::Ended(_) => continue,
            };
            if self.at > base + most + LATE {
                wrong.push(("INV-3", format!("session {id} is {:?} since {since} ms", session.state)));
            }
            if session.state == State::Reserved
                && let Some(stopped) = life.stopped.get(id)
                && self.at > base.max(*stopped) + ms(config.revoke_timeout) + LATE
            {
                wrong.push(("INV-3", format!("session {id} was stopped at {stopped} ms and is not over")));
            }
        }
        for detail in network.charge_points_after(None) {
            let heard = life.points.get(&detail.id);
            let report = heard.and_then(|heard| heard.reported);
            let silence = ms(config.report_interval) * 3;
            let alive = report.is_some_and(|(at, _)| self.at <= at + silence + LATE - 5_000);
            let surely = report.is_some_and(|(at, _)| self.at < at + silence - 100);
            let well = report.is_some_and(|(_, health)| health == Health::Ok);
            let answers = heard.is_some_and(|heard| heard.answered == Some(true));
            let at_point = || network.sessions().filter(|s| s.charge_point == detail.id);
            let open = at_point().find(|session| session.state.is_open()).map(|session| session.state);
            let stopped = self.truth.points.get(&detail.id).is_some_and(|point| point.out_of_order);
            let supplies = open == Some(State::Supplying);
            let status = detail.status;
            let fits = match status {
                Status::Disconnected => !surely,
                Status::Faulted => alive,
                Status::Supplying => alive && well && answers,
                Status::OutOfOrder => alive && well && answers && stopped && !supplies,
                Status::Reserved => alive && well && answers && !stopped && open.is_some() && !supplies,
                Status::Available => alive && well && answers && !stopped && open.is_none(),
            };
            if !fits {
                let text = format!(
                    "{} is shown {status:?}: report {report:?}, engine answers {answers}, stopped {stopped}, session {open:?}",
                    detail.id
                );
                wrong.push(("status", text));
            }
        }
        self.tally.checks += 1;
        for (promise, text) in wrong {
            self.broken(promise, text);
        }
    }

    // --- engines ---

    pub(super) fn check_engine(
        &mut self,
        p: usize,
        before: &View,
        asked: &[Asked],
        told: &[Told],
        after: &View,
    ) {
        for (asked, told) in asked.iter().zip(told) {
            if let (Asked::Authorize(request), Told::Authorize(response)) = (asked, told)
                && response.result() == CallResult::Done
                && let Ok(session) = request.session_id.parse()
            {
                self.truth.agreed.insert(session);
            }
        }
        let ([Asked::Authorize(request)], [Told::Authorize(response)]) = (asked, told) else { return };
        if response.result() != CallResult::Done {
            return;
        }
        let repeat = |view: &View| {
            view.current.as_ref().is_some_and(|record| {
                record.session.as_str() == request.session_id && record.number == request.authorization_number
            })
        };
        let fresh = request.authorization_number > before.highest;
        let known = before.instance.as_str() == request.instance_id && after.instance == before.instance;
        let id = self.points[p].id.clone();
        self.expect("INV-8", (fresh || repeat(before)) && known, || {
            format!(
                "{id}, which has seen {}, takes authorisation {} for session {}",
                before.highest, request.authorization_number, request.session_id
            )
        });
    }

    /// An engine's answer is about to leave: it says nothing that is not on its disk, and forgets nothing.
    pub(super) fn check_answer(&mut self, p: usize, result: &Result<EngineAnswer, CallFailed>) {
        let Ok(EngineAnswer { report, .. }) = result else { return };
        let told = self.truth.highest_told.entry(report.instance.clone()).or_default();
        let (before, now) = (*told, report.highest_authorization);
        *told = now.max(before);
        let id = self.points[p].id.clone();
        self.expect("INV-8", now >= before, || {
            format!("{id} has forgotten its authorisations: it has seen {before}, and says {now}")
        });
        for record in report.current.iter().chain(&report.unsettled) {
            if record.seq == 0 {
                continue; // not taken up
            }
            let known = self.truth.supplies.get(&record.session);
            let there = known.is_some_and(|known| known.energy >= record.energy && known.seq >= record.seq);
            self.expect("INV-6", there, || {
                format!("{id} tells of session {} what is not on its disk", record.session)
            });
        }
        let kept = self.truth.supplies.iter().filter(|(_, s)| s.ended && s.instance == report.instance);
        let missing = kept.map(|(session, _)| session).find(|session| {
            let known = self.truth.sessions.get(*session);
            known.is_none_or(|known| known.ticket.is_none())
                && report.unsettled.iter().chain(&report.current).all(|record| record.session != **session)
        });
        let missing = missing.filter(|_| !self.truth.restored).cloned();
        self.expect("INV-1", missing.is_none(), || {
            format!("{id} does not tell of session {missing:?}, which has no ticket yet")
        });
    }

    /// A reading is about to be published.
    pub(super) fn check_published(&mut self, p: usize, payload: &[u8]) {
        let Some((session, energy, seq)) = reading_of(payload) else { return };
        let known = self.truth.supplies.get(&session);
        let there = known.is_some_and(|known| known.energy >= energy && known.seq >= seq);
        let id = self.points[p].id.clone();
        self.expect("INV-6", there, || {
            format!("{id} publishes {energy} of session {session}, which is not on its disk")
        });
    }

    // --- what drivers are told and shown ---

    pub(super) fn check_notified(&mut self, key: &str, payload: &[u8], outbox: bool) {
        let Ok(told) = serde_json::from_slice::<Notification>(payload) else {
            return self.broken("INV-7", "a notification cannot be read".into());
        };
        self.tally.count(&format!("told {}", word(told.kind)));
        self.expect("INV-5", key == told.user_id, || {
            format!("a message for {} has the key {key}", told.user_id)
        });
        if told.kind == NotificationType::Denied {
            self.truth.denied.extend(told.event_id.clone());
        }
        let Some(id) = told.session_id.as_deref().and_then(|id| id.parse::<SessionId>().ok()) else { return };
        let restored = self.truth.restored;
        let Some(known) = self.truth.sessions.get(&id).cloned() else {
            return self.expect("INV-6", restored, || {
                format!("a driver is told of session {id}, which is not on disk")
            });
        };
        self.expect("INV-5", known.driver.as_str() == key, || format!("session {id} is told to {key}"));
        let on_disk = match told.kind {
            NotificationType::Authorized => rank(known.state) >= 1,
            NotificationType::Denied => rank(known.state) == 3,
            NotificationType::SupplyError => known.error_told,
            NotificationType::Ticket => known.ticket.is_some(),
            NotificationType::ConsumptionUpdate => true,
        };
        self.expect("INV-6", on_disk || restored, || {
            format!("{} of session {id} is told before it is on disk", word(told.kind))
        });
        if told.kind == NotificationType::Ticket
            && let Some(ticket) = known.ticket
        {
            let same = told.kwh == Some(ticket.energy.kwh())
                && told.importe == Some(ticket.amount_micros as f64 / 1e6);
            self.expect("INV-4", same || restored, || {
                format!("session {id} is told another ticket than it has")
            });
        }
        let seen = self.truth.told.entry(id.clone()).or_default();
        seen.kinds.insert(word(told.kind));
        let event = told.event_id.unwrap_or_default();
        if outbox && seen.events.insert(event) {
            let (last, now) = (seen.last_seq, told.seq);
            seen.last_seq = now;
            self.expect("INV-6", last < now || restored, || {
                format!("{} of session {id} has number {now:?}, after {last:?}", word(told.kind))
            });
        }
    }

    /// Central shows a session: as far as its disk goes, and nothing that was shown before is taken back (INV-6).
    pub(super) fn check_shown(&mut self, session: &Session) {
        let id = &session.id;
        let known = self.truth.sessions.get(id);
        let there = known.is_some_and(|known| {
            rank(known.state) >= rank(session.state)
                && known.ticket.map(|ticket| ticket.amount_micros)
                    == session.ticket.map(|ticket| ticket.amount_micros)
        });
        self.expect("INV-6", there, || format!("session {id} is shown as its disk does not have it"));
    }

    pub(super) fn check_forgotten(&mut self, id: &SessionId) {
        let known = self.truth.sessions.contains_key(id);
        self.expect("INV-6", !known, || format!("session {id} is on disk, and not shown to its driver"));
    }

    /// An app shows a ticket to its driver.
    pub(super) fn check_shown_ticket(&mut self, a: usize, shown: &requests::Ticket) {
        let driver = self.apps[a].driver.clone();
        let id = &shown.session;
        let theirs = self.truth.sessions.get(id).is_none_or(|session| session.driver == driver);
        self.expect("INV-5", theirs, || format!("{driver} is shown the ticket of session {id}"));
        let issued = self.truth.tickets.get(id).copied();
        let same = issued.is_some_and(|issued| {
            issued.energy == shown.energy && issued.amount_micros == shown.amount.micros
        });
        let restored = self.truth.restored;
        self.expect("INV-4", same || restored, || {
            format!("{driver} is shown {} for session {id}, whose ticket is {issued:?}", shown.amount)
        });
    }
}
