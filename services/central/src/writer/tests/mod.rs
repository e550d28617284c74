//! The very code that runs, over a disk in memory: crashes, commits, offsets, rows.

mod audit;
mod cards;
mod counts;
mod ended;
mod gateways;
mod lost;
mod moved;
mod random;
mod revocations;
mod steps;

use super::*;
use crate::store::read_rows;
use domain::network::{
    Asked, CallFailed, CallOutcome, Claim, Config, Denial, EngineAnswer, EngineCall, EngineReport,
    EngineRequest, Health, Method, Order, Registration, Reply, RequestKey, Session, Target, Token, Which,
};
use domain::{
    Came, Context, DriverId, Energy, Power, Price, SessionId, SupplyEnd, SupplyRecord, SupplyState, Wall,
};
use evmesh_proto::topics::{Notification, NotificationType};
use mesh::{group_commit::Owner, store::MemoryStore};
use std::collections::VecDeque;

/// A stand-in engine, as far as these tests need one: it grants, supplies and ends.
#[derive(Debug, Default)]
struct Engine {
    highest: u64,
    /// When what it was authorised was asked for, as central signed it.
    created: BTreeMap<SessionId, Wall>,
    current: Option<SupplyRecord>,
    unsettled: Vec<SupplyRecord>,
    /// The supplies that ended and were not published yet.
    ended: Vec<SupplyRecord>,
    /// Its answers say nothing of supplies: only Kafka tells.
    mute: bool,
}

impl Engine {
    fn answer(&mut self, request: EngineRequest) -> EngineAnswer {
        let outcome = match request {
            EngineRequest::Authorize { number, session, driver, price, created, .. } => {
                self.created.insert(session.clone(), created);
                self.authorize(number, session, driver, price)
            }
            EngineRequest::Revoke { number, session } => self.revoke(number, &session),
            EngineRequest::Stop { session } => {
                if self.current.as_ref().is_some_and(|record| record.session == session) {
                    self.end(SupplyEnd::Stopped);
                }
                CallOutcome::Done
            }
            EngineRequest::Confirm { sessions } => {
                self.unsettled.retain(|record| !sessions.contains(&record.session));
                CallOutcome::Done
            }
            EngineRequest::GetState => CallOutcome::Done,
        };
        let attested = |record: SupplyRecord| {
            let attested = self.created.get(&record.session).copied();
            Claim { record, attested }
        };
        let unsettled = if self.mute { Vec::new() } else { self.unsettled.clone() };
        let report = EngineReport {
            charge_point: Some("MAD-01".parse().unwrap()),
            instance: "store-1".parse().unwrap(),
            rated: None,
            seals: None,
            plugged_in: false,
            highest_authorization: self.highest,
            current: self.current.clone().filter(|_| !self.mute).map(attested),
            unsettled: unsettled.into_iter().map(attested).collect(),
        };
        EngineAnswer { outcome, heard: true, report }
    }

    fn supplying(&self) -> bool {
        self.current.as_ref().is_some_and(|record| record.state == SupplyState::Supplying)
    }

    fn authorize(&mut self, number: u64, session: SessionId, driver: DriverId, price: Price) -> CallOutcome {
        let held = self.current.as_ref().is_some_and(|record| record.session == session);
        if held {
            return CallOutcome::Done;
        }
        if number <= self.highest {
            return CallOutcome::NumberStale;
        }
        if self.supplying() {
            return CallOutcome::Busy;
        }
        self.highest = number;
        self.current = Some(SupplyRecord {
            session,
            driver,
            price,
            authorization: number,
            state: SupplyState::Authorized,
            seq: 0,
            energy: Energy::ZERO,
            power: Power::ZERO,
            started_at: None,
            read_at: None,
            trace: None,
            signature: domain::Signature::default(),
        });
        CallOutcome::Done
    }

    fn revoke(&mut self, number: u64, session: &SessionId) -> CallOutcome {
        let of_it = |record: &SupplyRecord| record.session == *session;
        if self.unsettled.iter().any(of_it) || self.supplying() && self.current.as_ref().is_some_and(of_it) {
            return CallOutcome::NotRevoked;
        }
        self.highest = self.highest.max(number);
        self.current.take_if(|record| of_it(record));
        CallOutcome::Revoked
    }

    fn supply(&mut self, wh: u64) {
        let record = self.current.as_mut().unwrap();
        record.state = SupplyState::Supplying;
        record.seq += 1;
        record.energy = Energy::from_wh(wh);
    }

    fn end(&mut self, end: SupplyEnd) {
        let Some(mut record) = self.current.take() else {
            return;
        };
        record.state = SupplyState::Ended(end);
        record.seq += 1;
        self.ended.push(record.clone());
        self.unsettled.push(record);
    }
}

/// One input leads to so many calls at most, each answered at once: engines are not asked in a circle.
const MAX_STEPS: usize = 100;

/// Central's writer with one charge point, MAD-01, and its engine. Time passes only by [`Bench::pass`].
struct Bench {
    config: Config,
    writer: Owner<Writer, MemoryStore>,
    now: Now,
    engine: Engine,
    /// Calls get through to the engine.
    reached: bool,
    epoch: u64,
    replies: Vec<Reply>,
    offset: i64,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let now = Now { mono: Mono(3_600_000), wall: Wall(1_700_000_000_000) };
        let writer = Writer::open(MemoryStore::new(), config.clone(), now).unwrap();
        let mut bench = Self {
            config,
            writer,
            now,
            engine: Engine::default(),
            reached: true,
            epoch: 0,
            replies: Vec::new(),
            offset: 0,
        };
        bench.connect();
        bench
    }

    /// The monitor registers and reports; central asks the engine. Without its word a new charge point is refused.
    fn connect(&mut self) {
        let registration = Registration {
            charge_point: "MAD-01".parse().unwrap(),
            location: "Madrid".parse().unwrap(),
            price: "0.30 EUR".parse().unwrap(),
            engine_address: "127.0.0.1:1".into(),
            instance: "store-1".parse().unwrap(),
            monitor: "monitor-1".parse().unwrap(),
            newest_epoch: 0,
        };
        self.give(Command::Register { asked: asked(1), registration });
        match self.replies.pop() {
            Some(Reply::Registered(_, Ok(registered))) => self.epoch = registered.epoch,
            refused => assert!(!self.reached, "{refused:?}"),
        }
        self.report();
    }

    /// The monitor's heartbeat.
    fn report(&mut self) {
        self.give(Command::Report {
            asked: asked(2),
            charge_point: "MAD-01".parse().unwrap(),
            epoch: self.epoch,
            health: Health::Ok,
            reason: String::new(),
        });
        self.replies.clear();
    }

    fn give(&mut self, command: Command) {
        self.step(vec![Input::Command(command)]);
    }

    /// One step, and one for each call that it leads to.
    fn step(&mut self, inputs: Vec<Input>) {
        let mut waiting = VecDeque::from([inputs]);
        let mut steps = 0;
        while let Some(inputs) = waiting.pop_front() {
            steps += 1;
            assert!(steps < MAX_STEPS, "calls lead to calls without end");
            for effect in self.writer.step(self.now, inputs).unwrap() {
                match effect {
                    Effect::Reply(reply) => self.replies.push(reply),
                    Effect::Call(EngineCall { charge_point, call, request, .. })
                    | Effect::Tell(EngineCall { charge_point, call, request, .. }) => {
                        let result = if self.reached {
                            Ok(self.engine.answer(request))
                        } else {
                            Err(CallFailed("no way".into()))
                        };
                        let answered = Command::EngineAnswered { charge_point, call, result };
                        waiting.push_back(vec![Input::Command(answered)]);
                    }
                    Effect::Notify(_)
                    | Effect::NotifyAtOnce(_)
                    | Effect::DeadLetter(_)
                    | Effect::Changed(_)
                    | Effect::Cut(_)
                    | Effect::Happened(_) => {}
                }
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = Now { mono: self.now.mono + duration, wall: self.now.wall + duration };
    }

    /// Kafka's reader gives a message.
    fn message(&mut self, payload: &str) {
        let message = message(self.offset, payload);
        self.offset += 1;
        self.step(vec![message]);
    }

    fn request(&mut self, session: &str) -> Result<Box<Session>, Denial> {
        let id = "r1".parse().unwrap();
        let key = RequestKey { method: Method::RequestCharge, caller: "101".into(), id };
        self.give(Command::RequestCharge {
            asked: Asked { request: Some((key, 77)), ..asked(3) },
            session: session.parse().unwrap(),
            driver: "101".parse().unwrap(),
            target: Target::Named("MAD-01".parse().unwrap()),
            max_price: None,
        });
        let Some(Reply::Session(_, answer)) = self.replies.pop() else { panic!("every request is answered") };
        answer
    }

    /// The process dies: only the disk stays.
    fn crash(&mut self) {
        let disk = self.writer.store.clone();
        self.start_on(disk);
    }

    /// A new process on this disk.
    fn start_on(&mut self, disk: MemoryStore) {
        self.writer = Writer::open(disk, self.config.clone(), self.now).unwrap();
        self.replies.clear();
    }

    fn ask<T>(&self, question: impl FnOnce(&Snapshot<'_>) -> T) -> T {
        question(&self.writer.rules.snapshot(&self.writer.store))
    }

    fn session(&mut self, id: &str) -> Session {
        let id = id.parse().unwrap();
        self.ask(move |snapshot| snapshot.session(&id).unwrap().unwrap())
    }

    fn told(&self) -> Vec<NotificationType> {
        let rows = read_rows(&self.writer.store, RowKind::Notification, 0, 100).unwrap();
        let read = |payload: &[u8]| serde_json::from_slice::<Notification>(payload).unwrap().kind;
        rows.iter().map(|(_, row)| read(&row.payload)).collect()
    }

    fn offset(&self) -> Option<i64> {
        self.writer.rules.position().1.get(&2).copied()
    }
}

/// A caller that brings nothing along.
fn asked<A>(number: u64) -> Asked<A> {
    Asked::once(Token::new(number), Context::default())
}

/// A message of MAD-01's engine, or of whoever uses its key.
fn message(offset: i64, payload: &str) -> Input {
    let source = Source { partition: 2, offset };
    Input::Messages(vec![Incoming::new(source, b"MAD-01".to_vec(), payload.into(), None)])
}

fn reading(seq: u64, kwh: f64) -> String {
    let kind = if seq == 1 { "SESSION_STARTED" } else { "CONSUMO" };
    format!(
        r#"{{"type":"{kind}","cp_id":"MAD-01","user_id":"101","kwh":{kwh},"importe":0,"session_id":"s1","seq":{seq}}}"#
    )
}
