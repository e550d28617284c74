//! Central's rules: the registry, the sessions and their tickets.
//!
//! [`Network::apply`] takes one [`Command`] at one moment and returns what is to be done about it. It holds every rule;
//! whoever calls it only carries data. The promises INV-1 to INV-8 of the design are kept here, together with the order
//! that the writer keeps: what changed ([`Network::take_changes`]) is on disk before an effect leaves.
//!
//! Deliberately absent: a stored status, a session moved by a driver's message, a call made from here.

mod adoption;
mod answers;
mod authorization;
mod charge_point;
mod command;
mod deadlines;
mod denial;
mod effect;
mod engine;
mod engine_calls;
mod evidence;
mod monitors;
mod notices;
mod orders;
mod rebuild;
mod reply;
mod request;
mod session;
mod step;
mod telemetry;
mod words;

pub use answers::{Answered, Recorded};
pub use charge_point::{ChargePoint, Detail, LiveDetail, Status, status};
pub use command::*;
pub use denial::*;
pub use effect::*;
pub use engine::*;
pub use reply::*;
pub use request::*;
pub use session::{Deadline, Live, Outcome, Session, Source, State, Stop, Ticket};

use crate::{ChargePointId, DriverId, Mono, Now, Price, SessionId};
use answers::Answers;
use authorization::Pending;
use charge_point::Point;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};
use step::Step;
use words::words;

/// Bounds and durations of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long an engine may take to authorise; default 5 s.
    pub authorize_timeout: Duration,
    /// How long a reservation waits for its car; default 60 s.
    pub reservation: Duration,
    /// How much longer central waits, for the clocks' and the network's sake; default 2 s.
    pub reservation_margin: Duration,
    /// How long a revocation may stay unanswered before the session ends without the engine's word; default 3 s. With the
    /// ticks' distance it keeps INV-3's 5 s.
    pub revoke_timeout: Duration,
    /// How often monitors report; three of these without a word is silence; default 1 s.
    pub report_interval: Duration,
    /// How long a supply may be silent before it ends as faulted; default 60 s.
    pub supply_silence: Duration,
    /// How long a ticket waits for its final reading; default 24 h.
    pub settlement: Duration,
    /// How often an engine with an unsettled session is asked, whatever happens; default 60 s.
    pub ask_interval: Duration,
    /// How long answers are kept for their repeats; default 24 h (AIP-155 leaves it open).
    pub answer_ttl: Duration,
    /// How many answers are kept at most; the oldest go first; default 100,000.
    pub max_answers: usize,
    /// Who may register.
    pub registration: RegistrationPolicy,
    /// How many charge points may register; default 100,000.
    pub max_charge_points: usize,
    /// An engine may forget a settled session only once a copy of it is kept outside the store, as
    /// [`Command::Copied`] says; default no.
    pub confirm_copied: bool,
}

/// Who may register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Any charge point.
    Open,
    /// Only these, and those that are registered already.
    Known(BTreeSet<ChargePointId>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            authorize_timeout: Duration::from_secs(5),
            reservation: Duration::from_secs(60),
            reservation_margin: Duration::from_secs(2),
            revoke_timeout: Duration::from_secs(3),
            report_interval: Duration::from_secs(1),
            supply_silence: Duration::from_secs(60),
            settlement: Duration::from_secs(24 * 3600),
            ask_interval: Duration::from_secs(60),
            answer_ttl: Duration::from_secs(24 * 3600),
            max_answers: 100_000,
            registration: RegistrationPolicy::Open,
            max_charge_points: 100_000,
            confirm_copied: false,
        }
    }
}

impl Config {
    /// Three intervals without a word is silence.
    fn silence(&self) -> Duration {
        self.report_interval * 3
    }
}

/// The sessions that left the memory.
pub trait Archive {
    /// One of them, if it exists.
    fn session(&self, id: &SessionId) -> Option<Session>;
}

/// What a store kept.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Every charge point.
    pub charge_points: Vec<ChargePoint>,
    /// The sessions that are not closed.
    pub sessions: Vec<Session>,
    /// The answers kept for repeats.
    pub answers: Vec<(RequestKey, Answered)>,
    /// The sessions of which no copy as they are now is kept outside the store.
    pub uncopied: BTreeSet<SessionId>,
    /// The store may lack sessions that engines know: each engine is asked, whatever the store says of it.
    pub ask_every_engine: bool,
}

/// What has to be on disk before the effects of the same step leave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// As they are now.
    pub charge_points: Vec<ChargePoint>,
    /// As they are now; closed ones belong to the archive from here on.
    pub sessions: Vec<Session>,
    /// New answers.
    pub answers: Vec<(RequestKey, Answered)>,
    /// Answers to forget.
    pub expired_answers: Vec<RequestKey>,
}

/// The network, as central knows it.
#[derive(Debug)]
pub struct Network {
    config: Config,
    points: BTreeMap<ChargePointId, Point>,
    /// Open, or with something left to do.
    sessions: BTreeMap<SessionId, Session>,
    /// The open session of each driver; guests are not in it.
    drivers: BTreeMap<DriverId, SessionId>,
    /// The charge points that are free, as central chooses: cheapest first, then by id.
    free: BTreeSet<(Price, ChargePointId)>,
    /// Who waits for a session's authorisation.
    pending: BTreeMap<SessionId, Pending>,
    answers: Answers,
    next_call: u64,
    /// Kafka was read to its end, or found away, since central started.
    kafka_judged: bool,
    /// Everything older than this was read, or Kafka was found away then.
    kafka_read_to: Mono,
    /// Kafka was found away, and nothing came from it since.
    kafka_away: bool,
    /// Where each partition is to be read on.
    positions: BTreeMap<i32, i64>,
    /// The messages that a saved reading does not cover yet.
    held: BTreeMap<Source, SessionId>,
    changed_points: BTreeSet<ChargePointId>,
    changed_sessions: BTreeSet<SessionId>,
}

impl Network {
    /// The network that a store kept; an empty one from [`Stored::default`].
    ///
    /// Every charge point is disconnected until its monitor is back, and no deadline is judged before Kafka was read to its
    /// end and the engine asked, or found away.
    pub fn restore(config: Config, now: Now, stored: Stored) -> Self {
        let mut network = Self {
            answers: Answers::restore(config.answer_ttl, config.max_answers, stored.answers),
            config,
            points: BTreeMap::new(),
            sessions: BTreeMap::new(),
            drivers: BTreeMap::new(),
            free: BTreeSet::new(),
            pending: BTreeMap::new(),
            next_call: 0,
            kafka_judged: false,
            kafka_read_to: Mono::default(),
            kafka_away: false,
            positions: BTreeMap::new(),
            held: BTreeMap::new(),
            changed_points: BTreeSet::new(),
            changed_sessions: BTreeSet::new(),
        };
        for point in stored.charge_points {
            let id = point.id.clone();
            let point = Point { ask: stored.ask_every_engine, ..Point::new(point, now.mono, false) };
            network.points.insert(id, point);
        }
        for mut session in stored.sessions {
            session.live.copied = !stored.uncopied.contains(&session.id);
            network.restore_session(now, session);
        }
        network
    }

    fn restore_session(&mut self, now: Now, mut session: Session) {
        let full = match session.state {
            State::Authorizing => self.config.authorize_timeout,
            State::Reserved => self.config.reservation + self.config.reservation_margin,
            State::Supplying => self.config.supply_silence,
            State::Ended(_) => self.config.settlement,
        };
        session.live = Live {
            last_sign: now.mono,
            lost_since: now.mono,
            restored: true,
            copied: session.live.copied,
            ..Live::default()
        };
        session.deadline = session.deadline.map(|deadline| deadline.restored(now, full));
        let Some(point) = self.points.get_mut(&session.charge_point) else {
            return; // a session is written after its charge point, and none is ever deleted
        };
        point.ask = true;
        if session.state.is_open() {
            point.open = Some(session.id.clone());
            if !session.driver.is_guest() {
                self.drivers.insert(session.driver.clone(), session.id.clone());
            }
        } else {
            point.ended.insert(session.id.clone());
        }
        if session.state == State::Authorizing {
            let pending = Pending::restored(&session, now);
            if let Some((key, fingerprint)) = &pending.request {
                self.answers.undecided(key.clone(), *fingerprint, session.id.clone());
            }
            self.pending.insert(session.id.clone(), pending);
        }
        self.sessions.insert(session.id.clone(), session);
    }

    /// Says where each partition was read to, after a start.
    pub fn resume_at(&mut self, positions: impl IntoIterator<Item = Source>) {
        self.positions = positions.into_iter().map(|source| (source.partition, source.offset)).collect();
    }

    /// Takes one command at one moment. Total: every command in every state has its answer, and none panics.
    pub fn apply(&mut self, now: Now, archive: &dyn Archive, command: Command) -> Vec<Effect> {
        let mut step = Step::new(self, now, archive);
        step.run(command);
        step.finish()
    }

    /// What changed since the last time, to be written in one transaction before any effect leaves. Closed sessions leave
    /// the memory here.
    pub fn take_changes(&mut self) -> Changes {
        let points = std::mem::take(&mut self.changed_points);
        let sessions = std::mem::take(&mut self.changed_sessions);
        let (answers, expired_answers) = self.answers.take_changes();
        Changes {
            charge_points: points
                .iter()
                .filter_map(|id| self.points.get(id))
                .map(|p| p.stored.clone())
                .collect(),
            sessions: sessions.iter().filter_map(|id| self.save(id)).collect(),
            answers,
            expired_answers,
        }
    }

    /// The sessions whose readings hold the oldest offsets back, at most `limit`, to be written as they are now. Each
    /// partition has its turn: one alone may have more sessions than are ever saved at a time.
    pub fn checkpoint(&mut self, limit: usize) -> Vec<Session> {
        let mut sessions = BTreeSet::new();
        let held = |&partition| {
            let at = |offset| Source { partition, offset };
            self.held.range(at(i64::MIN)..=at(i64::MAX)).map(|(_, id)| id)
        };
        let mut partitions: Vec<_> = self.positions.keys().map(held).collect();
        while sessions.len() < limit && !partitions.is_empty() {
            partitions.retain_mut(|oldest| {
                let next = oldest.next().filter(|_| sessions.len() < limit);
                sessions.extend(next.cloned());
                next.is_some()
            });
        }
        sessions.iter().filter_map(|id| self.save(id)).collect()
    }

    /// A copy to be written: from here on its reading counts as saved.
    fn save(&mut self, id: &SessionId) -> Option<Session> {
        let session = self.sessions.get_mut(id)?;
        session.live.unsaved = false;
        for source in session.live.held.drain(..) {
            self.held.remove(&source);
        }
        let copy = session.clone();
        if copy.closed {
            self.sessions.remove(id);
            if let Some(point) = self.points.get_mut(&copy.charge_point) {
                point.ended.remove(id);
            }
        }
        Some(copy)
    }

    /// Where to read each partition on after a start: the oldest message that no saved reading covers, or what comes next.
    pub fn offsets(&self) -> Vec<Source> {
        let next = self.positions.iter().map(|(&partition, &offset)| Source { partition, offset });
        next.map(|next| {
            let first = Source { partition: next.partition, offset: i64::MIN };
            self.held.range(first..next).next().map_or(next, |(&oldest, _)| oldest)
        })
        .collect()
    }

    /// One session that is open, or for which something is left to do.
    pub fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Every session that is open, or for which something is left to do, by id.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// The driver's open session.
    pub fn open_session(&self, driver: &DriverId) -> Option<&Session> {
        self.drivers.get(driver).and_then(|id| self.sessions.get(id))
    }

    /// How many charge points there are.
    pub fn charge_point_count(&self) -> usize {
        self.points.len()
    }

    /// One charge point.
    pub fn charge_point(&self, id: &ChargePointId) -> Option<Detail> {
        self.points.get(id).map(|point| self.detail(point))
    }

    /// Was a request with this id answered? Then it changes nothing any more.
    pub fn has_answered(&self, now: crate::Wall, key: &RequestKey) -> bool {
        self.answers.given(now, key).is_some()
    }

    /// The charge points after this one, by id.
    pub fn charge_points_after(&self, after: Option<&ChargePointId>) -> impl Iterator<Item = Detail> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.points.range::<ChargePointId, _>((from, Bound::Unbounded)).map(|(_, point)| self.detail(point))
    }

    fn detail(&self, point: &Point) -> Detail {
        let status = point.status(&self.sessions);
        let shown = point.open.as_ref().or(point.supplies.as_ref());
        let live = shown.and_then(|id| self.sessions.get(id)).map(|session| LiveDetail {
            session: session.id.clone(),
            driver: session.driver.clone(),
            state: session.state,
            power: session.live.power,
            energy: session.shown_energy(),
            amount: session.price.cost(session.shown_energy()),
        });
        Detail {
            id: point.stored.id.clone(),
            location: point.stored.location.clone(),
            price: point.stored.price,
            status,
            status_reason: point.status_reason(status),
            engine_address: point.stored.engine_address.clone(),
            epoch: point.stored.epoch,
            live,
        }
    }
}
