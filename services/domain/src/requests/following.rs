//! Following a session: what central shows of it, what Kafka tells, and how it concludes.

use super::{
    Conclusion, Effect, Event, News, Notification, Outcome, Session, State,
    followed::{Followed, rank},
    machine::{Phase, Requests},
};
use crate::{Energy, Mono, SessionId};

impl Requests {
    pub(super) fn follow(&mut self, now: Mono, session: Session, resumed: bool) {
        self.effects.push(Effect::Follow(session.id.clone()));
        self.phase = Phase::Following(Box::new(Followed::new(session.clone(), resumed)));
        self.seen(now, session);
    }

    pub(super) fn seen(&mut self, now: Mono, session: Session) {
        self.reached();
        let ticket_wait = self.settings.ticket_wait;
        let Phase::Following(followed) = &mut self.phase else {
            return self.seen_from_before(session);
        };
        if followed.session.id != session.id {
            return self.seen_from_before(session);
        }
        // An answer that is older than what the stream has shown.
        if rank(session.state) < rank(followed.session.state) {
            return;
        }
        followed.session = session;
        let session = &followed.session;
        if session.state == State::Supplying || !session.state.is_open() && session.energy > Energy::ZERO {
            let (energy, power) = (session.energy, session.power);
            followed.consumption(energy, power, &mut self.effects);
        }
        let State::Ended(outcome) = followed.session.state else {
            // With Kafka away this is how its driver hears of it.
            if !followed.session.trouble.is_empty() {
                let (trouble, energy) = (followed.session.trouble.clone(), followed.session.energy);
                followed.error(trouble, energy, &mut self.effects);
            }
            return;
        };
        match outcome {
            Outcome::Faulted | Outcome::Expired | Outcome::Rejected => {
                let (reason, energy) = (followed.session.reason.clone(), followed.session.energy);
                followed.error(reason, energy, &mut self.effects);
            }
            Outcome::Completed | Outcome::Stopped => {}
        }
        let first = followed.give_up.is_none();
        followed.give_up.get_or_insert(now + ticket_wait);
        if followed.session.settled || followed.session.ticket.is_some() {
            self.conclude(now);
        } else if first {
            let Session { charge_point, reason, .. } = followed.session.clone();
            self.effects.push(Effect::Tell(Event::TicketAwaited { charge_point, outcome, reason }));
        }
    }

    /// Orders the end of the charge that goes on; how it ends is central's word. What is being asked for may be granted
    /// any moment: that ends as soon as the answer is there.
    pub(super) fn stop_wanted(&mut self) {
        let line = self.current_line();
        match &mut self.phase {
            Phase::Requesting { unwanted, .. } => {
                if !std::mem::replace(unwanted, true) {
                    self.effects.extend(line.map(|line| Effect::Tell(Event::Withdrawn { line })));
                }
            }
            Phase::Following(followed) if followed.session.state.is_open() => {
                followed.stopped = true;
                let Session { id, charge_point, state, .. } = &followed.session;
                self.effects.push(Effect::Tell(Event::Stopping {
                    charge_point: charge_point.clone(),
                    started: *state == State::Supplying,
                }));
                self.effects.push(Effect::Stop(id.clone()));
            }
            Phase::CatchingUp { .. }
            | Phase::Following(_)
            | Phase::Pausing { .. }
            | Phase::Collecting { .. }
            | Phase::Done => {}
        }
    }

    /// A session that is not followed, or not any more: only its ticket is news.
    fn seen_from_before(&mut self, session: Session) {
        if session.settled || session.ticket.is_some() {
            self.awaited.retain(|awaited| *awaited != session.id);
        }
        for row in self.rows.iter_mut().filter(|row| row.session.as_ref() == Some(&session.id)) {
            row.update(&session);
        }
        if let Some(ticket) = session.ticket {
            self.show_ticket(ticket);
        }
        if matches!(self.phase, Phase::Collecting { .. }) && self.without_ticket().next().is_none() {
            self.finish();
        }
    }

    pub(super) fn forgotten(&mut self, now: Mono, id: &SessionId, message: String) {
        self.reached();
        if let Phase::Following(followed) = &self.phase
            && followed.session.id == *id
        {
            let (charge_point, resumed) = (followed.session.charge_point.clone(), followed.resumed);
            self.effects.push(Effect::Unfollow);
            if !resumed {
                let conclusion = Conclusion::Forgotten { message };
                self.conclude_line(Some(id.clone()), Some(charge_point), conclusion);
            }
            self.go_on(now);
        }
    }

    pub(super) fn told(&mut self, notification: &Notification) {
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
                    followed.consumption(*energy, power.unwrap_or(followed.session.power), &mut self.effects);
                }
            }
            News::SupplyError { reason, energy } => {
                if let Some(followed) = followed {
                    followed.error(reason.clone(), *energy, &mut self.effects);
                }
                self.effects.extend(id.map(Effect::Fetch));
            }
            News::Ticket => self.effects.extend(id.map(Effect::Fetch)),
        }
    }

    /// The session that is followed has ended; its ticket is there, or not awaited any longer.
    pub(super) fn conclude(&mut self, now: Mono) {
        let Phase::Following(followed) = &self.phase else {
            return;
        };
        let (session, resumed) = (followed.session.clone(), followed.resumed);
        let State::Ended(outcome) = session.state else {
            return;
        };
        self.effects.push(Effect::Unfollow);
        if let Some(ticket) = session.ticket.clone() {
            self.show_ticket(ticket);
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
            self.conclude_line(Some(session.id), Some(session.charge_point), conclusion);
        }
        self.go_on(now);
    }
}
