//! The state machine: which line is asked for, which has concluded, and which tickets are still due. What happens to
//! the session that is followed is in `following`.

use super::{
    Conclusion, Effect, Event, Expectation, Inbox, Input, Left, Line, Row, Session, Summary, Target, Ticket,
    followed::Followed,
};
use crate::{ChargePointId, DriverId, Mono, RequestId, SessionId};
use std::{collections::VecDeque, time::Duration};

/// Between two questions for the tickets that were still due when the last line had concluded.
pub const COLLECT_INTERVAL: Duration = Duration::from_secs(1);

/// How many sessions are remembered as billed, so that a ticket is shown once: more than a driver has on its screen.
const MAX_BILLED: usize = 256;

/// [`Settings::pause`] where nobody says otherwise.
pub const PAUSE: Duration = Duration::from_secs(4);

/// Durations of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub driver: DriverId,
    /// Between a conclusion and the next request.
    pub pause: Duration,
    /// How long a session that ended waits for its ticket before it concludes without: its engine may be away for long,
    /// and an ended session does not hold its driver.
    pub ticket_wait: Duration,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Asking for what was missed.
    CatchingUp { attempt: u32 },
    /// The current line's request is under way; its driver may want it no more, and it may be granted all the same.
    Requesting { attempt: u32, unwanted: bool },
    /// A session is followed: the current line's, or one from before (`resumed`).
    Following(Box<Followed>),
    /// Until the next line's time.
    Pausing { until: Mono },
    /// Every line has concluded, some before their tickets were known.
    Collecting { until: Mono, next_fetch: Mono },
    /// Nothing is asked for any more.
    Done,
}

/// The app of one driver, with the lines it has to ask for.
#[derive(Debug)]
pub struct Requests {
    pub(super) settings: Settings,
    lines: VecDeque<(Line, RequestId)>,
    asked: usize,
    pub(super) phase: Phase,
    pub(super) inbox: Inbox,
    reachable: Option<bool>,
    pub(super) rows: Vec<Row>,
    /// Ended sessions from before whose tickets are awaited.
    pub(super) awaited: Vec<SessionId>,
    billed: VecDeque<SessionId>,
    /// What the input under way has led to.
    pub(super) effects: Vec<Effect>,
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
            effects: Vec::new(),
        }
    }

    pub fn summary(&self) -> Summary {
        Summary { rows: self.rows.clone(), asked: self.asked, left: self.left() }
    }

    fn left(&self) -> Option<Left> {
        match &self.phase {
            Phase::Requesting { .. } => self.lines.front().map(|(line, _)| Left::Asked(line.target.clone())),
            Phase::Following(followed) => {
                let at = followed.session.charge_point.clone();
                let open = followed.session.state.is_open();
                Some(if open { Left::Open(at) } else { Left::TicketDue(at) })
            }
            Phase::CatchingUp { .. } | Phase::Pausing { .. } | Phase::Collecting { .. } | Phase::Done => None,
        }
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
        match input {
            Input::Started => self.effects.push(Effect::CatchUp { attempt: 0 }),
            Input::Tick => self.tick(now),
            Input::CaughtUp { sessions, tickets } => self.caught_up(now, sessions, tickets),
            Input::Authorized { request, session } => self.authorized(now, &request, session),
            Input::Denied { request, reason, message } => {
                self.denied(now, &request, reason, message);
            }
            Input::Unanswered { why } => self.unanswered(why),
            Input::Seen(session) => self.seen(now, session),
            Input::Forgotten { session, message } => self.forgotten(now, &session, message),
            Input::Told(notification) => self.told(&notification),
            Input::Unreachable { why } => self.unreachable(why),
            Input::Reached => self.reached(),
            Input::StopWanted => self.stop_wanted(),
        }
        std::mem::take(&mut self.effects)
    }

    fn tick(&mut self, now: Mono) {
        match &mut self.phase {
            Phase::CatchingUp { .. } | Phase::Requesting { .. } | Phase::Done => {}
            Phase::Pausing { until } => {
                if now >= *until {
                    self.request();
                }
            }
            Phase::Following(followed) => {
                if followed.give_up.is_some_and(|at| now >= at) {
                    self.conclude(now);
                }
            }
            Phase::Collecting { until, next_fetch } => {
                if now >= *until {
                    self.finish();
                } else if now >= *next_fetch {
                    *next_fetch = now + COLLECT_INTERVAL;
                    let due: Vec<_> = self.without_ticket().map(Effect::Fetch).collect();
                    self.effects.extend(due);
                }
            }
        }
    }

    fn caught_up(&mut self, now: Mono, sessions: Vec<Session>, tickets: Vec<Ticket>) {
        if !matches!(self.phase, Phase::CatchingUp { .. }) {
            return;
        }
        self.reached();
        for ticket in &tickets {
            self.bill(&ticket.session);
        }
        if !tickets.is_empty() {
            self.effects.push(Effect::Tell(Event::Missed(tickets)));
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
                let line = self.taken_up(&session);
                self.effects.push(Effect::Tell(Event::Resumed { session: session.clone(), line }));
                self.follow(now, session, line.is_none());
            }
            None => self.request(),
        }
    }

    /// The line that an open session is taken for, which is the current one then: a run before this one asked for it,
    /// and was cut off. The first that names the charge point, or else the first that leaves it to central.
    fn taken_up(&mut self, session: &Session) -> Option<u32> {
        let place = |named: bool| {
            self.lines.iter().position(|(line, _)| {
                let fits = match &line.target {
                    Target::Named(id) => named && *id == session.charge_point,
                    Target::Any { .. } => !named,
                };
                fits && !matches!(line.expectation, Expectation::Denied(_))
            })
        };
        let at = place(true).or_else(|| place(false))?;
        let taken = self.lines.remove(at)?;
        let number = taken.0.number;
        self.lines.push_front(taken);
        Some(number)
    }

    pub(super) fn current_line(&self) -> Option<u32> {
        self.lines.front().map(|(line, _)| line.number)
    }

    /// Asks for the current line, or ends.
    fn request(&mut self) {
        let Some((line, request)) = self.lines.front() else {
            return self.finish();
        };
        self.phase = Phase::Requesting { attempt: 0, unwanted: false };
        self.effects.push(Effect::Tell(Event::Requesting { line: line.number, target: line.target.clone() }));
        self.effects.push(Effect::Request {
            request: request.clone(),
            target: line.target.clone(),
            attempt: 0,
        });
    }

    fn is_requesting(&self, request: &RequestId) -> bool {
        matches!(self.phase, Phase::Requesting { .. })
            && self.lines.front().is_some_and(|(_, current)| current == request)
    }

    fn authorized(&mut self, now: Mono, request: &RequestId, session: Session) {
        if !self.is_requesting(request) {
            return;
        }
        self.reached();
        let unwanted = self.is_unwanted();
        self.effects.push(Effect::Tell(Event::Authorized {
            session: session.id.clone(),
            charge_point: session.charge_point.clone(),
            price: session.price,
        }));
        self.follow(now, session, false);
        if unwanted {
            self.stop_wanted();
        }
    }

    /// Has its driver ordered the end of what is asked for, or followed?
    fn is_unwanted(&self) -> bool {
        match &self.phase {
            Phase::Requesting { unwanted, .. } => *unwanted,
            Phase::Following(followed) => followed.stopped,
            Phase::CatchingUp { .. } | Phase::Pausing { .. } | Phase::Collecting { .. } | Phase::Done => {
                false
            }
        }
    }

    fn denied(&mut self, now: Mono, request: &RequestId, reason: String, message: String) {
        if !self.is_requesting(request) {
            return;
        }
        self.reached();
        self.effects.push(Effect::Tell(Event::Denied { reason: reason.clone(), message: message.clone() }));
        self.conclude_line(None, None, Conclusion::Denied { reason, message });
        self.go_on(now);
    }

    fn unanswered(&mut self, why: String) {
        self.unreachable(why);
        match &mut self.phase {
            Phase::CatchingUp { attempt } => {
                *attempt = attempt.saturating_add(1);
                self.effects.push(Effect::CatchUp { attempt: *attempt });
            }
            Phase::Requesting { attempt, .. } => {
                *attempt = attempt.saturating_add(1);
                if let Some((line, request)) = self.lines.front() {
                    self.effects.push(Effect::Request {
                        request: request.clone(),
                        target: line.target.clone(),
                        attempt: *attempt,
                    });
                }
            }
            Phase::Following(_) | Phase::Pausing { .. } | Phase::Collecting { .. } | Phase::Done => {}
        }
    }

    pub(super) fn conclude_line(
        &mut self,
        session: Option<SessionId>,
        charge_point: Option<ChargePointId>,
        conclusion: Conclusion,
    ) {
        let stopped = self.is_unwanted();
        let Some((line, _)) = self.lines.pop_front() else {
            return;
        };
        let row = Row { line, session, charge_point, stopped, conclusion };
        self.effects.push(Effect::Tell(Event::Concluded(row.clone())));
        self.rows.push(row);
    }

    /// After a conclusion: the next line after a pause, or the tickets that are still due, or the end.
    pub(super) fn go_on(&mut self, now: Mono) {
        if !self.lines.is_empty() {
            self.phase = Phase::Pausing { until: now + self.settings.pause };
        } else if self.without_ticket().next().is_some() {
            self.phase = Phase::Collecting { until: now + self.settings.ticket_wait, next_fetch: now };
        } else {
            self.finish();
        }
    }

    /// Sessions of this run, and the ones from before, whose tickets are still due.
    pub(super) fn without_ticket(&self) -> impl Iterator<Item = SessionId> {
        let rows = self.rows.iter().filter(|row| row.conclusion.is_ticket_due());
        rows.filter_map(|row| row.session.clone()).chain(self.awaited.clone())
    }

    pub(super) fn finish(&mut self) {
        self.phase = Phase::Done;
        self.effects.push(Effect::Tell(Event::Finished));
        self.effects.push(Effect::Finish);
    }

    pub(super) fn show_ticket(&mut self, ticket: Ticket) {
        if self.bill(&ticket.session) {
            self.effects.push(Effect::Tell(Event::Ticket(ticket)));
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

    fn unreachable(&mut self, why: String) {
        if self.reachable.replace(false) != Some(false) {
            self.effects.push(Effect::Tell(Event::Unreachable { why }));
        }
    }

    pub(super) fn reached(&mut self) {
        if self.reachable.replace(true) != Some(true) {
            self.effects.push(Effect::Tell(Event::Reached));
        }
    }
}
