//! The network as central knows it: what it is restored from, what changes of it, and what is asked of it.

use super::{
    answers::{Answered, Answers},
    charge_point::{ChargePoint, Health, Link, Point},
    config::Config,
    cooling::{Cooling, Reserving},
    deeds::Deeds,
    engine::CallId,
    guesses::Guesses,
    past::{Past, Remembered},
    pending::Pending,
    provisional::Provisional,
    queue::Queue,
    registry::Registry,
    request::RequestKey,
    session::{Session, Source},
    standing::{Revoked, Standing},
    status::{Detail, Status},
    turned_away::TurnedAway,
    untold::Untold,
};
use crate::{
    ChargePointId, Deed, DriverId, Location, Mono, Now, SessionId, Wall,
    cards::held::{Cards, Changed},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The sessions that left the memory.
pub trait Archive {
    /// One of them, if it exists.
    fn session(&self, id: &SessionId) -> Option<Session>;
}

#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub charge_points: Vec<ChargePoint>,
    /// The sessions that are not closed.
    pub sessions: Vec<Session>,
    /// As it was written last.
    pub past: Past,
    /// The answers kept for repeats.
    pub answers: Vec<(RequestKey, Answered)>,
    pub cards: Cards,
    /// The sessions of which no copy as they are now is kept outside the store.
    pub uncopied: BTreeSet<SessionId>,
    /// The store may lack sessions that engines know: each engine is asked, whatever the store says of it.
    pub ask_every_engine: bool,
    /// The charge points whose engine is revoked, or whose gateway is.
    pub revoked_engines: BTreeSet<ChargePointId>,
}

/// What has to be on disk before the effects of the same step leave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// As they are now.
    pub charge_points: Vec<ChargePoint>,
    /// They are removed.
    pub forgotten_points: Vec<ChargePointId>,
    /// As they are now; closed ones belong to the archive from here on.
    pub sessions: Vec<Session>,
    pub answers: Vec<(RequestKey, Answered)>,
    pub expired_answers: Vec<RequestKey>,
    pub cards: Changed,
    /// What callers did, or were denied, in order.
    pub deeds: Vec<Deed>,
}

/// The network, as central knows it.
#[derive(Debug)]
pub struct Network {
    pub(super) config: Config,
    pub(super) registry: Registry,
    /// Who waits for a session's authorisation.
    pub(super) pending: BTreeMap<SessionId, Pending>,
    pub(super) answers: Answers,
    pub(super) cards: Cards,
    /// The unknown cards that were shown a moment ago.
    pub(super) guesses: Guesses,
    /// The reservations that went unused a while ago.
    pub(super) cooling: Cooling,
    /// Who has reservations open.
    pub(super) reserving: Reserving,
    /// The registrations whose engines have not been heard yet, by the calls that ask them.
    pub(super) provisional: BTreeMap<CallId, Provisional>,
    pub(super) turned_away: TurnedAway,
    pub(super) deeds: Deeds,
    pub(super) next_call: u64,
    pub(super) remembered: Remembered,
    /// Kafka was read to its end, or found away, since central started.
    pub(super) kafka_judged: bool,
    /// Everything older than this was read.
    pub(super) kafka_read_to: Mono,
    /// Kafka was found away, and nothing came from it since.
    pub(super) kafka_away: bool,
    /// Where each partition is to be read on.
    pub(super) positions: BTreeMap<i32, i64>,
    /// The messages that a saved reading does not cover yet.
    pub(super) held: BTreeMap<Source, SessionId>,
    /// The sessions that wait for a person.
    pub(super) under_review: BTreeSet<SessionId>,
    /// The sessions of which only Kafka may still tell.
    pub(super) store_lost: BTreeSet<SessionId>,
    /// Which charge points a tick looks at.
    pub(super) looks: Queue,
    /// Which engines are told next whom to refuse.
    pub(super) turns: Queue,
    pub(super) changed_points: BTreeSet<ChargePointId>,
    pub(super) forgotten_points: BTreeSet<ChargePointId>,
    pub(super) changed_sessions: BTreeSet<SessionId>,
    /// Closed in this step, and out of memory before its end.
    pub(super) left: Vec<Session>,
}

impl Network {
    /// The network that a store kept; an empty one from [`Stored::default`].
    ///
    /// Every charge point is disconnected until its monitor is back, and no deadline is judged before Kafka was read
    /// to its end and the engine asked, or found away.
    pub fn restore(config: Config, now: Now, stored: Stored) -> Self {
        let numbers = stored.charge_points.iter().map(|point| point.highest_authorization);
        let remembered = Remembered::restored(stored.past, numbers, dates(&stored), now);
        let mut network = Self {
            remembered,
            answers: Answers::restore(&config, stored.answers),
            cards: stored.cards,
            guesses: Guesses::default(),
            config,
            registry: Registry::default(),
            pending: BTreeMap::new(),
            cooling: Cooling::default(),
            reserving: Reserving::default(),
            provisional: BTreeMap::new(),
            turned_away: TurnedAway::default(),
            deeds: Deeds::default(),
            next_call: 0,
            kafka_judged: false,
            kafka_read_to: Mono::default(),
            kafka_away: false,
            positions: BTreeMap::new(),
            held: BTreeMap::new(),
            under_review: BTreeSet::new(),
            store_lost: BTreeSet::new(),
            looks: Queue::default(),
            turns: Queue::default(),
            changed_points: BTreeSet::new(),
            forgotten_points: BTreeSet::new(),
            changed_sessions: BTreeSet::new(),
            left: Vec::new(),
        };
        for mut point in stored.charge_points {
            if let Some(Revoked::Draining { deadline, .. }) = &mut point.revoked {
                *deadline = deadline.restored(now, network.config.revocation_drain);
            }
            let cut = point.standing() == Standing::Cut; // nobody waits for its engine
            let hosts = network.config.hosts("", &point.engine_address); // where from is known once it is back
            let id = point.id.clone();
            let untold = cut.then(|| Untold::at_once(now.mono)); // who registers is asked
            let (ask, engine_stands) = (stored.ask_every_engine, !stored.revoked_engines.contains(&id));
            let point = Point { ask, engine_stands, untold, ..Point::new(point, now.mono, cut) };
            network.registry.add_point(point);
            network.registry.is_at(&id, hosts);
        }
        for mut session in stored.sessions {
            session.live.copied = !stored.uncopied.contains(&session.id);
            network.restore_session(now, session);
        }
        let ids: Vec<ChargePointId> = network.registry.points().iter().map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| network.awaits(id, now.mono));
        network
    }

    pub(super) fn restore_session(&mut self, now: Now, mut session: Session) {
        if self.registry.find_point(&session.charge_point).is_none() {
            return; // a session is written after its charge point, which goes only once all its sessions are closed
        }
        self.registry.point_mut(&session.charge_point).ask = true;
        session.restore(&self.config, now, self.remembered.since(session.created, now.wall));
        if let Some(pending) = Pending::restored(&session) {
            if let Some((key, fingerprint)) = &pending.request {
                self.answers.undecided(key.clone(), *fingerprint, session.id.clone());
            }
            self.pending.insert(session.id.clone(), pending);
        }
        if session.review().is_some() {
            self.under_review.insert(session.id.clone());
        }
        if session.store_lost() {
            self.store_lost.insert(session.id.clone());
        }
        self.registry.add_session(session);
    }

    /// Says where each partition was read to, after a start.
    pub fn resume_at(&mut self, positions: impl IntoIterator<Item = Source>) {
        self.positions = positions.into_iter().map(|source| (source.partition, source.offset)).collect();
    }

    /// What changed since the last time, to be written in one transaction before any effect leaves. Closed sessions
    /// leave the memory here.
    pub fn take_changes(&mut self) -> Changes {
        let points = std::mem::take(&mut self.changed_points);
        let sessions = std::mem::take(&mut self.changed_sessions);
        let left = std::mem::take(&mut self.left);
        let (answers, expired_answers) = self.answers.take_changes();
        Changes {
            charge_points: points.iter().map(|id| self.registry.point(id).stored.clone()).collect(),
            forgotten_points: std::mem::take(&mut self.forgotten_points).into_iter().collect(),
            sessions: sessions.iter().map(|id| self.save(id)).chain(left).collect(),
            answers,
            expired_answers,
            cards: self.cards.take_changes(),
            deeds: self.deeds.take(),
        }
    }

    /// The sessions whose readings hold the oldest offsets back, at most `limit`, to be written as they are now. Each
    /// partition has its turn: one alone may have more sessions than are ever saved at a time. What changed in this
    /// step is left to [`Self::take_changes`], which closed sessions leave by.
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
        sessions.retain(|id| !self.changed_sessions.contains(id));
        sessions.iter().map(|id| self.save(id)).collect()
    }

    /// A closed session leaves the memory before the step's end: its charge point does.
    pub(super) fn close_now(&mut self, id: &SessionId) {
        self.changed_sessions.remove(id);
        let copy = self.save(id);
        self.left.push(copy);
    }

    /// A copy to be written: from here on its reading counts as saved.
    pub(super) fn save(&mut self, id: &SessionId) -> Session {
        let session = self.registry.session_mut(id);
        session.live.unsaved = false;
        for source in session.live.held.drain(..) {
            self.held.remove(&source);
        }
        let copy = session.clone();
        session.live.written = true;
        if copy.closed() {
            self.registry.remove_session(id);
        }
        copy
    }

    /// To be kept with what changed, where it [is news](Past::is_news).
    pub fn past(&self) -> Past {
        self.remembered.past
    }

    /// How many readings wait to be saved, by [`Network::checkpoint`].
    pub fn unsaved(&self) -> usize {
        self.held.len()
    }

    /// Where to read each partition on after a start: the oldest message that no saved reading covers, or what comes
    /// next.
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
        self.registry.find_session(id)
    }

    /// Every session that is open, or for which something is left to do, by id.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.registry.sessions()
    }

    /// The driver's open session.
    pub fn open_session(&self, driver: &DriverId) -> Option<&Session> {
        self.registry.find_open(driver)
    }

    /// How many sessions wait for a person to say what they bill.
    pub fn sessions_under_review(&self) -> usize {
        self.under_review.len()
    }

    /// How often a monitor that registers now is to report.
    pub fn report_interval(&self) -> Duration {
        self.config.report_interval_of(self.registry.points().len())
    }

    /// Its monitor is silent once it has not reported for so long: three of the intervals that it was told.
    pub(super) fn silence_of(&self, point: &Point) -> Duration {
        self.config.silence().max(point.report_interval * 3)
    }

    /// Did its monitor report it well a moment ago? While that is what it said last, it need not say so again before
    /// its interval is over.
    pub(super) fn is_well(&self, point: &Point, now: Mono) -> bool {
        let well = matches!(point.link, Link::Up { health: Health::Ok, .. });
        let moment = if well { self.silence_of(point) } else { self.config.silence() };
        now.since(point.last_ok) < moment
    }

    /// How many charge points there are.
    pub fn charge_point_count(&self) -> usize {
        self.registry.points().len()
    }

    pub fn charge_point(&self, id: &ChargePointId) -> Option<Detail> {
        self.registry.find_point(id).map(|point| point.detail(&self.registry))
    }

    /// Was a request with this id answered? Then it changes nothing any more.
    pub fn has_answered(&self, now: Wall, key: &RequestKey) -> bool {
        self.answers.given(now, key).is_some()
    }

    /// Where each charge point after this one is, and what it is now, by id: for whoever wants to know nothing else.
    pub fn statuses_after(
        &self,
        after: Option<&ChargePointId>,
    ) -> impl Iterator<Item = (&ChargePointId, &Location, Status)> {
        let points = self.registry.points().after(after);
        points.map(|point| (&point.stored.id, &point.stored.location, point.status(&self.registry)))
    }

    /// The charge points after this one that are free, by id.
    pub fn available_after(&self, after: Option<&ChargePointId>) -> impl Iterator<Item = Detail> {
        self.registry.free_after(after).map(|point| point.detail(&self.registry))
    }

    /// The charge points after this one, by id.
    pub fn charge_points_after(&self, after: Option<&ChargePointId>) -> impl Iterator<Item = Detail> {
        self.registry.points().after(after).map(|point| point.detail(&self.registry))
    }
}

/// When something of what a store kept was written.
fn dates(stored: &Stored) -> impl Iterator<Item = Wall> {
    let sessions = stored.sessions.iter().map(|session| session.ended_at().unwrap_or(session.created));
    sessions.chain(stored.answers.iter().map(|(_, answered)| answered.at))
}
