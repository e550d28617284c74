//! The state machine.

use super::followed::{Followed, rank};
use super::{
    Conclusion, Effect, Event, Inbox, Input, Line, News, Notification, Outcome, Row, Session, State, Summary,
    Ticket,
};
use crate::{ChargePointId, DriverId, Energy, Mono, RequestId, SessionId};
use std::{collections::VecDeque, time::Duration};

/// Between two questions for the tickets that were still due when the last line had concluded.
pub const COLLECT_INTERVAL: Duration = Duration::from_secs(1);

/// How many sessions are remembered as billed, so that a ticket is shown once: more than a driver has on its screen.
const MAX_BILLED: usize = 256;

/// Durations of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whose app this is.
    pub driver: DriverId,
    /// Between a conclusion and the next request.
    pub pause: Duration,
    /// How long a session that ended waits for its ticket before it concludes without: its engine may be away for long,
    /// and an ended session does not hold its driver.
    pub ticket_wait: Duration,
}

#[derive(Debug)]
enum Phase {
    /// Asking for what was missed.
    CatchingUp {
        attempt: u32,
    },
    /// The current line's request is under way.
    Requesting {
        attempt: u32,
    },
    /// A session is followed: the current line's, or one from before (`resumed`).
    Following(Box<Followed>),
    /// Until the next line's time.
    Pausing {
        until: Mono,
    },
    /// Every line has concluded, some before their tickets were known.
    Collecting {
        until: Mono,
        next_fetch: Mono,
    },
    Done,
}

/// The app of one driver, with the lines it has to ask for.
#[derive(Debug)]
pub struct Requests {
    settings: Settings,
    lines: VecDeque<(Line, RequestId)>,
    asked: usize,
    phase: Phase,
    inbox: Inbox,
    reachable: Option<bool>,
    rows: Vec<Row>,
    /// Ended sessions from before whose tickets are awaited.
    awaited: Vec<SessionId>,
    billed: VecDeque<SessionId>,
}

impl Requests {
    /// An app that has to ask for these lines, each under its own random request id.
    pub fn new(settings: Settings, lines: Vec<(Line, RequestId)>) -> Self {
        Self {
            inbox: Inbox::new(settings.driver.clone()),
            settings,
            asked: lines.len(),
            lines: lines.into(),
            phase: Phase::CatchingUp { attempt: 0 },
            reachable: None,
            rows: Vec::new(),
            awaited: Vec::new(),
            billed: VecDeque::new(),
        }
    }

    /// The results so far.
    pub fn summary(&self) -> Summary {
        Summary { rows: self.rows.clone(), asked: self.asked }
    }

    /// When [`Input::Tick`] is due next; `None` while nothing waits for time.
    pub fn wake_at(&self) -> Option<Mono> {
        match &self.phase {
            Phase::CatchingUp { .. } | Phase::Requesting { .. } | Phase::Done => None,
            Phase::Following(followed) => followed.give_up,
            Phase::Pausing { until } => Some(*until),
            Phase::Collecting { until, next_fetch } => Some(*until.min(next_fetch)),
        }
    }

    /// Takes in what happened and says what to do.
    pub fn apply(&mut self, now: Mono, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Started => effects.push(Effect::CatchUp { attempt: 0 }),
            Input::Tick => self.tick(now, &mut effects),
            Input::CaughtUp { sessions, tickets } => self.caught_up(now, sessions, tickets, &mut effects),
            Input::Authorized { request, session } => self.authorized(now, &request, session, &mut effects),
            Input::Denied { request, reason, message } => {
                self.denied(now, &request, reason, message, &mut effects);
            }
            Input::Unanswered { why } => self.unanswered(why, &mut effects),
            Input::Seen(session) => self.seen(now, session, &mut effects),
            Input::Forgotten { session, message } => self.forgotten(now, &session, message, &mut effects),
            Input::Told(notification) => self.told(&notification, &mut effects),
            Input::Unreachable { why } => self.unreachable(why, &mut effects),
            Input::Reached => self.reached(&mut effects),
        }
        effects
    }

    fn tick(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::CatchingUp { .. } | Phase::Requesting { .. } | Phase::Done => {}
            Phase::Pausing { until } => {
                if now >= *until {
                    self.request(effects);
                }
            }
            Phase::Following(followed) => {
                if followed.give_up.is_some_and(|at| now >= at) {
                    self.conclude(now, effects);
                }
            }
            Phase::Collecting { until, next_fetch } => {
                if now >= *until {
                    self.finish(effects);
                } else if now >= *next_fetch {
                    *next_fetch = now + COLLECT_INTERVAL;
                    effects.extend(self.without_ticket().map(Effect::Fetch));
                }
            }
        }
    }

    fn caught_up(
        &mut self,
        now: Mono,
        sessions: Vec<Session>,
        tickets: Vec<Ticket>,
        effects: &mut Vec<Effect>,
    ) {
        if !matches!(self.phase, Phase::CatchingUp { .. }) {
            return;
        }
        self.reached(effects);
        for ticket in &tickets {
            self.bill(&ticket.session);
        }
        if !tickets.is_empty() {
            effects.push(Effect::Tell(Event::Missed(tickets)));
        }
        let mut open = None;
        for session in sessions {
            if session.state.is_open() {
                open = Some(session);
            } else if session.ticket.is_none() && !session.settled {
                self.awaited.push(session.id);
            }
        }
        match open {
            Some(session) => {
                effects.push(Effect::Tell(Event::Resumed(session.clone())));
                self.follow(now, session, true, effects);
            }
            None => self.request(effects),
        }
    }

    /// Asks for the current line, or ends.
    fn request(&mut self, effects: &mut Vec<Effect>) {
        let Some((line, request)) = self.lines.front() else {
            return self.finish(effects);
        };
        self.phase = Phase::Requesting { attempt: 0 };
        effects.push(Effect::Tell(Event::Requesting { line: line.number, target: line.target.clone() }));
        effects.push(Effect::Request { request: request.clone(), target: line.target.clone(), attempt: 0 });
    }

    fn is_requesting(&self, request: &RequestId) -> bool {
        matches!(self.phase, Phase::Requesting { .. })
            && self.lines.front().is_some_and(|(_, current)| current == request)
    }

    fn authorized(&mut self, now: Mono, request: &RequestId, session: Session, effects: &mut Vec<Effect>) {
        if !self.is_requesting(request) {
            return;
        }
        self.reached(effects);
        effects.push(Effect::Tell(Event::Authorized {
            session: session.id.clone(),
            charge_point: session.charge_point.clone(),
            price: session.price,
        }));
        self.follow(now, session, false, effects);
    }

    fn denied(
        &mut self,
        now: Mono,
        request: &RequestId,
        reason: String,
        message: String,
        effects: &mut Vec<Effect>,
    ) {
        if !self.is_requesting(request) {
            return;
        }
        self.reached(effects);
        effects.push(Effect::Tell(Event::Denied { reason: reason.clone(), message: message.clone() }));
        self.conclude_line(None, None, Conclusion::Denied { reason, message }, effects);
        self.go_on(now, effects);
    }

    fn unanswered(&mut self, why: String, effects: &mut Vec<Effect>) {
        self.unreachable(why, effects);
        match &mut self.phase {
            Phase::CatchingUp { attempt } => {
                *attempt = attempt.saturating_add(1);
                effects.push(Effect::CatchUp { attempt: *attempt });
            }
            Phase::Requesting { attempt } => {
                *attempt = attempt.saturating_add(1);
                if let Some((line, request)) = self.lines.front() {
                    effects.push(Effect::Request {
                        request: request.clone(),
                        target: line.target.clone(),
                        attempt: *attempt,
                    });
                }
            }
            Phase::Following(_) | Phase::Pausing { .. } | Phase::Collecting { .. } | Phase::Done => {}
        }
    }

    fn follow(&mut self, now: Mono, session: Session, resumed: bool, effects: &mut Vec<Effect>) {
        effects.push(Effect::Follow(session.id.clone()));
        self.phase = Phase::Following(Box::new(Followed::new(session.clone(), resumed)));
        self.seen(now, session, effects);
    }

    fn seen(&mut self, now: Mono, session: Session, effects: &mut Vec<Effect>) {
        self.reached(effects);
        let ticket_wait = self.settings.ticket_wait;
        let Phase::Following(followed) = &mut self.phase else {
            return self.seen_from_before(session, effects);
        };
        if followed.session.id != session.id {
            return self.seen_from_before(session, effects);
        }
        // An answer that is older than what the stream has shown.
        if rank(session.state) < rank(followed.session.state) {
            return;
        }
        followed.session = session;
        let session = &followed.session;
        if session.state == State::Supplying || !session.state.is_open() && session.energy > Energy::ZERO {
            let (energy, power) = (session.energy, session.power);
            followed.consumption(energy, power, effects);
        }
        let State::Ended(outcome) = followed.session.state else {
            // With Kafka away this is how its driver hears of it.
            if !followed.session.trouble.is_empty() {
                let (trouble, energy) = (followed.session.trouble.clone(), followed.session.energy);
                followed.error(trouble, energy, effects);
            }
            return;
        };
        match outcome {
            Outcome::Faulted | Outcome::Expired | Outcome::Rejected => {
                let (reason, energy) = (followed.session.reason.clone(), followed.session.energy);
                followed.error(reason, energy, effects);
            }
            Outcome::Completed | Outcome::Stopped => {}
        }
        followed.give_up.get_or_insert(now + ticket_wait);
        if followed.session.settled || followed.session.ticket.is_some() {
            self.conclude(now, effects);
        }
    }

    /// A session that is not followed, or not any more: only its ticket is news.
    fn seen_from_before(&mut self, session: Session, effects: &mut Vec<Effect>) {
        if session.settled || session.ticket.is_some() {
            self.awaited.retain(|awaited| *awaited != session.id);
        }
        for row in self.rows.iter_mut().filter(|row| row.session.as_ref() == Some(&session.id)) {
            row.update(&session);
        }
        if let Some(ticket) = session.ticket {
            self.show_ticket(ticket, effects);
        }
        if matches!(self.phase, Phase::Collecting { .. }) && self.without_ticket().next().is_none() {
            self.finish(effects);
        }
    }

    fn forgotten(&mut self, now: Mono, id: &SessionId, message: String, effects: &mut Vec<Effect>) {
        self.reached(effects);
        if let Phase::Following(followed) = &self.phase
            && followed.session.id == *id
        {
            let (charge_point, resumed) = (followed.session.charge_point.clone(), followed.resumed);
            effects.push(Effect::Unfollow);
            if !resumed {
                let conclusion = Conclusion::Forgotten { message };
                self.conclude_line(Some(id.clone()), Some(charge_point), conclusion, effects);
            }
            self.go_on(now, effects);
        }
    }

    fn told(&mut self, notification: &Notification, effects: &mut Vec<Effect>) {
        let Some(session) = self.inbox.accept(notification) else {
            return;
        };
        let followed = match &mut self.phase {
            Phase::Following(followed)
                if session
                    .map_or(notification.charge_point == followed.session.charge_point.as_str(), |id| {
                        *id == followed.session.id
                    }) =>
            {
                Some(followed)
            }
            Phase::CatchingUp { .. }
            | Phase::Requesting { .. }
            | Phase::Following(_)
            | Phase::Pausing { .. }
            | Phase::Collecting { .. }
            | Phase::Done => None,
        };
        let id = session.or(followed.as_ref().map(|followed| &followed.session.id)).cloned();
        match &notification.news {
            // The call's own answer says so.
            News::Authorized | News::Denied => {}
            News::Consumption { energy, power } => {
                if let Some(followed) = followed
                    && followed.session.state.is_open()
                {
                    followed.consumption(*energy, power.unwrap_or(followed.session.power), effects);
                }
            }
            News::SupplyError { reason, energy } => {
                if let Some(followed) = followed {
                    followed.error(reason.clone(), *energy, effects);
                }
                effects.extend(id.map(Effect::Fetch));
            }
            News::Ticket => effects.extend(id.map(Effect::Fetch)),
        }
    }

    /// The session that is followed has ended; its ticket is there, or not awaited any longer.
    fn conclude(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        let Phase::Following(followed) = &self.phase else {
            return;
        };
        let (session, resumed) = (followed.session.clone(), followed.resumed);
        let State::Ended(outcome) = session.state else {
            return;
        };
        effects.push(Effect::Unfollow);
        if let Some(ticket) = session.ticket.clone() {
            self.show_ticket(ticket, effects);
        }
        let conclusion = Conclusion::Ended {
            outcome,
            reason: session.reason,
            ticket_due: !session.settled && session.ticket.is_none(),
            ticket: session.ticket,
        };
        if resumed {
            if conclusion.is_ticket_due() {
                self.awaited.push(session.id);
            }
        } else {
            self.conclude_line(Some(session.id), Some(session.charge_point), conclusion, effects);
        }
        self.go_on(now, effects);
    }

    fn conclude_line(
        &mut self,
        session: Option<SessionId>,
        charge_point: Option<ChargePointId>,
        conclusion: Conclusion,
        effects: &mut Vec<Effect>,
    ) {
        let Some((line, _)) = self.lines.pop_front() else {
            return;
        };
        let row = Row { line, session, charge_point, conclusion };
        effects.push(Effect::Tell(Event::Concluded(row.clone())));
        self.rows.push(row);
    }

    /// After a conclusion: the next line after a pause, or the tickets that are still due, or the end.
    fn go_on(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        if !self.lines.is_empty() {
            self.phase = Phase::Pausing { until: now + self.settings.pause };
        } else if self.without_ticket().next().is_some() {
            self.phase = Phase::Collecting { until: now + self.settings.ticket_wait, next_fetch: now };
        } else {
            self.finish(effects);
        }
    }

    /// Sessions of this run, and the ones from before, whose tickets are still due.
    fn without_ticket(&self) -> impl Iterator<Item = SessionId> {
        let rows = self.rows.iter().filter(|row| row.conclusion.is_ticket_due());
        rows.filter_map(|row| row.session.clone()).chain(self.awaited.clone())
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Done;
        effects.push(Effect::Tell(Event::Finished));
        effects.push(Effect::Finish);
    }

    fn show_ticket(&mut self, ticket: Ticket, effects: &mut Vec<Effect>) {
        if self.bill(&ticket.session) {
            effects.push(Effect::Tell(Event::Ticket(ticket)));
        }
    }

    /// Notes a session as billed; `false` if it was.
    fn bill(&mut self, session: &SessionId) -> bool {
        if self.billed.contains(session) {
            return false;
        }
        if self.billed.len() == MAX_BILLED {
            self.billed.pop_front();
        }
        self.billed.push_back(session.clone());
        true
    }

    fn unreachable(&mut self, why: String, effects: &mut Vec<Effect>) {
        if self.reachable.replace(false) != Some(false) {
            effects.push(Effect::Tell(Event::Unreachable { why }));
        }
    }

    fn reached(&mut self, effects: &mut Vec<Effect>) {
        if self.reachable.replace(true) != Some(true) {
            effects.push(Effect::Tell(Event::Reached));
        }
    }
}
