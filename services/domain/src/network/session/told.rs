//! What telemetry tells of a session: shown within what is plausible, kept for when nobody else can tell.
//!
//! Whoever can write to the topic can write any reading. So one that is shown is held against its engine's last answer;
//! and one that is kept is billed only if the engine's store is lost, or the engine silent up to the settlement
//! deadline, and no more than can have been delivered when the session ended: an engine that was cut off may have
//! supplied on, or a stranger made it up, so beyond that a person is asked. What is plausible is
//! [`plausible`](crate::network::plausible)'s to say.

use super::{
    Session,
    life::{Delivered, Life, State, Told},
};
use crate::network::{
    gauges::Gauges,
    plausible::{GRACE, most_in},
};
use crate::{Energy, Mono, Now, Power, Wall};
use std::time::Duration;

/// An engine's answer tells of what it saved a second before, and takes a while to come: so much may have flowed since.
const AHEAD: Duration = Duration::from_secs(3);

/// Two readings closer than this tell nothing of the power.
const APART: Duration = Duration::from_millis(500);

/// What became of a reading that was to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Shown {
    Yes,
    /// What is shown is ahead of it, and never falls.
    Behind,
    /// More than can have been delivered since its engine last answered.
    Implausible,
}

impl Session {
    /// What telemetry told beyond the engine's own word. Once the session is settled, by the engine's word that it
    /// never started too, that is nothing any more, nor is it where that word was given before.
    pub fn told(&self) -> Option<Told> {
        self.told.filter(|_| self.told_counts())
    }

    fn told_counts(&self) -> bool {
        !(self.settled() || self.review().is_some() && self.declined())
    }

    /// With what a store kept of it.
    pub fn and_told(self, told: Option<Told>) -> Self {
        Self { told: told.filter(|_| self.told_counts()), ..self }
    }

    /// Of a session that is over telemetry is believed up to this, or to what it was before.
    pub(in crate::network) fn told_at_most(&mut self, energy: Energy) {
        if self.settled() {
            return;
        }
        if let Life::Ended { ending, .. } = &mut self.life {
            ending.most_told = ending.most_told.max(Some(energy));
        }
    }

    pub(in crate::network) fn most_told(&self) -> Option<Energy> {
        self.ended().and_then(|(ending, _)| ending.most_told)
    }

    /// What telemetry told above what is believed of it, `most`.
    pub(super) fn told_beyond(&self, most: Energy) -> Option<Energy> {
        self.told().map(|told| told.energy).filter(|energy| *energy > most.max(self.energy()))
    }

    /// The most that is believed of it now.
    pub(in crate::network) fn most(
        &self,
        rated: Power,
        session_energy_max: Energy,
        age: Option<Duration>,
    ) -> Energy {
        let by_time = age.map_or(Energy::MAX, |age| most_in(rated, age + GRACE));
        let by_its_end = self.ended().and_then(|(ending, _)| ending.most).unwrap_or(Energy::MAX);
        by_time.min(by_its_end).min(session_energy_max)
    }

    /// Keeps the highest reading that telemetry told, up to the most that is believed. False: it is above that.
    pub(in crate::network) fn keep_told(&mut self, energy: Energy, most: Energy, now: Now) -> bool {
        if energy > most {
            return false;
        }
        let known = self.delivered().map(|delivered| delivered.energy).max(self.told.map(|told| told.energy));
        let open = !self.settled() && self.review().is_none(); // its end was told, believed or not
        if open && known.is_none_or(|known| energy > known) {
            let since = self.told.map_or(now.wall, |told| told.since);
            self.told = Some(Told { energy, since });
            self.live.doubted = false;
            self.live.unsaved = true;
        }
        true
    }

    /// Its engine has answered; `None`: that it supplies nothing yet. What telemetry told beyond that may be newer than
    /// this answer, but not newer than the next one, which is asked for after this one came. Then what is shown takes
    /// its place, which is held against the answers: a made-up reading must not cost the true one below it.
    pub(in crate::network) fn engine_answers(&mut self, energy: Option<Energy>) {
        let beyond = |told: &Told| energy.is_none_or(|energy| told.energy > energy);
        let ahead = self.told.filter(beyond);
        let doubted = std::mem::replace(&mut self.live.doubted, ahead.is_some());
        let shown = self.live.shown;
        self.told = match ahead {
            Some(told) if doubted && told.energy > shown => {
                Some(Told { energy: shown, ..told }).filter(beyond)
            }
            Some(_) if doubted => None,
            ahead => ahead,
        };
    }

    /// What its engine answered, or what telemetry told beyond that, of which up to `most_told` is believed: for a
    /// session of which nobody will tell more.
    pub(in crate::network) fn delivered_by_all_accounts(&self, most_told: Energy) -> Option<Delivered> {
        match (self.delivered(), self.told()) {
            (Some(known), told) => {
                let told = told.map(|told| told.energy.min(most_told));
                let energy = known.energy.max(told.unwrap_or_default());
                Some(Delivered { energy, ..known })
            }
            (None, told) => told.map(|told| {
                let ended = self.ended_at().unwrap_or(Wall::MAX); // what was told may have come later
                let started = told.since.max(self.created).min(ended);
                Delivered { started, energy: told.energy, seq: 0 }
            }),
        }
    }

    /// What a reading of a supply that is known to run comes to, by what can have been delivered since its engine last
    /// answered.
    pub(in crate::network) fn would_show(&self, energy: Energy, rated: Power, now: Now) -> Shown {
        if energy > self.had_by(rated, now.mono) {
            return Shown::Implausible;
        }
        if energy < self.shown_energy() { Shown::Behind } else { Shown::Yes }
    }

    /// Shows it, if it is to be shown; where it tells no power, that from two readings.
    pub(in crate::network) fn show(
        &mut self,
        energy: Energy,
        mut gauges: Gauges,
        rated: Power,
        now: Now,
    ) -> Shown {
        let shown = self.would_show(energy, rated, now);
        if shown == Shown::Yes {
            gauges.power = gauges.power.or_else(|| self.power_to(energy, now.mono));
            self.live.shown = energy;
            self.live.shown_at = now.mono;
            self.live.gauges.update(gauges);
        }
        shown
    }

    /// Power from what is shown to this. Readings come about a second apart; from two that were held up and came
    /// together nothing can be told.
    fn power_to(&self, energy: Energy, now: Mono) -> Option<Power> {
        let elapsed = now.since(self.live.shown_at);
        let elapsed = u64::try_from(elapsed.as_millis()).ok().filter(|_| elapsed >= APART)?;
        let delivered = energy.wh().checked_sub(self.shown_energy().wh())?;
        let power = delivered.checked_mul(3_600_000)?.checked_div(elapsed).map(Power::from_w);
        power.filter(|power| *power <= Power::MAX)
    }

    /// The most that it can have had by now, after what its engine answered last.
    pub(in crate::network) fn had_by(&self, rated: Power, now: Mono) -> Energy {
        let since = now.since(self.live.last_sign) + AHEAD;
        Energy::from_wh(self.energy().wh().saturating_add(most_in(rated, since).wh()))
    }

    /// Energy to show: what its engine answered, or what telemetry told since. While it lasts it never falls.
    pub fn shown_energy(&self) -> Energy {
        let live = self.live.shown.max(self.energy());
        if self.ticket().is_some() { self.energy() } else { live }
    }

    /// Power to show now; zero unless it is supplying.
    pub fn shown_power(&self) -> Power {
        self.live.gauges.power.filter(|_| self.state() == State::Supplying).unwrap_or_default()
    }
}
