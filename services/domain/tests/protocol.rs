//! Central's rules against the engine's, over a network and a broker that lose, repeat and delay, with crashes of both
//! sides: whatever happens, no promise is broken on the way, and once the faults stop, everything settles.
//!
//! Each seed is one run, the same each time. `EVMESH_SEEDS=N` runs more of them, `EVMESH_SEED=S` only that one.

#![allow(clippy::unwrap_used)] // a helper of a test may fail it

use domain::{
    ChargePointId, DriverId, Energy, InstanceId, Mono, Now, SessionId, Wall,
    network::{
        self, Broker, CallId, CallOutcome, Command, Config, Effect, EngineRequest, Health, Network,
        NoticeKind,
    },
    supply::{self, CallResult, Input, RevokeOutcome, Settings, Supply, Write},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

const TICK_MS: u64 = 250;

#[test]
fn no_promise_breaks_whatever_is_lost_repeated_late_or_killed() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("EVMESH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("EVMESH_SEEDS").unwrap_or(150),
    };
    let mut tickets = 0;
    for seed in seeds.clone() {
        let run = std::panic::catch_unwind(|| Run::new(seed).play());
        tickets += run.unwrap_or_else(|_| panic!("seed {seed}: replay it with EVMESH_SEED={seed}"));
    }
    assert!(tickets > seeds.count() as u64, "an idle run proves nothing: {tickets} tickets");
}

/// A small generator: the test needs no more than repeatable noise.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What an engine has on disk.
struct Engine {
    id: ChargePointId,
    supply: Supply,
    disk: supply::Stored,
    outbox: VecDeque<supply::Event>,
    settings: Settings,
    /// Down until then.
    down_until: u64,
    monitor_down_until: u64,
    registered: bool,
    link: u64,
    epoch: u64,
}

#[derive(Default)]
struct Pages {
    points: BTreeMap<ChargePointId, network::ChargePoint>,
    sessions: BTreeMap<SessionId, network::Session>,
    answers: BTreeMap<network::RequestKey, network::Answered>,
    offsets: Vec<network::Source>,
}

impl network::Archive for Pages {
    fn session(&self, id: &SessionId) -> Option<network::Session> {
        self.sessions.get(id).cloned()
    }
}

/// A call on its way to an engine, or its answer on its way back.
enum Flight {
    Call { at: u64, point: usize, call: Option<CallId>, instance: InstanceId, request: EngineRequest },
    Answer { at: u64, point: usize, call: CallId, result: Result<network::EngineAnswer, network::CallFailed> },
}

struct Run {
    random: Random,
    now: Now,
    net: Option<Network>,
    pages: Pages,
    engines: Vec<Engine>,
    log: Vec<network::Message>,
    read_to: usize,
    kafka_away_until: u64,
    flights: Vec<Flight>,
    tickets: BTreeMap<SessionId, u64>,
    /// What each session's engine persisted as final.
    finals: BTreeMap<SessionId, Energy>,
    started: BTreeSet<SessionId>,
    /// Since when central, in this life, has seen a session in its state.
    since: BTreeMap<SessionId, (network::State, u64)>,
    central_down_until: u64,
    next_id: u64,
    faults: bool,
    lost_stores: BTreeSet<InstanceId>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let now = Now { mono: Mono(0), wall: Wall(1_700_000_000_000) };
        let mut random = Random(seed);
        let mut run = Self {
            now,
            net: None,
            pages: Pages::default(),
            engines: Vec::new(),
            log: Vec::new(),
            read_to: 0,
            kafka_away_until: 0,
            flights: Vec::new(),
            tickets: BTreeMap::new(),
            finals: BTreeMap::new(),
            started: BTreeSet::new(),
            since: BTreeMap::new(),
            central_down_until: 0,
            next_id: 0,
            faults: true,
            lost_stores: BTreeSet::new(),
            random: Random(random.next()),
        };
        for n in 0..3 {
            let engine = run.engine(n);
            run.engines.push(engine);
        }
        run.start_central();
        run
    }

    fn engine(&mut self, n: u64) -> Engine {
        let settings = Settings {
            power: domain::Power::from_w(22_000),
            battery: Energy::from_wh(5_000 + self.random.below(20_000)),
            duration: Some(Duration::from_secs(2 + self.random.below(10))),
            speed: 100,
            plug_in_after: (n != 2).then_some(Duration::from_secs(1)),
            monitor_grace: Duration::from_secs(3),
        };
        self.next_id += 1;
        let disk = supply::Stored {
            instance: format!("i{}", self.next_id).parse().unwrap(),
            highest: 0,
            current: None,
            unsettled: Vec::new(),
            outbox: VecDeque::new(),
        };
        let (supply, _) = Supply::restore(self.now, settings.clone(), disk.clone());
        Engine {
            id: format!("CP{n}").parse().unwrap(),
            supply,
            disk,
            outbox: VecDeque::new(),
            settings,
            down_until: 0,
            monitor_down_until: 0,
            registered: false,
            link: 0,
            epoch: 0,
        }
    }

    fn play(mut self) -> u64 {
        let faulty = 4 * 120 + self.random.below(4 * 240);
        for _ in 0..faulty {
            self.step();
        }
        self.faults = false;
        for _ in 0..4 * 400 {
            self.step();
        }
        self.settled();
        self.tickets.values().sum()
    }

    fn step(&mut self) {
        self.now.mono.0 += TICK_MS;
        self.now.wall.0 += TICK_MS as i64;
        let at = self.now.mono.0;
        if self.faults {
            self.break_something(at);
        }
        if self.net.is_none() && at >= self.central_down_until {
            self.start_central();
        }
        for n in 0..self.engines.len() {
            self.live(n, at);
        }
        self.fly(at);
        self.consume(at);
        self.drive();
        self.central(Command::Tick);
        self.check(at);
    }

    // --- faults ---

    fn break_something(&mut self, at: u64) {
        if self.random.one_in(150) {
            self.net = None; // central dies: what was not written is gone
            self.since.clear();
            self.central_down_until = at + self.random.below(20_000);
            for engine in &mut self.engines {
                engine.registered = false;
            }
        }
        for n in 0..self.engines.len() {
            if self.random.one_in(200) {
                self.engines[n].down_until = at + 1 + self.random.below(15_000);
                self.engines[n].registered = false;
            }
            if self.random.one_in(300) {
                self.engines[n].monitor_down_until = at + self.random.below(12_000);
                self.monitor_gone(n);
            }
            if self.random.one_in(2_500) {
                self.lose_store(n);
            }
        }
        if self.random.one_in(200) {
            self.kafka_away_until = at + self.random.below(40_000);
        }
    }

    /// The engine's store is lost with all that is in it.
    fn lose_store(&mut self, n: usize) {
        let fresh = self.engine(n as u64);
        let old = &mut self.engines[n];
        self.lost_stores.insert(old.disk.instance.clone());
        let mut fresh = Engine { link: old.link, epoch: old.epoch, ..fresh };
        fresh.down_until = self.now.mono.0 + 4_000;
        *old = fresh;
        self.monitor_gone(n);
    }

    fn monitor_gone(&mut self, n: usize) {
        let (charge_point, epoch) = (self.engines[n].id.clone(), self.engines[n].epoch);
        self.engines[n].registered = false;
        self.central(Command::MonitorGone { charge_point, epoch });
    }

    // --- central ---

    fn start_central(&mut self) {
        let stored = network::Stored {
            charge_points: self.pages.points.values().cloned().collect(),
            sessions: self.pages.sessions.values().filter(|session| !session.closed).cloned().collect(),
            answers: self.pages.answers.clone().into_iter().collect(),
            ..network::Stored::default()
        };
        let mut net = Network::restore(Config::default(), self.now, stored);
        net.resume_at(self.pages.offsets.clone());
        self.read_to = self.pages.offsets.first().map_or(0, |source| usize::try_from(source.offset).unwrap());
        self.net = Some(net);
    }

    fn central(&mut self, command: Command) {
        let Some(mut net) = self.net.take() else { return };
        let effects = net.apply(self.now, &self.pages, command);
        let mut changes = net.take_changes();
        let checkpoint = self.random.one_in(20);
        if checkpoint {
            changes.sessions.extend(net.checkpoint(1));
        }
        if checkpoint || changes != network::Changes::default() {
            self.pages.offsets = net.offsets();
        }
        for point in changes.charge_points {
            self.pages.points.insert(point.id.clone(), point);
        }
        for session in changes.sessions {
            self.pages.sessions.insert(session.id.clone(), session);
        }
        self.pages.answers.extend(changes.answers);
        self.net = Some(net);
        for effect in effects {
            match effect {
                Effect::Call { charge_point, call, instance, request, .. } => {
                    let point = self.engines.iter().position(|engine| engine.id == charge_point).unwrap();
                    let at = self.now.mono.0 + self.delay();
                    if self.faults && self.random.one_in(12) {
                        // A repeat of the call arrives much later: nobody waits for its answer.
                        let late = at + self.random.below(30_000);
                        let (instance, request) = (instance.clone(), request.clone());
                        self.flights.push(Flight::Call { at: late, point, call: None, instance, request });
                    }
                    self.flights.push(Flight::Call { at, point, call: Some(call), instance, request });
                }
                Effect::Notify(notice) => {
                    if let (NoticeKind::Ticket { .. }, Some(session)) = (&notice.kind, &notice.session) {
                        let tickets = self.tickets.entry(session.clone()).or_default();
                        *tickets += 1;
                        assert_eq!(*tickets, 1, "INV-1: session {session} has a second ticket");
                    }
                }
                Effect::DeadLetter(_)
                | Effect::Reply { .. }
                | Effect::NotifyReading(_)
                | Effect::Changed(_)
                | Effect::Happened(_) => {}
            }
        }
    }

    fn delay(&mut self) -> u64 {
        if self.faults && self.random.one_in(8) { self.random.below(4_000) } else { 0 }
    }

    fn consume(&mut self, at: u64) {
        if at < self.kafka_away_until {
            self.central(Command::Broker(Broker::Away));
            return;
        }
        for _ in 0..8 {
            let Some(message) = self.log.get(self.read_to).cloned() else {
                break;
            };
            if self.net.is_none() {
                return;
            }
            let source = network::Source { partition: 0, offset: i64::try_from(self.read_to).unwrap() };
            self.read_to += 1;
            self.central(Command::Telemetry { message, source: Some(source) });
        }
        if self.read_to == self.log.len() {
            let now = self.now.mono;
            self.central(Command::Broker(Broker::ReadTo(now)));
        }
    }

    fn drive(&mut self) {
        if !self.faults {
            return;
        }
        let driver: DriverId = format!("d{}", self.random.below(3)).parse().unwrap();
        self.next_id += 1;
        let token = network::Token(self.next_id);
        let asked = network::Asked { token, request: None };
        if self.random.one_in(10) {
            let target = if self.random.one_in(2) {
                network::Target::Any { location_prefix: String::new() }
            } else {
                network::Target::Named(format!("CP{}", self.random.below(3)).parse().unwrap())
            };
            let session = format!("s{}", self.next_id).parse().unwrap();
            let budget = Duration::from_secs(5);
            self.central(Command::RequestCharge { asked, session, driver, target, budget });
        } else if self.random.one_in(60) {
            self.central(Command::StopCharge { asked, driver, session: None });
        } else if self.random.one_in(200) {
            let out_of_order = self.random.one_in(2);
            self.central(Command::Order { asked, which: network::Which::All, out_of_order });
        }
    }

    // --- engines and monitors ---

    fn live(&mut self, n: usize, at: u64) {
        let engine = &mut self.engines[n];
        if engine.down_until > 0 {
            if at < engine.down_until {
                self.monitor(n, at, false);
                return;
            }
            engine.down_until = 0;
            let (supply, effects) = Supply::restore(self.now, engine.settings.clone(), engine.disk.clone());
            engine.supply = supply;
            self.carry_out(n, effects);
        }
        self.input(n, Input::Tick);
        if n == 2 && self.random.one_in(20) {
            let plugged_in = self.engines[n].supply.view().plugged_in;
            self.input(n, if plugged_in { Input::Unplug } else { Input::PlugIn });
        }
        if at.is_multiple_of(1_000) {
            self.monitor(n, at, true);
        }
        // The relay: in order, and now and then again.
        while at >= self.kafka_away_until
            && let Some(event) = self.engines[n].outbox.front().cloned()
        {
            self.publish(n, &event);
            if self.faults && self.random.one_in(5) {
                break; // it died before the delivery report: the row goes out again
            }
            self.input(n, Input::Delivered(vec![event.id]));
        }
    }

    fn monitor(&mut self, n: usize, at: u64, engine_up: bool) {
        if at < self.engines[n].monitor_down_until {
            return;
        }
        if engine_up {
            let engine = &mut self.engines[n];
            engine.link += u64::from(!engine.registered);
            let (link, epoch) = (engine.link, engine.epoch);
            self.input(n, Input::Attend { link, epoch, central_reachable: true });
        }
        if self.net.is_none() {
            return;
        }
        let engine = &self.engines[n];
        let id = engine.id.clone();
        if !engine.registered && engine_up {
            let registration = network::Registration {
                charge_point: id.clone(),
                location: "here".into(),
                price: "0.30 EUR".parse().unwrap(),
                engine_address: "a:1".into(),
                instance: engine.disk.instance.clone(),
                monitor: "m".parse().unwrap(),
                newest_epoch: 0,
            };
            self.next_id += 1;
            self.central(Command::Register { token: network::Token(self.next_id), registration });
            let epoch =
                self.net.as_ref().and_then(|net| net.charge_point(&id)).map_or(0, |point| point.epoch);
            let taken =
                self.pages.points.get(&id).is_some_and(|p| p.instance == self.engines[n].disk.instance);
            self.engines[n].epoch = epoch;
            self.engines[n].registered = taken;
        }
        if self.engines[n].registered {
            let health = if engine_up { Health::Ok } else { Health::Unreachable };
            self.next_id += 1;
            let (token, epoch) = (network::Token(self.next_id), self.engines[n].epoch);
            self.central(Command::Report { token, charge_point: id, epoch, health, reason: String::new() });
        }
    }

    fn input(&mut self, n: usize, input: Input) -> Option<supply::Answer> {
        let effects = self.engines[n].supply.apply(self.now, input);
        self.carry_out(n, effects)
    }

    fn carry_out(&mut self, n: usize, effects: Vec<supply::Effect>) -> Option<supply::Answer> {
        let mut answer = None;
        let mut readings = Vec::new();
        for effect in effects {
            let engine = &mut self.engines[n];
            match effect {
                supply::Effect::Save(Write::Engine { highest, current }) => {
                    engine.disk.highest = highest;
                    engine.disk.current = current;
                }
                supply::Effect::Save(Write::Unsettled(record)) => {
                    let before = self.finals.insert(record.session.clone(), record.energy);
                    assert_eq!(before, None, "session {} ended twice at its engine", record.session);
                    engine.disk.unsettled.push(record);
                }
                supply::Effect::Save(Write::Settled(number)) => {
                    engine.disk.unsettled.retain(|record| record.number != number);
                }
                supply::Effect::Save(Write::Event(event)) => {
                    if let supply::EventKind::Started(record) = &event.kind {
                        let news = self.started.insert(record.session.clone());
                        assert!(news, "session {} started twice", record.session);
                    }
                    engine.disk.outbox.push_back(event.id);
                    engine.outbox.push_back(event);
                }
                supply::Effect::Save(Write::EventGone(id)) => {
                    engine.disk.outbox.retain(|kept| *kept != id);
                    engine.outbox.retain(|kept| kept.id != id);
                }
                supply::Effect::Publish(record) => readings.push(record),
                supply::Effect::OutboxOverflow(_) => {}
                supply::Effect::Answer(given) => answer = Some(given),
            }
        }
        for record in readings {
            if self.now.mono.0 >= self.kafka_away_until && !(self.faults && self.random.one_in(4)) {
                self.log_record(n, &record, network::MessageKind::Reading);
            }
        }
        answer
    }

    fn publish(&mut self, n: usize, event: &supply::Event) {
        use supply::{End, EventKind};
        let fault = |id: &ChargePointId, end| network::Message {
            kind: network::MessageKind::Fault(end),
            charge_point: id.clone(),
            driver: None,
            session: None,
            energy: None,
            power: None,
            reason: String::new(),
            at: None,
        };
        match &event.kind {
            EventKind::Started(record) => self.log_record(n, record, network::MessageKind::Started),
            EventKind::Ended(record, cause) => {
                let end = end_of(cause.end());
                let kind = match cause.end() {
                    End::Completed | End::Stopped => network::MessageKind::Ended(end),
                    End::EngineFault | End::MonitorLost | End::Interrupted => {
                        network::MessageKind::Fault(end)
                    }
                };
                self.log_record(n, record, kind);
            }
            EventKind::Broke(_) => self.log.push(fault(&self.engines[n].id, network::SupplyEnd::EngineFault)),
            EventKind::MonitorLost => {
                self.log.push(fault(&self.engines[n].id, network::SupplyEnd::MonitorLost))
            }
        }
    }

    fn log_record(&mut self, n: usize, record: &supply::Record, kind: network::MessageKind) {
        self.log.push(network::Message {
            kind,
            charge_point: self.engines[n].id.clone(),
            driver: Some(record.driver.clone()),
            session: Some((record.session.clone(), record.seq)),
            energy: Some(record.energy),
            power: Some(record.power),
            reason: String::new(),
            at: None,
        });
    }

    // --- the network between them ---

    fn fly(&mut self, at: u64) {
        let due = |flight: &mut Flight| match flight {
            Flight::Call { at: when, .. } | Flight::Answer { at: when, .. } => *when <= at,
        };
        for flight in self.flights.extract_if(.., due).collect::<Vec<_>>() {
            match flight {
                Flight::Call { point, call, instance, request, .. } => {
                    self.arrive(at, point, call, instance, request)
                }
                Flight::Answer { point, call, result, .. } => {
                    let charge_point = self.engines[point].id.clone();
                    self.central(Command::EngineAnswered { charge_point, call, result });
                }
            }
        }
    }

    fn arrive(
        &mut self,
        at: u64,
        n: usize,
        call: Option<CallId>,
        instance: InstanceId,
        request: EngineRequest,
    ) {
        let lost = self.faults && self.random.one_in(10);
        let answer = if lost || self.engines[n].down_until > 0 {
            None
        } else {
            Some(self.serve(n, instance, request))
        };
        let answer_lost = self.faults && self.random.one_in(10);
        let Some(call) = call else { return };
        let (result, after) = match answer.filter(|_| !answer_lost) {
            Some(answer) => (Ok(answer), self.delay()),
            None => (Err(network::CallFailed("timed out".into())), 2_000),
        };
        self.flights.push(Flight::Answer { at: at + after, point: n, call, result });
    }

    fn serve(&mut self, n: usize, instance: InstanceId, request: EngineRequest) -> network::EngineAnswer {
        let input = match request {
            EngineRequest::Authorize { number, session, driver, price, duration } => {
                Input::Authorize(instance, supply::Authorization { number, session, driver, price, duration })
            }
            EngineRequest::Revoke { number, session } => Input::Revoke { instance, number, session },
            EngineRequest::Stop { session } => Input::Stop(instance, session),
            EngineRequest::Confirm { sessions } => Input::ConfirmSettled(instance, sessions),
            EngineRequest::GetState => Input::Query(instance),
        };
        let outcome = match self.input(n, input).expect("a call is answered") {
            supply::Answer::Call(CallResult::Done) => CallOutcome::Done,
            supply::Answer::Call(CallResult::WrongInstance) | supply::Answer::Revoke(Err(_)) => {
                CallOutcome::WrongInstance
            }
            supply::Answer::Call(CallResult::NumberStale) => CallOutcome::NumberStale,
            supply::Answer::Call(CallResult::Busy) => CallOutcome::Busy,
            supply::Answer::Call(CallResult::Faulted) => CallOutcome::Faulted,
            supply::Answer::Call(CallResult::Unattended) => CallOutcome::Unattended,
            supply::Answer::Revoke(Ok(RevokeOutcome::Revoked)) => CallOutcome::Revoked,
            supply::Answer::Revoke(Ok(RevokeOutcome::Supplying | RevokeOutcome::Ended)) => {
                CallOutcome::NotRevoked
            }
            supply::Answer::Attend(_) | supply::Answer::Panel(_) => unreachable!("not a call"),
        };
        let view = self.engines[n].supply.view();
        let report = network::EngineReport {
            instance: view.instance,
            highest_authorization: view.highest,
            current: view.current.as_ref().map(record_of),
            unsettled: view.unsettled.iter().map(record_of).collect(),
        };
        network::EngineAnswer { outcome, report }
    }

    // --- the promises ---

    fn check(&mut self, at: u64) {
        let Some(net) = &self.net else { return };
        let (mut points, mut drivers) = (BTreeSet::new(), BTreeSet::new());
        for session in net.sessions() {
            if session.state.is_open() {
                assert!(
                    points.insert(&session.charge_point),
                    "INV-2: two open sessions at {}",
                    session.charge_point
                );
                assert!(drivers.insert(&session.driver), "INV-2: two open sessions of {}", session.driver);
            }
            let (state, since) = self.since.entry(session.id.clone()).or_insert((session.state, at));
            if *state != session.state {
                (*state, *since) = (session.state, at);
            }
            let most = match session.state {
                network::State::Authorizing => Some(5_000),
                network::State::Reserved => Some(62_000),
                network::State::Supplying | network::State::Ended(_) => None,
            };
            // A restarted central waits for Kafka and the engine first: here both are found or found away within seconds.
            let judged = if session.live.restored { 45_000 } else { 0 };
            if let Some(most) = most {
                assert!(
                    at - *since <= most + 5_000 + judged,
                    "INV-3: session {} is {:?} too long",
                    session.id,
                    state
                );
            }
        }
        for session in self.pages.sessions.values() {
            let Some(ticket) = session.ticket else { continue };
            assert!(self.started.contains(&session.id), "INV-1: a ticket without a supply: {}", session.id);
            assert_eq!(ticket.amount_micros, session.price.bill(ticket.energy).micros, "INV-4");
            if !ticket.estimated {
                assert_eq!(
                    Some(&ticket.energy),
                    self.finals.get(&session.id),
                    "INV-4: session {}",
                    session.id
                );
            } else {
                assert!(self.lost_stores.contains(&session.instance), "estimated, though its store is there");
            }
        }
    }

    fn settled(&self) {
        let net = self.net.as_ref().expect("central runs");
        let left: Vec<_> = net.sessions().collect();
        assert!(left.is_empty(), "something is left to do: {left:#?}");
        for session in &self.started {
            let known = self.pages.sessions.get(session);
            let lost = known.is_none_or(|session| self.lost_stores.contains(&session.instance));
            let tickets = self.tickets.get(session).copied().unwrap_or(0);
            assert!(
                tickets == 1 || (lost && tickets == 0),
                "INV-1: session {session} started and has {tickets} tickets"
            );
        }
        for engine in &self.engines {
            assert!(engine.disk.unsettled.is_empty(), "{} keeps {:?}", engine.id, engine.disk.unsettled);
            let status = net.charge_point(&engine.id).map(|point| point.status);
            let free = [Some(network::Status::Available), Some(network::Status::OutOfOrder)];
            assert!(free.contains(&status), "{} is {status:?}", engine.id);
        }
    }
}

fn end_of(end: supply::End) -> network::SupplyEnd {
    match end {
        supply::End::Completed => network::SupplyEnd::Completed,
        supply::End::Stopped => network::SupplyEnd::Stopped,
        supply::End::EngineFault => network::SupplyEnd::EngineFault,
        supply::End::MonitorLost => network::SupplyEnd::MonitorLost,
        supply::End::Interrupted => network::SupplyEnd::Interrupted,
    }
}

fn record_of(record: &supply::Record) -> network::Record {
    network::Record {
        session: record.session.clone(),
        driver: record.driver.clone(),
        price: record.price,
        authorization: record.number,
        state: match record.state {
            supply::State::Authorized => network::RecordState::Authorized,
            supply::State::Supplying => network::RecordState::Supplying,
            supply::State::Ended(end) => network::RecordState::Ended(end_of(end)),
        },
        seq: record.seq,
        energy: record.energy,
        power: record.power,
        started_at: record.started,
        ended_at: record.read_at,
    }
}
