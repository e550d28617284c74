//! The charge points and sessions in memory, and the indexes by which they are found.
//!
//! An id that comes from outside is looked for once, at the door of its rule (`find_…`). From there on what it names
//! exists: a charge point is removed by its own order alone, and only without sessions in memory; a session leaves the
//! memory only after a step, when it is saved, and each session has its charge point. So the other look-ups return
//! what they name; that it is missing would be a fault of these rules, not of an input.

use super::{charge_point::Point, config::Config, dealings::Rank, session::Session, table::Table};
use crate::{ChargePointId, DriverId, SessionId};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

/// Why a charge point cannot be missing.
const POINT: &str = "a charge point that was found stays for the whole step";
/// Why a session cannot be missing.
const SESSION: &str = "a session that was found stays for the whole step";

#[derive(Debug, Default)]
pub(super) struct Registry {
    points: Table<ChargePointId, Point>,
    /// Open, or with something left to do.
    sessions: Table<SessionId, Session>,
    /// The open session of each driver; guests are not in it.
    drivers: HashMap<DriverId, SessionId>,
    /// The charge points that are free, as central chooses: those whose last try failed come last; then the cheapest
    /// first, then by id.
    free: BTreeSet<(Rank, ChargePointId)>,
    /// The same, by id.
    free_ids: BTreeSet<ChargePointId>,
    /// How many charge points each host has.
    hosts: HashMap<String, usize>,
}

impl Registry {
    pub(super) fn find_point(&self, id: &ChargePointId) -> Option<&Point> {
        self.points.get(id)
    }

    pub(super) fn find_session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(super) fn find_open(&self, driver: &DriverId) -> Option<&Session> {
        self.drivers.get(driver).map(|id| self.session(id))
    }

    pub(super) fn point(&self, id: &ChargePointId) -> &Point {
        self.points.get(id).expect(POINT)
    }

    pub(super) fn point_mut(&mut self, id: &ChargePointId) -> &mut Point {
        self.points.get_mut(id).expect(POINT)
    }

    pub(super) fn session(&self, id: &SessionId) -> &Session {
        self.sessions.get(id).expect(SESSION)
    }

    pub(super) fn session_mut(&mut self, id: &SessionId) -> &mut Session {
        self.sessions.get_mut(id).expect(SESSION)
    }

    /// A session to be changed, and its charge point.
    pub(super) fn session_and_point(&mut self, id: &str) -> Option<(&mut Session, &Point)> {
        let session = self.sessions.get_mut(id)?;
        let point = self.points.get(&session.charge_point).expect(POINT);
        Some((session, point))
    }

    /// The open session of a charge point.
    pub(super) fn open_at(&self, point: &Point) -> Option<&Session> {
        point.open.as_ref().map(|id| self.session(id))
    }

    /// The ended sessions of a charge point for which something is left to do, by id.
    pub(super) fn ended_at(&self, point: &Point) -> impl Iterator<Item = &Session> {
        point.ended.iter().map(|id| self.session(id))
    }

    pub(super) fn points(&self) -> &Table<ChargePointId, Point> {
        &self.points
    }

    pub(super) fn points_mut(&mut self) -> &mut Table<ChargePointId, Point> {
        &mut self.points
    }

    /// By id.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.after(None)
    }

    /// What is free, as central chooses.
    pub(super) fn free(&self) -> impl Iterator<Item = &Point> {
        self.free.iter().map(|(_, id)| self.point(id))
    }

    /// The free ones after this one, by id.
    pub(super) fn free_after(&self, after: Option<&ChargePointId>) -> impl Iterator<Item = &Point> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.free_ids.range::<ChargePointId, _>((from, Bound::Unbounded)).map(|id| self.point(id))
    }

    /// All that a store kept.
    pub(super) fn of(config: &Config, points: impl Iterator<Item = Point>) -> Self {
        let mut hosts = HashMap::new();
        let points = points.inspect(|point| count_in(&mut hosts, &point.hosts(config)));
        let points = points.map(|point| (point.stored.id.clone(), point)).collect();
        Self { points, hosts, ..Self::default() }
    }

    pub(super) fn add_point(&mut self, config: &Config, point: Point) {
        count_in(&mut self.hosts, &point.hosts(config));
        self.points.insert(point.stored.id.clone(), point);
    }

    /// It registered from there, and its engine is at this address.
    pub(super) fn is_at(&mut self, config: &Config, id: &ChargePointId, from: &str, engine_address: String) {
        let point = self.points.get_mut(id).expect(POINT);
        count_out(&mut self.hosts, &point.hosts(config));
        from.clone_into(&mut point.from);
        point.stored.engine_address = engine_address;
        count_in(&mut self.hosts, &point.hosts(config));
    }

    /// How many charge points this host has.
    pub(super) fn count_at(&self, host: &str) -> usize {
        self.hosts.get(host).copied().unwrap_or_default()
    }

    /// One that is not free, and has no sessions in memory.
    pub(super) fn remove_point(&mut self, config: &Config, id: &ChargePointId) {
        if let Some(point) = self.points.remove(id) {
            count_out(&mut self.hosts, &point.hosts(config));
        }
    }

    /// A session of a charge point that is there, open or with something left to do.
    pub(super) fn add_session(&mut self, session: Session) {
        let id = session.id.clone();
        let point = self.point_mut(&session.charge_point);
        if session.is_open() {
            point.open = Some(id.clone());
            if !session.driver.is_guest() {
                self.drivers.insert(session.driver.clone(), id.clone());
            }
        } else {
            point.ended.insert(id.clone());
        }
        self.sessions.insert(id, session);
    }

    /// An open session has ended: its driver and its charge point may have another.
    pub(super) fn session_ended(&mut self, id: &SessionId) {
        let session = self.sessions.get(id).expect(SESSION);
        if self.drivers.get(&session.driver) == Some(id) {
            self.drivers.remove(&session.driver);
        }
        let point = self.points.get_mut(&session.charge_point).expect(POINT);
        point.open.take_if(|open| open == id);
        point.ended.insert(id.clone());
    }

    /// A closed session leaves the memory.
    pub(super) fn remove_session(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            self.point_mut(&session.charge_point).ended.remove(id);
        }
    }

    /// Keeps the list of what is free, after a change there.
    pub(super) fn list_free(&mut self, id: &ChargePointId) {
        let point = self.point(id);
        let free_at = point.is_free(self).then_some((point.try_failed, point.stored.price));
        let listed = point.free_at;
        if listed != free_at {
            self.point_mut(id).free_at = free_at;
            if let Some(rank) = listed {
                self.free.remove(&(rank, id.clone()));
                self.free_ids.remove(id);
            }
            if let Some(rank) = free_at {
                self.free.insert((rank, id.clone()));
                self.free_ids.insert(id.clone());
            }
        }
    }
}

fn count_in(hosts: &mut HashMap<String, usize>, of: &BTreeSet<&str>) {
    for &host in of {
        match hosts.get_mut(host) {
            Some(count) => *count += 1,
            None => _ = hosts.insert(host.to_owned(), 1),
        }
    }
}

fn count_out(hosts: &mut HashMap<String, usize>, of: &BTreeSet<&str>) {
    for &host in of {
        if let Some(count) = hosts.get_mut(host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(host);
            }
        }
    }
}
