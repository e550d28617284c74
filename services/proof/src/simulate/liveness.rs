//! After the faults: everything heals by itself. Each session ends and is settled, each delivered energy has its one
//! ticket, nothing stays reserved, every driver has been told, and every charge point takes a new request.

use super::{
    central::{CALL_TIMEOUT, Caller},
    engine::ReplyTo,
    world::{World, say},
};
use domain::DriverId;
use domain::network::{Outcome, Session, State, Status, Target};
use domain::supply::Act;
use proof::engine_process::Asked;
use std::collections::BTreeSet;

/// Late copies come up to a minute after the last fault: nothing is judged before (ms).
const LATE_COPIES: u64 = 70_000;
/// A monitor and its engine are back with central within INV-9's 10 s, and a call's timeout of before (ms).
const BACK: u64 = 10_000 + CALL_TIMEOUT;
/// Beyond the longest deadline, so long (ms).
const GRACE: u64 = 300_000;

impl World {
    /// The whole run: faults, healing, and the proof that everything is as it should be.
    pub(super) fn play(&mut self) {
        self.run_until(self.plan.faulty);
        if self.violation.is_none() {
            self.heal();
            self.come_back();
            self.becomes_quiet("after the faults");
        }
        if self.violation.is_none() {
            self.serves_again();
        }
        if self.violation.is_none() {
            self.accounts();
        }
        self.tally.simulated_ms = self.at;
    }

    fn heal(&mut self) {
        say!(self, "--- nothing breaks any more ---");
        self.faults = false;
        self.cuts.clear();
        self.broker.away_until = self.at;
        self.central_starts();
        self.enrols_all();
        for p in 0..self.points.len() {
            self.engine_starts(p);
            self.monitor_dies(p, 1);
            self.monitor_starts(p, 0);
        }
    }

    /// Whatever was away, each charge point is seen again soon (INV-9).
    fn come_back(&mut self) {
        let healed = self.at;
        let mut missing: BTreeSet<usize> = (0..self.points.len()).collect();
        while self.violation.is_none() && !missing.is_empty() {
            self.run_until(self.at + 500);
            let points = &self.points;
            if let Some(running) = &self.central.up {
                let network = running.network();
                missing.retain(|p| {
                    network.charge_point(&points[*p].id).is_none_or(|d| d.status == Status::Disconnected)
                });
            }
            let passed = self.at - healed;
            self.expect("INV-9", passed <= BACK || missing.is_empty(), || {
                format!("{passed} ms after the last fault charge points {missing:?} are not seen")
            });
        }
    }

    /// People clear away what would hold things up for ever: faults, cables, orders, and records of sessions that were
    /// given up and let go, which nobody but they may have forgotten.
    fn tidy(&mut self) {
        for p in 0..self.points.len() {
            self.monitor_dies(p, 1);
            self.engine_starts(p);
            for act in [Act::Repair, Act::Unplug] {
                self.engine_takes(p, Asked::Act(act), ReplyTo::Nobody);
            }
            self.refuses_what_is_gone(p);
        }
        if self.truth.points.values().any(|point| point.out_of_order) {
            self.resume_all();
        }
    }

    fn becomes_quiet(&mut self, when: &str) {
        let begun = self.at;
        // Once until a ticket is estimated, and once more where a person is asked what telemetry alone tells.
        let longest = 2 * u64::try_from(self.plan.config.settlement.as_millis()).unwrap_or(u64::MAX / 2);
        while self.violation.is_none() {
            self.run_until(self.at + 1_000);
            let passed = self.at - begun;
            if passed % 10_000 < 1_000 {
                self.tidy();
            }
            if passed < LATE_COPIES {
                continue;
            }
            let Some(unrest) = self.unrest() else { break };
            if passed > longest + GRACE {
                self.broken("liveness", format!("{when}, {} s later: {unrest}", passed / 1_000));
            }
        }
    }

    /// What is not done yet.
    fn unrest(&self) -> Option<String> {
        let Some(running) = &self.central.up else { return Some("central is away".into()) };
        let network = running.network();
        if let Some(session) = network.sessions().next() {
            return Some(format!(
                "session {} is {:?}, and not closed: {session:?}",
                session.id,
                session.state()
            ));
        }
        if !self.truth.rows.is_empty() {
            return Some(format!("{} notifications wait in central's outbox", self.truth.rows.len()));
        }
        for point in &self.points {
            let Some(process) = &point.up else { return Some(format!("{} is away", point.id)) };
            let view = process.engine.view();
            if view.current.is_some() || !view.unsettled.is_empty() {
                return Some(format!("{} has {:?} and {:?}", point.id, view.current, view.unsettled));
            }
            if engine::storage::rows(&point.disk, 0, 1).map_or(true, |rows| !rows.is_empty()) {
                return Some(format!("messages wait in the outbox of {}", point.id));
            }
            let detail = network.charge_point(&point.id);
            if detail.as_ref().map(|detail| detail.status) != Some(Status::Available) {
                return Some(format!("{} is {detail:?}", point.id));
            }
        }
        let open = |app: &&super::driver::App| app.up.as_ref().is_none_or(|process| !process.done);
        self.apps.iter().find(open).map(|app| format!("the app of {} has not finished", app.driver))
    }

    /// Every charge point takes a new request, supplies it, and settles it.
    fn serves_again(&mut self) {
        let mut asked = Vec::new();
        for p in 0..self.points.len() {
            // It lied about its numbers, an older copy of the store knows no better, and central's clock is behind what
            // it was led to: until that has come there, its own charge point is refused.
            if self.plan.liar == Some(p) && self.truth.restored && self.truth.jumped.is_some() {
                continue;
            }
            let driver: DriverId = format!("fresh-{p}").parse().expect("an id");
            let target = Target::Named(self.points[p].id.clone());
            let command = self.charge(driver.clone(), None, target);
            self.central_asked(Caller::Stranger, command);
            asked.push((p, driver));
        }
        self.run_until(self.at + 1_500);
        for (p, driver) in &asked {
            let granted = self.truth.sessions_of(driver).into_iter().any(|id| {
                self.truth.sessions.get(&id).is_some_and(|session| session.state() > State::Authorizing)
                    && self.truth.told.get(&id).is_some_and(|told| told.kinds.contains("AUTH_OK"))
            });
            let point = self.points[*p].id.clone();
            self.expect("liveness", granted, || format!("{point} is free, and denied to a new driver"));
            self.engine_takes(*p, Asked::Act(Act::PlugIn), ReplyTo::Nobody);
        }
        self.run_until(self.at + 60_000);
        for (p, driver) in asked {
            self.engine_takes(p, Asked::Act(Act::Unplug), ReplyTo::Nobody);
            self.run_until(self.at + 2_000);
            let ids = self.truth.sessions_of(&driver);
            let ticketed = ids.iter().any(|id| self.truth.tickets.contains_key(id));
            self.expect("liveness", ticketed, || format!("the new supply of {driver} has no ticket"));
        }
        if self.violation.is_none() {
            self.becomes_quiet("after the last supplies");
        }
    }

    /// The books: every supply has its ticket, and every driver was told.
    fn accounts(&mut self) {
        self.check_all_forgotten();
        let restored = self.truth.restored;
        for id in self.truth.supplies.keys().cloned().collect::<Vec<_>>() {
            let ticketed = self.truth.sessions.get(&id).is_some_and(|session| session.ticket().is_some());
            let told = restored && self.truth.tickets.contains_key(&id);
            // With its engine's store it is lost only if nothing of it is on the topic, by its settlement deadline.
            let untold = !self.broker.tells_of(&id) || self.truth.given_up.contains(&id);
            let passed_over = self.truth.cut_off.contains(&id);
            let lost = self.truth.is_lost(&id) && (restored || untold || passed_over);
            if lost && !ticketed {
                self.tally.count("supplies lost with their engine's store");
            }
            let late = self.truth.given_up.contains(&id); // a person has not said that it is billed
            self.expect("INV-1", ticketed || told || lost || late, || {
                format!("session {id} was supplied and has no ticket")
            });
        }
        for session in self.truth.sessions.values().cloned().collect::<Vec<_>>() {
            if let Some(missing) = self.untold(&session).filter(|_| !restored) {
                let text =
                    format!("the driver of session {} was never told {missing}: {session:?}", session.id);
                self.broken("INV-6", text);
            }
        }
    }

    /// What the driver should have been told of a session, and was not.
    fn untold(&self, session: &Session) -> Option<&'static str> {
        let State::Ended(outcome) = session.state() else { return Some("its end") };
        let told = self.truth.told.get(&session.id);
        let heard = |word: &str| told.is_some_and(|told| told.kinds.contains(word));
        if session.driver.is_guest() {
            return None;
        }
        if session.ticket().is_some() && !heard("TICKET") {
            return Some("TICKET");
        }
        let adopted = session.reason().starts_with("found at the charge point");
        if adopted {
            return None;
        }
        let granted = heard("AUTH_OK");
        let supplied = session.started();
        match outcome {
            Outcome::Expired if !heard("SUPPLY_ERROR") => Some("SUPPLY_ERROR"),
            Outcome::Faulted if !heard("SUPPLY_ERROR") => Some("SUPPLY_ERROR"),
            Outcome::Stopped if granted && !supplied && !heard("SUPPLY_ERROR") => Some("SUPPLY_ERROR"),
            Outcome::Rejected | Outcome::Stopped if !granted && !supplied => {
                let denied = self.truth.denied.contains(&format!("{}-denied", session.id));
                // An open request goes on with another charge point: its last attempt is told.
                let base = session.id.as_str().split('.').next().unwrap_or_default();
                let later = self.truth.sessions.keys().any(|id| {
                    id.as_str().split('.').next() == Some(base) && id.as_str() > session.id.as_str()
                });
                (!denied && !later).then_some("AUTH_DENIED")
            }
            Outcome::Completed
            | Outcome::Stopped
            | Outcome::Faulted
            | Outcome::Expired
            | Outcome::Rejected => None,
        }
    }
}
