//! What engines know, by whichever way it came, and what follows for a session: forward, never back.
//!
//! A live or a final reading moves a session on over skipped states too; the second to come is a repeat; absence proves
//! nothing. A ticket is issued here and nowhere else.

use super::{
    Step,
    denial::SupplyFailure,
    effect::Level,
    engine::EngineReport,
    session::{Deadline, Outcome, Session, State, Stop, Ticket},
};
use crate::{ChargePointId, Energy, Power, SessionId, SupplyEnd, SupplyRecord, SupplyState, Wall};

/// A reading of one session's meter.
pub(super) struct Reading {
    pub(super) seq: u64,
    pub(super) energy: Energy,
    pub(super) power: Option<Power>,
    /// Why the supply ended: then this is the final reading.
    pub(super) end: Option<SupplyEnd>,
    pub(super) started_at: Option<Wall>,
    pub(super) ended_at: Option<Wall>,
}

/// What came of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observed {
    /// It was news.
    Applied,
    /// It was known.
    Repeat,
    /// The meter went backwards.
    Absurd,
}

pub(super) fn outcome_of(end: SupplyEnd) -> Outcome {
    match end {
        SupplyEnd::Completed => Outcome::Completed,
        SupplyEnd::Stopped => Outcome::Stopped,
        SupplyEnd::EngineFault | SupplyEnd::MonitorLost | SupplyEnd::Interrupted => Outcome::Faulted,
    }
}

fn failure_of(end: SupplyEnd) -> Option<SupplyFailure> {
    match end {
        SupplyEnd::Completed | SupplyEnd::Stopped => None,
        SupplyEnd::EngineFault => Some(SupplyFailure::ChargePointFaulted),
        SupplyEnd::MonitorLost => Some(SupplyFailure::ChargePointDisconnected),
        SupplyEnd::Interrupted => Some(SupplyFailure::SupplyInterrupted),
    }
}

impl Step<'_> {
    /// All that an engine of the registered instance knows.
    pub(super) fn report_of_engine(&mut self, id: &ChargePointId, report: EngineReport) {
        let Some(point) = self.point(id) else { return };
        if report.instance != point.stored.instance {
            return; // another instance's answer is no answer (INV-8)
        }
        let raised = report.highest_authorization > point.stored.highest_authorization;
        if raised {
            point.stored.highest_authorization = report.highest_authorization;
            self.point_changed(id);
        }
        for record in &report.unsettled {
            self.record_of_engine(id, record);
        }
        let mut judged = true;
        if let Some(record) = &report.current {
            judged = self.record_of_engine(id, record);
        }
        let supplying = report.current.filter(|record| judged && record.state == SupplyState::Supplying);
        if let Some(point) = self.point(id) {
            point.supplies = supplying.map(|record| record.session);
        }
    }

    /// One session, as its engine knows it. False: nothing can be said of it yet, and the engine is asked again.
    fn record_of_engine(&mut self, point: &ChargePointId, record: &SupplyRecord) -> bool {
        let instance = self.net.points.get(point).map(|point| point.stored.instance.clone());
        let theirs = |session: &Session| {
            session.charge_point == *point && Some(&session.instance) == instance.as_ref()
        };
        if !self.net.sessions.contains_key(&record.session) {
            match self.archive.session(&record.session) {
                Some(archived) if theirs(&archived) => self.revive(archived),
                Some(_) => return true, // another engine's session is over: nothing wakes it
                None if self.driver_is_doubtful(point, record) => return false,
                None => self.adopt(point, record),
            }
        }
        let now = self.now.mono;
        let Some(session) = self.session(&record.session).filter(|session| theirs(session)) else {
            return true;
        };
        session.live.last_sign = now;
        let end = match record.state {
            SupplyState::Authorized => {
                match session.state {
                    State::Authorizing => self.reserve(&record.session),
                    State::Reserved | State::Supplying => {}
                    State::Ended(_) => {
                        session.revoke = true;
                        session.closed = false;
                        self.changed(&record.session);
                    }
                }
                return true;
            }
            SupplyState::Supplying => None,
            SupplyState::Ended(end) => Some(end),
        };
        self.observe(
            &record.session,
            Reading {
                seq: record.seq,
                energy: record.energy,
                power: Some(record.power),
                end,
                started_at: record.started_at,
                ended_at: record.ended_at(),
            },
        );
        true
    }

    /// One reading of one session in memory.
    pub(super) fn observe(&mut self, id: &SessionId, reading: Reading) -> Observed {
        let now = self.now;
        let Some(session) = self.session(id) else {
            return Observed::Repeat;
        };
        if let Some(ticket) = &mut session.ticket {
            let forget = reading.end.is_some() && !session.final_reading;
            session.final_reading |= forget; // estimated: now the engine has a record to be forgotten
            session.revoke &= !forget;
            if reading.energy <= ticket.energy.max(ticket.late_energy) {
                if forget {
                    self.changed(id);
                }
                return Observed::Repeat;
            }
            ticket.late_energy = reading.energy; // recorded beside the ticket, never billed
            self.changed(id);
            let text = format!(
                "a reading of {} came after the ticket of session {id}: recorded, not billed",
                reading.energy
            );
            self.happened(Level::Warn, "readings_after_ticket", text);
            return Observed::Applied;
        }
        if reading.end.is_none() && (session.final_reading || (session.started && reading.seq <= session.seq))
        {
            return Observed::Repeat;
        }
        if reading.energy < session.energy && reading.end.is_none() {
            return Observed::Absurd;
        }
        session.energy = session.energy.max(reading.energy);
        session.seq = session.seq.max(reading.seq);
        session.live.last_sign = now.mono;
        session.live.unsaved = true;
        if let Some(power) = reading.power {
            session.live.power = power;
        }
        let first = !std::mem::replace(&mut session.started, true);
        if first || session.started_at.is_none() {
            session.started_at = reading.started_at.or(session.started_at).or(Some(now.wall));
        }
        let (state, seq, energy) = (session.state, session.seq, session.energy);
        if state == State::Authorizing {
            session.state = State::Reserved;
            self.granted(id);
        }
        match reading.end {
            None => self.supplying(id, state, first, seq, energy),
            Some(end) => self.final_reading(id, end, reading.ended_at),
        }
        Observed::Applied
    }

    fn supplying(&mut self, id: &SessionId, state: State, first: bool, seq: u64, energy: Energy) {
        let Some(session) = self.session(id) else { return };
        let (point, instance) = (session.charge_point.clone(), session.instance.clone());
        match state {
            State::Authorizing | State::Reserved => {
                session.state = State::Supplying;
                session.revoke = false;
                session.deadline = None;
                self.changed(id);
                let text = format!("{point} supplies session {id}");
                self.happened(Level::Info, "supplies_started", text);
                self.notify_reading(id, Some(seq), energy);
            }
            State::Supplying => self.notify_reading(id, Some(seq), energy),
            State::Ended(_) => {
                session.revoke = false;
                if first {
                    self.changed(id); // it will have a ticket after all
                }
            }
        }
        // A late word of a lost store says nothing of the engine that is there now (INV-8).
        if let Some(point) = self.point(&point)
            && point.stored.instance == instance
        {
            point.supplies = Some(id.clone());
        }
    }

    fn final_reading(&mut self, id: &SessionId, end: SupplyEnd, ended_at: Option<Wall>) {
        let wall = self.now.wall;
        let Some(session) = self.session(id) else { return };
        session.final_reading = true;
        session.revoke = false;
        session.end = Some(end);
        session.live.power = Power::ZERO;
        if session.state.is_open() {
            session.ended_at = ended_at.or(Some(wall));
            let outcome = outcome_of(end);
            let reason = match outcome {
                Outcome::Stopped => session.stop.map(|stop| stop.to_string()).unwrap_or_default(),
                Outcome::Faulted => end.to_string(),
                Outcome::Completed | Outcome::Expired | Outcome::Rejected => String::new(),
            };
            self.end(id, outcome, reason.clone());
            if let Some(failure) = failure_of(end) {
                self.notify_error(id, failure, reason);
            }
        }
        let Some(session) = self.net.sessions.get(id) else {
            return;
        };
        let point = session.charge_point.clone();
        if let Some(point) = self.point(&point)
            && point.supplies.as_ref() == Some(id)
        {
            point.supplies = None;
        }
        self.issue_ticket(id, false);
    }

    /// The one place where a ticket comes from (INV-1, INV-4).
    pub(super) fn issue_ticket(&mut self, id: &SessionId, estimated: bool) {
        let issued = self.now.wall;
        let Some(session) = self.session(id) else { return };
        if session.ticket.is_some() || !session.started || session.state.is_open() {
            return;
        }
        let (energy, amount) = (session.energy, session.price.bill(session.energy));
        let late_energy = Energy::ZERO;
        session.ticket =
            Some(Ticket { energy, amount_micros: amount.micros, estimated, issued, late_energy });
        session.deadline = None;
        session.closed = estimated || session.store_lost; // no engine is known to keep a record to be forgotten
        let (driver, point) = (session.driver.clone(), session.charge_point.clone());
        self.changed(id);
        self.notify_ticket(id);
        let name = if estimated { "tickets_estimated" } else { "tickets_issued" };
        self.happened(
            Level::Info,
            name,
            format!("ticket for driver {driver} at {point}: {energy}, {amount}"),
        );
    }

    /// An open session is over. Its ticket, if one is due, may still have to wait.
    pub(super) fn end(&mut self, id: &SessionId, outcome: Outcome, reason: String) {
        let deadline = Deadline::after(self.now, self.net.config.settlement);
        let wall = self.now.wall;
        let Some(session) = self.session(id) else { return };
        if !session.state.is_open() {
            return;
        }
        session.state = State::Ended(outcome);
        session.reason = reason;
        session.trouble.clear();
        session.ended_at = session.ended_at.or(Some(wall));
        session.deadline = Some(deadline);
        let (point, driver) = (session.charge_point.clone(), session.driver.clone());
        if self.net.drivers.get(&driver) == Some(id) {
            self.net.drivers.remove(&driver);
        }
        if let Some(point) = self.point(&point) {
            point.open.take_if(|open| open == id);
            point.ended.insert(id.clone());
        }
        self.close_if_nothing_is_left(id);
        self.changed(id);
    }

    /// A session that never started is closed with the engine's word.
    pub(super) fn close_if_nothing_is_left(&mut self, id: &SessionId) {
        if let Some(session) = self.session(id)
            && !session.started
            && !session.revoke
            && !session.store_lost
        {
            session.closed = true;
            session.deadline = None;
        }
    }

    /// The engine has forgotten a settled session.
    pub(super) fn close(&mut self, id: &SessionId) {
        if let Some(session) = self.session(id)
            && session.ticket.is_some()
        {
            session.closed = true;
            self.changed(id);
        }
    }

    /// The engine agreed.
    pub(super) fn reserve(&mut self, id: &SessionId) {
        let lasts = self.net.config.reservation + self.net.config.reservation_margin;
        let deadline = Deadline::after(self.now, lasts);
        let Some(session) = self.session(id) else { return };
        session.state = State::Reserved;
        session.deadline = Some(deadline);
        self.granted(id);
        self.changed(id);
    }

    /// A reservation comes to nothing: with the engine's word, or without it once that was waited for long enough.
    pub(super) fn expire(&mut self, id: &SessionId) {
        let Some(session) = self.session(id) else { return };
        let (outcome, failure) = match session.stop {
            Some(Stop::Driver) => (Outcome::Stopped, SupplyFailure::ChargeStopped),
            Some(Stop::Operator) => (Outcome::Stopped, SupplyFailure::ChargePointOutOfOrder),
            None => (Outcome::Expired, SupplyFailure::ReservationExpired),
        };
        let reason = match session.stop {
            Some(stop) => stop.to_string(),
            None => "nobody plugged in before the reservation's end".into(),
        };
        let (driver, point) = (session.driver.clone(), session.charge_point.clone());
        self.end(id, outcome, reason.clone());
        self.notify_error(id, failure, reason.clone());
        let text = format!("the reservation of driver {driver} at {point} ended: {reason}");
        self.happened(Level::Info, "reservations_expired", text);
    }
}
