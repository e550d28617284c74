//! Central's state after each step: who is open where, how long, and what each charge point is shown as (INV-2, INV-3).

use super::{super::world::World, ms};
use domain::network::{Config, Health, Outcome, Session, State, Status};
use std::collections::BTreeSet;

/// INV-3's 5 s, and what late ticks and slow steps of this simulation add (ms).
const LATE: u64 = 5_000 + 2_500;
/// An engine that supplies on for so long after it was to stop does not obey (ms).
const OBEYED: u64 = 30_000;
/// A deadline of before central's start is judged once Kafka and the engine were asked: that takes so long at most
/// (ms).
const JUDGED: u64 = 30_000;

impl World {
    /// INV-2, INV-3, and each status, after each step.
    pub(in crate::simulate) fn check_network(&mut self) {
        let Some(running) = &self.central.up else { return };
        let network = running.network();
        let (mut points, mut drivers) = (BTreeSet::new(), BTreeSet::new());
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        let config = &self.plan.config;
        let life = &mut self.truth.life;
        for session in network.sessions() {
            let id = &session.id;
            if session.is_open() {
                if !points.insert(&session.charge_point) {
                    wrong.push(("INV-2", format!("two open sessions at {}", session.charge_point)));
                }
                if !session.driver.is_guest() && !drivers.insert(&session.driver) {
                    wrong.push(("INV-2", format!("two open sessions of {}", session.driver)));
                }
            }
            let first = (session.state(), self.at, false);
            let (before, since, restored) = life.since.get(id).copied().unwrap_or(first);
            let (lasted, fresh) = (self.at - since, !restored);
            if before != session.state() {
                let ended_early = if fresh { too_early(session, before, lasted, config) } else { None };
                wrong.extend(ended_early.map(|text| ("INV-3", text)));
                life.since.insert(id.clone(), (session.state(), self.at, restored));
                continue;
            }
            life.since.entry(id.clone()).or_insert(first);
            let base = if fresh {
                since
            } else {
                let asked = life.points.get(&session.charge_point).and_then(|heard| heard.asked);
                let judged =
                    life.kafka_judged.max(asked).filter(|_| life.kafka_judged.is_some() && asked.is_some());
                judged.unwrap_or(life.began + JUDGED).max(since)
            };
            let base = self.truth.reviewed.get(id).copied().unwrap_or_default().max(base);
            let most = match session.state() {
                State::Authorizing => ms(config.authorize_timeout),
                State::Reserved => ms(config.reservation + config.reservation_margin),
                State::Supplying => {
                    let sign = life.signs.get(id).copied().unwrap_or(since).max(base);
                    if self.at > sign + ms(config.supply_silence) + LATE {
                        wrong
                            .push(("INV-3", format!("session {id} is silent since {sign} ms, and not over")));
                    }
                    let stopped = life.stopped.get(id).map(|stopped| base.max(*stopped));
                    if let Some(stopped) = stopped.filter(|stopped| self.at > stopped + OBEYED + LATE) {
                        let text =
                            format!("session {id} was to stop since {stopped} ms, and holds its driver");
                        wrong.push(("INV-3", text));
                    }
                    continue;
                }
                State::Ended(_) if session.ticket().is_none() && session.started() => ms(config.settlement),
                State::Ended(_) => continue,
            };
            if self.at > base + most + LATE {
                wrong.push(("INV-3", format!("session {id} is {:?} since {since} ms", session.state())));
            }
            if session.state() == State::Reserved
                && let Some(stopped) = life.stopped.get(id)
                && self.at > base.max(*stopped) + ms(config.revoke_timeout) + LATE
            {
                wrong.push(("INV-3", format!("session {id} was stopped at {stopped} ms and is not over")));
            }
        }
        self.tally.checks += 1;
        for (promise, text) in wrong {
            self.broken(promise, text);
        }
        self.check_held();
        self.check_statuses();
        self.check_revoked();
    }

    /// Whoever is held by a session is held by one that central asked an engine for (INV-10).
    fn check_held(&mut self) {
        let Some(running) = &self.central.up else { return };
        let held = running
            .network()
            .sessions()
            .filter(|session| matches!(session.state(), State::Reserved | State::Supplying));
        let lie = held.filter(|session| {
            let asked = self.truth.authorized.get(&session.id);
            asked.is_none_or(|(_, driver)| *driver != session.driver)
        });
        let lies: Vec<String> = lie
            .map(|session| format!("{} is held by session {}, a lie", session.driver, session.id))
            .collect();
        for text in lies {
            self.broken("INV-10", text);
        }
    }

    /// Each status is one that the truth allows.
    fn check_statuses(&mut self) {
        let Some(running) = &self.central.up else { return };
        let (network, life, config) = (running.network(), &self.truth.life, &self.plan.config);
        let mut wrong = Vec::new();
        for detail in network.charge_points_after(None) {
            let heard = life.points.get(&detail.id);
            let report = heard.and_then(|heard| heard.reported);
            let silence = ms(config.report_interval) * 3;
            let alive = report.is_some_and(|(at, _)| self.at <= at + silence + LATE - 5_000);
            let surely = report.is_some_and(|(at, _)| self.at < at + silence - 100);
            let well = report.is_some_and(|(_, health)| health == Health::Ok);
            let answers = heard.is_some_and(|heard| heard.answered == Some(true));
            let at_point = || network.sessions().filter(|s| s.charge_point == detail.id);
            let open = at_point().find(|session| session.is_open()).map(|session| session.state());
            let stopped = self.truth.points.get(&detail.id).is_some_and(|point| point.out_of_order);
            let supplies = open == Some(State::Supplying);
            if self.truth.points.get(&detail.id).is_some_and(|point| point.revoked.is_some()) {
                continue; // which is looked at apart
            }
            let under_way = heard.is_some_and(|heard| heard.call.is_some());
            let status = detail.status;
            let fits = match status {
                Status::Disconnected => !surely,
                // By its monitor's word, or by its own silence: no message marks it.
                Status::Faulted => alive && (!well || !answers || under_way),
                Status::Supplying => alive && well && answers,
                Status::OutOfOrder => alive && well && answers && stopped && !supplies,
                Status::Reserved => alive && well && answers && !stopped && open.is_some() && !supplies,
                Status::Available => alive && well && answers && !stopped && open.is_none(),
            };
            if !fits {
                let text = format!(
                    "{} is shown {status:?}: report {report:?}, engine answers {answers}, stopped {stopped}, \
                     session {open:?}",
                    detail.id
                );
                wrong.push(text);
            }
        }
        for text in wrong {
            self.broken("status", text);
        }
    }
}

/// A session that ended by its deadline before that was over.
fn too_early(session: &Session, before: State, lasted: u64, config: &Config) -> Option<String> {
    if session.store_lost() {
        return None;
    }
    let id = &session.id;
    match (before, session.state()) {
        (State::Reserved, State::Ended(Outcome::Expired)) if lasted + 100 < ms(config.reservation) => {
            Some(format!("session {id} expires {lasted} ms after its reservation"))
        }
        (State::Supplying, State::Ended(Outcome::Faulted))
            if session.ticket().is_none_or(|ticket| ticket.estimated())
                && session.review().is_none()
                && lasted + 100 < ms(config.supply_silence) =>
        {
            Some(format!("session {id} is silent after {lasted} ms of supply"))
        }
        _ => None,
    }
}
