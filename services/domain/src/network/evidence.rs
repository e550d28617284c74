//! What engines answer, and what follows for a session: forward, never back.
//!
//! A live or a final reading moves a session on over skipped states too; the second to come is a repeat; absence proves
//! nothing.

use super::{
    Step,
    dealings::Unattested,
    denial::SupplyFailure,
    effect::Level,
    engine::{Claim, EngineReport},
    engine_calls::HOLD_MOST,
    gauges::Gauges,
    session::{
        Session,
        life::{Deadline, Outcome, State},
        lifecycle::{Ended, Word},
        reading::{Read, Reading},
    },
};
use crate::{ChargePointId, SessionId, SupplyEnd, SupplyRecord, SupplyState, Wall, ids::MAX_NUMBER};

/// So many sessions that are not in memory are looked for in the store for one answer: an engine can tell of a thousand
/// in each.
const LOOK_UPS: usize = 64;

/// So many sessions with their tickets are kept until their engine has forgotten them: twice as many as wait there for
/// their copy at most.
const TICKETS_KEPT: usize = 2 * HOLD_MOST;

/// An engine's messages are numbered up to this: what central tells after the last one has numbers too.
const LAST_SEQ: u64 = MAX_NUMBER - 3;

/// What came of one record of an engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It is applied, or says nothing that this engine could.
    Taken,
    /// Nothing can be said of it yet, and the engine is asked again.
    NotYet,
    /// Central neither knows the session nor signed it, or let it go.
    Unattested,
}

fn failure_of(end: SupplyEnd) -> Option<SupplyFailure> {
    match end {
        SupplyEnd::Completed | SupplyEnd::Stopped => None,
        SupplyEnd::EngineFault => Some(SupplyFailure::ChargePointFaulted),
        SupplyEnd::MonitorLost => Some(SupplyFailure::ChargePointDisconnected),
        SupplyEnd::Interrupted => Some(SupplyFailure::SupplyInterrupted),
    }
}

/// Its engine's final word made its ticket: nothing that it tells of it is news.
fn is_over(closed: &Session, record: &SupplyRecord) -> bool {
    let ended = matches!(record.state, SupplyState::Ended(_));
    ended && closed.ticket().is_some_and(|ticket| !ticket.estimated())
}

impl Step<'_> {
    /// All that an engine of the registered instance knows.
    pub(super) fn report_of_engine(&mut self, id: &ChargePointId, report: EngineReport) {
        let most = self.net.remembered.most_claimed();
        let point = self.point_mut(id);
        if report.instance != point.stored.instance {
            return; // another instance's answer is no answer (INV-8)
        }
        if point.has_seen(report.highest_authorization, most) {
            let (claim, counts) = (report.highest_authorization, point.next_number() - 1);
            let text = format!(
                "the engine of {id} says that it has seen authorisation {claim}, far above any that it was given: \
                 {counts} counts"
            );
            self.happened(Level::Warn, "numbers_cut", text);
        }
        self.says_its_power(id, report.rated);
        self.says_whether_it_seals(id, report.seals);
        let (mut unattested, mut look_ups) = (Unattested::default(), LOOK_UPS);
        self.point_mut(id).closed.clear();
        for claim in &report.unsettled {
            if self.record_of_engine(id, claim, &mut look_ups) == Heard::Unattested {
                unattested.add(&claim.record);
            }
        }
        let mut supplies = None;
        if let Some(claim) = &report.current {
            let heard = self.record_of_engine(id, claim, &mut 1);
            if heard == Heard::Unattested {
                unattested.add(&claim.record);
                unattested.current = Some(claim.record.session.clone());
            }
            let supplying = heard != Heard::NotYet && claim.record.state == SupplyState::Supplying;
            supplies = supplying.then(|| claim.record.session.clone());
        }
        self.lets_tickets_go(id);
        self.has_in_hand(id, report.current.as_ref().map(|claim| &claim.record.session), report.plugged_in);
        self.point_mut(id).supplies = supplies;
        self.has_unattested(id, unattested);
    }

    /// One session, as its engine knows it.
    fn record_of_engine(&mut self, point: &ChargePointId, claim: &Claim, look_ups: &mut usize) -> Heard {
        let record = &claim.record;
        let instance = self.point(point).stored.instance.clone();
        let theirs = |session: &Session| session.charge_point == *point && session.instance == instance;
        let id = &record.session;
        // Nobody decided in time, and its engine is about to be told to forget it.
        let over = |session: &Session| session.declined() && self.point(point).refused.contains(id);
        // It tells of it again, when a person has looked at the others.
        let later = |session: &Session| session.declined() && self.has_reviews(point);
        match self.net.registry.find_session(id) {
            Some(known) if theirs(known) && over(known) => return Heard::Taken,
            Some(known) if theirs(known) => {}
            Some(_) => return Heard::Taken, // another engine's session: nothing of it is this one's to say
            None if *look_ups == 0 && !self.is_wanted(point, record) => {
                if claim.attested.is_none() {
                    return Heard::Unattested;
                }
                self.ask_about(point); // for the rest of them, in a second: it tells of so many again
                return Heard::NotYet;
            }
            None => match self.look_up(id, look_ups) {
                Some(archived) if theirs(&archived) && is_over(&archived, record) => {
                    self.point_mut(point).closed.insert(id.clone());
                    return Heard::Taken;
                }
                Some(archived) if theirs(&archived) && (over(&archived) || later(&archived)) => {
                    return Heard::Taken;
                }
                Some(archived) if theirs(&archived) => self.revive(archived),
                Some(_) => return Heard::Taken, // another engine's session is over: nothing wakes it
                None => match claim.attested.filter(|created| !self.may_be_gone(*created)) {
                    None if self.is_wanted(point, record) => self.take_over(point, record),
                    None => return Heard::Unattested,
                    Some(_) if self.driver_is_doubtful(point, record) => return Heard::NotYet,
                    Some(created) => self.adopt(point, record, created),
                },
            },
        }
        let (now, most) = (self.now.mono, self.most(id));
        let session = self.session_mut(id);
        session.live.last_sign = now;
        session.live.unheard = false;
        if record.energy <= most {
            session.engine_answers((record.state != SupplyState::Authorized).then_some(record.energy));
        }
        let end = match record.state {
            SupplyState::Authorized => {
                match session.state() {
                    State::Authorizing => self.reserve(id),
                    State::Reserved | State::Supplying => {}
                    State::Ended(_) => self.still_authorized(id),
                }
                return Heard::Taken;
            }
            SupplyState::Supplying => None,
            SupplyState::Ended(end) => Some(end),
        };
        let SupplyRecord { energy, power, started_at, .. } = *record;
        let seq = record.seq.min(LAST_SEQ);
        let ended_at = record.ended_at();
        self.observe(id, Reading { seq, energy, gauges: Gauges::of(power), end, started_at, ended_at });
        Heard::Taken
    }

    fn may_be_gone(&self, created: Wall) -> bool {
        self.net.remembered.may_be_gone(created, self.net.config.nothing_ttl, self.now.wall)
    }

    fn look_up(&self, id: &SessionId, look_ups: &mut usize) -> Option<Session> {
        *look_ups = look_ups.saturating_sub(1);
        self.archive.session(id)
    }

    /// Ended while its engine was asked for it, or before: it must start nothing.
    pub(super) fn still_authorized(&mut self, id: &SessionId) {
        let until = self.settlement_deadline();
        self.session_mut(id).is_still_authorized(until);
        self.changed(id);
    }

    /// One reading of one session in memory, as its engine answered it.
    fn observe(&mut self, id: &SessionId, reading: Reading) {
        if self.session(id).state() == State::Authorizing {
            self.reserve(id);
        }
        let reading = self.dated(id, reading);
        let (now, settle_by) = (self.now_of(id), self.settlement_deadline());
        let (shown, most) = (self.session(id).shown_energy(), self.most(id));
        let awaited = self.session(id).ticket().is_none() && self.session(id).review().is_none();
        if awaited && reading.energy > most {
            self.disbelieved(id, reading.energy, most);
        }
        let read = self.session_mut(id).read(&reading, most, now, settle_by);
        match read {
            Read::Repeat | Read::Absurd => {}
            Read::Over => self.changed(id),
            Read::Late => {
                self.changed(id);
                let energy = reading.energy;
                let text = format!(
                    "a reading of {energy} came after the ticket of session {id}: recorded, not billed"
                );
                self.happened(Level::Warn, "readings_after_ticket", text);
            }
            Read::Started => {
                self.changed(id);
                let text = format!("{} supplies session {id}", self.session(id).charge_point);
                self.happened(Level::Info, "supplies_started", text);
                self.has_supplied(id);
                self.supplies(id, true);
            }
            Read::GoesOn => self.supplies(id, self.session(id).shown_energy() > shown),
            Read::AfterEnd { first } => {
                if first {
                    self.changed(id); // it will have a ticket after all
                }
                self.is_told_until_now(id);
                self.supplies(id, false);
            }
            Read::Doubted { ended } => self.under_review(id, ended),
            Read::Final { ended } => self.final_reading(id, ended, reading.end.and_then(failure_of)),
        }
    }

    /// Its charge point is of use: it has its place in the choice again.
    fn has_supplied(&mut self, id: &SessionId) {
        self.net.reserving.ends(id);
        let point = self.session(id).charge_point.clone();
        self.touch(&point);
        let now = self.now.mono;
        let at = self.point_mut(&point);
        at.serves(now);
        if std::mem::take(&mut at.stored.never_supplied) {
            self.point_changed(&point);
        }
    }

    /// The engine is known to supply it; its driver is told of a reading that is news.
    fn supplies(&mut self, id: &SessionId, news: bool) {
        let session = self.session(id);
        let point = session.charge_point.clone();
        if news {
            self.notify_reading(id, Some(session.seq()));
        }
        self.touch(&point);
        self.point_mut(&point).supplies = Some(id.clone());
    }

    fn final_reading(&mut self, id: &SessionId, ended: Option<Ended>, failure: Option<SupplyFailure>) {
        if let Some(ended) = ended {
            self.ended(id);
            self.has_supplied(id); // it may have begun and ended since the last answer
            if let Some(failure) = failure.filter(|_| !ended.told) {
                self.notify_error(id, failure);
            }
        }
        self.supplies_no_more(id);
        self.billed(id);
    }

    /// Its engine's final word on it came.
    pub(super) fn supplies_no_more(&mut self, id: &SessionId) {
        let point = self.session(id).charge_point.clone();
        self.point_mut(&point).supplies.take_if(|supplied| supplied == id);
    }

    /// The session's ticket was issued.
    pub(super) fn billed(&mut self, id: &SessionId) {
        self.changed(id);
        let session = self.session(id);
        let ticket = session.ticket().expect("a session that was billed has its ticket");
        let name = if ticket.estimated() { "tickets_estimated" } else { "tickets_issued" };
        let (driver, point) = (&session.driver, &session.charge_point);
        let text = format!("ticket for driver {driver} at {point}: {}, {}", ticket.energy, ticket.amount);
        let point = point.clone();
        self.notify_ticket(id, ticket);
        self.happened(Level::Info, name, text);
        self.lets_tickets_go(&point);
    }

    /// An engine that never says that it has forgotten what was billed takes up no more room than others: the oldest
    /// of too many leave the memory, as if it had. Should it tell of them again, it is told again to forget them.
    fn lets_tickets_go(&mut self, id: &ChargePointId) {
        let point = self.point(id);
        if point.ended.len() <= TICKETS_KEPT {
            return; // the common case
        }
        let kept = |session: &&Session| session.ticket().is_some() && !session.closed();
        let billed = || self.net.registry.ended_at(point).filter(kept);
        let too_many = billed().count().saturating_sub(TICKETS_KEPT);
        for id in billed().take(too_many).map(|session| session.id.clone()).collect::<Vec<_>>() {
            self.forgotten(&id);
        }
    }

    /// Ends an open session without a final reading. Its ticket, if one is due, has to wait.
    pub(super) fn end(&mut self, id: &SessionId, outcome: Outcome, reason: String, word: Word) -> Ended {
        let (at, settle_by) = (self.now_of(id).wall, self.settlement_deadline());
        let ended = self.session_mut(id).end(outcome, reason, at, word, settle_by);
        self.ended(id);
        ended
    }

    /// The same, and tells its driver, who was granted it.
    pub(super) fn fail(&mut self, id: &SessionId, how: (Outcome, SupplyFailure), reason: String, word: Word) {
        let (outcome, failure) = how;
        if !self.end(id, outcome, reason, word).told {
            self.notify_error(id, failure);
        }
    }

    pub(super) fn ended(&mut self, id: &SessionId) {
        self.net.registry.session_ended(id);
        self.net.reserving.ends(id);
        self.is_told_until_now(id);
        self.changed(id);
    }

    /// What telemetry tells of a session that is over is believed up to what it can have had by now.
    fn is_told_until_now(&mut self, id: &SessionId) {
        let session = self.session(id);
        if session.live.unheard {
            return; // central was away, and so may the readings have been
        }
        let had = session.had_by(self.rated(&session.charge_point), self.now.mono);
        self.session_mut(id).told_at_most(had);
    }

    /// When a session that ends now is settled on what is known by then.
    pub(super) fn settlement_deadline(&self) -> Deadline {
        Deadline::after(self.now, self.net.config.settlement)
    }
}
