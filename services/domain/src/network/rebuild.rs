//! A network out of rows that are not all of one moment: a log of changes, cut off anywhere.
//!
//! The log's order promises this much: where it holds any change, it holds every row as it was then *or later*. So
//! what a row rests on is there (a session's charge point, the end of the session before it), and what is missing is
//! the newest of some rows. Engines know that, and are asked; until they have answered, nothing may be granted or
//! taken on an old row's word.

use super::{
    ChargePoint, Config, Standing, Stored,
    session::{
        Session,
        life::{Deadline, Outcome, State},
        lifecycle::Word,
    },
};
use crate::{ChargePointId, DriverId, Location, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Why a session ended that the rows show as open.
const SUPERSEDED: &str = "central lost its store; a newer session shows that this one is over";
const LOST: &str = "the charge point lost its memory";
const CUT: &str = "the identity of the charge point was revoked";

impl Stored {
    /// Makes the rows fit each other, and safe to go on from:
    ///
    /// - every session has its charge point, whose numbers are above all that its sessions show, and whose epoch is
    ///   above all before it, so that every monitor registers again (INV-8);
    /// - a charge point, and a driver, has one open session at most, the newest (INV-2); the others have ended and
    ///   wait for their engine's word;
    /// - a session of another engine's store than the registered one ends as when that is noticed, and one at a charge
    ///   point that is cut off as when it was;
    /// - a request is not asked of its engine again: the engine is asked to revoke it, and says how far it came.
    pub fn mend(&mut self, config: &Config, now: Now) {
        let mut points: BTreeMap<ChargePointId, ChargePoint> =
            self.charge_points.drain(..).map(|point| (point.id.clone(), point)).collect();
        for session in &self.sessions {
            let point = points.entry(session.charge_point.clone()).or_insert_with(|| unknown(session));
            if point.instance == session.instance {
                point.highest_authorization = point.highest_authorization.max(session.authorization);
            }
        }
        for point in points.values_mut() {
            let wall = u64::try_from(now.wall.0).unwrap_or_default();
            point.epoch = point.epoch.saturating_add(1).max(wall);
        }
        let mut taken: (BTreeSet<ChargePointId>, BTreeSet<DriverId>) = Default::default();
        self.sessions.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        for session in &mut self.sessions {
            let registered = points.get(&session.charge_point);
            let lost = registered.map(|point| &point.instance) != Some(&session.instance);
            let cut = registered.is_some_and(|point| point.standing() == Standing::Cut);
            if !session.is_open() {
                if lost {
                    session.lose_store();
                }
                continue;
            }
            if lost {
                end(session, config, now, LOST, Word::Lost);
                continue;
            }
            if cut {
                end(session, config, now, CUT, Word::Wanted);
                continue;
            }
            let (points, drivers) = &mut taken;
            let driver_is_free = session.driver.is_guest() || !drivers.contains(&session.driver);
            if points.contains(&session.charge_point) || !driver_is_free {
                end(session, config, now, SUPERSEDED, Word::Wanted);
                continue;
            }
            points.insert(session.charge_point.clone());
            drivers.insert(session.driver.clone());
            if session.state() == State::Authorizing {
                let deadline = Deadline::after(now, config.revoke_timeout);
                session.grant(deadline);
                session.revoke(deadline);
            }
        }
        self.charge_points = points.into_values().collect();
    }
}

fn end(session: &mut Session, config: &Config, now: Now, reason: &str, word: Word) {
    let outcome = if session.started() { Outcome::Faulted } else { Outcome::Expired };
    let dated = session.delivered().map_or(session.created, |delivered| delivered.started);
    let at = now.wall.max(dated); // the clock of this machine may be behind that of the one before
    session.end(outcome, reason.to_owned(), at, word, Deadline::after(now, config.settlement));
}

/// A charge point of which only a session is known: its place and its address come with its monitor, or never.
fn unknown(session: &Session) -> ChargePoint {
    ChargePoint {
        id: session.charge_point.clone(),
        location: Location::default(),
        price: session.price,
        engine_address: String::new(),
        instance: session.instance.clone(),
        monitor: session.instance.as_str().parse().expect("ids have one form"),
        epoch: 0,
        highest_authorization: 0,
        out_of_order: false,
        never_supplied: false,
        rated: None,
        seals_from: None,
        revoked: None,
    }
}
