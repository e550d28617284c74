//! Central's host: the process with its queue, its steps, what it lets out, and its deaths.

pub(super) use super::callers::{Caller, Query};
use super::{
    broker::Reader,
    disk::{Disk, Fate},
    world::{Clock, Place, World, say},
};
use central::{
    messages,
    signing::Keys,
    store::{Filter, Snapshot},
    writer::{Input, Writer},
};
use domain::network::{CallId, Command, Config, Effect, Network, Reply, Session, State, Token};
use domain::{ChargePointId, DriverId, Mono, SessionId};
use mesh::{group_commit::Owner, store::MemoryStore};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Time passes for central this often (ms).
const TICK: u64 = 200;
/// A call of central's callers is given up after this (ms).
pub(super) const CALL_TIMEOUT: u64 = 6_000;

pub(super) enum Work {
    Input(Box<Input>),
    Query(Query),
}

pub(super) struct Running {
    pub(super) central: Owner<Writer, Disk>,
    queue: VecDeque<Work>,
    stepping: bool,
    /// By the number of each one's token.
    waiting: BTreeMap<u64, Caller>,
    /// The calls to engines that wait for their answers.
    pub(super) calls: BTreeSet<(ChargePointId, CallId)>,
    /// Who follows which session: app, its life, its stream.
    pub(super) watches: BTreeMap<SessionId, BTreeSet<(usize, u64, u64)>>,
    pub(super) reader: Reader,
    /// The rows that are on their way to Kafka, by driver.
    pub(super) lanes: BTreeMap<String, u64>,
    /// Those that Kafka has, until they are deleted.
    pub(super) delivered: BTreeSet<u64>,
}

impl Running {
    fn snapshot(&self) -> Snapshot<'_> {
        self.central.rules.snapshot(&self.central.store)
    }

    pub(super) fn network(&self) -> &Network {
        self.snapshot().network
    }

    /// The first 500 of a driver, oldest first.
    fn sessions_of(&self, driver: &DriverId, with_ticket: bool) -> Result<Vec<Session>, central::Error> {
        let filter = Filter::of_driver(driver.clone());
        Ok(self.snapshot().sessions(&filter, with_ticket, None, 500)?.sessions)
    }
}

pub(super) struct CentralHost {
    pub(super) disk: Disk,
    pub(super) up: Option<Running>,
    pub(super) life: u64,
    pub(super) clock: Clock,
    pub(super) config: Config,
    /// A copy of the store that somebody made.
    pub(super) copy: Option<MemoryStore>,
    /// Those of its newest life.
    pub(super) keys: Option<Arc<Keys>>,
}

impl CentralHost {
    pub(super) fn new(config: Config) -> Self {
        Self { disk: Disk::new(), up: None, life: 0, clock: Clock::default(), config, copy: None, keys: None }
    }
}

impl World {
    pub(super) fn central_starts(&mut self) {
        if self.central.up.is_some() {
            return;
        }
        self.central.life += 1;
        let life = self.central.life;
        self.central.clock.booted = self.at;
        self.central.disk.revive();
        let now = self.central.clock.now(self.at);
        let opened = Writer::open(self.central.disk.clone(), self.central.config.clone(), now);
        self.central_wrote();
        match opened {
            Ok(central) => {
                say!(self, "central starts (life {life})");
                let reader = Reader::new(central.rules.position());
                self.central.keys = Some(central.rules.keys());
                let running = Running {
                    central,
                    queue: VecDeque::new(),
                    stepping: false,
                    waiting: BTreeMap::new(),
                    calls: BTreeSet::new(),
                    watches: BTreeMap::new(),
                    reader,
                    lanes: BTreeMap::new(),
                    delivered: BTreeSet::new(),
                };
                self.truth.central_started(self.at, running.network().sessions());
                self.central.up = Some(running);
                self.check_network();
                self.after(TICK, move |world| world.central_ticks(life));
                self.after(50, move |world| world.reader_polls(life));
                self.after(50, move |world| world.central_relays(life));
                self.registry_tells_all();
            }
            Err(error) => self.broken("INV-7", format!("central does not start from its own store: {error}")),
        }
    }

    /// The process that is meant, if it still lives.
    pub(super) fn central_of(&mut self, life: u64) -> Option<&mut Running> {
        (self.central.life == life).then_some(self.central.up.as_mut()).flatten()
    }

    fn central_ticks(&mut self, life: u64) {
        if self.central_of(life).is_none() {
            return;
        }
        self.central_takes(Input::Command(Command::Tick));
        let late = if self.faults && self.random.one_in(50) { self.random.below(1_000) } else { 0 };
        self.after(TICK + late, move |world| world.central_ticks(life));
    }

    /// Something arrives at central; it is gone if central is not there.
    pub(super) fn central_takes(&mut self, input: Input) -> bool {
        self.central_works(Work::Input(Box::new(input)))
    }

    pub(super) fn central_works(&mut self, work: Work) -> bool {
        let Some(running) = &mut self.central.up else { return false };
        running.queue.push_back(work);
        if !std::mem::replace(&mut running.stepping, true) {
            let life = self.central.life;
            let slow = self.faults && self.random.one_in(100);
            let ms = if slow { self.random.below(900) } else { self.random.below(4) };
            self.after(ms, move |world| world.central_steps(life));
        }
        true
    }

    /// A call arrives at central; false if nobody is there.
    pub(super) fn central_asked<A>(
        &mut self,
        caller: Caller,
        ask: impl FnOnce(Token<A>, Mono) -> Command,
    ) -> bool {
        let token = Token::new(self.fresh());
        let now = self.central.clock.now(self.at);
        let Some(running) = &mut self.central.up else { return false };
        running.waiting.insert(token.number, caller);
        self.central_takes(Input::Command(ask(token, now.mono)))
    }

    fn central_steps(&mut self, life: u64) {
        let split = self.faults && self.random.one_in(4);
        let share = self.random.next();
        let Some(running) = self.central_of(life) else { return };
        let waiting = running.queue.len();
        let count = if split { 1 + usize::try_from(share).unwrap_or(0) % waiting.max(1) } else { waiting };
        let (mut inputs, mut queries) = (Vec::new(), Vec::new());
        for work in running.queue.drain(..count.min(waiting)) {
            match work {
                Work::Input(input) => inputs.push(*input),
                Work::Query(query) => queries.push(query),
            }
        }
        running.stepping = !running.queue.is_empty();
        if running.stepping {
            self.after(1, move |world| world.central_steps(life));
        }
        let last = self.faults && self.random.one_in(self.plan.deadly_steps);
        let how = if last { self.random.below(4) } else { 9 };
        self.central.disk.set_fate(match how {
            0 => Fate::Lost,
            1 => Fate::Kept,
            _ => Fate::Works,
        });
        let now = self.central.clock.now(self.at);
        for input in &inputs {
            if !matches!(input, Input::Command(Command::Tick | Command::Report { .. })) {
                say!(self, "central takes {input:?}");
            }
        }
        let before = self.orders_before(&inputs);
        self.are_asked_for_manually(&inputs);
        let Some(running) = self.central_of(life) else { return };
        let stepped = running.central.step(now, inputs.clone());
        self.central_wrote();
        let dead = self.central.disk.is_dead();
        self.central.disk.set_fate(Fate::Works); // a step that wrote nothing leaves its fate to no other
        match stepped {
            Ok(effects) => {
                let survives = match how {
                    2 => self.random.index(effects.len() + 1),
                    3 => 0,
                    _ => usize::MAX,
                };
                self.took(&inputs, &effects);
                self.check_orders(&inputs, &effects, &before);
                self.check_network();
                for release in effects.into_iter().take(survives) {
                    self.central_lets_out(release);
                }
                if dead || survives != usize::MAX {
                    return self.central_dies(if how == 3 {
                        "before it let anything out"
                    } else {
                        "while it let things out"
                    });
                }
                for query in queries {
                    self.central_answers(query);
                }
            }
            Err(_) if dead => {
                self.central_dies(if how == 0 {
                    "in its commit, which is lost"
                } else {
                    "in its commit, which is kept"
                });
            }
            Err(error) => self.broken("INV-7", format!("central's writer gives up: {error}")),
        }
    }

    pub(super) fn central_dies(&mut self, how: &str) {
        let Some(running) = self.central.up.take() else { return };
        say!(self, "central dies {how}");
        self.tally.count("central died");
        for session in running.network().sessions() {
            self.tally.count(&format!("central died: session {}", state_name(session)));
        }
        self.central.disk.revive();
        let down = if self.faults { self.random.span(20_000) } else { 1 };
        self.after(down, Self::central_starts);
        self.streams_to_central_break();
    }

    /// In good order: everything in memory is saved.
    pub(super) fn central_stops(&mut self) {
        let Some(mut running) = self.central.up.take() else { return };
        say!(self, "central stops in good order");
        self.tally.count("central stopped");
        if let Err(error) = running.central.close() {
            self.broken("INV-7", format!("central cannot stop: {error}"));
        }
        self.central_wrote();
        let down = self.random.span(10_000);
        self.after(down, Self::central_starts);
        self.streams_to_central_break();
    }

    fn central_lets_out(&mut self, effect: Effect) {
        self.check_effect(&effect);
        match effect {
            Effect::Reply(reply) => self.central_replies(reply),
            Effect::Call(call) => {
                let life = self.central.life;
                if let Some(running) = &mut self.central.up {
                    running.calls.insert((call.charge_point.clone(), call.call));
                }
                self.call_engine(life, call);
            }
            Effect::NotifyAtOnce(notice) => {
                let (driver, payload) = (notice.driver.to_string(), messages::payload(&notice));
                if let Some(ms) = self.delay(Place::Central, Place::Broker) {
                    self.after(ms, move |world| {
                        if world.broker.is_up(world.at) {
                            world.notified(&driver, &payload, false);
                        }
                    });
                }
            }
            Effect::Changed(session) => self.central_shows(&session),
            Effect::Happened(event) => {
                say!(self, "central says: {}", event.text);
                self.tally.count(&format!("central: {}", event.name));
            }
            Effect::Cut(id) => self.connections_end(&id),
            Effect::Tell(_) => {} // of no certificate: there are none here
            Effect::Notify(_) | Effect::DeadLetter(_) => {
                let life = self.central.life;
                self.after(1, move |world| world.central_relays_once(life));
            }
        }
    }

    fn central_replies(&mut self, reply: Reply) {
        let number = caller(&reply);
        let Some(caller) = self.central.up.as_mut().and_then(|running| running.waiting.remove(&number))
        else {
            return;
        };
        match (caller, reply) {
            (Caller::Stranger, _) => {}
            (Caller::Registers { p, m, life, link }, Reply::Registered(_, answer)) => {
                self.registered(p, m, life, link, answer);
            }
            (Caller::Reports { p, m, life, link }, Reply::Reported(_, answer)) => {
                self.reported(p, m, life, link, answer);
            }
            (Caller::App { a, life, request }, Reply::Session(_, answer)) => {
                self.app_answered(a, life, request, answer);
            }
            (Caller::Engine { p, life, request }, Reply::Session(_, answer)) => {
                self.manual_answered(p, life, request, answer.is_ok());
            }
            (caller, reply) => {
                self.broken("INV-7", format!("{caller:?} has another call's answer: {reply:?}"))
            }
        }
    }

    /// Sends the newest state of a session to whoever follows it.
    fn central_shows(&mut self, id: &SessionId) {
        let Some(running) = &mut self.central.up else { return };
        let Some(followers) = running.watches.get(id).cloned() else { return };
        let Ok(Some(session)) = running.snapshot().session(id) else { return };
        if session.settled() {
            running.watches.remove(id);
        }
        for (a, life, follow) in followers {
            self.shows(a, life, Some(follow), &session);
        }
    }

    fn central_answers(&mut self, query: Query) {
        let Some(running) = &mut self.central.up else { return };
        match query {
            Query::Fetch { a, life, session, follow } => {
                let found = running.snapshot().session(&session);
                let found = match found {
                    Ok(found) => found.filter(|found| found.driver == self.apps[a].driver),
                    Err(error) => return self.broken("INV-7", format!("central cannot read: {error}")),
                };
                match found {
                    Some(found) => {
                        if let Some(follow) = follow.filter(|_| !found.settled()) {
                            running.watches.entry(session).or_default().insert((a, life, follow));
                        }
                        self.shows(a, life, follow, &found);
                    }
                    None => self.shows_nothing(a, life, session),
                }
            }
            Query::CatchUp { a, life } => {
                let driver = self.apps[a].driver.clone();
                let sessions = running.sessions_of(&driver, false);
                let tickets = running.sessions_of(&driver, true);
                match (sessions, tickets) {
                    (Ok(sessions), Ok(tickets)) => self.catches_up(a, life, &sessions, &tickets),
                    (Err(error), _) | (_, Err(error)) => {
                        self.broken("INV-7", format!("central cannot read: {error}"));
                    }
                }
            }
        }
    }
}

/// The number of the token that a reply's caller waits by.
pub(super) fn caller(reply: &Reply) -> u64 {
    match reply {
        Reply::Session(token, _) => token.number,
        Reply::Ordered(token, _) => token.number,
        Reply::Registered(token, _) => token.number,
        Reply::Reported(token, _) => token.number,
        Reply::CardBlocked(token, _) => token.number,
    }
}

/// A session's state, for the tallies.
pub(super) fn state_name(session: &Session) -> &'static str {
    match session.state() {
        State::Authorizing => "authorizing",
        State::Reserved => "reserved",
        State::Supplying => "supplying",
        State::Ended(_) if session.ticket().is_some() => "ended, ticketed",
        State::Ended(_) => "ended, unsettled",
    }
}
