//! Charge points come back and go away: reports, broken links, engines whose store was lost.

use super::{
    Step,
    charge_point::{Answering, Health, Link},
    command::Seen,
    denial::{Denial, Reason, SupplyFailure},
    effect::Level,
    reply::Reported,
    request::Token,
    revocation::is_revoked,
    session::{
        life::{Outcome, State},
        lifecycle::Word,
    },
};
use crate::{ChargePointId, Mono, SessionId};

impl Step<'_> {
    /// The old store is lost with what only it knew: its sessions end, and wait for what Kafka may still tell of them.
    pub(super) fn instance_replaced(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        self.ask(id);
        self.drops_numbers(id);
        let point = self.point_mut(id);
        point.supplies = None;
        point.call = None;
        point.numbers_begin_anew();
        self.point_changed(id);
        let point = self.point(id);
        let sessions: Vec<SessionId> = point.open.iter().chain(&point.ended).cloned().collect();
        self.happened(
            Level::Error,
            "engine_stores_lost",
            format!("the engine of {id} came back with another store"),
        );
        for id in sessions {
            let session = self.session_mut(&id);
            session.live.lost_since = now;
            let text = "the charge point lost its memory".to_owned();
            let (silent, word) = (SupplyFailure::EngineSilent, Word::Lost);
            match session.state() {
                State::Authorizing => {
                    let denial = Denial::new(Reason::EngineSilent, text);
                    self.reject(&id, denial, Outcome::Rejected, word);
                }
                State::Reserved => self.fail(&id, (Outcome::Expired, silent), text, word),
                State::Supplying => self.fail(&id, (Outcome::Faulted, silent), text, word),
                State::Ended(_) => session.lose_store(),
            }
            self.changed(&id);
        }
    }

    pub(super) fn report(
        &mut self,
        token: Token<Reported>,
        id: &ChargePointId,
        epoch: u64,
        health: Health,
        reason: String,
    ) {
        let now = self.now.mono;
        let Some(point) = self.net.registry.find_point(id) else {
            let text = format!("no charge point {id} is registered");
            return self.reply(token, Err(Denial::new(Reason::ChargePointUnknown, text)));
        };
        if point.is_cut() {
            return self.reply(token, Err(is_revoked(id)));
        }
        if point.stored.epoch != epoch {
            let text = format!("a newer registration holds {id}; register again");
            self.happened(Level::Debug, "reports_stale", text.clone());
            return self.reply(token, Err(Denial::new(Reason::EpochStale, text)));
        }
        self.is_heard(id, health, reason, now);
        let interval = self.net.report_interval();
        let point = self.point_mut(id);
        point.report_interval = point.report_interval.max(interval);
        let report_interval = point.report_interval;
        let out_of_order = point.stored.out_of_order || point.stored.revoked.is_some();
        self.reply(token, Ok(Reported { out_of_order, report_interval }));
    }

    /// A report that says what the one before did counts from when it came. One that was overtaken by what changed
    /// since counts for nothing: its monitor is told with its next report.
    pub(super) fn seen(&mut self, report: Seen) {
        let Seen { charge_point: id, epoch, health, reason, at } = report;
        let Some(point) = self.net.registry.find_point(&id) else { return };
        let since = match point.link {
            Link::Up { last_report, .. } => last_report,
            Link::Lost { since } => since,
        };
        if point.stored.epoch == epoch && !point.is_cut() && at > since {
            self.is_heard(&id, health, reason, at);
        }
    }

    fn is_heard(&mut self, id: &ChargePointId, health: Health, reason: String, at: Mono) {
        let before = match self.point(id).link {
            Link::Up { health, .. } => Some(health),
            Link::Lost { .. } => None,
        };
        if before != Some(health) {
            self.health_changed(id, before, health, &reason);
        }
        // A heartbeat that brings no news changes nothing that calls or choices depend on: its place is not touched.
        let point = self.point_mut(id);
        point.link = Link::Up { last_report: at, health };
        point.health_reason = reason;
        if health == Health::Ok {
            point.last_ok = at;
        }
    }

    fn health_changed(&mut self, id: &ChargePointId, before: Option<Health>, health: Health, reason: &str) {
        let now = self.now.mono;
        self.ask(id);
        let point = self.point_mut(id);
        if before.is_none() {
            point.connection += 1;
            point.answering = Answering::Unknown;
        }
        point.failures = 0;
        point.not_before = now;
        let (level, text) = match health {
            Health::Ok if before.is_none() => {
                (Level::Info, format!("the monitor of {id} is connected; its engine is well"))
            }
            Health::Ok => (Level::Info, format!("the engine of {id} is well")),
            Health::Faulted => (Level::Warn, format!("the engine of {id} is broken: {reason}")),
            Health::Unreachable => (Level::Warn, format!("the engine of {id} does not answer its monitor")),
        };
        self.happened(level, "health_changes", text);
        // Loss of health alone ends nothing. A broken engine that still answers tells its driver itself, with the
        // final reading.
        if health == Health::Unreachable {
            self.engine_is_silent(id);
        }
    }

    /// Whoever charges there is told, once, what was delivered so far.
    pub(super) fn engine_is_silent(&mut self, id: &ChargePointId) {
        let Some(session) = self.point(id).open.clone() else { return };
        if self.session_mut(&session).is_in_trouble(&format!("the power side of {id} does not answer")) {
            self.changed(&session);
            self.notify_error(&session, SupplyFailure::EngineSilent);
        }
    }

    pub(super) fn monitor_gone(&mut self, id: &ChargePointId, epoch: u64) {
        // An older connection's end never touches the newer one (INV-8).
        if self
            .net
            .registry
            .find_point(id)
            .is_some_and(|point| point.stored.epoch == epoch && point.connected())
        {
            self.link_lost(id);
        }
    }

    pub(super) fn link_lost(&mut self, id: &ChargePointId) {
        let now = self.now.mono;
        self.touch(id);
        let point = self.point_mut(id);
        point.link = Link::Lost { since: now };
        let silent = point.answering == Answering::No;
        if point.open.is_some() {
            self.ask(id); // its engine may have lost its power with it
        }
        self.happened(Level::Warn, "monitors_lost", format!("the monitor of {id} is disconnected"));
        if silent {
            self.engine_is_silent(id); // which its monitor would have told of
        }
    }
}
