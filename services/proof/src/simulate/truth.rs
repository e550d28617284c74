//! What is known from outside: both sides' disks, what left them, what was answered. The checks hold it against the
//! promises.

use super::manual::Manual;
use super::world::{World, say};
use central::store::codec::{KnownKey, PublicKey};
use domain::network::{
    Answered, CallId, ChargePoint, Health, Outcome, RequestKey, Session, Standing, State, Ticket,
};
use domain::{ChargePointId, DriverId, Energy, InstanceId, Price, SessionId, SupplyRecord, SupplyState};
use evmesh_proto::{store::StoredMessage, topics::NotificationType};
use proof::engine_process::Page as EnginePage;
use proof::pages::Page;
use std::collections::{BTreeMap, BTreeSet};

/// What an engine has on its disk of one session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Supplied {
    pub(super) instance: InstanceId,
    pub(super) number: u64,
    pub(super) driver: DriverId,
    pub(super) price: Price,
    pub(super) energy: Energy,
    pub(super) seq: u64,
    pub(super) ended: bool,
}

/// What a driver was told of one session on the topic.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) kinds: BTreeSet<&'static str>,
    pub(super) last_seq: Option<u64>,
    pub(super) events: BTreeSet<String>,
}

/// A charge point's monitor and engine, as central has heard of them in this life.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) epoch: u64,
    /// The last report of that epoch that was taken.
    pub(super) reported: Option<(u64, Health)>,
    /// The call that is under way.
    pub(super) call: Option<CallId>,
    /// Was the last one answered by the instance that is registered?
    pub(super) answered: Option<bool>,
    /// When the first call of this life came back.
    pub(super) asked: Option<u64>,
}

/// What counts for one life of central.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) began: u64,
    /// Each session's state, since when, and whether it was there before this life.
    pub(super) since: BTreeMap<SessionId, (State, u64, bool)>,
    pub(super) stopped: BTreeMap<SessionId, u64>,
    /// When an engine's answer with a session in it last came.
    pub(super) signs: BTreeMap<SessionId, u64>,
    pub(super) points: BTreeMap<ChargePointId, Heard>,
    /// Who waits for its registration, and who is back with a report, by their tokens' numbers; the former's calls.
    pub(super) registering: BTreeMap<u64, ChargePointId>,
    pub(super) back: BTreeMap<u64, ChargePointId>,
    pub(super) provisional: BTreeSet<CallId>,
    pub(super) kafka_judged: Option<u64>,
    /// Who is revoked, as its edge has heard; who is cut off; and who drains since when.
    pub(super) revoked: BTreeSet<usize>,
    pub(super) cut: BTreeSet<ChargePointId>,
    pub(super) draining: BTreeMap<ChargePointId, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Truth {
    // The engines' disks.
    pub(super) supplies: BTreeMap<SessionId, Supplied>,
    pub(super) running: BTreeMap<usize, SessionId>,
    pub(super) lost: BTreeSet<InstanceId>,
    pub(super) highest_told: BTreeMap<InstanceId, u64>,
    /// The sessions that an engine has agreed to.
    pub(super) agreed: BTreeSet<SessionId>,
    // Central's disk.
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) points: BTreeMap<ChargePointId, ChargePoint>,
    pub(super) answers: BTreeMap<RequestKey, Answered>,
    pub(super) rows: BTreeMap<Vec<u8>, StoredMessage>,
    pub(super) offsets: BTreeMap<i32, i64>,
    pub(super) keys: BTreeSet<PublicKey>,
    /// Those that came to nothing and are gone from there; what they were is known on.
    pub(super) forgotten: BTreeSet<SessionId>,
    // What left central.
    pub(super) tickets: BTreeMap<SessionId, Ticket>,
    pub(super) fixed: BTreeMap<SessionId, Price>,
    pub(super) manual: Manual,
    /// For whom, and where, central asked an engine for each session.
    pub(super) authorized: BTreeMap<SessionId, (ChargePointId, DriverId)>,
    /// Every key that central ever made.
    pub(super) made: BTreeMap<PublicKey, KnownKey>,
    pub(super) given: BTreeMap<RequestKey, String>,
    pub(super) registered: BTreeMap<ChargePointId, u64>,
    pub(super) told: BTreeMap<SessionId, Told>,
    pub(super) denied: BTreeSet<String>,
    pub(super) ended: BTreeMap<SessionId, u64>,
    /// Closed at the settlement deadline as never started, for all that central could know.
    pub(super) given_up: BTreeSet<SessionId>,
    /// Not settled when their charge point was cut off: what is told of them then is not listened to.
    pub(super) cut_off: BTreeSet<SessionId>,
    /// The sessions of which their engine told what was not so.
    pub(super) lied: BTreeSet<SessionId>,
    /// Since when sessions wait for a person.
    pub(super) reviewed: BTreeMap<SessionId, u64>,
    /// The highest energy that a stranger claimed of each session on the topic.
    pub(super) forged: BTreeMap<SessionId, Energy>,
    pub(super) life: Life,
    /// Central goes on with an old copy of its store: what it said since is not on its disk.
    pub(super) restored: bool,
    /// When central's wall clock last jumped.
    pub(super) jumped: Option<u64>,
}

impl Truth {
    /// With what is in its memory: all of it was there before.
    pub(super) fn central_started<'a>(&mut self, at: u64, sessions: impl Iterator<Item = &'a Session>) {
        let since = sessions.map(|session| (session.id.clone(), (session.state(), at, true))).collect();
        let cut = self.points.values().filter(|point| point.standing() == Standing::Cut);
        let cut = cut.map(|point| point.id.clone()).collect();
        self.life = Life { began: at, since, cut, ..Life::default() };
    }

    pub(super) fn clock_jumped(&mut self, at: u64) {
        self.jumped = Some(at);
    }

    pub(super) fn central_restored(&mut self, entries: &[mesh::store::Entry]) {
        self.restored = true;
        self.sessions.clear();
        self.points.clear();
        self.answers.clear();
        self.rows.clear();
        self.offsets.clear();
        self.keys.clear();
        self.given.clear();
        self.registered.clear();
        for (key, value) in entries {
            match Page::read(key, value) {
                Ok(Page::Session(session)) => drop(self.sessions.insert(session.id.clone(), *session)),
                Ok(Page::ChargePoint(point)) => drop(self.points.insert(point.id.clone(), *point)),
                Ok(Page::Answer(key, answered)) => drop(self.answers.insert(key, *answered)),
                Ok(Page::Notification(row)) => drop(self.rows.insert(key.clone(), row)),
                Ok(Page::Offset(partition, next)) => drop(self.offsets.insert(partition, next)),
                Ok(Page::SigningKey(known)) => drop(self.keys.insert(known.key)),
                Ok(Page::Other) | Err(_) => {}
            }
        }
    }

    /// A charge point is gone from central's disk: its numbers begin anew.
    pub(super) fn forgets(&mut self, id: &str) {
        self.points.remove(id);
        self.registered.remove(id);
        self.life.points.remove(id);
        self.life.cut.remove(id);
        self.life.draining.remove(id);
    }

    /// The sessions of a driver that central has on disk.
    pub(super) fn sessions_of(&self, driver: &DriverId) -> Vec<SessionId> {
        let theirs = self.sessions.values().filter(|session| session.driver == *driver);
        theirs.map(|session| session.id.clone()).collect()
    }

    pub(super) fn is_lost(&self, session: &SessionId) -> bool {
        self.supplies.get(session).is_some_and(|supplied| self.lost.contains(&supplied.instance))
    }
}

/// The states in their order; a session only moves forward.
pub(super) fn rank(state: State) -> u8 {
    match state {
        State::Authorizing => 0,
        State::Reserved => 1,
        State::Supplying => 2,
        State::Ended(_) => 3,
    }
}

/// Its final reading is on central's disk with its ticket; or it came to nothing, and nobody said otherwise.
pub(super) fn final_reading_billed(session: &Session) -> bool {
    session.may_be_forgotten() || session.ticket().map_or(session.closed(), |ticket| !ticket.estimated())
}

/// The word on the topic.
pub(super) fn word(kind: NotificationType) -> &'static str {
    match kind {
        NotificationType::Authorized => "AUTH_OK",
        NotificationType::Denied => "AUTH_DENIED",
        NotificationType::ConsumptionUpdate => "CONSUMO_UPDATE",
        NotificationType::Ticket => "TICKET",
        NotificationType::SupplyError => "SUPPLY_ERROR",
    }
}

impl World {
    /// Reads what central has just put on its disk.
    pub(super) fn central_wrote(&mut self) {
        let mut offsets = Vec::new();
        for (key, value) in self.central.disk.take_written() {
            let Some(value) = value else {
                self.central_deleted(&key);
                continue;
            };
            match Page::read(&key, &value) {
                Ok(Page::Session(session)) => self.session_written(*session),
                Ok(Page::ChargePoint(point)) => {
                    if let Some(before) = self.truth.points.get(&point.id) {
                        // Authorisations are numbered by instance.
                        let fell = point.epoch < before.epoch
                            || (point.instance == before.instance
                                && point.highest_authorization < before.highest_authorization);
                        self.expect("INV-8", !fell, || format!("a number of {} falls", point.id));
                    }
                    self.check_registered(&point);
                    self.truth.points.insert(point.id.clone(), *point);
                }
                Ok(Page::Answer(request, answered)) => drop(self.truth.answers.insert(request, *answered)),
                Ok(Page::Notification(row)) => drop(self.truth.rows.insert(key, row)),
                Ok(Page::Offset(partition, next)) => offsets.push((partition, next)),
                Ok(Page::SigningKey(known)) => {
                    self.truth.keys.insert(known.key);
                    self.truth.made.insert(known.key, known);
                }
                Ok(Page::Other) => {}
                Err(error) => self.broken("INV-7", format!("central wrote what it cannot read: {error}")),
            }
        }
        for (partition, next) in offsets {
            self.offset_written(partition, next);
        }
    }

    fn session_written(&mut self, session: Session) {
        let id = session.id.clone();
        self.check_not_forgotten(&id);
        if let Some(before) = self.truth.sessions.get(&id) {
            let (from, to) = (before.state(), session.state());
            let forward = rank(from) < rank(to) || from == to;
            let fixed = before.price == session.price
                && before.driver == session.driver
                && before.charge_point == session.charge_point;
            let energy = before.energy() <= session.energy() || session.settled_by().is_some();
            self.expect("INV-1", forward, || format!("session {id} goes back, from {from:?} to {to:?}"));
            self.expect("INV-4", fixed, || format!("session {id} changes its price, driver or charge point"));
            self.expect("INV-4", energy, || format!("session {id} has less energy than before"));
            let agreed = self.truth.agreed.contains(&id) || self.truth.supplies.contains_key(&id);
            let granted = from == State::Authorizing && session.state() == State::Reserved;
            self.expect("INV-8", !granted || agreed, || {
                format!("session {id} is granted, and its engine never agreed")
            });
        } else {
            say!(
                self,
                "session {id} of {} at {}: {:?}",
                session.driver,
                session.charge_point,
                session.state()
            );
            self.tally.count("sessions");
        }
        if matches!(session.state(), State::Ended(_)) && !self.truth.ended.contains_key(&id) {
            self.tally.count(&format!("session {:?}", session.state()));
            self.truth.ended.insert(id.clone(), self.at);
        }
        self.check_evidence(&session);
        self.check_review(&session);
        if let Some(ticket) = session.ticket() {
            self.check_ticket(&session, ticket);
        }
        if session.closed() && !session.started() {
            let ended = self.truth.ended.get(&id).copied().unwrap_or(self.at);
            if self.deadline_passed(ended) {
                self.truth.given_up.insert(id.clone());
            }
        }
        self.truth.sessions.insert(id, session);
    }

    /// Everything before a stored offset is on disk in what it led to.
    fn offset_written(&mut self, partition: i32, next: i64) {
        let from = self.truth.offsets.insert(partition, next).unwrap_or(0);
        let cluster = self.central.up.as_ref().and_then(|running| running.reader.cluster.clone());
        if cluster != Some(self.broker.id()) || self.truth.restored {
            return; // of a log that is no more, or of sessions that it lost and learned of again
        }
        let Some(log) = usize::try_from(partition).ok().and_then(|n| self.broker.partitions.get(n)) else {
            return;
        };
        let mut behind = None;
        for offset in from..next {
            let Some((_, payload)) = log.get(offset) else { continue };
            let Some((id, energy, _)) = super::checks::reading_of(payload) else { continue };
            let Some(session) = self.truth.sessions.get(&id) else { continue };
            let told = session.told().map_or(Energy::ZERO, |told| told.energy);
            let unheard = session.state() == State::Ended(Outcome::Stopped); // what flows on is not central's to keep
            let passed_over = self.truth.cut_off.contains(&id) || self.truth.given_up.contains(&id);
            let excused = unheard || passed_over || self.truth.lied.contains(&id);
            let open = session.ticket().is_none() && session.review().is_none();
            if session.energy().max(told) < energy && open && !excused {
                behind = Some((id, energy, session.energy()));
            }
        }
        self.expect("INV-1", behind.is_none(), || {
            format!("the offset {next} of partition {partition} is on disk before what it tells: {behind:?}")
        });
    }

    /// Reads what an engine has just put on its disk.
    pub(super) fn engine_wrote(&mut self, p: usize) {
        for (key, value) in self.points[p].disk.take_written() {
            let Some(value) = value else {
                self.engine_forgot(p, &key);
                continue;
            };
            match EnginePage::read(&key, &value) {
                Ok(EnginePage::Ended(record)) => self.record_written(p, &record),
                Ok(EnginePage::Engine(_, current)) => self.current_written(p, current),
                Ok(EnginePage::Event(_)) => {}
                Err(error) => self.broken("INV-7", format!("an engine wrote what it cannot read: {error}")),
            }
        }
    }

    fn current_written(&mut self, p: usize, current: Option<SupplyRecord>) {
        let now = current.as_ref().map(|record| record.session.clone());
        if let Some(before) = self.truth.running.remove(&p).filter(|before| Some(before) != now.as_ref()) {
            let ended = self.truth.supplies.get(&before).is_some_and(|supplied| supplied.ended);
            let lost = self.truth.is_lost(&before);
            self.expect("INV-1", ended || lost, || {
                format!(
                    "the supply of session {before} is gone from its engine's disk without a final record"
                )
            });
        }
        if let Some(record) = current {
            self.truth.running.insert(p, record.session.clone());
            self.record_written(p, &record);
        }
    }

    fn record_written(&mut self, p: usize, record: &SupplyRecord) {
        let id = record.session.clone();
        let ended = matches!(record.state, SupplyState::Ended(_));
        let supplied = Supplied {
            instance: self.points[p].instance.clone(),
            number: record.authorization,
            driver: record.driver.clone(),
            price: record.price,
            energy: record.energy,
            seq: record.seq,
            ended,
        };
        match self.truth.supplies.get(&id).cloned() {
            None => {
                self.tally.count("supplies started");
                say!(self, "{} supplies session {id}", self.points[p].id);
                let closed =
                    self.truth.sessions.get(&id).is_some_and(|known| known.closed() && !known.started());
                let excused = self.truth.restored || self.truth.given_up.contains(&id);
                self.expect("INV-8", !closed || excused, || {
                    format!("session {id} starts, though central has closed it as never started")
                });
            }
            Some(before) => {
                let same = before.price == supplied.price && before.driver == supplied.driver;
                let rises = before.energy <= supplied.energy && before.seq <= supplied.seq;
                let final_stays = !before.ended || before == supplied;
                self.expect("INV-4", same && rises && final_stays, || {
                    format!("session {id} changes at its engine from {before:?} to {supplied:?}")
                });
            }
        }
        self.truth.supplies.insert(id, supplied);
    }

    /// A final record was confirmed: its ticket is on central's disk by now (INV-1).
    fn engine_forgot(&mut self, p: usize, key: &[u8]) {
        let Some(number) =
            key.strip_prefix(b"ended/").and_then(|n| n.try_into().ok()).map(u64::from_be_bytes)
        else {
            return;
        };
        let instance = self.points[p].instance.clone();
        let found = self.truth.supplies.iter().find(|(_, s)| s.number == number && s.instance == instance);
        let Some((id, _)) = found else { return };
        let id = id.clone();
        let known = self.truth.sessions.get(&id);
        let ticketed = known.is_some_and(final_reading_billed);
        let restored = self.truth.restored;
        self.expect("INV-1", ticketed || restored, || {
            format!("the engine forgot session {id}, whose ticket is not on central's disk")
        });
    }
}
