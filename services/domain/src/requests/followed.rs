//! The session that is followed: what of it is news.

use super::{Effect, Event, Session, State};
use crate::{Energy, Mono, Power};

/// A session that is followed, and what was shown of it.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) session: Session,
    pub(super) resumed: bool,
    /// The highest reading shown.
    shown: Option<Energy>,
    error_told: bool,
    /// Its driver has ordered its end, here.
    pub(super) stopped: bool,
    /// When it is concluded without its ticket; set once it ended.
    pub(super) give_up: Option<Mono>,
}

impl Followed {
    /// Nothing of it was shown yet.
    pub(super) fn new(session: Session, resumed: bool) -> Self {
        Self { session, resumed, shown: None, error_told: false, stopped: false, give_up: None }
    }

    /// Shows a reading, unless a higher one was shown: readings are running totals, and come by two ways.
    pub(super) fn consumption(&mut self, energy: Energy, power: Power, effects: &mut Vec<Effect>) {
        if self.shown.is_some_and(|shown| shown >= energy) {
            return;
        }
        self.shown = Some(energy);
        effects.push(Effect::Tell(Event::Consumption {
            session: self.session.id.clone(),
            charge_point: self.session.charge_point.clone(),
            power,
            energy,
            amount: self.session.price.cost(energy),
        }));
    }

    /// Shows that something went wrong, once. It is no end: central says when the session ended.
    pub(super) fn error(&mut self, reason: String, energy: Energy, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.error_told, true) {
            return;
        }
        effects.push(Effect::Tell(Event::SupplyError {
            session: self.session.id.clone(),
            charge_point: self.session.charge_point.clone(),
            reason,
            energy,
            amount: self.session.price.cost(energy),
        }));
    }
}

/// How far a session is: it only moves forward.
pub(super) fn rank(state: State) -> u8 {
    match state {
        State::Authorizing => 0,
        State::Reserved => 1,
        State::Supplying => 2,
        State::Ended(_) => 3,
    }
}
