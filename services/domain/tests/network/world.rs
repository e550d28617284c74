//! A network with its store and its callers as plain data, one step at a time.

pub(crate) use crate::values::*;
use domain::{
    ChargePointId, Context, Deed, Energy, InstanceId, Mono, Now, Power, SessionId, SupplyRecord, Trace, Wall,
    network::{
        Answered, Archive, Asked, CallFailed, CallId, CallOutcome, ChargePoint, Command, Config, Denial,
        Effect, EngineAnswer, EngineCall, EngineReport, EngineRequest, Event, Gauges, Health, Message,
        MessageKind, Method, Network, Notice, NoticeKind, Order, Ordered, Past, Reason, Reply, RequestKey,
        Session, Source, State, Status, Stored, Target, Token,
    },
};
use std::collections::BTreeMap;

/// What a store holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    pub(crate) points: BTreeMap<ChargePointId, ChargePoint>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) answers: BTreeMap<RequestKey, Answered>,
    pub(crate) past: Past,
}

impl Archive for Pages {
    fn session(&self, id: &SessionId) -> Option<Session> {
        self.sessions.get(id).cloned()
    }
}

/// A call that waits for its engine.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) instance: InstanceId,
    pub(crate) request: EngineRequest,
    pub(crate) trace: Option<Trace>,
}

pub(crate) struct World {
    pub(crate) net: Network,
    pub(crate) config: Config,
    pub(crate) pages: Pages,
    pub(crate) now: Now,
    pub(crate) calls: BTreeMap<ChargePointId, Call>,
    /// The calls that registrations wait for.
    pub(crate) newcomers: Vec<EngineCall>,
    pub(crate) replies: BTreeMap<u64, Reply>,
    pub(crate) notices: Vec<Notice>,
    /// What was told at once or never.
    pub(crate) readings: Vec<Notice>,
    pub(crate) dead_letters: Vec<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) cut: Vec<ChargePointId>,
    /// The calls by which engines were told whom to refuse.
    pub(crate) tells: Vec<EngineCall>,
    /// What its engines say that they deliver at most.
    pub(crate) rated: Option<Power>,
    /// What engines say of their telemetry.
    pub(crate) seals: Option<bool>,
    /// Cars are plugged in there.
    pub(crate) plugged_in: bool,
    next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        // These supplies take no time: how much is plausible, and what is for a person, is looked at in `review`.
        let (charge_point_power_max, session_energy_max) = (Power::MAX, Energy::MAX);
        Self::with(Config { charge_point_power_max, session_energy_max, ..Config::default() })
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Now { mono: Mono(1_000_000), wall: Wall(1_700_000_000_000) };
        let net = Network::restore(config.clone(), now, Stored::default());
        Self {
            net,
            config,
            pages: Pages::default(),
            now,
            calls: BTreeMap::new(),
            newcomers: Vec::new(),
            replies: BTreeMap::new(),
            notices: Vec::new(),
            readings: Vec::new(),
            dead_letters: Vec::new(),
            events: Vec::new(),
            deeds: Vec::new(),
            cut: Vec::new(),
            tells: Vec::new(),
            rated: None,
            seals: None,
            plugged_in: false,
            next: 0,
        }
    }

    /// A world with these charge points free.
    pub(crate) fn with_points(ids: &[&str]) -> Self {
        let mut world = Self::new();
        for id in ids {
            world.connect(id);
        }
        world
    }

    pub(crate) fn send(&mut self, command: Command) {
        let effects = self.net.apply(self.now, &self.pages, command);
        let changes = self.net.take_changes();
        for point in changes.charge_points {
            self.pages.points.insert(point.id.clone(), point);
        }
        for id in changes.forgotten_points {
            self.pages.points.remove(&id);
        }
        for session in changes.sessions {
            self.pages.sessions.insert(session.id.clone(), session);
        }
        self.pages.answers.extend(changes.answers);
        self.deeds.extend(changes.deeds);
        if self.net.past().is_news(&self.pages.past) {
            self.pages.past = self.net.past();
        }
        for key in changes.expired_answers {
            self.pages.answers.remove(&key);
        }
        for effect in effects {
            match effect {
                Effect::Reply(reply) => {
                    let before = self.replies.insert(outcome(&reply).0, reply);
                    assert!(before.is_none(), "two replies to one caller");
                }
                Effect::Call(call) if call.provisional => self.newcomers.push(call),
                Effect::Call(EngineCall { charge_point, call, instance, request, trace, .. }) => {
                    let call = Call { id: call, instance: instance.clone(), request, trace };
                    let before = self.calls.insert(charge_point, call);
                    assert!(
                        before.is_none_or(|call| call.instance != instance),
                        "two calls at once to one engine"
                    );
                }
                Effect::Notify(notice) => self.notices.push(notice),
                Effect::NotifyAtOnce(notice) => self.readings.push(notice),
                Effect::DeadLetter(reason) => self.dead_letters.push(reason),
                Effect::Changed(_) => {}
                Effect::Tell(call) => self.tells.push(call),
                Effect::Cut(id) => {
                    self.calls.remove(&id); // its connections end
                    self.cut.push(id);
                }
                Effect::Happened(event) => self.events.push(event),
            }
        }
    }

    /// Time passes, in ticks of 250 ms; monitors in `alive` keep reporting.
    pub(crate) fn advance(&mut self, millis: u64, alive: &[&str]) {
        for _ in 0..millis.div_ceil(250) {
            self.now.mono.0 += 250;
            self.now.wall.0 += 250;
            for id in alive {
                self.report(id, Health::Ok);
            }
            self.send(Command::Tick);
        }
    }

    pub(crate) fn token<A>(&mut self) -> Token<A> {
        self.next += 1;
        Token::new(self.next)
    }

    /// A caller of its own, which brings nothing along.
    pub(crate) fn asked<A>(&mut self) -> Asked<A> {
        Asked::once(self.token(), Context::default())
    }

    /// Whether this caller was granted what it asked; `None`: it waits.
    pub(crate) fn granted<A>(&self, token: Token<A>) -> Option<bool> {
        self.replies.get(&token.number).map(|reply| outcome(reply).1.is_ok())
    }

    /// The session that this caller was told.
    pub(crate) fn told_session(&self, token: Token<Box<Session>>) -> &Session {
        match &self.replies[&token.number] {
            Reply::Session(_, Ok(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn epoch(&self, id: &str) -> u64 {
        self.net.charge_point(&cp(id)).unwrap().epoch
    }

    pub(crate) fn report(&mut self, id: &str, health: Health) {
        let (token, epoch) = (self.token(), self.epoch(id));
        let charge_point = cp(id);
        let asked = Asked::once(token, Context::default());
        self.send(Command::Report { asked, charge_point, epoch, health, reason: String::new() });
    }

    /// Registers, reports well, and lets the engine answer.
    pub(crate) fn connect(&mut self, id: &str) {
        self.register(Self::registration(id)).unwrap();
        self.report(id, Health::Ok);
        self.answer(id, CallOutcome::Done, None, vec![]);
        assert_eq!(self.status(id), Status::Available);
    }

    /// The same, where the operator's order still holds.
    pub(crate) fn connect_out_of_order(&mut self, id: &str) {
        self.register(Self::registration(id)).unwrap();
        self.report(id, Health::Ok);
        self.answer(id, CallOutcome::Done, None, vec![]);
        assert_eq!(self.status(id), Status::OutOfOrder);
    }

    pub(crate) fn status(&self, id: &str) -> Status {
        self.net.charge_point(&cp(id)).unwrap().status
    }

    /// The call that waits at this engine.
    pub(crate) fn call(&self, id: &str) -> &EngineRequest {
        &self.calls.get(&cp(id)).unwrap_or_else(|| panic!("no call waits at {id}")).request
    }

    pub(crate) fn answer(
        &mut self,
        id: &str,
        outcome: CallOutcome,
        current: Option<SupplyRecord>,
        unsettled: Vec<SupplyRecord>,
    ) {
        self.answer_as(id, "i1", outcome, current, unsettled);
    }

    pub(crate) fn answer_as(
        &mut self,
        id: &str,
        instance: &str,
        outcome: CallOutcome,
        current: Option<SupplyRecord>,
        unsettled: Vec<SupplyRecord>,
    ) {
        let call = self.calls.remove(&cp(id)).unwrap_or_else(|| panic!("no call waits at {id}"));
        let instance = instance.parse().unwrap();
        let charge_point = Some(cp(id));
        let (current, unsettled) = (current.map(attested), unsettled.into_iter().map(attested).collect());
        let report = EngineReport {
            charge_point,
            instance,
            rated: self.rated,
            seals: self.seals,
            plugged_in: self.plugged_in,
            highest_authorization: 0,
            current,
            unsettled,
        };
        let result = Ok(EngineAnswer { outcome, heard: true, report });
        self.send(Command::EngineAnswered { charge_point: cp(id), call: call.id, result });
    }

    pub(crate) fn silence(&mut self, id: &str) {
        let call = self.calls.remove(&cp(id)).unwrap_or_else(|| panic!("no call waits at {id}"));
        let result = Err(CallFailed("timed out".into()));
        self.send(Command::EngineAnswered { charge_point: cp(id), call: call.id, result });
    }

    pub(crate) fn request(&mut self, who: &str, target: Target) -> (Token<Box<Session>>, SessionId) {
        self.request_as(who, target, None)
    }

    pub(crate) fn request_as(
        &mut self,
        who: &str,
        target: Target,
        id: Option<(&str, u64)>,
    ) -> (Token<Box<Session>>, SessionId) {
        let token = self.token();
        let session = sid(&format!("s{}", token.number));
        let request = id.map(|(id, fingerprint)| {
            let id = id.parse().unwrap();
            (RequestKey { method: Method::RequestCharge, caller: who.into(), id }, fingerprint)
        });
        self.send(Command::RequestCharge {
            asked: Asked { token, context: Context::default(), request },
            session: session.clone(),
            driver: driver(who),
            target,
            max_price: None,
        });
        (token, session)
    }

    /// The operator orders something.
    pub(crate) fn order(&mut self, order: Order) -> Token<Ordered> {
        let asked = self.asked();
        let token = asked.token;
        self.send(Command::Order { asked, order });
        token
    }

    /// A driver ends its open session.
    pub(crate) fn stop_charge(&mut self, who: &str) -> Token<Box<Session>> {
        let asked = self.asked();
        let token = asked.token;
        self.send(Command::StopCharge { asked, driver: driver(who), session: None });
        token
    }

    pub(crate) fn message(
        &mut self,
        id: &str,
        who: &str,
        session: &SessionId,
        seq: u64,
        kind: MessageKind,
        wh: u64,
    ) {
        self.telemetry(id, Some(who), Some((session.clone(), seq)), kind, wh, None);
    }

    pub(crate) fn telemetry(
        &mut self,
        id: &str,
        who: Option<&str>,
        session: Option<(SessionId, u64)>,
        kind: MessageKind,
        wh: u64,
        source: Option<Source>,
    ) {
        let message = Message {
            kind,
            charge_point: cp(id),
            driver: who.map(driver),
            session,
            energy: Some(Energy::from_wh(wh)),
            gauges: Gauges::default(),
            reason: String::new(),
            sealed: None,
            at: None,
        };
        self.send(Command::Telemetry { message, source });
    }

    pub(crate) fn find(&self, id: &SessionId) -> Session {
        self.net.session(id).or_else(|| self.pages.sessions.get(id)).cloned().expect("the session is known")
    }

    pub(crate) fn state(&self, id: &SessionId) -> State {
        self.find(id).state()
    }

    pub(crate) fn denial<A>(&self, token: Token<A>) -> Reason {
        outcome(&self.replies[&token.number]).1.unwrap_err().reason
    }

    pub(crate) fn denial_text<A>(&self, token: Token<A>) -> String {
        outcome(&self.replies[&token.number]).1.unwrap_err().text.clone()
    }

    /// The words of the notices so far, as the topic has them.
    pub(crate) fn told(&self) -> Vec<&'static str> {
        self.notices
            .iter()
            .map(|notice| match notice.kind {
                NoticeKind::Authorized { .. } => "AUTH_OK",
                NoticeKind::Denied(_) => "AUTH_DENIED",
                NoticeKind::Reading { .. } => "CONSUMO_UPDATE",
                NoticeKind::Error { .. } => "SUPPLY_ERROR",
                NoticeKind::Ticket { .. } => "TICKET",
            })
            .collect()
    }

    /// Central dies, loses its memory, and starts from its store.
    pub(crate) fn restart(&mut self) {
        let open = |session: &&Session| !session.closed();
        let stored = Stored {
            charge_points: self.pages.points.values().cloned().collect(),
            sessions: self.pages.sessions.values().filter(open).cloned().collect(),
            answers: self.pages.answers.clone().into_iter().collect(),
            past: self.pages.past,
            ..Stored::default()
        };
        self.net = Network::restore(self.config.clone(), self.now, stored);
        self.calls.clear();
    }
}

/// Whose a reply is, and whether it grants.
fn outcome(reply: &Reply) -> (u64, Result<(), &Denial>) {
    match reply {
        Reply::Session(token, answer) => (token.number, answer.as_ref().map(drop)),
        Reply::Ordered(token, answer) => (token.number, answer.as_ref().map(drop)),
        Reply::Registered(token, answer) => (token.number, answer.as_ref().map(drop)),
        Reply::Reported(token, answer) => (token.number, answer.as_ref().map(drop)),
        Reply::CardBlocked(token, answer) => (token.number, answer.as_ref().map(drop)),
    }
}
