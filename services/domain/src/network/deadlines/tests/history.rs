//! Histories of anything in any order, at a few charge points.

use super::{
    super::super::{
        Archive, Asked, CallFailed, CallOutcome, Changes, Claim, Command, Config, Effect, EngineAnswer,
        EngineCall, EngineReport, EngineRequest, Gauges, Health, Message, MessageKind, Order, Registration,
        Status, Stored, Target, Token, Which, command::Broker,
    },
    *,
};
use crate::{Context, Energy, Power, Price, Signature, SupplyEnd, SupplyRecord, SupplyState, Wall};

#[derive(Debug, Clone)]
pub(super) enum Op {
    /// One registers, with its first store or another, at its own address or another.
    Register(u8, bool, bool),
    Report(u8, u8),
    Gone(u8),
    /// All that are there register, report, and their engines answer.
    Connect,
    Request(u8, Option<u8>),
    StopCharge(u8),
    Service(u8, bool),
    End(u8),
    /// So much of what waits is answered by its engine, as it knows its sessions, or as another of its stores.
    Answer(u8, CallOutcome, Knows, bool),
    /// One call fails.
    Fail(u8),
    Tell(u8, bool),
    Fault(u8),
    Broker(u8),
    Identity(u8, Standing, bool),
    Moves(u8, bool),
    PeopleRevoked,
    Copied,
    Restart,
    /// So many ticks, so many milliseconds apart.
    Pass(u8, u64),
}

/// What an engine says of the newest session there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Knows {
    Nothing,
    Authorized,
    Supplying(u8),
    Ended(u8),
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    let point = || 0..4_u8;
    let outcome = prop_oneof![
        8 => Just(CallOutcome::Done),
        2 => Just(CallOutcome::Revoked),
        1 => Just(CallOutcome::NotRevoked),
        1 => Just(CallOutcome::NumberStale),
        1 => Just(CallOutcome::Busy),
        1 => Just(CallOutcome::WrongInstance),
    ];
    let knows = prop_oneof![
        Just(Knows::Nothing),
        Just(Knows::Authorized),
        (0..9_u8).prop_map(Knows::Supplying),
        (0..9_u8).prop_map(Knows::Ended),
    ];
    let standing = prop_oneof![Just(Standing::Good), Just(Standing::Draining), Just(Standing::Cut)];
    let apart = prop_oneof![
        Just(50_u64),
        Just(250),
        Just(1_000),
        Just(3_100),
        Just(30_000),
        Just(65_000),
        Just(40_000_000)
    ];
    prop_oneof![
        1 => (point(), any::<bool>(), any::<bool>()).prop_map(|(n, other, moved)| Op::Register(n, other, moved)),
        2 => (point(), 0..4_u8).prop_map(|(n, health)| Op::Report(n, health)),
        1 => point().prop_map(Op::Gone),
        2 => Just(Op::Connect),
        6 => (0..6_u8, prop::option::of(point())).prop_map(|(who, at)| Op::Request(who, at)),
        1 => (0..6_u8).prop_map(Op::StopCharge),
        1 => (point(), any::<bool>()).prop_map(|(n, out)| Op::Service(n, out)),
        1 => point().prop_map(Op::End),
        12 => (point(), outcome, knows, prop::bool::weighted(0.9))
            .prop_map(|(n, outcome, knows, heard)| Op::Answer(n, outcome, knows, heard)),
        2 => point().prop_map(Op::Fail),
        2 => (point(), any::<bool>()).prop_map(|(n, heard)| Op::Tell(n, heard)),
        1 => point().prop_map(Op::Fault),
        2 => (0..3_u8).prop_map(Op::Broker),
        1 => (point(), standing, any::<bool>()).prop_map(|(n, how, stands)| Op::Identity(n, how, stands)),
        1 => (point(), any::<bool>()).prop_map(|(n, known)| Op::Moves(n, known)),
        1 => Just(Op::PeopleRevoked),
        1 => Just(Op::Copied),
        1 => Just(Op::Restart),
        12 => (1..6_u8, apart).prop_map(|(ticks, apart)| Op::Pass(ticks, apart)),
    ]
}

#[derive(Default)]
struct Pages {
    points: BTreeMap<ChargePointId, super::super::super::ChargePoint>,
    sessions: BTreeMap<SessionId, Session>,
}

impl Archive for Pages {
    fn session(&self, id: &SessionId) -> Option<Session> {
        self.sessions.get(id).cloned()
    }
}

pub(super) struct World {
    net: Network,
    pages: Pages,
    now: Now,
    calls: Vec<EngineCall>,
    tells: Vec<EngineCall>,
    next: u64,
    /// What ticks have found.
    pub(super) found: BTreeSet<String>,
}

fn id(n: u8) -> ChargePointId {
    format!("CP-{n}").parse().unwrap()
}

fn config() -> Config {
    Config { confirm_copied: true, unused_most: 0, ..Config::default() }
}

fn price() -> Price {
    "0.30 EUR".parse().unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let now = Now { mono: Mono(1_000_000), wall: Wall(1_700_000_000_000) };
        let net = Network::restore(config(), now, Stored::default());
        let pages = Pages::default();
        Self { net, pages, now, calls: Vec::new(), tells: Vec::new(), next: 0, found: BTreeSet::new() }
    }

    fn asked<A>(&mut self) -> Asked<A> {
        self.next += 1;
        Asked::once(Token::new(self.next), Context::default())
    }

    fn give(&mut self, command: Command) {
        let effects = self.net.apply(self.now, &self.pages, command);
        let Changes { charge_points, forgotten_points, sessions, .. } = self.net.take_changes();
        for point in charge_points {
            self.pages.points.insert(point.id.clone(), point);
        }
        for id in forgotten_points {
            self.pages.points.remove(&id);
        }
        for session in sessions {
            self.pages.sessions.insert(session.id.clone(), session);
        }
        for effect in effects {
            match effect {
                Effect::Call(call) => self.calls.push(call),
                Effect::Tell(call) => self.tells.push(call),
                _ => {}
            }
        }
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Register(n, other, moved) => self.register(n, other, moved),
            Op::Report(n, health) => self.report(n, health),
            Op::Gone(n) => {
                let epoch = self.epoch(n);
                self.give(Command::MonitorGone { charge_point: id(n), epoch });
            }
            Op::Connect => self.connect(),
            Op::Request(who, at) => {
                let asked = self.asked();
                let session = format!("s{:06}", self.next).parse().unwrap();
                let driver = format!("driver-{who}").parse().unwrap();
                let any = Target::Any { location_prefix: crate::Location::default() };
                let target = at.map_or(any, |n| Target::Named(id(n)));
                self.give(Command::RequestCharge { asked, session, driver, target, max_price: None });
            }
            Op::StopCharge(who) => {
                let (asked, driver) = (self.asked(), format!("driver-{who}").parse().unwrap());
                self.give(Command::StopCharge { asked, driver, session: None });
            }
            Op::Service(n, out_of_order) => {
                self.order(Order::Service { which: Which::Some(vec![id(n)]), out_of_order });
            }
            Op::End(n) => {
                if let Some(session) = self.newest(&id(n)) {
                    self.order(Order::End(session.id.clone()));
                }
            }
            Op::Answer(n, outcome, knows, heard) => self.answer(n, outcome, knows, heard),
            Op::Fail(n) => self.come_back(n, |_, _| Err(CallFailed("gone".into()))),
            Op::Tell(n, heard) => {
                if !self.tells.is_empty() {
                    let call = self.tells.remove(usize::from(n) % self.tells.len());
                    let result = Ok(report(&call, CallOutcome::Done, heard, None, Vec::new()));
                    let (charge_point, call) = (call.charge_point, call.call);
                    self.give(Command::EngineAnswered { charge_point, call, result });
                }
            }
            Op::Fault(n) => self.give(Command::Telemetry { message: fault(n), source: None }),
            Op::Broker(kind) => {
                let news = [Broker::ReadTo(self.now.mono), Broker::Away, Broker::Gap][usize::from(kind)];
                self.give(Command::Broker(news));
            }
            Op::Identity(n, standing, engine_stands) => {
                self.give(Command::Identity { charge_point: id(n), standing, engine_stands });
            }
            Op::Moves(n, known) => self.give(Command::Moves { charge_point: id(n), known }),
            Op::PeopleRevoked => self.give(Command::PeopleRevoked),
            Op::Copied => self.give(Command::Copied(self.pages.sessions.keys().cloned().collect())),
            Op::Restart => self.restart(),
            Op::Pass(ticks, apart) => (0..ticks).for_each(|_| self.pass(apart)),
        }
    }

    fn order(&mut self, order: Order) {
        let asked = self.asked();
        self.give(Command::Order { asked, order });
    }

    fn epoch(&self, n: u8) -> u64 {
        self.net.charge_point(&id(n)).map_or(0, |detail| detail.epoch)
    }

    fn register(&mut self, n: u8, other: bool, moved: bool) {
        let asked = self.asked();
        let registration = Registration {
            charge_point: id(n),
            location: "Madrid".parse().unwrap(),
            price: price(),
            engine_address: format!("h{n}:{}", u8::from(moved)),
            instance: format!("store-{n}-{}", u8::from(other)).parse().unwrap(),
            monitor: format!("m{n}").parse().unwrap(),
            newest_epoch: 0,
        };
        self.give(Command::Register { asked, registration });
    }

    fn report(&mut self, n: u8, health: u8) {
        let health = [Health::Ok, Health::Ok, Health::Faulted, Health::Unreachable][usize::from(health)];
        let (asked, epoch) = (self.asked(), self.epoch(n));
        self.give(Command::Report { asked, charge_point: id(n), epoch, health, reason: String::new() });
    }

    fn connect(&mut self) {
        for n in 0..4 {
            self.register(n, false, false);
            for _ in 0..2 {
                self.come_back(n, |call, _| Ok(report(call, CallOutcome::Done, true, None, Vec::new())));
            }
            self.report(n, 0);
            self.come_back(n, |call, _| Ok(report(call, CallOutcome::Done, true, None, Vec::new())));
        }
    }

    /// The newest session of a charge point that is in memory.
    fn newest(&self, point: &ChargePointId) -> Option<Session> {
        self.net.sessions().filter(|session| session.charge_point == *point).last().cloned()
    }

    /// One of the calls there comes back.
    fn come_back(
        &mut self,
        n: u8,
        result: impl FnOnce(&EngineCall, Option<Session>) -> Result<EngineAnswer, CallFailed>,
    ) {
        let Some(at) = self.calls.iter().position(|call| call.charge_point == id(n)) else { return };
        let call = self.calls.remove(at);
        let result = result(&call, self.newest(&call.charge_point));
        self.give(Command::EngineAnswered { charge_point: call.charge_point, call: call.call, result });
    }

    fn answer(&mut self, n: u8, outcome: CallOutcome, knows: Knows, heard: bool) {
        let now = self.now.wall;
        self.come_back(n, |call, newest| {
            let asked = match &call.request {
                EngineRequest::Authorize { session, .. } => Some(session.clone()),
                _ => newest.as_ref().map(|session| session.id.clone()),
            };
            let driver =
                newest.as_ref().map_or("driver-9".parse().unwrap(), |session| session.driver.clone());
            let session = asked.unwrap_or_else(|| format!("s9{n}").parse().unwrap());
            let (state, wh) = match knows {
                Knows::Nothing => return Ok(report(call, outcome, heard, None, Vec::new())),
                Knows::Authorized => (SupplyState::Authorized, 0),
                Knows::Supplying(wh) => (SupplyState::Supplying, wh),
                Knows::Ended(wh) => (SupplyState::Ended(SupplyEnd::Completed), wh),
            };
            let record = SupplyRecord {
                session,
                driver,
                price: price(),
                authorization: 1,
                state,
                seq: u64::from(wh) + 1,
                energy: Energy::from_wh(u64::from(wh)),
                power: Power::ZERO,
                started_at: None,
                read_at: None,
                trace: None,
                signature: Signature::default(),
            };
            let claim = Claim { record, attested: Some(now) };
            let over = matches!(state, SupplyState::Ended(_));
            let (current, unsettled) = if over { (None, vec![claim]) } else { (Some(claim), Vec::new()) };
            Ok(report(call, outcome, heard, current, unsettled))
        });
    }

    fn restart(&mut self) {
        let open = self.pages.sessions.values().filter(|session| !session.closed());
        let stored = Stored {
            charge_points: self.pages.points.values().cloned().collect(),
            sessions: open.cloned().collect(),
            past: self.net.past(),
            ..Stored::default()
        };
        self.calls.clear();
        self.tells.clear();
        self.now.mono = Mono(self.now.mono.0 / 2); // another process's clock
        self.net = Network::restore(config(), self.now, stored);
    }

    fn pass(&mut self, apart: u64) {
        self.now.mono.0 += apart;
        self.now.wall.0 += apart.cast_signed();
        queue_finds_what_a_walk_does(&mut self.net, self.now, &self.pages);
        let step = Step::new(&mut self.net, self.now, &self.pages, None);
        let free: Vec<_> = step.net.available_after(None).collect();
        let all = step.net.charge_points_after(None);
        assert_eq!(free, all.filter(|detail| detail.status == Status::Available).collect::<Vec<_>>());
        let due = step.net.registry.sessions().filter_map(|session| step.net.due(session, step.now));
        self.found.extend(due.map(|due| format!("{due:?}")));
        let before = self.net.charge_point_count();
        let up = |net: &Network| net.registry.points().after(None).filter(|point| point.connected()).count();
        let connected = up(&self.net);
        self.give(Command::Tick);
        if self.net.charge_point_count() < before {
            self.found.insert("forgotten".into());
        }
        if up(&self.net) < connected {
            self.found.insert("lost".into());
        }
        // What was found has been acted on: nothing else is due at this very moment but what never waits.
        queue_finds_what_a_walk_does(&mut self.net, self.now, &self.pages);
    }
}

fn report(
    call: &EngineCall,
    outcome: CallOutcome,
    heard: bool,
    current: Option<Claim>,
    unsettled: Vec<Claim>,
) -> EngineAnswer {
    let report = EngineReport {
        charge_point: Some(call.charge_point.clone()),
        instance: call.instance.clone(),
        rated: None,
        seals: None,
        plugged_in: false,
        highest_authorization: 0,
        current,
        unsettled,
    };
    EngineAnswer { outcome, heard, report }
}

fn fault(n: u8) -> Message {
    Message {
        kind: MessageKind::Ended(SupplyEnd::EngineFault),
        charge_point: id(n),
        driver: None,
        session: None,
        energy: None,
        gauges: Gauges::default(),
        reason: String::new(),
        sealed: None,
        at: None,
    }
}
